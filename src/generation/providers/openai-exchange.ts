/**
 * One HTTP call to an OpenAI-compatible API, made by the AI SDK through the `fetch` built here. It
 * adds the client's own options, and knows what the SDK does not tell: whether the request can have
 * reached anyone whole, and what status came when the body did not.
 */
import type { Json, JsonObject } from '../../platform/json';

/**
 * How long the end of a request's body is held back. workerd reports a refused port, a failed
 * look-up and a connection lost after sending with the same words, so the words decide nothing. A
 * fault before the end was handed over means that nobody can have a whole request to act on; a
 * fault after it leaves that open. A longer hold catches slower refusals and delays every call, so
 * it is long only for an origin that has not answered of late.
 */
const HOLD_MS = { warm: 2, cold: 40 };
const WARM_FOR_MS = 60_000;

/** More than the last line of a form, without which a lenient parser might do. */
const HELD_BYTES = 128;

/** Eight images of 1536×1024 fit, in base64; an isolate has 128 MB for two calls. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** Names that decide price, shape or transport of the answer, which Foreman sets or leaves out. */
const RESERVED = new Set([
  'model',
  'prompt',
  'n',
  'size',
  'image',
  'image[]',
  'mask',
  'response_format',
  'stream',
  'partial_images',
]);

/** The call ended without an answer. `sent`: the provider may have the whole request. */
export class ConnectionFault extends Error {
  override readonly name = 'ConnectionFault';
  readonly sent: boolean;

  constructor(sent: boolean) {
    super(sent ? 'the connection was lost' : 'the provider could not be reached');
    this.sent = sent;
  }
}

/** The answer is larger than any this API gives. */
export class AnswerTooLarge extends Error {
  override readonly name = 'AnswerTooLarge';
}

export interface Exchange {
  /** For the SDK; good for one call. */
  readonly fetch: typeof fetch;
  /** Status line and headers, once they came. */
  answer(): { readonly status: number; readonly headers: Headers } | null;
  /** Options that the request has a field of its own for. */
  ignoredOptions(): readonly string[];
}

/** What the calls of one provider know of its origin: when it last answered; 0 when it failed. */
export interface Origin {
  answeredAt: number;
}

export function createExchange(send: typeof fetch, options: JsonObject, origin: Origin): Exchange {
  let answer: { status: number; headers: Headers } | null = null;
  let ignored: string[] = [];

  const exchangeFetch: typeof fetch = async (input, init) => {
    const merged = withOptions(init?.body, options);
    ignored = merged.ignored;
    const request = new Request(input, {
      method: 'POST',
      headers: init?.headers,
      body: merged.body,
    });
    const bytes = new Uint8Array(await request.arrayBuffer());
    let sent = false;
    const isWarm = Date.now() - origin.answeredAt < WARM_FOR_MS;
    const body = holdEnd(bytes, isWarm ? HOLD_MS.warm : HOLD_MS.cold, () => {
      sent = true;
    });
    // A redirect would carry the key and the prompt to a place that the operator did not name.
    const response = await send(request.url, {
      method: 'POST',
      headers: request.headers,
      body,
      signal: init?.signal ?? null,
      redirect: 'manual',
    }).catch(() => {
      origin.answeredAt = 0;
      throw new ConnectionFault(sent);
    });
    origin.answeredAt = Date.now();
    answer = { status: response.status, headers: response.headers };
    return response.body ? limited(response) : response;
  };

  return { fetch: exchangeFetch, answer: () => answer, ignoredOptions: () => ignored };
}

/** Lays the options into the body that the SDK made, as they are: it would rename and drop some. */
function withOptions(body: BodyInit | null | undefined, options: JsonObject) {
  const ignored: string[] = [];
  const entries = Object.entries(options);
  if (body instanceof FormData) {
    for (const [name, value] of entries) {
      if (RESERVED.has(name) || body.has(name)) ignored.push(name);
      else if (value !== null) body.append(name, formValue(value));
    }
    return { body, ignored };
  }
  if (typeof body !== 'string' || entries.length === 0) return { body: body ?? null, ignored };
  const fields = new Map(Object.entries<Json>(JSON.parse(body)));
  for (const [name, value] of entries) {
    if (RESERVED.has(name) || fields.has(name)) ignored.push(name);
    else fields.set(name, value);
  }
  return { body: JSON.stringify(Object.fromEntries(fields)), ignored };
}

const formValue = (value: Json) => (typeof value === 'string' ? value : JSON.stringify(value));

function holdEnd(bytes: Uint8Array, holdMs: number, onEnd: () => void): ReadableStream {
  // Of a fixed length, so that it goes out with Content-Length: some servers read no chunks.
  const { readable, writable } = new FixedLengthStream(bytes.byteLength);
  const writer = writable.getWriter();
  const held = Math.max(0, bytes.byteLength - HELD_BYTES);
  const feed = async () => {
    if (held > 0) await writer.write(bytes.subarray(0, held));
    await new Promise((resolve) => setTimeout(resolve, holdMs));
    onEnd();
    await writer.write(bytes.subarray(held));
    await writer.close();
  };
  // A fault of the connection is told by the fetch; an answer before the end of the body is no fault.
  feed().catch(() => {});
  return readable;
}

function limited(response: Response): Response {
  let size = 0;
  const limit = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      size += chunk.byteLength;
      if (size > MAX_ANSWER_BYTES) throw new AnswerTooLarge();
      controller.enqueue(chunk);
    },
  });
  return new Response(response.body?.pipeThrough(limit), response);
}
