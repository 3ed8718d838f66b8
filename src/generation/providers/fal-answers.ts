/** What fal answers, read tolerantly: not every endpoint follows the documented forms. */
import { z } from 'zod';
import type { JsonObject } from '../../platform/json';
import { type Answer, failureOf, noProblem, type Problem } from './failures';
import { isOnApi, jobFailed, readJson } from './jobs';
import type { ProviderFailure } from './provider';
import type { Confidential } from './redact';

const text = z.string().nullish().catch(null);

/** Of an error; whatever else stands in its place is no name. */
const name = z
  .string()
  .regex(/^[A-Za-z][\w.-]{0,63}$/)
  .nullish()
  .catch(null);

/** More would make a handle larger than a job's row should hold. */
const MAX_URL_CHARS = 500;

const requestId = z.string().regex(/^[\w-]{1,128}$/);

const submissionSchema = z.object({
  request_id: requestId,
  status_url: text,
  response_url: text,
  cancel_url: text,
});

export const handleSchema = z.object({
  request_id: requestId,
  status_url: z.string(),
  response_url: z.string(),
  cancel_url: z.string(),
});
export type Handle = z.output<typeof handleSchema>;

/**
 * Null when the answer names no job. fal wants its own URLs used; one on another host, where the key
 * must not go, gives way to what the queue's documentation says it is.
 */
export function readSubmission(
  body: string,
  of: { readonly model: string; readonly baseUrl: string },
): (Handle & JsonObject) | null {
  const answer = readJson(body, submissionSchema);
  if (!answer) return null;
  const { request_id, status_url, response_url, cancel_url } = answer;
  const usual = `${of.baseUrl}/${appOf(of.model)}/requests/${request_id}`;
  const safe = (url: string | null | undefined, otherwise: string) =>
    url && url.length <= MAX_URL_CHARS && isOnApi(url, of.baseUrl) ? url : otherwise;
  return {
    request_id,
    status_url: safe(status_url, `${usual}/status`),
    response_url: safe(response_url, usual),
    cancel_url: safe(cancel_url, `${usual}/cancel`),
  };
}

/** Requests belong to the app, `owner/name`, without the path of the endpoint in it. */
function appOf(model: string): string {
  const parts = model.split('/');
  const isNamespaced = parts[0] === 'workflows' || parts[0] === 'comfy';
  return parts.slice(0, isNamespaced ? 3 : 2).join('/');
}

export const statusSchema = z.object({
  status: z.enum(['IN_QUEUE', 'IN_PROGRESS', 'COMPLETED']),
  queue_position: z.int().min(0).nullish().catch(null),
  error: z.unknown().optional(),
  error_type: name,
});
export type Status = z.output<typeof statusSchema>;

const fileSchema = z.object({ url: z.string().regex(/^(https?|data):/i) });

export const resultSchema = z.object({
  images: z.array(fileSchema).nullish().catch(null),
  image: fileSchema.nullish().catch(null),
  seed: z.int().nullish().catch(null),
  has_nsfw_concepts: z.array(z.boolean()).nullish().catch(null),
});
export type Result = z.output<typeof resultSchema>;

const faultSchema = z.object({
  loc: z.array(z.union([z.string(), z.number()])).catch([]),
  msg: z.string().catch(''),
  type: name,
});
const errorSchema = z.object({
  detail: z.union([z.string(), z.array(faultSchema)]).catch(''),
  error_type: name,
});

/** Words that fal is known to answer 403 with: `User is locked. Reason: Exhausted balance.` */
const UNPAID = /\bbalance\b|\bpayment\b|\bbilling\b/i;
const LOCKED = /\b(?:user|account) is (?:locked|banned|suspended)\b/i;

/** `{detail: string, error_type}` of the queue, `{detail: [{loc, msg, type}]}` of the models. */
export function readProblem({ headers }: Answer, body: string): Problem {
  const error = readJson(body, errorSchema);
  const detail = error?.detail ?? '';
  const faults = typeof detail === 'string' ? [] : detail;
  const message = typeof detail === 'string' ? detail : messageOf(faults);
  const refusal = faults.find(({ type }) => type === 'content_policy_violation');
  const type = refusal?.type ?? faults[0]?.type ?? error?.error_type;
  const isPayment = UNPAID.test(message) && LOCKED.test(message);
  return {
    ...noProblem,
    message: message || null,
    code: type ?? name.parse(headers.get('x-fal-error-type')) ?? null,
    refusal: refusal ? { stage: 'input', categories: [] } : null,
    isPayment,
    isAccountBlocked: LOCKED.test(message) && !isPayment,
  };
}

const messageOf = (faults: readonly z.output<typeof faultSchema>[]) =>
  faults.map(({ loc, msg }) => (loc.length > 0 ? `${loc.join('.')}: ${msg}` : msg)).join('; ');

/**
 * Whether an answer to the question for the result is the job's own end, and not that of the
 * question. Statuses alone do not tell: a job's failure comes as the status that it failed with.
 */
export function isEndOfJob(status: Status, { status: code, headers }: Answer, body: string) {
  if (code === 401 || code === 403 || code === 404 || code === 429) return false;
  if (status.error || status.error_type || code === 422) return true;
  if (headers.has('x-fal-error-type') || headers.has('x-fal-retryable')) return true;
  // A gateway's fault has words, a model's has a list of them.
  return Array.isArray(readJson(body, errorSchema)?.detail);
}

export interface FailedJob {
  readonly status: Status;
  readonly answer: Answer;
  readonly body: string;
  readonly confidential: Confidential;
  readonly providerRequestId: string;
  readonly now: number;
}

/** The end of a job without images. fal charges for no 5xx; it may for a 422, found on a machine. */
export function failureOfJob(job: FailedJob): ProviderFailure {
  const { status, answer, body, confidential, providerRequestId } = job;
  const problem = readProblem(answer, body);
  const possiblyBilled = answer.status === 422;
  const isOfService = answer.status >= 499 || answer.headers.get('x-fal-retryable') === 'true';
  if (isOfService && !problem.refusal) {
    return jobFailed({
      provider: 'fal',
      code: status.error_type ?? problem.code ?? 'job_failed',
      message: problem.message ?? (typeof status.error === 'string' ? status.error : null),
      confidential,
      providerRequestId,
      possiblyBilled,
    });
  }
  const failure = failureOf({
    provider: 'fal',
    answer,
    problem,
    confidential,
    providerRequestId,
    now: job.now,
  });
  return { ...failure, possiblyBilled };
}
