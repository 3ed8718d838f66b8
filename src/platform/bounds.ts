/** The two bounds on an exchange with a server that nobody vouches for: time and bytes. */

export interface Deadline {
  /** Aborts when time is up. */
  readonly signal: AbortSignal;
  /** Rejects when time is up, also where the promise itself does not heed the signal. */
  race<T>(promise: Promise<T>): Promise<T>;
  clear(): void;
}

export function createDeadline(timeoutMs: number): Deadline {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), timeoutMs);
  const passed = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(controller.signal.reason));
  });
  // Time may be up while nobody races it.
  passed.catch(() => {});
  return {
    signal: controller.signal,
    race: (promise) => Promise.race([promise, passed]),
    clear: () => clearTimeout(timer),
  };
}

/**
 * The first `maxBytes` bytes of a stream; `truncated` when it has more. What is not read is
 * cancelled. Throws what the stream or the deadline throws.
 */
export async function readBounded(
  stream: ReadableStream<Uint8Array> | null,
  maxBytes: number,
  deadline: Deadline,
): Promise<{ body: Uint8Array; truncated: boolean }> {
  if (stream === null) return { body: new Uint8Array(), truncated: false };
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  let complete = false;
  try {
    while (size <= maxBytes) {
      const { done, value } = await deadline.race(reader.read());
      complete = done;
      if (done) break;
      chunks.push(value);
      size += value.byteLength;
    }
  } finally {
    // Not awaited: a stream decides itself when its cancellation ends.
    if (!complete) reader.cancel().catch(() => {});
  }
  return { body: concat(chunks, Math.min(size, maxBytes)), truncated: size > maxBytes };
}

function concat(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const body = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    const part = chunk.subarray(0, size - at);
    body.set(part, at);
    at += part.byteLength;
  }
  return body;
}
