/** Images in R2, which holds the bytes and all that serving needs, and their index in D1. */
import type { Cell, RequestId, UserId } from '../platform/ids';
import { type Beside, type FoundBeside, getBeside } from './beside';
import { type Buckets, bucketForKey, cellsOf } from './buckets';
import {
  IMAGES_PREFIX,
  objectKeyOf,
  type Place,
  partKeyOf,
  placeOf,
  prefixOfRequest,
  prefixOfUploads,
  prefixOfVariants,
  UPLOADS_PREFIX,
} from './keys';
import { expiryOf, factsOf, type ImageFacts, type NewImage, putOptionsOf } from './objects';
import type { ByteRange } from './selection';
import type { StoredImage } from './types';

/** What R2 and D1 take in one call. */
const MAX_KEYS = 1_000;

export interface ImageStore {
  /** The same place and bytes again change nothing but the times. The chunks are the whole image. */
  putImage(image: NewImage, chunks: readonly Uint8Array[]): Promise<void>;
  /** Bytes that are not an image yet. `body` has a known length. */
  putPart(
    part: { readonly key: string; readonly expiresAt: number },
    body: ReadableStream,
  ): Promise<void>;
  /** Makes a part the image, R2 to R2. False when the part is not there. */
  copyPart(key: string, image: NewImage): Promise<boolean>;
  /** A body that is not read must be cancelled. */
  getImage(input: {
    place: Place;
    range: ByteRange | null;
  }): Promise<{ facts: ImageFacts; body: ReadableStream } | null>;
  headImage(place: Place): Promise<ImageFacts | null>;
  deleteKeys(keys: readonly string[]): Promise<void>;
  /** With its variants, and what may be left of its way there. */
  deleteImage(place: Place): Promise<void>;
  readonly buckets: readonly SweptBucket[];
  deleteRows(ids: readonly string[]): Promise<void>;
}

export type Swept = 'images' | 'uploads';

/** One bucket, as the sweep goes over it. */
export interface SweptBucket {
  /** Of images that lie here, from the first that expired on. */
  getExpiredRows(input: { now: number; limit: number }): Promise<{ id: string; key: string }[]>;
  /** What lies beside images that are to go with it. */
  getBeside(input: Beside): Promise<FoundBeside>;
  /** Objects behind a key that expired by `before`; `next` is where to go on, null at the end. */
  getExpired(input: {
    of: Swept;
    after: string | null;
    before: number;
  }): Promise<{ keys: string[]; next: string | null }>;
  getPosition(of: Swept): Promise<string | null>;
  setPosition(of: Swept, key: string | null): Promise<void>;
  /** Wherever their keys say they belong, as this is where they were found. */
  deleteKeys(keys: readonly string[]): Promise<void>;
}

export function createImageStore(input: {
  readonly buckets: Buckets;
  readonly db: D1Database;
}): ImageStore {
  return {
    ...createObjectStore(input.buckets),
    buckets: cellsOf(input.buckets).map(([cell, bucket]) => ({
      ...createSweptBucket(bucket),
      getExpiredRows: (page) => getExpiredRows(input.db, { ...page, cell }),
    })),
    deleteRows: (ids) => deleteRows(input.db, ids),
  };
}

function createObjectStore(buckets: Buckets): Omit<ImageStore, 'buckets' | 'deleteRows'> {
  const bucketAt = (key: string) => bucketForKey(buckets, key);
  return {
    async putImage(image, chunks) {
      const [first = new Uint8Array(), ...others] = chunks;
      const body = others.length === 0 ? first : streamOf(chunks, image.bytes);
      const key = objectKeyOf(image.place);
      await bucketAt(key).put(key, body, putOptionsOf(image));
    },

    async putPart({ key, expiresAt }, body) {
      await bucketAt(key).put(key, body, { customMetadata: { expires_at: String(expiresAt) } });
    },

    async copyPart(partKey, image) {
      const part = await bucketAt(partKey).get(partKey);
      if (!part) return false;
      const key = objectKeyOf(image.place);
      try {
        await bucketAt(key).put(key, part.body, putOptionsOf(image));
      } catch (error) {
        part.body.cancel().catch(() => {});
        throw error;
      }
      return true;
    },

    async getImage({ place, range }) {
      const key = objectKeyOf(place);
      const object = await bucketAt(key).get(key, range ? { range } : {});
      return object ? { facts: factsOf(place, object), body: object.body } : null;
    },

    async headImage(place) {
      const key = objectKeyOf(place);
      const object = await bucketAt(key).head(key);
      return object ? factsOf(place, object) : null;
    },

    async deleteKeys(keys) {
      for (const [bucket, own] of Map.groupBy(keys, bucketAt)) await deleteObjects(bucket, own);
    },

    async deleteImage(place) {
      const key = objectKeyOf(place);
      const bucket = bucketAt(key);
      const parts = 'requestId' in place ? [partKeyOf(place)] : [];
      await deleteObjects(bucket, [key, ...parts]);
      // After the image: a copy put later finds no image, and goes again by itself.
      await deleteObjects(bucket, await listKeys(bucket, prefixOfVariants(place)));
    },
  };
}

/** R2 takes streams of a known length only; joining the chunks would hold the image twice. */
function streamOf(chunks: readonly Uint8Array[], bytes: number): ReadableStream {
  const { readable, writable } = new FixedLengthStream(bytes);
  const writer = writable.getWriter();
  const write = async () => {
    for (const chunk of chunks) await writer.write(chunk);
    await writer.close();
  };
  // A put that fails says so itself.
  write().catch(() => {});
  return readable;
}

function createSweptBucket(bucket: R2Bucket): Omit<SweptBucket, 'getExpiredRows'> {
  return {
    getBeside: (input) => getBeside(bucket, input),

    async getExpired({ of, after, before }) {
      const { objects, truncated } = await bucket.list({
        prefix: of === 'images' ? IMAGES_PREFIX : UPLOADS_PREFIX,
        include: ['customMetadata'],
        limit: MAX_KEYS,
        ...(after === null ? {} : { startAfter: after }),
      });
      const keys = objects.filter((object) => expiryOf(object) <= before).map(({ key }) => key);
      return { keys, next: truncated ? (objects.at(-1)?.key ?? null) : null };
    },

    getPosition: (of) => getPosition(bucket, of),
    setPosition: (of, key) => setPosition(bucket, of, key),

    deleteKeys: (keys) => deleteObjects(bucket, keys),
  };
}

/** What goes over a bucket, a part at each run, remembers there under its name how far it has come. */
type Walk = Swept | 'orphans';
const positionKeyOf = (of: Walk) => `sweeps/${of}`;

export async function getPosition(bucket: R2Bucket, of: Walk): Promise<string | null> {
  const position = await bucket.get(positionKeyOf(of));
  return position ? position.text() : null;
}

export async function setPosition(bucket: R2Bucket, of: Walk, key: string | null): Promise<void> {
  if (key === null) await bucket.delete(positionKeyOf(of));
  else await bucket.put(positionKeyOf(of), key);
}

async function getExpiredRows(
  db: D1Database,
  of: { readonly cell: Cell; readonly now: number; readonly limit: number },
): Promise<{ id: string; key: string }[]> {
  // The cell is the first character behind `img_`.
  const { results } = await db
    .prepare(
      `SELECT id, object_key AS key FROM images WHERE expires_at <= ? AND substr(id, 5, 1) = ?
       ORDER BY expires_at LIMIT ?`,
    )
    .bind(of.now, of.cell, of.limit)
    .all<{ id: string; key: string }>();
  return results;
}

export async function deleteRows(db: D1Database, ids: readonly string[]): Promise<void> {
  // As JSON, because a statement takes 100 parameters at most.
  await db
    .prepare('DELETE FROM images WHERE id IN (SELECT value FROM json_each(?))')
    .bind(JSON.stringify(ids))
    .run();
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
export const listObjectKeys = (bucket: Pick<R2Bucket, 'list'>, requestId: RequestId) =>
  listKeys(bucket, prefixOfRequest(requestId));

/** @returns how many there were. The second look finds the copies that were put during the first. */
export async function deleteObjectsOf(
  bucket: Pick<R2Bucket, 'list' | 'delete'>,
  requestId: RequestId,
): Promise<number> {
  const keys = await listObjectKeys(bucket, requestId);
  if (keys.length === 0) return 0;
  await deleteObjects(bucket, keys);
  const left = await listObjectKeys(bucket, requestId);
  await deleteObjects(bucket, left);
  return keys.length + left.length;
}

async function listKeys(bucket: Pick<R2Bucket, 'list'>, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await bucket.list({ prefix, cursor });
    keys.push(...page.objects.map((object) => object.key));
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return keys;
}

/**
 * For the projector's batch, behind the request's own row: of what is older than that row nothing is
 * written, so nothing that is deleted comes back. An image never changes, so the first write is the
 * last.
 */
export function imageStatements(
  db: D1Database,
  input: {
    readonly userId: UserId;
    readonly requestId: RequestId;
    readonly version: number;
    readonly images: readonly StoredImage[];
    /** There were more of them. */
    readonly isRevised: boolean;
  },
): D1PreparedStatement[] {
  const { userId, requestId, version } = input;
  const rows = JSON.stringify(input.images.map((image) => ({ ...image, key: keyOf(image) })));
  const insert = () =>
    db
      .prepare(
        `INSERT INTO images (id, user_id, request_id, object_key, width, height, media_type, bytes,
           sha256, seed, model, provider, provider_model, created_at, expires_at)
         SELECT value ->> 'id', ?1, ?2, value ->> 'key', value ->> 'width', value ->> 'height',
           value ->> 'mediaType', value ->> 'bytes', value ->> 'sha256', value ->> 'seed',
           value ->> 'model', value ->> 'provider', value ->> 'providerModel',
           value ->> 'createdAt', value ->> 'expiresAt'
         FROM json_each(?3)
         WHERE NOT EXISTS
           (SELECT 1 FROM requests WHERE id = ?2 AND (version > ?4 OR status = 'deleted'))
         ON CONFLICT (id) DO NOTHING`,
      )
      .bind(userId, requestId, rows, version);
  const deleteOthers = () =>
    db
      .prepare(
        `DELETE FROM images WHERE user_id = ? AND request_id = ?
         AND id NOT IN (SELECT value ->> 'id' FROM json_each(?))`,
      )
      .bind(userId, requestId, rows);
  return [
    ...(input.images.length > 0 ? [insert()] : []),
    ...(input.isRevised ? [deleteOthers()] : []),
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

/** For the end of a user, page by page. Their objects have gone before. */
export function deleteImagesOf(
  db: D1Database,
  of: { readonly userId: UserId; readonly requestIds: readonly RequestId[] },
): D1PreparedStatement {
  return db
    .prepare(
      `DELETE FROM images WHERE user_id = ? AND request_id IN (SELECT value FROM json_each(?))`,
    )
    .bind(of.userId, JSON.stringify(of.requestIds));
}

/** For the end of a user: one page of what the user has brought. */
export async function deleteUploadsOf(
  bucket: Pick<R2Bucket, 'list' | 'delete'>,
  userId: UserId,
): Promise<{ objects: number; more: boolean }> {
  const { objects } = await bucket.list({ prefix: prefixOfUploads(userId) });
  await deleteObjects(
    bucket,
    objects.map(({ key }) => key),
  );
  // Until a look finds nothing: copies may be put beside what is being deleted.
  return { objects: objects.length, more: objects.length > 0 };
}

function keyOf({ id }: Pick<StoredImage, 'id'>): string {
  const place = placeOf(id);
  if (!place) throw new Error(`${id} is no place in R2`);
  return objectKeyOf(place);
}
