/** The calls to a ComfyUI server, below what they mean for a job. */
import {
  readHistory,
  readProblem,
  readQueue,
  type StoredFile,
  uploadedSchema,
} from './comfyui-answers';
import { failureOf, notSent } from './failures';
import { call, isSuccess, type Reply, readJson, tracing, unanswered, withoutNews } from './jobs';
import type { InputImage, OpenImage, PollAnswer, ProviderFailure, ProviderJob } from './provider';
import type { Confidential } from './redact';
import type { ServerConfig } from './settings';
import type { Wire } from './wire';

export const NAME = 'comfyui';

export interface Server {
  readonly config: ServerConfig;
  readonly wire: Wire;
  readonly now: () => number;
}

/** What every call needs of its context. */
export type Caller = Parameters<typeof tracing>[0] & { readonly signal: AbortSignal };

export const post = (
  server: Server,
  context: Caller,
  { path, body }: { readonly path: string; readonly body: object },
) =>
  call(server.wire, {
    method: 'POST',
    url: `${server.config.baseUrl}${path}`,
    headers: { 'Content-Type': 'application/json', ...headersFor(server, context) },
    body: JSON.stringify(body),
    signal: context.signal,
  });

const get = (server: Server, context: Caller, path: string) =>
  call(server.wire, {
    method: 'GET',
    url: `${server.config.baseUrl}${path}`,
    headers: headersFor(server, context),
    signal: context.signal,
  });

const headersFor = (server: Server, context: Caller) => ({
  ...authorization(server),
  ...tracing(context),
});

/** For a proxy in front: the server itself asks for no key. */
const authorization = ({ config }: Server): Record<string, string> =>
  config.apiKey === null ? {} : { Authorization: `Bearer ${config.apiKey}` };

export const confidential = ({ config }: Server, texts: readonly string[]): Confidential => ({
  secrets: config.apiKey === null ? [] : [config.apiKey],
  texts,
});

/** Null for a success. */
export function failureOfCall(
  server: Server,
  reply: Reply,
  of: { readonly job: ProviderJob | null; readonly signal: AbortSignal },
): ProviderFailure | null {
  if (!reply.arrived) return unanswered({ provider: NAME, sent: reply.sent, signal: of.signal });
  if (isSuccess(reply.answer)) return null;
  const texts = of.job ? [of.job.prompt, of.job.negativePrompt ?? ''] : [];
  return failureOf({
    provider: NAME,
    answer: reply.answer,
    problem: readProblem(reply.body),
    confidential: confidential(server, texts),
    providerRequestId: null,
    now: server.now(),
  });
}

type Uploaded =
  | { readonly ok: true; readonly name: string }
  | { readonly ok: false; readonly failure: ProviderFailure };

/** Named by its content, so that a picture used again takes no more room at the server. */
export async function upload(
  server: Server,
  { bytes, mediaType }: InputImage,
  context: Caller,
): Promise<Uploaded> {
  const digest = Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex');
  const form = new FormData();
  form.append(
    'image',
    new File([bytes], `${digest}.${extensionOf(mediaType)}`, { type: mediaType }),
  );
  form.append('type', 'input');
  form.append('subfolder', 'foreman');
  const { signal } = context;
  const reply = await call(server.wire, {
    method: 'POST',
    url: `${server.config.baseUrl}/upload/image`,
    headers: headersFor(server, context),
    body: form,
    signal,
  });
  const failure = failureOfCall(server, reply, { job: null, signal });
  const name = reply.arrived && !failure ? readJson(reply.body, uploadedSchema) : null;
  if (name !== null) return { ok: true, name };
  if (failure && failure.outcome !== 'unknown') return { ok: false, failure };
  // Whatever became of the upload, no job was asked for.
  return { ok: false, failure: notSent({ provider: NAME, isAborted: signal.aborted }) };
}

const extensionOf = (mediaType: string) => mediaType.replace(/^image\//, '').replace('jpeg', 'jpg');

type Told<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly silence: Extract<PollAnswer, { outcome: 'unreachable' }> };

/** A question about jobs. An answer other than expected, a 404 included, says nothing of one. */
async function ask<T>(
  server: Server,
  context: Caller,
  question: { readonly path: string; read(body: string): T | null },
): Promise<Told<T>> {
  const reply = await get(server, context, question.path);
  const silence = withoutNews(reply, server.now());
  const value = reply.arrived && !silence ? question.read(reply.body) : null;
  if (value !== null) return { ok: true, value };
  const retryAfterMs = silence?.outcome === 'unreachable' ? silence.retryAfterMs : null;
  return { ok: false, silence: { outcome: 'unreachable', retryAfterMs } };
}

export const askQueue = (server: Server, context: Caller) =>
  ask(server, context, { path: '/queue', read: readQueue });

export const askHistory = (server: Server, context: Caller, id: string) =>
  ask(server, context, {
    path: `/history/${encodeURIComponent(id)}`,
    read: (body) => readHistory(body, id),
  });

/** @throws Error when there is no image to be had. */
export async function openFile(
  server: Server,
  file: StoredFile,
  signal: AbortSignal,
): Promise<OpenImage> {
  const { filename, subfolder, type } = file;
  const response = await server.wire({
    method: 'GET',
    url: `${server.config.baseUrl}/view?${new URLSearchParams({ filename, subfolder, type })}`,
    headers: authorization(server),
    signal,
  });
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    throw new Error(`${NAME} answered with status ${response.status} for an image`);
  }
  const length = response.headers.get('content-length');
  return { body: response.body, length: length === null ? null : Number(length) };
}
