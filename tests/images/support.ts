// Images stored the way a generation stores them, on the real bindings.
import { env } from 'cloudflare:workers';
import { type CheckedImage, createImageService } from '../../src/images/service';
import { createImageStore } from '../../src/images/store';
import type { StoredImage } from '../../src/images/types';
import { newId, type RequestId, type UserId } from '../../src/platform/ids';
import { createLogger, type Logger } from '../../src/platform/log';

export const NOW = Date.UTC(2026, 10, 21, 12, 0, 0, 500);
export const HOUR_MS = 3_600_000;
export const anna = newId('usr', NOW);
export const boris = newId('usr', NOW);
export const quiet: Logger = createLogger(() => {});

/** The bytes 0, 1, 2 … of the given length: a range of them says where it came from. */
export function checkedImage(length = 100, seed: number | null = 7): CheckedImage {
  const bytes = Uint8Array.from({ length }, (_, index) => index);
  return { bytes, mediaType: 'image/png', width: 64, height: 48, seed };
}

export function imagesOn(
  bucket: R2Bucket,
  sleep: (ms: number) => Promise<void> = () => Promise.reject(new Error('nothing to wait for')),
) {
  return createImageService({
    store: createImageStore({ bucket, db: env.DB }),
    sleep,
    log: quiet,
  });
}

export const images = imagesOn(env.IMAGES);

export async function storeImages(
  input: {
    images?: readonly CheckedImage[];
    userId?: UserId;
    requestId?: RequestId;
    attempt?: number;
    retentionMs?: number;
  } = {},
): Promise<{ requestId: RequestId; stored: StoredImage[] }> {
  const requestId = input.requestId ?? newId('req', NOW);
  const stored = await images.store({
    requestId,
    attempt: input.attempt ?? 1,
    userId: input.userId ?? anna,
    images: input.images ?? [checkedImage()],
    retentionMs: input.retentionMs ?? HOUR_MS,
    now: NOW,
    signal: new AbortController().signal,
  });
  if (!stored) throw new Error('the test image was not stored');
  return { requestId, stored };
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
