/**
 * The form of an edit. The platform reads a form into memory as a whole, so it is bounded as it
 * comes, alone and with all others, and what it may hold is one image and a mask.
 */
import { boundedStream, createDeadline } from '../platform/bounds';
import type { AppError } from '../platform/errors';
import {
  formTooLarge,
  formTooManyParts,
  invalidParameter,
  malformedForm,
  notAForm,
  tooManyForms,
} from './errors';

/** An image of 20 MB, the most that is kept, and OpenAI's 4 MB for a mask: an isolate has 128. */
export const MAX_FORM_BYTES = 25 * 1024 * 1024;
/**
 * Of all forms at one time. While a form is read it is held twice, so this is half an isolate; who
 * comes with more is told to come again, rather than ending everybody's requests with its own.
 */
const MAX_HELD_BYTES = 32 * 1024 * 1024;
/** Twice the parameters that there are. The platform takes seconds for 25 MB of empty parts. */
const MAX_PARTS = 48;
/** 25 MB at 85 kB/s. */
const FORM_TIMEOUT_MS = 300_000;

const FORM = /^\s*multipart\/form-data\s*;/i;
const BOUNDARY = /;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i;

export type Fields = Readonly<Record<string, string | File>>;

export interface Forms {
  /**
   * Each name once, lists without their brackets. Nothing of the form is to outlive `use`.
   * @throws AppError `unsupported_media_type`, `payload_too_large`, `malformed_json`,
   * `invalid_request` (more parts than there are parameters, or two of a name), `unavailable`
   * (others fill the memory), and what `use` throws.
   */
  read<T>(
    from: { readonly request: Request; readonly hungUp: AbortSignal },
    use: (fields: Fields) => Promise<T>,
  ): Promise<T>;
}

/** One for all requests of an isolate. */
export function createForms(maxHeldBytes = MAX_HELD_BYTES): Forms {
  let held = 0;
  return {
    async read({ request, hungUp }, use) {
      let own = 0;
      const take = (bytes: number) => {
        if (held + bytes > maxHeldBytes) throw tooManyForms();
        held += bytes;
        own += bytes;
      };
      try {
        return await use(fieldsOf(await parse(request, { hungUp, take })));
      } finally {
        held -= own;
      }
    },
  };
}

function fieldsOf(form: FormData): Fields {
  const fields = new Map<string, string | File>();
  for (const [written, value] of form) {
    const name = written.replace(/\[.*$/s, '');
    if (fields.has(name)) {
      throw invalidParameter(name, name === 'image' ? 'must be one image' : 'must be given once');
    }
    fields.set(name, value);
  }
  return Object.fromEntries(fields);
}

async function parse(
  request: Request,
  { hungUp, take }: { readonly hungUp: AbortSignal; readonly take: (bytes: number) => void },
): Promise<FormData> {
  const type = request.headers.get('content-type') ?? '';
  const encoding = request.headers.get('content-encoding') ?? 'identity';
  if (!FORM.test(type) || encoding.toLowerCase() !== 'identity') throw notAForm();
  const tooLarge = formTooLarge(MAX_FORM_BYTES);
  if (Number(request.headers.get('content-length') ?? 0) > MAX_FORM_BYTES) throw tooLarge;
  let fault: AppError = malformedForm();
  const count = createPartCounter(type);
  const body = boundedStream(request.body, {
    maxBytes: MAX_FORM_BYTES,
    leavesRest: true,
    check: (part) => {
      try {
        take(part.byteLength);
        count(part);
      } catch (error) {
        // Both throw nothing else.
        fault = error as AppError;
        throw error;
      }
    },
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

/** @returns what is to see each chunk. @throws AppError `invalid_request`. */
function createPartCounter(type: string): (chunk: Uint8Array) => void {
  const [, quoted, bare] = BOUNDARY.exec(type) ?? [];
  const mark = Buffer.from(`--${quoted ?? bare ?? ''}`);
  let parts = 0;
  let end = Buffer.alloc(0);
  return (chunk) => {
    // A mark that two chunks share begins within what is kept of the first, and is whole in neither.
    const bytes = Buffer.concat([end, chunk]);
    for (let at = bytes.indexOf(mark); at !== -1; at = bytes.indexOf(mark, at + mark.length)) {
      parts += 1;
      // The last mark ends the form.
      if (parts > MAX_PARTS + 1) throw formTooManyParts(MAX_PARTS);
    }
    end = bytes.subarray(Math.max(0, bytes.length - mark.length + 1));
  };
}
