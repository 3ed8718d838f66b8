/** From a source to R2: small images through memory and at once, large ones through a part. */
import { type HeldImage, hold, ImageTooLarge, SourceFault, streamTo, until } from './arrival';
import type { NewImage } from './objects';
import type { ImageStore } from './store';
import { type ImageSource, MAX_IMAGE_BYTES, type Measures, type OpenImage } from './types';

/**
 * A larger image costs two writes in place of one, and a smaller one this much memory while it is
 * stored. Most images that models make are smaller.
 */
const HELD_BYTES = 2 * 1024 * 1024;
/** 20 MB at 1 MB/s: a call that takes longer is taken for hanging. */
export const CALL_TIMEOUT_MS = 20_000;

/** Bytes that nobody has looked at. */
export type Incoming = OpenImage | { readonly bytes: Uint8Array };

/** An image that is here and known, but not yet in its place. */
export type Arrived = { readonly measures: Measures } & (
  | { readonly chunks: HeldImage['chunks'] }
  | { readonly partKey: string }
);

export interface Part {
  readonly key: string;
  readonly expiresAt: number;
}

/** @throws SourceFault when there is none. */
export async function openSource(source: ImageSource, signal: AbortSignal): Promise<Incoming> {
  if ('bytes' in source) return source;
  try {
    return await until(signal, source.open(signal));
  } catch (cause) {
    const isOwn = cause instanceof Error && !signal.aborted;
    throw new SourceFault(isOwn ? cause.message : 'There was no answer in time.', { cause });
  }
}

/**
 * @param unsizedLimit of what may be held when its length is not known, as R2 wants a length.
 * @throws InvalidImage, SourceFault, TooLargeToHold, and what R2 throws.
 */
export async function take(
  image: Incoming,
  input: { readonly part: Part; readonly unsizedLimit: number; readonly signal: AbortSignal },
  store: Pick<ImageStore, 'putPart'>,
): Promise<Arrived> {
  const { part, signal } = input;
  if ('bytes' in image) {
    const length = image.bytes.byteLength;
    return hold({ body: streamOf(image.bytes), length }, length, signal);
  }
  const { body, length } = image;
  if (length === null) return hold(image, input.unsizedLimit, signal);
  if (length > MAX_IMAGE_BYTES) {
    body.cancel().catch(() => {});
    throw new ImageTooLarge();
  }
  if (length <= HELD_BYTES) return hold(image, length, signal);
  const put = (stream: ReadableStream) => store.putPart(part, stream);
  return { partKey: part.key, measures: await streamTo({ body, length }, put, signal) };
}

const streamOf = (bytes: Uint8Array) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });

/** False when the part is gone. The part stays: another try may need it. */
export async function land(
  arrived: Arrived,
  image: NewImage,
  store: Pick<ImageStore, 'putImage' | 'copyPart'>,
): Promise<boolean> {
  if ('partKey' in arrived) return store.copyPart(arrived.partKey, image);
  await store.putImage(image, arrived.chunks);
  return true;
}
