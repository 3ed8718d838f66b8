/**
 * Puts the images of one attempt in their places, under the attempt's lease: patiently while R2
 * fails, a few times while the source fails, all or none.
 */
import type { RequestId, UserId } from '../platform/ids';
import type { Logger } from '../platform/log';
import { InvalidImage, SourceFault, until } from './arrival';
import { imageIdOf, objectKeyOf, partKeyOf } from './keys';
import type { NewImage } from './objects';
import type { ImageStore } from './store';
import { type Arrived, CALL_TIMEOUT_MS, land, openSource, take } from './taking';
import {
  type ImagePlace,
  type ImageSource,
  MAX_IMAGE_BYTES,
  type Maker,
  type Measures,
  type StoredImage,
} from './types';

/**
 * A paid image is worth eight minutes of R2's bad time: as long as the invocation that holds it may
 * safely last, and it holds a slot of its user's all the while.
 */
const PUT_RETRY_DELAYS_MS = [
  ...[200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600],
  ...Array.from({ length: 14 }, () => 30_000),
];
/** The same for an R2 that hangs. */
const STORE_TIMEOUT_MS = 480_000;
/** A provider's store lags behind its API by a second or two; what is missing then stays missing. */
const SOURCE_RETRY_DELAYS_MS = [1_000, 4_000];
/** 20 MB at 350 kB/s, from the source to R2. */
const TRANSFER_TIMEOUT_MS = 60_000;
/** The index is one digit of the image id. */
const MAX_IMAGES_PER_ATTEMPT = 10;
/** A transfer has a connection at either end and may hold a whole image whose length is not told. */
const TRANSFERS_AT_ONCE = 2;

export interface NewImages {
  readonly requestId: RequestId;
  readonly attempt: number;
  readonly userId: UserId;
  readonly maker: Maker;
  readonly images: readonly ImageSource[];
  readonly retentionMs: number;
  readonly now: number;
  readonly signal: AbortSignal;
}

/**
 * `reason` may be shown to the user. Unless all are `stored`, some of the attempt's images may be: the
 * caller removes them once it knows that nobody else stores in their places.
 */
export type StoreResult =
  | { readonly outcome: 'stored'; readonly images: StoredImage[] }
  /** A clause: `it is cut short`. */
  | { readonly outcome: 'invalid'; readonly reason: string }
  /** A sentence: `The image’s URL answered 404.` */
  | { readonly outcome: 'unavailable'; readonly reason: string }
  /** R2 failed for as long as there was time, or the signal ended it. */
  | { readonly outcome: 'given_up' };

export interface StoringDeps {
  readonly store: ImageStore;
  readonly sleep: (ms: number) => Promise<void>;
  readonly log: Logger;
}

export async function storeImages(input: NewImages, deps: StoringDeps): Promise<StoreResult> {
  const sources = input.images.slice(0, MAX_IMAGES_PER_ATTEMPT);
  if (sources.length === 0) return { outcome: 'invalid', reason: 'there is no image' };
  const failed = new AbortController();
  const lease = AbortSignal.any([input.signal, AbortSignal.timeout(STORE_TIMEOUT_MS)]);
  const signal = AbortSignal.any([lease, failed.signal]);
  const results = await inLanes(TRANSFERS_AT_ONCE, sources, async (source, index) => {
    const result = await storeOne({ ...input, source, index, signal, lease }, deps);
    if (result.outcome !== 'stored') failed.abort();
    return result;
  });
  const images = results.flatMap((result) => (result.outcome === 'stored' ? [result.image] : []));
  if (images.length === sources.length) return { outcome: 'stored', images };
  const failures = results.filter((result) => result.outcome !== 'stored');
  // What ended the others with it says less than what went wrong.
  return failures.find(({ outcome }) => outcome !== 'given_up') ?? { outcome: 'given_up' };
}

/** Never throws: the sweep comes after it. */
export async function removeImages(
  input: Pick<NewImages, 'requestId' | 'attempt'> & { readonly count: number },
  { store, log }: Omit<StoringDeps, 'sleep'>,
): Promise<void> {
  const { requestId, attempt, count } = input;
  const places = Array.from({ length: count }, (_, index) => ({ requestId, attempt, index }));
  const keys = places.flatMap((place) => [objectKeyOf(place), partKeyOf(place)]);
  try {
    await until(AbortSignal.timeout(CALL_TIMEOUT_MS), store.deleteKeys(keys));
  } catch (error) {
    log.warn('image.remove_failed', { request_id: requestId, attempt, error });
  }
}

type OneImage = NewImages & {
  readonly source: ImageSource;
  readonly index: number;
  /** What has to be put is put until then, so that the removal comes after it. */
  readonly lease: AbortSignal;
};
type OneResult =
  | { readonly outcome: 'stored'; readonly image: StoredImage }
  | Exclude<StoreResult, { outcome: 'stored' }>;

/** The place is the attempt's own, and all who collect one job put the same bytes. */
async function storeOne(input: OneImage, deps: StoringDeps): Promise<OneResult> {
  const { requestId, attempt, index, signal } = input;
  const place: ImagePlace = { requestId, attempt, index };
  const putDelays = PUT_RETRY_DELAYS_MS.values();
  const sourceDelays = SOURCE_RETRY_DELAYS_MS.values();
  let arrived: Arrived | null = null;
  while (!signal.aborted) {
    let delay: number | undefined;
    try {
      arrived ??= await arrive(input, place, deps.store);
      const image = newImage(input, place, arrived.measures);
      if (await landed(arrived, image, input.lease, deps)) {
        return { outcome: 'stored', image: storedOf(image, place) };
      }
      arrived = null;
      delay = putDelays.next().value;
    } catch (error) {
      if (error instanceof InvalidImage) return { outcome: 'invalid', reason: error.message };
      const fields = { request_id: requestId, attempt, error };
      if (error instanceof SourceFault && !signal.aborted) {
        deps.log.warn('image.source_failed', fields);
        delay = sourceDelays.next().value;
        if (delay === undefined) return { outcome: 'unavailable', reason: error.message };
      } else {
        deps.log.warn('image.put_failed', fields);
        delay = putDelays.next().value;
      }
    }
    if (delay === undefined) break;
    await until(signal, deps.sleep(delay)).catch(() => undefined);
  }
  return { outcome: 'given_up' };
}

async function arrive(input: OneImage, place: ImagePlace, store: ImageStore): Promise<Arrived> {
  const signal = AbortSignal.any([input.signal, AbortSignal.timeout(TRANSFER_TIMEOUT_MS)]);
  const image = await openSource(input.source, signal);
  const part = { key: partKeyOf(place), expiresAt: input.now + input.retentionMs };
  return take(image, { part, unsizedLimit: MAX_IMAGE_BYTES, signal }, store);
}

async function landed(
  arrived: Arrived,
  image: NewImage,
  lease: AbortSignal,
  { store, log }: StoringDeps,
): Promise<boolean> {
  const limit = AbortSignal.any([lease, AbortSignal.timeout(CALL_TIMEOUT_MS)]);
  const isThere = await until(limit, land(arrived, image, store));
  if (isThere && 'partKey' in arrived) {
    // It expires with its image, so that nothing is lost but room.
    await until(limit, store.deleteKeys([arrived.partKey])).catch((error) => {
      log.warn('image.remove_failed', { error });
    });
  }
  return isThere;
}

function newImage(input: OneImage, place: ImagePlace, measures: Measures): NewImage {
  const { userId, maker, source, now, retentionMs } = input;
  const { seed } = source;
  return {
    ...measures,
    ...maker,
    place,
    userId,
    seed,
    createdAt: now,
    expiresAt: now + retentionMs,
  };
}

function storedOf(image: NewImage, place: ImagePlace): StoredImage {
  const { place: _, userId: __, ...stored } = image;
  return { id: imageIdOf(place), ...stored };
}

/** Works on the items in their order, so many at once; the results keep it. */
async function inLanes<T, R>(
  lanes: number,
  items: readonly T[],
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const entries = items.entries();
  const lane = async () => {
    for (const [index, item] of entries) results[index] = await work(item, index);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}
