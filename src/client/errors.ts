import type { ForemanRequest, Problem } from './types';

interface Answer {
  readonly status: number;
  /** Null when something on the way answered, and not Foreman. */
  readonly problem: Problem | null;
  readonly correlationId: string | null;
  /** From `Retry-After`; null when the answer had none. */
  readonly retryAfterMs: number | null;
  readonly idempotencyKey: string | null;
}

/** An answer that is no success. Branch on `code`, not on the text. */
export class ForemanError extends Error {
  override readonly name = 'ForemanError';
  readonly status: number;
  /** The problem's own, or `unexpected_answer` for what is no problem document. */
  readonly code: string;
  /** Names this call in the operator's log. */
  readonly correlationId: string | null;
  /** The fields that are wrong, and why. */
  readonly errors: readonly { readonly path: string; readonly message: string }[];
  readonly retryAfterMs: number | null;
  readonly problem: Problem | null;
  /** What the call was made with: should an earlier try have arrived, this key collects its result. */
  readonly idempotencyKey: string | null;

  constructor(answer: Answer) {
    const { status, problem } = answer;
    super(problem?.detail ?? `The answer has status ${status} and is not Foreman's.`);
    this.status = status;
    this.problem = problem;
    this.code = problem?.code ?? 'unexpected_answer';
    this.errors = problem?.errors ?? [];
    this.correlationId = problem?.correlation_id ?? answer.correlationId;
    this.retryAfterMs = answer.retryAfterMs;
    this.idempotencyKey = answer.idempotencyKey;
  }
}

/** The request ended without images: it failed, expired, or was canceled. */
export class GenerationFailed extends Error {
  override readonly name = 'GenerationFailed';
  readonly request: ForemanRequest;

  constructor(request: ForemanRequest) {
    const why = request.error === null ? '' : `: ${request.error.message}`;
    super(`The request ${request.id} ended as ${request.status}${why}`);
    this.request = request;
  }
}

/** No answer came, after all retries. What was asked for may have been done all the same. */
export class ConnectionFailed extends Error {
  override readonly name = 'ConnectionFailed';
  /** What was submitted with it, should it have arrived, is collected by submitting with it again. */
  readonly idempotencyKey: string | null;

  constructor(cause: unknown, idempotencyKey: string | null) {
    super('No answer came from Foreman.', { cause });
    this.idempotencyKey = idempotencyKey;
  }
}

/** `timeoutMs` has passed. The request goes on, and the key collects its result. */
export class WaitTimedOut extends Error {
  override readonly name = 'WaitTimedOut';
  readonly idempotencyKey: string;
  /** As it was seen last; null when its submission was not answered in time. */
  readonly request: ForemanRequest | null;

  constructor(waited: { idempotencyKey: string; request: ForemanRequest | null }) {
    super('The request has not ended in the time that was given to wait for it; it goes on.');
    this.idempotencyKey = waited.idempotencyKey;
    this.request = waited.request;
  }
}
