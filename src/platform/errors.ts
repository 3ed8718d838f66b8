/**
 * A fault with a stable code and a message for the caller. It has no transport: each surface
 * (HTTP, queue, later the OpenAI dialect and MCP) maps codes to its own shape once.
 */
export class AppError<Code extends string = string> extends Error {
  override readonly name = 'AppError';
  readonly code: Code;
  readonly details: ErrorDetails;

  constructor(code: Code, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.details = details;
  }
}

/** What a surface may add to its answer. `retryAfterMs` becomes `Retry-After`. */
export interface ErrorDetails {
  /** One entry per faulty field; `path` as the caller wrote it, e.g. `metadata.color`. */
  readonly errors?: readonly FieldError[];
  readonly retryAfterMs?: number;
  /** Members that the problem document carries as they are. */
  readonly extensions?: Readonly<Record<string, unknown>>;
  /** What went wrong underneath: for the log, never for the caller. */
  readonly cause?: unknown;
  /** What would have been allowed with it. */
  readonly scope?: string;
  /** Header fields that the answer carries as they are. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface FieldError {
  readonly path: string;
  readonly message: string;
}
