/** The life of an image: stored under its attempt's lease, served to its owner, swept. */
import type { RequestId, UserId } from '../platform/ids';
import type { Logger } from '../platform/log';
import { imageNotFound, imagesUnavailable, rangeNotSatisfiable } from './errors';
import { imageIdOf, placeOf } from './keys';
import { type Asked, type ByteRange, select } from './selection';
import type { ImageFacts, ImageStore, NewImage } from './store';
import { sweepObjects, sweepRows } from './sweep';
import type { ImagePlace, MediaType, StoredImage } from './types';

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
/** 20 MB at 1 MB/s: a call that takes longer is taken for hanging. */
const CALL_TIMEOUT_MS = 20_000;
/** The index is one digit of the image id. */
const MAX_IMAGES_PER_ATTEMPT = 10;

/** Bytes that `inspectImage` has looked at. */
export interface CheckedImage {
  readonly bytes: Uint8Array;
  readonly mediaType: MediaType;
  readonly width: number;
  readonly height: number;
  readonly seed: number | null;
}

export type OpenedImage =
  | { readonly answer: 'not_modified'; readonly facts: ImageFacts }
  | { readonly answer: 'whole'; readonly facts: ImageFacts; readonly body: ReadableStream | null }
  | {
      readonly answer: 'part';
      readonly facts: ImageFacts;
      readonly body: ReadableStream;
      readonly range: ByteRange;
    };

export interface Asking {
  /** As it came; it may be anything. */
  readonly id: string;
  /** Null behind a verified link, which opens its image to anybody. */
  readonly viewer: UserId | null;
  readonly now: number;
}

export interface ImageService {
  /**
   * Puts the images of one attempt, again and again while R2 fails; nothing is generated again for
   * it. Null when it gave up or `signal` ended it: then nothing of the attempt is kept.
   */
  store(input: {
    requestId: RequestId;
    attempt: number;
    userId: UserId;
    images: readonly CheckedImage[];
    retentionMs: number;
    now: number;
    signal: AbortSignal;
  }): Promise<StoredImage[] | null>;
  /**
   * @param headOnly no body is opened, and a range is not looked at (RFC 9110, 14.2).
   * @throws AppError `not_found` (malformed, unknown, another's, past its time),
   * `range_not_satisfiable`, `unavailable`.
   */
  open(input: Asking & { asked: Asked; headOnly: boolean }): Promise<OpenedImage>;
  /** @throws AppError `not_found`, `unavailable`. */
  describe(input: Asking): Promise<ImageFacts>;
  /** For an attempt that was settled without its images. Never throws: the sweep comes after it. */
  removeAttempt(input: { requestId: RequestId; attempt: number; count: number }): Promise<void>;
  /** Bounded and safe to repeat. @returns how many images it deleted. */
  sweepExpired(input: { now: number }): Promise<number>;
}

export interface ImageServiceDeps {
  readonly store: ImageStore;
  readonly sleep: (ms: number) => Promise<void>;
  readonly log: Logger;
}

export function createImageService(deps: ImageServiceDeps): ImageService {
  const removeAttempt: ImageService['removeAttempt'] = async ({ requestId, attempt, count }) => {
    const places = Array.from({ length: count }, (_, index) => ({ requestId, attempt, index }));
    try {
      await until(AbortSignal.timeout(CALL_TIMEOUT_MS), deps.store.deleteImages(places));
    } catch (error) {
      deps.log.warn('image.remove_failed', { request_id: requestId, attempt, error });
    }
  };

  return {
    ...createReader(deps),
    removeAttempt,

    async store(input) {
      const images = await prepare(input);
      const limit = AbortSignal.any([input.signal, AbortSignal.timeout(STORE_TIMEOUT_MS)]);
      const puts = images.map((image) => putPatiently(image, limit, deps));
      if ((await Promise.all(puts)).every((put) => put)) return images.map(storedOf);
      await removeAttempt({ ...input, count: images.length });
      return null;
    },

    async sweepExpired({ now }) {
      const indexed = await sweepRows(deps.store, now);
      return indexed + (await sweepObjects(deps.store, now));
    },
  };
}

function createReader({ store, log }: ImageServiceDeps): Pick<ImageService, 'open' | 'describe'> {
  const read = async <T>(
    { id }: { readonly id: string },
    ask: (place: ImagePlace) => Promise<T | null>,
  ): Promise<T> => {
    const place = placeOf(id);
    const found =
      place &&
      (await ask(place).catch((error) => {
        log.error('image.read_failed', { image_id: id, error });
        throw imagesUnavailable();
      }));
    if (!found) throw imageNotFound();
    return found;
  };

  const describe: ImageService['describe'] = async (input) => {
    const facts = await read(input, (place) => store.headImage(place));
    if (!isVisible(facts, input)) throw imageNotFound();
    return facts;
  };

  const fetchBytes = async (input: Asking, range: ByteRange | null) => {
    const image = await read(input, (place) => store.getImage({ place, range }));
    if (isVisible(image.facts, input)) return image;
    await image.body.cancel();
    throw imageNotFound();
  };

  const open: ImageService['open'] = async (input) => {
    const asked = input.headOnly ? { ...input.asked, range: null } : input.asked;
    // The bytes are opened at once only where they are sure to be wanted whole.
    if (isPlain(asked) && !input.headOnly) {
      return { answer: 'whole', ...(await fetchBytes(input, null)) };
    }
    const facts = await describe(input);
    const selection = select(asked, facts);
    switch (selection.select) {
      case 'nothing_new':
        return { answer: 'not_modified', facts };
      case 'beyond_end':
        throw rangeNotSatisfiable(facts.bytes);
      case 'part': {
        const { range } = selection;
        return { answer: 'part', ...(await fetchBytes(input, range)), range };
      }
      case 'whole':
        if (input.headOnly) return { answer: 'whole', facts, body: null };
        return { answer: 'whole', ...(await fetchBytes(input, null)) };
    }
  };

  return { open, describe };
}

function prepare(input: Parameters<ImageService['store']>[0]): Promise<NewImage[]> {
  const { requestId, attempt, userId, now } = input;
  const images = input.images.slice(0, MAX_IMAGES_PER_ATTEMPT);
  return Promise.all(
    images.map(async (image, index) => {
      const digest = await crypto.subtle.digest('SHA-256', image.bytes);
      const place: ImagePlace = { requestId, attempt, index };
      const sha256 = Buffer.from(digest).toString('hex');
      return {
        ...image,
        place,
        userId,
        sha256,
        createdAt: now,
        expiresAt: now + input.retentionMs,
      };
    }),
  );
}

/** Says whether the image is stored. The place is the attempt's own, so a late put harms nobody. */
async function putPatiently(
  image: NewImage,
  signal: AbortSignal,
  deps: ImageServiceDeps,
): Promise<boolean> {
  for (const delay of [...PUT_RETRY_DELAYS_MS, null]) {
    if (signal.aborted) return false;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]);
    try {
      await until(limit, deps.store.putImage(image));
      return true;
    } catch (error) {
      const { requestId: request_id, attempt } = image.place;
      deps.log.warn('image.put_failed', { request_id, attempt, error });
    }
    if (delay !== null) await until(signal, deps.sleep(delay)).catch(() => undefined);
  }
  return false;
}

/** Rejects with the signal's reason when that comes first; the work itself goes on unheard. */
function until<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

const storedOf = (image: NewImage): StoredImage => ({
  id: imageIdOf(image.place),
  width: image.width,
  height: image.height,
  mediaType: image.mediaType,
  bytes: image.bytes.byteLength,
  sha256: image.sha256,
  seed: image.seed,
  createdAt: image.createdAt,
  expiresAt: image.expiresAt,
});

function isVisible(facts: ImageFacts, { viewer, now }: Asking): boolean {
  return now < facts.expiresAt && (viewer === null || viewer === facts.userId);
}

function isPlain(asked: Asked): boolean {
  return asked.ifNoneMatch === null && asked.ifModifiedSince === null && asked.range === null;
}
