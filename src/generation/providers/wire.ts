/**
 * HTTP to a provider. One call, never repeated, never redirected, bounded in what it reads; and it
 * knows what `fetch` does not tell: whether a request that failed can have reached anyone whole.
 */

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

/** The call ended without an answer. `sent`: the provider may have the whole request. */
export class ConnectionFault extends Error {
  override readonly name = 'ConnectionFault';
  readonly sent: boolean;

  constructor(sent: boolean) {
    super(sent ? 'the connection was lost' : 'the provider could not be reached');
    this.sent = sent;
  }
}

/** The answer is larger than any such API gives. */
export class AnswerTooLarge extends Error {
  override readonly name = 'AnswerTooLarge';
}

export interface WireRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers: HeadersInit;
  readonly body?: BodyInit | null;
  readonly signal: AbortSignal | null;
}

/**
 * @returns any answer, a redirect included: following it would carry the key and the prompt to a
 * place that the operator did not name. Reading its body may throw `AnswerTooLarge`.
 * @throws ConnectionFault
 */
export type Wire = (request: WireRequest) => Promise<Response>;

/** One per provider: it remembers when each of its origins last answered. */
export function createWire(send: typeof fetch): Wire {
  const answeredAt = new Map<string, number>();
  return async ({ method, url, headers, body, signal }) => {
    const { origin } = new URL(url);
    const encoded = new Request(url, { method, headers, body: body ?? null });
    const bytes = body ? new Uint8Array(await encoded.arrayBuffer()) : null;
    let sent = bytes === null;
    const isWarm = Date.now() - (answeredAt.get(origin) ?? 0) < WARM_FOR_MS;
    const held =
      bytes &&
      holdEnd(bytes, isWarm ? HOLD_MS.warm : HOLD_MS.cold, () => {
        sent = true;
      });
    const response = await send(url, {
      method,
      headers: encoded.headers,
      body: held,
      signal,
      redirect: 'manual',
    }).catch(() => {
      answeredAt.delete(origin);
      throw new ConnectionFault(sent);
    });
    answeredAt.set(origin, Date.now());
    return response.body ? limited(response) : response;
  };
}

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
  writer.closed.catch(() => {});
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
