/**
 * Image bytes on their way in: checked, counted and hashed as they pass, in constant memory. The last
 * chunk is handed on only once the whole is known to be an image, so nothing else is ever completed.
 */
import { createHash } from 'node:crypto';
import { createInspector, tooLarge } from './inspect';
import { MAX_IMAGE_BYTES, type Measures, type OpenImage } from './types';

/** `message` is a clause: `it is cut short`. */
export class InvalidImage extends Error {}

export class ImageTooLarge extends InvalidImage {
  constructor() {
    super(tooLarge().reason);
  }
}

/** The sender failed, whatever the bytes are; `message` says how. */
export class SourceFault extends Error {}

/** More than may be held in memory, from a sender who did not say how much there is. */
export class TooLargeToHold extends Error {}

export interface HeldImage {
  readonly measures: Measures;
  readonly chunks: readonly Uint8Array[];
}

type Sink = (chunk: Uint8Array) => Promise<void>;

/**
 * Holds two chunks at most: it reads the next one when the sink has taken the one before the last.
 * When it fails, the body is cancelled.
 * @throws InvalidImage, SourceFault, and what the sink throws.
 */
export async function passOn(
  { body, length }: OpenImage,
  sink: Sink,
  signal: AbortSignal,
): Promise<Measures> {
  const reader = body.getReader();
  let complete = false;
  try {
    const inspector = createInspector();
    const hash = createHash('sha256');
    let bytes = 0;
    let last: Uint8Array | null = null;
    for (;;) {
      const { done, value } = await readChunk(reader, signal);
      if (done) break;
      if (value.byteLength === 0) continue;
      bytes += value.byteLength;
      if (bytes > MAX_IMAGE_BYTES) throw new ImageTooLarge();
      if (length !== null && bytes > length) throw new SourceFault('The image has no end.');
      const refused = inspector.push(value);
      if (refused) throw new InvalidImage(refused.reason);
      hash.update(value);
      if (last) await sink(last);
      last = value;
    }
    if (length !== null && bytes !== length) throw new SourceFault('The image was cut off.');
    const inspected = inspector.end();
    if (!inspected.ok) throw new InvalidImage(inspected.reason);
    if (last) await sink(last);
    complete = true;
    const { mediaType, width, height } = inspected;
    return { mediaType, width, height, bytes, sha256: hash.digest('hex') };
  } finally {
    // Not awaited: a stream decides itself when its cancellation ends.
    if (!complete) reader.cancel().catch(() => {});
  }
}

/** What a network says of its fault may quote anything. */
async function readChunk(reader: ReadableStreamDefaultReader<Uint8Array>, signal: AbortSignal) {
  try {
    return await until(signal, reader.read());
  } catch (cause) {
    const message = signal.aborted ? 'The image did not come in time.' : 'The connection failed.';
    throw new SourceFault(message, { cause });
  }
}

/** @throws TooLargeToHold, and as `passOn`. */
export async function hold(
  image: OpenImage,
  limit: number,
  signal: AbortSignal,
): Promise<HeldImage> {
  const chunks: Uint8Array[] = [];
  let held = 0;
  const keep: Sink = async (chunk) => {
    held += chunk.byteLength;
    if (held > limit) throw new TooLargeToHold();
    chunks.push(chunk);
  };
  return { measures: await passOn(image, keep, signal), chunks };
}

/**
 * Lets `put` read the image while it comes. `put` fails and nothing is stored where the image turns
 * out to be none. @throws as `passOn`, and what `put` throws.
 */
export async function streamTo(
  image: OpenImage & { readonly length: number },
  put: (body: ReadableStream) => Promise<unknown>,
  signal: AbortSignal,
): Promise<Measures> {
  const { readable, writable } = new FixedLengthStream(image.length);
  const writer = writable.getWriter();
  writer.closed.catch(() => {});
  const landed = put(readable);
  // A put that has failed reads no more: what waits for it to read must hear of it.
  const failed = landed.then(() => new Promise<never>(() => {}));
  failed.catch(() => {});
  const step = <T>(work: Promise<T>) => until(signal, Promise.race([work, failed]));
  try {
    const measures = await passOn(image, (chunk) => step(writer.write(chunk)), signal);
    await step(writer.close());
    await until(signal, landed);
    return measures;
  } catch (error) {
    writer.abort(error).catch(() => {});
    throw error;
  }
}

/** Rejects with the signal's reason when that comes first; the work itself goes on unheard. */
export function until<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
