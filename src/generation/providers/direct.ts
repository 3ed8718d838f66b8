/**
 * What the adapters of synchronous APIs without an SDK share: one call through the wire and every
 * way it can end without an answer, the fields of a job that an API has no place for, and the words
 * of servers built on FastAPI.
 */
import { z } from 'zod';
import type { JsonObject } from '../../platform/json';
import { type Answer, failureOf, invalidOutput, noProblem, type Problem } from './failures';
import { readJson, call as send, tracing, unanswered } from './jobs';
import type {
  CallContext,
  InputImage,
  ProviderFailure,
  ProviderJob,
  ProviderSuccess,
} from './provider';
import { imageFrom, type OpenUrl, UnusableAnswer } from './sdk-images';
import type { Wire, WireRequest } from './wire';

export interface WholeAnswer extends Answer {
  readonly body: string;
}

/** An answer of any status, its body read, or the outcome of a call that got none. */
export type Exchanged =
  | { readonly ok: true; readonly answer: WholeAnswer }
  | { readonly ok: false; readonly failure: ProviderFailure };

export interface Exchange extends Omit<WireRequest, 'headers' | 'signal'> {
  readonly provider: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly context: Pick<CallContext, 'signal' | 'correlationId' | 'traceparent'>;
}

/** One call, its body read. Does not throw for anything the API does. */
export async function exchange(wire: Wire, call: Exchange): Promise<Exchanged> {
  const { provider, context, method, url, body } = call;
  const { signal } = context;
  const headers = { ...call.headers, ...tracing(context) };
  const reply = await send(wire, { method, url, body: body ?? null, headers, signal });
  if (reply.arrived) return { ok: true, answer: { ...reply.answer, body: reply.body } };
  if (reply.isTooLarge) {
    const message = `${provider} answered with more than images can take`;
    return { ok: false, failure: invalidOutput({ message, providerRequestId: null }) };
  }
  return { ok: false, failure: unanswered({ provider, sent: reply.sent, signal }) };
}

export interface FailedExchange {
  readonly provider: string;
  readonly answer: Answer;
  readonly problem: Problem;
  readonly job: ProviderJob;
  /** Keys and passwords that were sent. */
  readonly secrets: readonly string[];
  readonly providerRequestId: string | null;
  /** A wait that the headers may say better. */
  readonly retryAfterMs?: number | null;
}

export function failed({ job, secrets, ...call }: FailedExchange): ProviderFailure {
  const texts = [job.prompt, ...(job.negativePrompt === null ? [] : [job.negativePrompt])];
  return failureOf({ ...call, confidential: { secrets, texts }, now: Date.now() });
}

export interface Picture {
  /** Bytes, base64, a data URL or a URL. */
  readonly source: string | Uint8Array;
  readonly seed: number | null;
}

/** An answer with pictures; one without any, or with something else in their place, is no success. */
export function delivered(of: {
  readonly provider: string;
  readonly pictures: readonly Picture[];
  readonly openUrl: OpenUrl;
  readonly providerRequestId: string | null;
  readonly warnings: readonly string[];
}): ProviderSuccess | ProviderFailure {
  const { provider, pictures, openUrl, providerRequestId, warnings } = of;
  try {
    const images = pictures.flatMap(({ source, seed }) => {
      const image = imageFrom(source, { openUrl, provider });
      return image ? [{ ...image, seed }] : [];
    });
    if (images.length === 0) throw new UnusableAnswer(`${provider} answered without an image`);
    return { outcome: 'succeeded', images, costMicros: null, providerRequestId, warnings };
  } catch (error) {
    if (!(error instanceof UnusableAnswer)) throw error;
    return invalidOutput({ message: error.message, providerRequestId });
  }
}

/** Optional fields of a request, by their public names, and whether a job has them. */
const given = {
  negative_prompt: (job: ProviderJob) => job.negativePrompt !== null,
  size: (job: ProviderJob) => job.size !== null,
  /** A size that was derived from it is its effect. */
  aspect_ratio: (job: ProviderJob) => job.aspectRatio !== null && job.size === null,
  seed: (job: ProviderJob) => job.seed !== null,
  steps: (job: ProviderJob) => job.steps !== null,
  guidance_scale: (job: ProviderJob) => job.guidanceScale !== null,
  output_format: (job: ProviderJob) => job.outputFormat !== null,
  image: (job: ProviderJob) => job.image !== null,
  mask: (job: ProviderJob) => job.mask !== null,
  strength: (job: ProviderJob) => job.strength !== null,
} as const;
export type Field = keyof typeof given;

const isField = (name: string): name is Field => Object.hasOwn(given, name);
const allFields = Object.keys(given).filter(isField);

/** Where an API takes a field of the job: under which name, and as what; nothing where it cannot. */
export type Place<Value> = readonly [field: Field, name: string, value: Value | null | undefined];

export const placed = <Value>(places: readonly Place<Value>[]): Record<string, Value> =>
  Object.fromEntries(places.flatMap(([, name, value]) => (isThere(value) ? [[name, value]] : [])));

const isThere = <Value>(value: Value | null | undefined): value is Value =>
  value !== null && value !== undefined;

/** Fields that the job has and the API is not told. `met`: what holds without being told. */
export function ignoredFields(
  job: ProviderJob,
  places: readonly Place<unknown>[],
  met: readonly Field[] = [],
): Field[] {
  const told = new Set(places.flatMap(([field, , value]) => (isThere(value) ? [field] : [])));
  return allFields.filter((field) => given[field](job) && !told.has(field) && !met.includes(field));
}

export function formOf(fields: JsonObject, files: Readonly<Record<string, InputImage>>): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null)
      form.append(name, typeof value === 'string' ? value : JSON.stringify(value));
  }
  for (const [name, { bytes, mediaType }] of Object.entries(files)) {
    form.append(name, new Blob([bytes], { type: mediaType }), name);
  }
  return form;
}

const words = z.string().catch('');
const serverError = z.object({
  /** The message, or the class of the exception beside a message. */
  error: words,
  message: words,
  detail: z
    .union([
      z.string(),
      // FastAPI's validation. `input`, which it has too, quotes what was sent.
      z
        .array(z.object({ loc: z.array(z.union([z.string(), z.number()])), msg: z.string() }))
        .transform((faults) => faults.map(({ loc, msg }) => `${loc.join('.')}: ${msg}`).join('; ')),
    ])
    .catch(''),
  errors: words,
});

const EXCEPTION = /^[A-Z]\w{2,63}$/;

/** `{detail}`, `{error}` and `{error, detail, errors}`; also a gateway's one line of plain text. */
export function serverProblem(body: string): Problem {
  const parsed = readJson(body, serverError);
  if (!parsed) return { ...noProblem, message: plainText(body) };
  const { error, message, detail, errors } = parsed;
  return {
    ...noProblem,
    message: detail || errors || message || error || null,
    type: EXCEPTION.test(error) ? error : null,
  };
}

/** A one-line reason is worth showing, an error page is not. */
const plainText = (body: string) => (/^\s*[<{[]/.test(body) || body.length > 500 ? null : body);
