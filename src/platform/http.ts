/**
 * What every HTTP route shares: the correlation id, the bounds on headers and bodies, and problem
 * documents (RFC 9457). Knows no feature.
 */
import type { Context, MiddlewareHandler } from 'hono';
import type { By, Whence } from './actor';
import { AppError, type ErrorDetails, type FieldError } from './errors';
import { jsonDepth, MAX_JSON_DEPTH } from './json';

/** What there is to find out who is asking. One object per request, so that it is found out once. */
export interface Asking {
  readonly headers: Headers;
  readonly from: Whence;
  /** Set on routes that a ticket opens, by whoever knows which. */
  readonly ticket?: TicketBrought;
  /** Set where apps may come with an access token: what that token has to be for. */
  readonly audience?: string;
}

export interface TicketBrought {
  readonly text: string;
  /** As the path has it; null on a route that is about all requests. */
  readonly requestId: string | null;
}

export interface HttpEnv {
  Bindings: Env;
  Variables: {
    asking: Asking;
    /** Aborts when the client is gone, as far as the platform knows: what it waited for is let go. */
    hungUp: AbortSignal;
    /** Who does something that is put on record; set by routes of the operator's. */
    by: By;
    correlationId: string;
    traceparent: string | null;
    /** Scheme and host that links in the answer start with. */
    origin: string;
  };
}

/** A submission may carry an image as a data URL. */
export const MAX_JSON_BODY_BYTES = 1_048_576;
/** The operator's bodies are text: the longest, 200 names of models, is a third of it. */
export const MAX_ADMIN_JSON_BYTES = 65_536;
const MAX_HEADER_CHARS = 8_192;
/** A DNS name and a port. Links in answers and webhooks begin with it. */
const MAX_HOST_CHARS = 260;
const CORRELATION_ID = /^[\x21-\x7e]{1,128}$/;
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

export interface Problem {
  /** A URI of a registered type; without one the status says it all. */
  readonly type?: string;
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
}

export function problemResponse(
  problem: Problem & { readonly correlationId: string },
  details: ErrorDetails = {},
): Response {
  const headers = new Headers({ 'content-type': 'application/problem+json', ...details.headers });
  if (details.retryAfterMs !== undefined) {
    headers.set('retry-after', String(Math.max(1, Math.ceil(details.retryAfterMs / 1000))));
  }
  const body = JSON.stringify(problemBody(problem, details));
  return new Response(body, { status: problem.status, headers });
}

/** The problem document itself (RFC 9457), also as part of another answer. */
export function problemBody(
  problem: Problem & { readonly correlationId: string },
  details: ErrorDetails = {},
): Record<string, unknown> {
  return {
    type: problem.type ?? 'about:blank',
    title: problem.title,
    status: problem.status,
    detail: problem.detail,
    code: problem.code,
    correlation_id: problem.correlationId,
    ...(details.errors ? { errors: details.errors } : {}),
    ...details.extensions,
  };
}

/**
 * Accepts `X-Correlation-Id` or `X-Request-Id`, makes one up otherwise, and echoes it on every
 * answer; reads W3C `traceparent`. A faulty correlation id is refused, not replaced: the client
 * would look for it in vain.
 */
export function requestContext(publicOrigin: string | null): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const given = c.req.header('x-correlation-id') ?? c.req.header('x-request-id');
    const valid = given !== undefined && CORRELATION_ID.test(given);
    const correlationId = valid ? given : crypto.randomUUID();
    c.set('correlationId', correlationId);
    const { headers } = c.req.raw;
    const address = headers.get('cf-connecting-ip');
    c.set('hungUp', c.req.raw.signal);
    c.set('asking', { headers, from: { address, correlationId } });
    const traceparent = c.req.header('traceparent');
    c.set('traceparent', traceparent && TRACEPARENT.test(traceparent) ? traceparent : null);
    c.set('origin', publicOrigin ?? new URL(c.req.url).origin);
    checkHeaderLengths(c.req.raw.headers);
    const url = new URL(c.req.url);
    if (url.searchParams.has(PROTO)) throw protoFault(PROTO);
    if (url.host.length > MAX_HOST_CHARS) {
      throw new AppError('invalid_header', `Host is longer than ${MAX_HOST_CHARS} characters.`);
    }
    if (given !== undefined && !valid) {
      throw new AppError(
        'invalid_header',
        'X-Correlation-Id must be 1 to 128 printable ASCII characters without spaces.',
      );
    }
    await next();
  };
}

export function checkHeaderLengths(headers: Headers): void {
  for (const [name, value] of headers) {
    if (value.length > MAX_HEADER_CHARS) {
      throw new AppError(
        'header_too_large',
        `The header ${name} is longer than ${MAX_HEADER_CHARS} characters.`,
      );
    }
  }
}

/**
 * Reads a JSON body within its bounds (bytes, UTF-8, syntax, depth) before any validator sees it,
 * and hands it on as a fresh request.
 */
export function jsonBody(
  maxBytes = MAX_JSON_BODY_BYTES,
  { isOptional = false }: { readonly isOptional?: boolean } = {},
): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const type = c.req.header('content-type');
    if (type !== undefined && !/^application\/([a-z0-9.+-]+\+)?json\s*(;|$)/i.test(type)) {
      throw new AppError('unsupported_media_type', 'The body must be application/json.');
    }
    const encoding = c.req.header('content-encoding') ?? 'identity';
    if (encoding.trim().toLowerCase() !== 'identity') {
      throw new AppError('unsupported_media_type', 'The body must come without Content-Encoding.');
    }
    const sent = decodeUtf8(await readBody(c.req.raw, maxBytes));
    const text = isOptional && sent.trim() === '' ? '{}' : sent;
    if (text.trim() === '') throw new AppError('malformed_json', 'The body is empty.');
    if (jsonDepth(text) > MAX_JSON_DEPTH) {
      throw new AppError('malformed_json', `The body nests deeper than ${MAX_JSON_DEPTH} levels.`);
    }
    refuseUnfit(parseJson(text), []);
    const headers = new Headers(c.req.raw.headers);
    headers.set('content-type', 'application/json');
    c.req.raw = new Request(c.req.raw.url, { method: c.req.method, headers, body: text });
    await next();
  };
}

/** @throws AppError `payload_too_large` before more than `maxBytes` are held. */
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const tooLarge = () =>
    new AppError('payload_too_large', `The body is larger than ${maxBytes} bytes.`);
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge();
  if (!request.body) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw new AppError('malformed_json', 'The body could not be read to its end.');
    });
    if (done) break;
    size += value.byteLength;
    if (size > maxBytes) {
      await reader.cancel();
      throw tooLarge();
    }
    chunks.push(value);
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

/** For zod issues: `metadata.color`, `items.0.prompt`; an unknown field is named itself. */
export function fieldErrors(
  issues: readonly {
    readonly code?: string | undefined;
    readonly path: PropertyKey[];
    readonly message: string;
    readonly keys?: readonly string[];
  }[],
): FieldError[] {
  return issues.flatMap((issue) => {
    const path = issue.path.map(String);
    if (issue.code === 'unrecognized_keys' && issue.keys) {
      return issue.keys.map((key) => ({
        path: [...path, key].join('.'),
        message: 'is not a field of this request',
      }));
    }
    return [{ path: path.join('.'), message: issue.message }];
  });
}

/** The hook that every route set gives to its OpenAPIHono: a validation fault is one problem. */
export function validationHook(result: {
  readonly success: boolean;
  readonly error?: { readonly issues: Parameters<typeof fieldErrors>[0] };
}): void {
  if (result.success || !result.error) return;
  throw invalidFields(result.error.issues);
}

export function invalidFields(issues: Parameters<typeof fieldErrors>[0]): AppError {
  const errors = fieldErrors(issues);
  const names = [...new Set(errors.map((error) => error.path || 'body'))].slice(0, 5);
  return new AppError('invalid_request', `Not valid: ${names.join(', ')}.`, { errors });
}

/** `Prefer: wait=n` in milliseconds; null when it is absent or malformed (RFC 7240 says ignore). */
export function preferredWaitMs(c: Context<HttpEnv>): number | null {
  const match = /(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])/i.exec(c.req.header('prefer') ?? '');
  if (!match) return null;
  const seconds = Math.min(60, Number(match[1]));
  return seconds > 0 ? seconds * 1000 : null;
}

/** Validators build plain objects, in which a field of this name would vanish in silence. */
const PROTO = '__proto__';

/**
 * Names that no field may have, and text that is no Unicode: half of a surrogate pair could be stored
 * and told of, and no strict reader would read it.
 */
function refuseUnfit(value: unknown, path: readonly string[]): void {
  if (typeof value === 'string' && !value.isWellFormed()) throw unicodeFault(path.join('.'));
  if (typeof value !== 'object' || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    if (name === PROTO) throw protoFault([...path, name].join('.'));
    if (!name.isWellFormed()) throw unicodeFault(path.join('.'));
    refuseUnfit(member, [...path, name]);
  }
}

function unicodeFault(path: string): AppError {
  const errors = [{ path, message: 'must be well-formed Unicode' }];
  return new AppError('invalid_request', `Not valid: ${path || 'body'}.`, { errors });
}

function protoFault(path: string): AppError {
  const errors = [{ path, message: 'is not a name that a field may have' }];
  return new AppError('invalid_request', `Not valid: ${path}.`, { errors });
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw new AppError('malformed_json', 'The body is not valid UTF-8.');
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new AppError('malformed_json', 'The body is not valid JSON.');
  }
}
