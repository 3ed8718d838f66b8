// Images stored the way a generation stores them, on the real bindings.
import { env } from 'cloudflare:workers';
import { createImageService } from '../../src/images/service';
import { createImageContent, type ImageContent } from '../../src/images/serving';
import { createSharedCache, type SharedCacheDeps } from '../../src/images/shared-cache';
import { createImageStore } from '../../src/images/store';
import type { ImageSource, OpenImage, StoredImage } from '../../src/images/types';
import type { Codec } from '../../src/images/variants/codec';
import { createVariants } from '../../src/images/variants/making';
import { loadPhoton, startPhoton } from '../../src/images/variants/photon';
import { createWasmCodec } from '../../src/images/variants/wasm-codec';
import { newId, type RequestId, type UserId } from '../../src/platform/ids';
import { createLogger, type Logger } from '../../src/platform/log';
import { sleep } from '../../src/platform/patience';

export const NOW = Date.UTC(2026, 10, 21, 12, 0, 0, 500);
export const HOUR_MS = 3_600_000;
export const anna = newId('usr', NOW);
export const boris = newId('usr', NOW);
/** What the test images are made by. */
export const maker = { model: 'auto', provider: 'sketch', providerModel: 'sketch-1' };
export const quiet: Logger = createLogger(() => {});

/** A PNG of 64×48 pixels that has just this many bytes; `filler` fills what would be its pixels. */
export function pngOf(bytes: number, filler = 0): Uint8Array {
  const dataBytes = bytes - PNG_START.length - PNG_END.length - 12;
  if (dataBytes < 0) throw new Error('a PNG is longer than that');
  const data = Buffer.alloc(dataBytes + 12, filler);
  data.writeUInt32BE(dataBytes);
  data.write('IDAT', 4, 'latin1');
  return new Uint8Array(Buffer.concat([PNG_START, data, PNG_END]));
}
const PNG_START = Buffer.from(
  '89504e470d0a1a0a0000000d4948445200000040000000300806000000a14b7c1f',
  'hex',
);
const PNG_END = Buffer.from('0000000049454e44ae426082', 'hex');

export const heldImage = (
  length = 100,
  seed: number | null = 7,
): ImageSource & { bytes: Uint8Array } => ({
  bytes: pngOf(length),
  seed,
});

/** A body in chunks of this size, that tells how far it was read. */
export function bodyOf(bytes: Uint8Array, input: { chunk?: number; breaksAt?: number } = {}) {
  const { chunk = 65_536, breaksAt = Number.POSITIVE_INFINITY } = input;
  const state = { given: 0, cancelled: false };
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (state.given >= breaksAt) throw new Error('connection reset');
        if (state.given >= bytes.length) return controller.close();
        const next = bytes.slice(state.given, state.given + chunk);
        state.given += next.length;
        controller.enqueue(next);
      },
      cancel() {
        state.cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { body, state };
}

/** An image to be opened; `opens` counts how often it was. */
export function openImage(
  answers: readonly (() => OpenImage)[],
  seed: number | null = 7,
): ImageSource & { readonly opens: number } {
  let opens = 0;
  return {
    seed,
    get opens() {
      return opens;
    },
    open: async () => {
      const answer = answers[opens] ?? answers.at(-1);
      opens += 1;
      if (!answer) throw new Error('no answer is scripted');
      return answer();
    },
  };
}

export const sized = (bytes: Uint8Array, input?: Parameters<typeof bodyOf>[1]): OpenImage => ({
  body: bodyOf(bytes, input).body,
  length: bytes.length,
});

export function imagesOn(
  bucket: R2Bucket,
  sleep: (ms: number) => Promise<void> = () => Promise.reject(new Error('nothing to wait for')),
) {
  return createImageService({
    store: createImageStore({ buckets: { IMAGES: bucket, IMAGES_EU: env.IMAGES_EU }, db: env.DB }),
    uploadRetentionMs: HOUR_MS,
    sleep,
    log: quiet,
  });
}

export const images = imagesOn(env.IMAGES);

/** What outlives an answer, to be waited for. */
export const background: Promise<unknown>[] = [];
export const settled = async () => {
  await Promise.all(background.splice(0));
};

export const wasmCodec = createWasmCodec({
  load: loadPhoton,
  start: startPhoton,
  sleep,
  now: () => Date.now(),
});

/** What serves images, over the real bucket, cache and codec but for what is given. */
export function contentOn(
  input: Partial<Pick<SharedCacheDeps, 'cache' | 'sleep'>> & {
    bucket?: R2Bucket;
    codec?: Codec;
  } = {},
): ImageContent {
  const { bucket = env.IMAGES, cache = caches.default, codec = wasmCodec } = input;
  const inBackground = (work: Promise<unknown>) => void background.push(work);
  const buckets = { IMAGES: bucket, IMAGES_EU: env.IMAGES_EU };
  return createImageContent({
    reader: imagesOn(bucket),
    variants: createVariants({ buckets, codec, background: inBackground, log: quiet }),
    shared: createSharedCache({
      cache,
      background: inBackground,
      sleep: input.sleep ?? sleep,
      log: quiet,
    }),
  });
}

export async function storeImages(
  input: {
    images?: readonly ImageSource[];
    userId?: UserId;
    requestId?: RequestId;
    attempt?: number;
    retentionMs?: number;
  } = {},
): Promise<{ requestId: RequestId; stored: StoredImage[] }> {
  const requestId = input.requestId ?? newId('req', NOW);
  const result = await images.store({
    requestId,
    attempt: input.attempt ?? 1,
    userId: input.userId ?? anna,
    maker,
    images: input.images ?? [heldImage()],
    retentionMs: input.retentionMs ?? HOUR_MS,
    now: NOW,
    signal: new AbortController().signal,
  });
  if (result.outcome !== 'stored') throw new Error('the test image was not stored');
  return { requestId, stored: result.images };
}

export async function storeImage(input: Parameters<typeof storeImages>[0] = {}) {
  const { requestId, stored } = await storeImages(input);
  const [image] = stored;
  if (!image) throw new Error('the test image was not stored');
  return { requestId, image };
}

/** The real bucket, but for the methods given. */
export function bucketWith(overrides: Partial<Pick<R2Bucket, 'put' | 'get' | 'head' | 'delete'>>) {
  return new Proxy(env.IMAGES, {
    get(bucket, name) {
      const method = Reflect.get(overrides, name) ?? Reflect.get(bucket, name);
      return typeof method === 'function' ? method.bind(bucket) : method;
    },
  });
}
