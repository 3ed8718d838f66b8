/** The two bounds on an exchange with a server that nobody vouches for: time and bytes. */

export interface Deadline {
  /** Aborts when time is up, or with the signal given. */
  readonly signal: AbortSignal;
  /** Rejects when the signal aborts, also where the promise itself does not heed it. */
  race<T>(promise: Promise<T>): Promise<T>;
  clear(): void;
}

export function createDeadline(timeoutMs: number, signal?: AbortSignal): Deadline {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const timer = setTimeout(abort, timeoutMs);
  const passed = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(controller.signal.reason));
  });
  // Time may be up while nobody races it.
  passed.catch(() => {});
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  return {
    signal: controller.signal,
    race: (promise) => Promise.race([promise, passed]),
    clear: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    },
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

/**
 * The stream, read only as far as it is asked for. It ends with an error once it has more than
 * `maxBytes`, which are handed out first, or when the deadline passes; the deadline is cleared with
 * its end.
 */
export function boundedStream(
  stream: ReadableStream<Uint8Array> | null,
  input: {
    readonly maxBytes: number;
    readonly deadline: Deadline;
    /** The error that the stream ends with. */
    readonly errorFor: (fault: 'too_large' | 'broken') => Error;
    /** Sees each part before it is handed out; the stream ends with what it throws. */
    readonly check?: (part: Uint8Array) => void;
    /** What is not read is left to `drain`, where it would be cancelled. */
    readonly leavesRest?: boolean;
  },
): ReadableStream<Uint8Array> {
  const { deadline, errorFor, check, leavesRest = false } = input;
  const reader = (stream ?? new Blob().stream()).getReader();
  let left = input.maxBytes;
  let isOver = false;
  const stop = () => {
    deadline.clear();
    if (leavesRest) release(reader);
    else reader.cancel().catch(() => {});
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const fail = (fault: 'too_large' | 'broken') => {
          stop();
          controller.error(errorFor(fault));
        };
        if (isOver) return fail('too_large');
        const next = await deadline.race(reader.read()).catch(() => null);
        if (next === null) return fail('broken');
        if (next.done) {
          deadline.clear();
          return controller.close();
        }
        const part = next.value.subarray(0, left);
        isOver = part.byteLength < next.value.byteLength;
        left -= part.byteLength;
        if (isOver && part.byteLength === 0) return fail('too_large');
        try {
          check?.(part);
        } catch (error) {
          stop();
          return controller.error(error);
        }
        controller.enqueue(part);
      },
      cancel: stop,
    },
    { highWaterMark: 0 },
  );
}

function release(reader: ReadableStreamDefaultReader<Uint8Array>): void {
  try {
    reader.releaseLock();
  } catch {
    // Something is being waited for that does not come: there is nothing to be left.
  }
}

/**
 * Takes in what is left of a stream and throws it away, up to `maxBytes` or the deadline, which it
 * clears. A stream that somebody else reads is left to them. Never rejects.
 */
export async function drain(
  stream: ReadableStream<Uint8Array> | null,
  { maxBytes, deadline }: { readonly maxBytes: number; readonly deadline: Deadline },
): Promise<void> {
  if (stream === null || stream.locked) return deadline.clear();
  const reader = stream.getReader();
  try {
    for (let size = 0; size <= maxBytes; ) {
      const { done, value } = await deadline.race(reader.read());
      if (done) return;
      size += value.byteLength;
    }
  } catch {
    // The sender is gone, or too slow.
  } finally {
    deadline.clear();
    reader.cancel().catch(() => {});
  }
}

/** Null where it is not told, or told of other bytes than those that come out. */
export function contentLength(headers: Headers): number | null {
  const length = headers.get('content-length') ?? '';
  const encoding = headers.get('content-encoding') ?? 'identity';
  return /^\d{1,15}$/.test(length) && encoding.toLowerCase() === 'identity' ? Number(length) : null;
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
