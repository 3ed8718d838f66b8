/** Images that a user brings: streamed in, kept under their hash, renewed by being brought again. */
import type { UserId } from '../platform/ids';
import type { Logger } from '../platform/log';
import { ImageTooLarge, InvalidImage, SourceFault, TooLargeToHold, until } from './arrival';
import { imageTooLarge, lengthRequired, uploadBroken, uploadsUnavailable } from './errors';
import { imageIdOf, placeOf, uploadPartKeyOf } from './keys';
import type { ImageDescription, NewImage } from './objects';
import type { ImageStore } from './store';
import { type Arrived, CALL_TIMEOUT_MS, type Incoming, land, take } from './taking';
import { MAX_IMAGE_BYTES, type Measures, noMaker } from './types';

/** 20 MB at 70 kB/s. */
const UPLOAD_TIMEOUT_MS = 300_000;
/** An isolate of 128 MB serves many uploads at once. */
export const MAX_UNSIZED_UPLOAD_BYTES = 4 * 1024 * 1024;

export type KeptUpload =
  | { readonly outcome: 'kept'; readonly image: ImageDescription; readonly isNew: boolean }
  /** A clause: `it is cut short`. */
  | { readonly outcome: 'invalid'; readonly reason: string };

export interface Uploads {
  /**
   * The same bytes of the same user again are the same image, kept for longer. Nothing is kept of
   * what is refused.
   * @throws AppError `payload_too_large`, `invalid_request` (the body breaks off), `unavailable`.
   */
  keepUpload(input: { userId: UserId; image: Incoming; now: number }): Promise<KeptUpload>;
  /** Whether there is an image of this user under this id, of either kind, not yet expired. */
  exists(input: { userId: UserId; id: string; now: number }): Promise<boolean>;
  /** Its bytes, even past its time for as long as they are there. Null when they are not. */
  readBytes(input: { userId: UserId; id: string }): Promise<Uint8Array | null>;
}

export interface UploadsDeps {
  readonly store: ImageStore;
  readonly uploadRetentionMs: number;
  readonly log: Logger;
}

export function createUploads(deps: UploadsDeps): Uploads {
  const { store } = deps;
  return {
    async keepUpload(input) {
      const { userId, image, now } = input;
      const part = { key: uploadPartKeyOf(userId, crypto.randomUUID()), expiresAt: now };
      const signal = AbortSignal.timeout(UPLOAD_TIMEOUT_MS);
      try {
        const limits = { part, unsizedLimit: MAX_UNSIZED_UPLOAD_BYTES, signal };
        const arrived = await take(image, limits, store);
        return { outcome: 'kept', ...(await settle(arrived, input, deps)) };
      } catch (error) {
        return refusalOf(error);
      }
    },

    async exists({ userId, id, now }) {
      const place = placeOf(id);
      const facts = place && (await store.headImage(place));
      return facts !== null && facts.userId === userId && now < facts.expiresAt;
    },

    async readBytes({ userId, id }) {
      const place = placeOf(id);
      const image = place && (await store.getImage({ place, range: null }));
      if (!image) return null;
      if (image.facts.userId === userId) return new Response(image.body).bytes();
      await image.body.cancel();
      return null;
    },
  };
}

async function settle(
  arrived: Arrived,
  { userId, now }: { readonly userId: UserId; readonly now: number },
  deps: UploadsDeps,
): Promise<{ image: ImageDescription; isNew: boolean }> {
  const { store, log } = deps;
  const within = <T>(work: Promise<T>) => until(AbortSignal.timeout(CALL_TIMEOUT_MS), work);
  const { measures } = arrived;
  const place = { userId, sha256: measures.sha256 };
  try {
    const before = await within(store.headImage(place));
    const isNew = before === null || before.expiresAt <= now;
    const createdAt = isNew ? now : before.createdAt;
    const image = newUpload(measures, {
      userId,
      createdAt,
      expiresAt: now + deps.uploadRetentionMs,
    });
    if (!(await within(land(arrived, image, store)))) throw new Error('the part is gone');
    const { place: _, ...described } = image;
    return { image: { ...described, id: imageIdOf(place), requestId: null }, isNew };
  } finally {
    if ('partKey' in arrived) {
      await within(store.deleteKeys([arrived.partKey])).catch((error) => {
        log.warn('image.remove_failed', { user_id: userId, error });
      });
    }
  }
}

function newUpload(
  measures: Measures,
  of: Pick<NewImage, 'userId' | 'createdAt' | 'expiresAt'>,
): NewImage {
  const place = { userId: of.userId, sha256: measures.sha256 };
  return { ...measures, ...noMaker, ...of, place, seed: null };
}

function refusalOf(error: unknown): KeptUpload {
  if (error instanceof ImageTooLarge) throw imageTooLarge(MAX_IMAGE_BYTES);
  if (error instanceof InvalidImage) return { outcome: 'invalid', reason: error.message };
  if (error instanceof TooLargeToHold) throw lengthRequired(MAX_UNSIZED_UPLOAD_BYTES);
  if (error instanceof SourceFault) throw uploadBroken(error);
  throw uploadsUnavailable(error);
}
