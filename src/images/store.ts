/** Images in R2, which holds the bytes and all that serving needs, and their index in D1. */
import { z } from 'zod';
import type { RequestId, UserId } from '../platform/ids';
import { imageIdOf, objectKeyOf, placeOf } from './keys';
import type { ByteRange } from './selection';
import {
  type ImageId,
  type ImagePlace,
  type MediaType,
  mediaTypes,
  type StoredImage,
} from './types';

/** What R2 and D1 take in one call. */
const MAX_KEYS = 1_000;
const IMAGES_PREFIX = 'images/';

/** One image as its object's metadata tells it. Times in epoch ms. */
export interface ImageFacts {
  readonly id: ImageId;
  readonly requestId: RequestId;
  readonly userId: UserId;
  readonly mediaType: MediaType;
  readonly width: number;
  readonly height: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly seed: number | null;
  /** As a header has it, with quotes. */
  readonly etag: string;
  readonly createdAt: number;
  readonly expiresAt: number;
}

export interface NewImage {
  readonly place: ImagePlace;
  readonly userId: UserId;
  readonly bytes: Uint8Array;
  readonly mediaType: MediaType;
  readonly width: number;
  readonly height: number;
  /** Hex; R2 refuses bytes that do not match it. */
  readonly sha256: string;
  readonly seed: number | null;
  readonly createdAt: number;
  readonly expiresAt: number;
}

export interface ImageStore {
  /** The same place and bytes again change nothing. */
  putImage(image: NewImage): Promise<void>;
  /** A body that is not read must be cancelled. */
  getImage(input: {
    place: ImagePlace;
    range: ByteRange | null;
  }): Promise<{ facts: ImageFacts; body: ReadableStream } | null>;
  headImage(place: ImagePlace): Promise<ImageFacts | null>;
  deleteImages(places: readonly ImagePlace[]): Promise<void>;
  /** Objects past their time, from the eldest on; `more` when the page had nothing else. */
  getExpiredObjects(now: number): Promise<{ keys: string[]; more: boolean }>;
  deleteKeys(keys: readonly string[]): Promise<void>;
  getExpiredRows(input: { now: number; limit: number }): Promise<{ id: string; key: string }[]>;
  deleteRows(ids: readonly string[]): Promise<void>;
}

export function createImageStore({ bucket, db }: { bucket: R2Bucket; db: D1Database }): ImageStore {
  return {
    async putImage(image) {
      await bucket.put(objectKeyOf(image.place), image.bytes, {
        sha256: image.sha256,
        httpMetadata: { contentType: image.mediaType },
        customMetadata: metadataOf(image),
      });
    },

    async getImage({ place, range }) {
      const object = await bucket.get(objectKeyOf(place), range ? { range } : {});
      return object ? { facts: fromObject(place, object), body: object.body } : null;
    },

    async headImage(place) {
      const object = await bucket.head(objectKeyOf(place));
      return object ? fromObject(place, object) : null;
    },

    deleteImages: (places) => deleteObjects(bucket, places.map(objectKeyOf)),
    deleteKeys: (keys) => deleteObjects(bucket, keys),

    async getExpiredObjects(now) {
      // Request ids sort by time and so do the keys: what is past its time comes first.
      const { objects, truncated } = await bucket.list({
        prefix: IMAGES_PREFIX,
        include: ['customMetadata'],
        limit: MAX_KEYS,
      });
      const expired = objects.filter((object) => Number(object.customMetadata?.expires_at) <= now);
      const keys = expired.map((object) => object.key);
      return { keys, more: truncated && keys.length === objects.length };
    },

    async getExpiredRows({ now, limit }) {
      const { results } = await db
        .prepare(
          `SELECT id, object_key AS key FROM images WHERE expires_at <= ?
           ORDER BY expires_at LIMIT ?`,
        )
        .bind(now, limit)
        .all<{ id: string; key: string }>();
      return results;
    },

    async deleteRows(ids) {
      // As JSON, because a statement takes 100 parameters at most.
      await db
        .prepare('DELETE FROM images WHERE id IN (SELECT value FROM json_each(?))')
        .bind(JSON.stringify(ids))
        .run();
    },
  };
}

/** Deleting what is not there is no fault. */
export async function deleteObjects(
  bucket: Pick<R2Bucket, 'delete'>,
  keys: readonly string[],
): Promise<void> {
  for (let from = 0; from < keys.length; from += MAX_KEYS) {
    await bucket.delete(keys.slice(from, from + MAX_KEYS));
  }
}

/** Every object of a request, those of its failed and stale attempts included. */
export async function listObjectKeys(
  bucket: Pick<R2Bucket, 'list'>,
  requestId: RequestId,
): Promise<string[]> {
  const keys: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await bucket.list({ prefix: `${IMAGES_PREFIX}${requestId}/`, cursor });
    keys.push(...page.objects.map((object) => object.key));
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return keys;
}

/**
 * For the projector's batch, behind the request's own row. An image never changes, so the first
 * write is the last; news that come after a tombstone bring nothing back.
 */
export function imageStatements(
  db: D1Database,
  input: { userId: UserId; requestId: RequestId; images: readonly StoredImage[] },
): D1PreparedStatement[] {
  const { userId, requestId } = input;
  if (input.images.length === 0) return [];
  const rows = input.images.map((image) => ({ ...image, key: keyOfStored(image.id) }));
  return [
    db
      .prepare(
        `INSERT INTO images (id, user_id, request_id, object_key, width, height, media_type, bytes,
           sha256, seed, created_at, expires_at)
         SELECT value ->> 'id', ?1, ?2, value ->> 'key', value ->> 'width', value ->> 'height',
           value ->> 'mediaType', value ->> 'bytes', value ->> 'sha256', value ->> 'seed',
           value ->> 'createdAt', value ->> 'expiresAt'
         FROM json_each(?3)
         WHERE NOT EXISTS (SELECT 1 FROM requests WHERE id = ?2 AND status = 'deleted')
         ON CONFLICT (id) DO NOTHING`,
      )
      .bind(userId, requestId, JSON.stringify(rows)),
  ];
}

/** For the projector, beside a tombstone. The objects are the foreman's to delete. */
export function deleteImageStatements(
  db: D1Database,
  input: { userId: UserId; requestId: RequestId },
): D1PreparedStatement[] {
  const { userId, requestId } = input;
  return [
    db.prepare('DELETE FROM images WHERE request_id = ? AND user_id = ?').bind(requestId, userId),
  ];
}

function keyOfStored(id: ImageId): string {
  const place = placeOf(id);
  if (!place) throw new Error(`${id} is no place in R2`);
  return objectKeyOf(place);
}

const count = z
  .string()
  .regex(/^\d{1,16}$/)
  .transform(Number);
const metadataSchema = z.object({
  user: z
    .string()
    .startsWith('usr_')
    .transform((id) => id as UserId),
  sha256: z.string(),
  width: count,
  height: count,
  seed: count.optional(),
  created_at: count,
  expires_at: count,
});

function metadataOf(image: NewImage): Record<string, string> {
  return {
    user: image.userId,
    sha256: image.sha256,
    width: String(image.width),
    height: String(image.height),
    ...(image.seed === null ? {} : { seed: String(image.seed) }),
    created_at: String(image.createdAt),
    expires_at: String(image.expiresAt),
  };
}

/** @throws ZodError for an object that `putImage` did not write. */
function fromObject(place: ImagePlace, object: R2Object): ImageFacts {
  const metadata = metadataSchema.parse(object.customMetadata);
  return {
    id: imageIdOf(place),
    requestId: place.requestId,
    userId: metadata.user,
    mediaType: z.enum(mediaTypes).parse(object.httpMetadata?.contentType),
    width: metadata.width,
    height: metadata.height,
    bytes: object.size,
    sha256: metadata.sha256,
    seed: metadata.seed ?? null,
    etag: object.httpEtag,
    createdAt: metadata.created_at,
    expiresAt: metadata.expires_at,
  };
}
