/**
 * What the providers with server-side jobs share: one call to their API, and what its end means
 * before there is a job (a failure) and after (a question that got no answer).
 */
import type { z } from 'zod';
import type { JsonObject } from '../../platform/json';
import { retryAfterMs } from '../../platform/retry-after';
import { type Answer, lost, notSent } from './failures';
import type {
  CallContext,
  InputImage,
  PollAnswer,
  PollContext,
  ProviderFailure,
  ProviderJob,
} from './provider';
import { type Confidential, redact } from './redact';
import { AnswerTooLarge, ConnectionFault, type Wire, type WireRequest } from './wire';

export type Reply =
  | { readonly arrived: true; readonly answer: Answer; readonly body: string }
  /** No answer, or a success without its body. `sent`: the provider may have the whole request. */
  | { readonly arrived: false; readonly sent: boolean; readonly isTooLarge: boolean };

/** One call, its body read. Does not throw for anything the API does. */
export async function call(wire: Wire, request: WireRequest): Promise<Reply> {
  const response = await wire(request).catch((error: unknown) => {
    if (error instanceof ConnectionFault) return error;
    throw error;
  });
  if (response instanceof ConnectionFault) {
    return { arrived: false, sent: response.sent, isTooLarge: false };
  }
  const answer = { status: response.status, headers: response.headers };
  try {
    return { arrived: true, answer, body: await response.text() };
  } catch (error) {
    // The status of an error says enough without its body; a success is nothing without it.
    if (!response.ok) return { arrived: true, answer, body: '' };
    return { arrived: false, sent: true, isTooLarge: error instanceof AnswerTooLarge };
  }
}

export const isSuccess = ({ status }: Answer) => status >= 200 && status < 300;

/** Null when the body is no JSON, or is not what the schema says. */
export function readJson<T>(body: string, schema: z.ZodType<T>): T | null {
  const parsed = schema.safeParse(parseJson(body));
  return parsed.success ? parsed.data : null;
}

/** The end of a submission that got no answer. */
export function unanswered(of: {
  readonly provider: string;
  readonly sent: boolean;
  readonly signal: AbortSignal;
}): ProviderFailure {
  const { provider, sent, signal } = of;
  const isAborted = signal.aborted;
  return sent
    ? lost({ provider, isAborted, providerRequestId: null })
    : notSent({ provider, isAborted });
}

/** A submission was accepted in words that lead to no job: one may run that nobody can find. */
export function untraceable(of: {
  readonly provider: string;
  readonly providerRequestId: string | null;
}): ProviderFailure {
  return {
    outcome: 'unknown',
    error: {
      code: 'job_untraceable',
      message: `${of.provider} accepted the call and did not say where its job is`,
    },
    retryAfterMs: null,
    providerRequestId: of.providerRequestId,
    possiblyBilled: true,
  };
}

/** The provider says that its job has failed, or is no more, and not for its content. */
export function jobFailed(of: {
  readonly provider: string;
  readonly code: string;
  /** As it came. */
  readonly message: string | null;
  readonly confidential: Confidential;
  readonly providerRequestId: string | null;
  readonly possiblyBilled: boolean;
}): ProviderFailure {
  const { provider, code, confidential, providerRequestId, possiblyBilled } = of;
  const message = redact(of.message ?? '', confidential) || `the job at ${provider} failed`;
  return {
    outcome: 'failed',
    error: { code, message },
    retryAfterMs: null,
    providerRequestId,
    possiblyBilled,
  };
}

type Unanswered = Extract<PollAnswer, { outcome: 'missing' | 'unreachable' }>;

/** A poll that did not come back with news of the job; null when it did. */
export function withoutNews(reply: Reply, now: number): Unanswered | null {
  if (!reply.arrived) return { outcome: 'unreachable', retryAfterMs: null };
  const { answer } = reply;
  if (isSuccess(answer)) return null;
  if (answer.status === 404) return { outcome: 'missing' };
  return { outcome: 'unreachable', retryAfterMs: retryAfterMs(answer.headers, now) };
}

type News<T> = { readonly outcome: 'news'; readonly value: T } | Unanswered;

/** One question after a job. A success that is not what the schema says is no answer either. */
export async function ask<T>(
  wire: Wire,
  request: WireRequest,
  of: { readonly schema: z.ZodType<T>; readonly now: number },
): Promise<News<T>> {
  const reply = await call(wire, request);
  const silence = withoutNews(reply, of.now);
  if (silence) return silence;
  const value = reply.arrived ? readJson(reply.body, of.schema) : null;
  return value === null
    ? { outcome: 'unreachable', retryAfterMs: null }
    : { outcome: 'news', value };
}

/** `gone`: statuses besides 404 with which the API says that there is nothing left to cancel. */
export async function cancelJob(
  wire: Wire,
  request: WireRequest,
  gone: readonly number[] = [],
): Promise<'gone' | 'unreachable'> {
  const reply = await call(wire, request);
  const isGone =
    reply.arrived && (isSuccess(reply.answer) || [404, ...gone].includes(reply.answer.status));
  return isGone ? 'gone' : 'unreachable';
}

/** Waits a share of what was waited so far: late by that share at most, with few checks of long jobs. */
const BRISK = { share: 0.25, minMs: 500, maxMs: 5_000 };

/** The callback is the news; checks are for the one that gets lost. */
const RARE = { share: 1, minMs: 2_000, maxMs: 30_000 };

/** When to ask again after a job that is not over. */
export function checkAfterMs({
  waitedMs,
  expectsCallback,
}: Pick<PollContext, 'waitedMs' | 'expectsCallback'>): number {
  const { share, minMs, maxMs } = expectsCallback ? RARE : BRISK;
  return Math.min(maxMs, Math.max(minMs, Math.round(waitedMs * share)));
}

/** The callback URL where the provider could reach it; a server on http is taken for a neighbour. */
export function reachableCallback(callbackUrl: string, baseUrl: string): string | null {
  const isReachable = callbackUrl.startsWith('https:') || baseUrl.startsWith('http:');
  return isReachable ? callbackUrl : null;
}

/** Whether a URL of the provider's making may be called with the key: it is on the API's own host. */
export function isOnApi(url: string, baseUrl: string): boolean {
  if (!URL.canParse(url)) return false;
  const { origin, username, password } = new URL(url);
  return origin === new URL(baseUrl).origin && username === '' && password === '';
}

/** What must not be found in the words of a submission's failure. */
export function confidentialOf(apiKey: string, job: ProviderJob): Confidential {
  const { prompt, negativePrompt } = job;
  return {
    secrets: [apiKey],
    texts: negativePrompt === null ? [prompt] : [prompt, negativePrompt],
  };
}

export function tracing(
  context: Pick<CallContext, 'correlationId'> & { readonly traceparent?: string | null },
): Record<string, string> {
  const { correlationId, traceparent } = context;
  return { 'X-Correlation-Id': correlationId, ...(traceparent ? { traceparent } : {}) };
}

/**
 * Lays the client's options under what Foreman sets. `ignored`: those that have a field of the
 * request for themselves, or are reserved because they decide price, shape or transport.
 */
export function withOptions(
  fields: JsonObject,
  of: { readonly options: JsonObject; readonly reserved: ReadonlySet<string> },
): { readonly body: JsonObject; readonly ignored: readonly string[] } {
  const isIgnored = (name: string) => of.reserved.has(name) || Object.hasOwn(fields, name);
  const taken = Object.entries(of.options).filter(([name]) => !isIgnored(name));
  return {
    body: { ...Object.fromEntries(taken), ...fields },
    ignored: Object.keys(of.options).filter(isIgnored),
  };
}

/** Warnings for fields of the request, and for options, that had no effect. */
export function warningsOf(
  provider: string,
  ignored: { readonly fields: readonly string[]; readonly options: readonly string[] },
): string[] {
  return [
    ...ignored.fields.map((field) => `${provider} ignores ${field}`),
    ...ignored.options.map(
      (option) => `${provider} ignores provider_options.${provider}.${option}`,
    ),
  ];
}

export const base64Of = ({ bytes }: Pick<InputImage, 'bytes'>) =>
  Buffer.from(bytes).toString('base64');

export const dataUrlOf = (image: InputImage) => `data:${image.mediaType};base64,${base64Of(image)}`;

function parseJson(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    return undefined;
  }
}
