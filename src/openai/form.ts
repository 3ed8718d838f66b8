/**
 * The form of an edit. The platform reads a form into memory as a whole, so it is bounded as it
 * comes, and what it may hold is one image and a mask.
 */
import { boundedStream, createDeadline } from '../platform/bounds';
import type { AppError } from '../platform/errors';
import { formTooLarge, invalidParameter, malformedForm, notAForm } from './errors';

/** An image of 20 MB, the most that is kept, and OpenAI's 4 MB for a mask: an isolate has 128. */
export const MAX_FORM_BYTES = 25 * 1024 * 1024;
/** 25 MB at 85 kB/s. */
const FORM_TIMEOUT_MS = 300_000;

const FORM = /^\s*multipart\/form-data\s*;/i;

/**
 * Each name once, lists without their brackets.
 * @throws AppError `unsupported_media_type`, `payload_too_large`, `malformed_json` and, for what
 * there is more than one of, `invalid_request`.
 */
export async function readForm(
  request: Request,
  hungUp: AbortSignal,
): Promise<Readonly<Record<string, string | File>>> {
  const fields = new Map<string, string | File>();
  for (const [written, value] of await parse(request, hungUp)) {
    const name = written.replace(/\[.*$/s, '');
    if (fields.has(name)) {
      throw invalidParameter(name, name === 'image' ? 'must be one image' : 'must be given once');
    }
    fields.set(name, value);
  }
  return Object.fromEntries(fields);
}

async function parse(request: Request, hungUp: AbortSignal): Promise<FormData> {
  const type = request.headers.get('content-type') ?? '';
  const encoding = request.headers.get('content-encoding') ?? 'identity';
  if (!FORM.test(type) || encoding.toLowerCase() !== 'identity') throw notAForm();
  const tooLarge = formTooLarge(MAX_FORM_BYTES);
  if (Number(request.headers.get('content-length') ?? 0) > MAX_FORM_BYTES) throw tooLarge;
  let fault: AppError = malformedForm();
  const body = boundedStream(request.body, {
    maxBytes: MAX_FORM_BYTES,
    deadline: createDeadline(FORM_TIMEOUT_MS, hungUp),
    errorFor: (why) => {
      if (why === 'too_large') fault = tooLarge;
      return fault;
    },
  });
  return new Response(body, { headers: { 'content-type': type } }).formData().catch(() => {
    throw fault;
  });
}
