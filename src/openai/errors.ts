/**
 * Our error codes in OpenAI's words: status, type and code of each, once. What a repetition cannot
 * help says so in `x-should-retry`, which the official clients heed.
 */
import { AppError, type ErrorDetails } from '../platform/errors';
import type { Problem } from '../platform/http';
import type { JsonObject } from '../platform/json';
import type { RequestErrorCode, RequestState } from '../requests/types';

type Status =
  | 400
  | 401
  | 403
  | 404
  | 405
  | 409
  | 410
  | 413
  | 415
  | 426
  | 429
  | 431
  | 500
  | 502
  | 503
  | 504;

interface Entry {
  readonly status: Status;
  readonly type: string;
  readonly code: string | null;
}

const invalid = (status: Status, code: string | null): Entry => ({
  status,
  type: 'invalid_request_error',
  code,
});
const server = (status: Status, code: string | null): Entry => ({
  status,
  type: 'server_error',
  code,
});
const rate = (code = 'rate_limit_exceeded'): Entry => ({
  status: 429,
  type: 'rate_limit_error',
  code,
});
const quota: Entry = { status: 429, type: 'insufficient_quota', code: 'insufficient_quota' };

/** Of a call that is refused, or that meets a fault of ours. */
// biome-ignore format: a table reads row by row
export const faults = {
  malformed_json:             invalid(400, null),
  invalid_header:             invalid(400, 'invalid_header'),
  unauthorized:               { status: 401, type: 'authentication_error', code: 'invalid_api_key' },
  forbidden:                  { status: 403, type: 'permission_error', code: 'insufficient_permissions' },
  account_suspended:          { status: 403, type: 'permission_error', code: 'account_suspended' },
  limit_exceeded:             { status: 403, type: 'permission_error', code: 'limit_exceeded' },
  model_not_allowed:          { status: 403, type: 'permission_error', code: 'model_not_allowed' },
  not_found:                  invalid(404, 'not_found'),
  method_not_allowed:         invalid(405, 'method_not_supported'),
  conflict:                   invalid(409, 'conflict'),
  unreadable_message:         invalid(409, 'conflict'),
  endpoint_not_reachable:     invalid(409, 'conflict'),
  gone:                       invalid(410, 'gone'),
  payload_too_large:          invalid(413, 'payload_too_large'),
  unsupported_media_type:     invalid(415, 'unsupported_media_type'),
  range_not_satisfiable:      invalid(400, 'invalid_value'),
  invalid_request:            invalid(400, 'invalid_value'),
  image_too_large_to_convert: invalid(400, 'invalid_value'),
  image_not_convertible:      invalid(400, 'invalid_value'),
  unknown_model:              invalid(404, 'model_not_found'),
  no_target_available:        invalid(400, 'no_target_available'),
  budget_exceeded:            quota,
  idempotency_mismatch:       { status: 400, type: 'idempotency_error', code: 'idempotency_mismatch' },
  upgrade_required:           invalid(426, 'upgrade_required'),
  rate_limited:               rate(),
  too_many_waiting:           rate(),
  quota_exceeded:             rate(),
  too_many_streams:           rate(),
  too_many_from_address:      rate(),
  header_too_large:           invalid(431, 'header_too_large'),
  unavailable:                server(503, 'unavailable'),
  internal_error:             server(500, null),
} as const satisfies Readonly<Record<string, Entry>>;

/** Of a request that was accepted and has ended without images: the same call finds it so again. */
// biome-ignore format: a table reads row by row
export const ends: Readonly<Record<RequestErrorCode, Entry>> = {
  content_refused:     { status: 400, type: 'image_generation_user_error', code: 'moderation_blocked' },
  input_unavailable:   invalid(400, 'input_unavailable'),
  canceled:            invalid(409, 'canceled'),
  account_suspended:   { status: 403, type: 'permission_error', code: 'account_suspended' },
  budget_exceeded:     quota,
  provider_failed:     server(502, 'provider_failed'),
  invalid_output:      server(502, 'invalid_output'),
  no_target_available: server(503, 'no_target_available'),
  storage_failed:      server(503, 'storage_failed'),
  dead_lettered:       server(500, 'dead_lettered'),
  deadline_exceeded:   server(504, 'deadline_exceeded'),
};

/** It goes on, and the line was held for as long as lines are: the same call again collects it. */
const GOES_ON = server(504, 'timeout');

/** An answer that is no success, wherever it is put: into a response, a held line or a stream. */
export interface Failure {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: { readonly error: ErrorBody };
}

interface ErrorBody {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
  readonly moderation_details?: JsonObject;
}

/** Under this name an error carries the code that OpenAI has for it. */
const WORDS = 'openai';

/** Above this the official clients wait for as long as they like, and ask in vain. */
const MAX_WAIT_MS = 60_000;

export interface Fault {
  readonly code: string;
  readonly message: string;
  readonly details: ErrorDetails;
}

/** @param fault what there is to tell of a fault: ours come with a text that gives nothing away. */
export function failureOf({ code, message, details }: Fault): Failure {
  const entry = entryOf(code, details);
  const [first] = details.errors ?? [];
  const param = first ? parameterFor(first.path) : (PARAMS[code] ?? null);
  const said = ownWords(details);
  return {
    status: entry.status,
    headers: { ...details.headers, ...retryHeaders(entry, details) },
    body: {
      error: {
        message: sentence(message, details),
        type: entry.type,
        param: said?.param ?? param,
        code: said?.code ?? entry.code,
      },
    },
  };
}

/** @param state that has not succeeded. */
export function failureOfEnd(state: RequestState): Failure {
  if (!('error' in state)) {
    const message =
      `The request ${state.id} goes on. The same call with the same Idempotency-Key collects it, ` +
      'as does the retry of an official client.';
    const error = { message, type: GOES_ON.type, param: null, code: GOES_ON.code };
    return { status: GOES_ON.status, headers: { 'retry-after': '1' }, body: { error } };
  }
  const { code, message, details } = state.error;
  const { status, type, code: theirs } = ends[code];
  const moderation = code === 'content_refused' ? moderationOf(details) : {};
  const error = { message, type, param: null, code: theirs, ...moderation };
  return { status, headers: { 'x-should-retry': 'false' }, body: { error } };
}

/** What any path of this dialect answers a fault with. */
export function openAiError(
  { code, detail: message, correlationId }: Problem & { readonly correlationId: string },
  details: ErrorDetails,
): Response {
  const { headers, ...failure } = failureOf({ code, message, details });
  return responseOf({ ...failure, headers: { ...headers, 'x-request-id': correlationId } });
}

export function responseOf({ status, headers, body }: Failure): Response {
  return Response.json(body, { status, headers });
}

function entryOf(code: string, { extensions }: ErrorDetails): Entry {
  if (code === 'quota_exceeded' && extensions?.limit === 'monthly_budget_usd') return quota;
  return Object.hasOwn(faults, code) ? faults[code as keyof typeof faults] : faults.internal_error;
}

/** What the official clients would try again although it cannot help, or not soon. */
function retryHeaders({ status }: Entry, { retryAfterMs }: ErrorDetails): Record<string, string> {
  const seconds = retryAfterMs === undefined ? null : Math.max(1, Math.ceil(retryAfterMs / 1000));
  const isTooLong = retryAfterMs === undefined || retryAfterMs > MAX_WAIT_MS;
  const isInVain = status === 409 || (status === 429 && isTooLong);
  return {
    ...(seconds === null ? {} : { 'retry-after': String(seconds) }),
    ...(isInVain ? { 'x-should-retry': 'false' } : {}),
  };
}

/** Names of ours that a client of this dialect has never written. */
const theirNames: ReadonlyMap<string, string> = new Map([
  ['width', 'size'],
  ['height', 'size'],
  ['aspect_ratio', 'size'],
  ['previews', 'partial_images'],
]);

function parameterFor(path: string): string | null {
  const [first = '', second] = path.split('.');
  if (first === 'metadata') return second ?? null;
  if (first === 'provider_options') return null;
  return theirNames.get(first) ?? (first || null);
}

/** Of faults that name no field. The model cannot do what is asked: a field alone is not wrong. */
const PARAMS: Readonly<Record<string, string>> = { no_target_available: 'model' };

/** Advice of ours that a client of this dialect cannot follow, and what it is told instead. */
const theirAdvice: readonly (readonly [ours: string, theirs: string])[] = [
  [', or with on_budget "wait"', ''],
  ['give aspect_ratio, not width and height', 'leave size out'],
];

const inTheirWords = (text: string) =>
  theirAdvice.reduce((told, [ours, theirs]) => told.replace(ours, theirs), text);

function sentence(message: string, { errors = [], extensions }: ErrorDetails): string {
  if (extensions?.[WORDS]) return message;
  const faulty = errors.map(({ path, message: why }) => {
    const name = parameterFor(path);
    return name === null ? `${why}.` : `'${name}': ${why}.`;
  });
  // The message itself names the fields that are ours.
  if (faulty.length > 0) return [...new Set(faulty)].slice(0, 5).join(' ');
  const targets = Array.isArray(extensions?.targets) ? extensions.targets : [];
  const passedOver = targets
    .slice(0, 5)
    .map(({ provider, model, reason }) => `${provider}/${model}: ${reason}.`);
  return inTheirWords([message, ...passedOver].join(' '));
}

function moderationOf({ moderation }: JsonObject): { readonly moderation_details?: JsonObject } {
  if (typeof moderation !== 'object' || moderation === null || Array.isArray(moderation)) return {};
  const { stage = null, categories = [] } = moderation;
  return { moderation_details: { moderation_stage: stage, categories } };
}

// --- What only this dialect has to refuse ----------------------------------------------------------

interface OwnWords {
  readonly code: string;
  readonly param: string;
}

const ownWords = ({ extensions }: ErrorDetails) => extensions?.[WORDS] as OwnWords | undefined;

const refused = (message: string, words: OwnWords) =>
  new AppError('invalid_request', message, { extensions: { [WORDS]: words } });

export const unknownParameter = (name: string) => {
  const param = name.slice(0, 100);
  return refused(`Unknown parameter: '${param}'.`, { code: 'unknown_parameter', param });
};

export const missingParameter = (param: string) =>
  refused(`Missing required parameter: '${param}'.`, {
    code: 'missing_required_parameter',
    param,
  });

/** @param why a clause: `must be a file`. */
export const invalidParameter = (param: string, why: string) =>
  refused(`Invalid value for '${param}': it ${why}.`, { code: 'invalid_value', param });

export const notAnObject = () => new AppError('malformed_json', 'The body must be a JSON object.');

export const notAForm = () =>
  new AppError('unsupported_media_type', 'The body must be multipart/form-data, unencoded.');

export const malformedForm = () =>
  new AppError('malformed_json', 'The body cannot be read as multipart/form-data.');

export const formTooManyParts = (maxParts: number) =>
  new AppError('invalid_request', `The form has more than ${maxParts} parts.`);

/** Nobody hears it. */
export const clientGone = () =>
  new AppError('malformed_json', 'The client hung up before its call was accepted.');

/** Tried again by the official clients, once the others had their time. */
export const tooManyForms = () =>
  new AppError('unavailable', 'Too many large forms come in at once. Try again.', {
    retryAfterMs: 2_000,
  });

export const formTooLarge = (maxBytes: number) =>
  new AppError('payload_too_large', `The body is larger than ${maxBytes} bytes.`);

export const noVariations = () =>
  refused(
    'Variations are not made here, as OpenAI has retired them. Edit the image with a prompt instead: ' +
      'POST /openai/v1/images/edits.',
    { code: 'unsupported_endpoint', param: 'image' },
  );

/** @param why null: nobody knows it. */
export const modelNotFound = (id: string, why: string | null) =>
  new AppError('unknown_model', `The model '${id.slice(0, 100)}' ${why ?? 'does not exist'}.`, {
    extensions: { [WORDS]: { code: 'model_not_found', param: 'model' } satisfies OwnWords },
  });
