/** HTTP's view of every error code: one status and title each. */
import type { Problem } from './platform/http';

type Entry = Pick<Problem, 'status' | 'title'>;

const problems = {
  malformed_json: { status: 400, title: 'Malformed JSON' },
  invalid_header: { status: 400, title: 'Invalid header' },
  unauthorized: { status: 401, title: 'Not authenticated' },
  forbidden: { status: 403, title: 'Not allowed' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  conflict: { status: 409, title: 'Conflict' },
  gone: { status: 410, title: 'Gone' },
  payload_too_large: { status: 413, title: 'Payload too large' },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  range_not_satisfiable: { status: 416, title: 'Range not satisfiable' },
  invalid_request: { status: 422, title: 'Invalid request' },
  unknown_model: { status: 422, title: 'Unknown model' },
  no_target_available: { status: 422, title: 'No target available' },
  budget_exceeded: { status: 422, title: 'Cost limit too low' },
  idempotency_mismatch: { status: 422, title: 'Idempotency key used for another request' },
  rate_limited: { status: 429, title: 'Too many requests' },
  too_many_waiting: { status: 429, title: 'Too many waiting requests' },
  quota_exceeded: { status: 429, title: 'Quota exceeded' },
  header_too_large: { status: 431, title: 'Header too large' },
  unavailable: { status: 503, title: 'Temporarily unavailable' },
} as const satisfies Record<string, Entry>;

export type ProblemCode = keyof typeof problems;

/** Null for a code that HTTP does not know: a fault of ours. */
export function problemFor(code: string): Entry | null {
  return code in problems ? problems[code as ProblemCode] : null;
}
