/** HTTP's view of every error code: one status and title each. */
import { HTTPException } from 'hono/http-exception';
import type { DescribeFault } from './generation/batch-routes';
import { AppError, type ErrorDetails } from './platform/errors';
import { type Problem, problemBody } from './platform/http';
import type { Logger } from './platform/log';

type Entry = Pick<Problem, 'status' | 'title' | 'type'>;

/** Registered by draft-ietf-httpapi-ratelimit-headers; its member is `violated-policies`. */
const QUOTA_EXCEEDED = 'https://iana.org/assignments/http-problem-types#quota-exceeded';

/** Registered by the same draft. */
const ABNORMAL_USAGE = 'https://iana.org/assignments/http-problem-types#abnormal-usage-detected';

const problems = {
  malformed_json: { status: 400, title: 'Malformed JSON' },
  invalid_header: { status: 400, title: 'Invalid header' },
  unauthorized: { status: 401, title: 'Not authenticated' },
  forbidden: { status: 403, title: 'Not allowed' },
  account_suspended: { status: 403, title: 'Account suspended' },
  limit_exceeded: { status: 403, title: 'More than this account may ask for' },
  model_not_allowed: { status: 403, title: 'Model not allowed' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  conflict: { status: 409, title: 'Conflict' },
  unreadable_message: { status: 409, title: 'Message cannot be read' },
  endpoint_not_reachable: { status: 409, title: 'Webhook endpoint not reachable' },
  gone: { status: 410, title: 'Gone' },
  payload_too_large: { status: 413, title: 'Payload too large' },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  range_not_satisfiable: { status: 416, title: 'Range not satisfiable' },
  invalid_request: { status: 422, title: 'Invalid request' },
  image_too_large_to_convert: { status: 422, title: 'Image too large to convert' },
  image_not_convertible: { status: 422, title: 'Image cannot be converted' },
  unknown_model: { status: 422, title: 'Unknown model' },
  no_target_available: { status: 422, title: 'No target available' },
  budget_exceeded: { status: 422, title: 'Cost limit too low' },
  idempotency_mismatch: { status: 422, title: 'Idempotency key used for another request' },
  upgrade_required: { status: 426, title: 'Upgrade required' },
  rate_limited: { status: 429, title: 'Too many requests', type: QUOTA_EXCEEDED },
  too_many_waiting: { status: 429, title: 'Too many waiting requests', type: QUOTA_EXCEEDED },
  quota_exceeded: { status: 429, title: 'Quota exceeded', type: QUOTA_EXCEEDED },
  too_many_streams: { status: 429, title: 'Too many open streams', type: QUOTA_EXCEEDED },
  too_many_from_address: {
    status: 429,
    title: 'Too many requests from this address',
    type: ABNORMAL_USAGE,
  },
  header_too_large: { status: 431, title: 'Header too large' },
  unavailable: { status: 503, title: 'Temporarily unavailable' },
} as const satisfies Record<string, Entry>;

export type ProblemCode = keyof typeof problems;

type Told = Problem & { readonly correlationId: string };

/** What any fault is answered with: ours get a constant text. */
export function problemOf(
  fault: unknown,
  correlationId: string,
): { readonly problem: Told; readonly details: ErrorDetails } {
  const known = asAppError(fault);
  const entry = known && problemFor(known.code);
  if (known && entry) {
    const { code, message: detail, details } = known;
    return { problem: { ...entry, code, detail, correlationId }, details };
  }
  const problem = {
    status: 500,
    code: 'internal_error',
    title: 'Internal error',
    detail: 'Something went wrong on our side. Nothing that was accepted is lost.',
    correlationId,
  };
  return { problem, details: {} };
}

/** The same as part of another answer. */
export const describeFault: DescribeFault = (fault, correlationId) => {
  const { problem, details } = problemOf(fault, correlationId);
  // The document has the members of its schema, and more.
  const error = problemBody(problem, details) as ReturnType<DescribeFault>['error'];
  return { status: problem.status, error };
};

export function logFault(
  log: Logger,
  fault: unknown,
  fields: { readonly correlation_id: string; readonly method: string; readonly route: string },
): void {
  const known = asAppError(fault);
  const entry = known && problemFor(known.code);
  if (!known || !entry) log.error('http.failed', { ...fields, error: fault });
  else if (entry.status >= 500) {
    log.warn('http.unavailable', { ...fields, code: known.code, error: known.cause });
  }
}

/** Hono's own refusals (a malformed body that slipped past, say) get the same shape. */
function asAppError(fault: unknown): AppError | null {
  if (fault instanceof AppError) return fault;
  if (fault instanceof HTTPException && fault.status < 500) {
    return new AppError('malformed_json', fault.message || 'The request cannot be read.');
  }
  return null;
}

/** Null for a code that HTTP does not know: a fault of ours. */
function problemFor(code: string): Entry | null {
  return code in problems ? problems[code as ProblemCode] : null;
}
