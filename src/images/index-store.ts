/** The list of a user's images: what requests made from D1, what the user brought from R2. */
import { allOf } from '../platform/conditions';
import type { RequestId, UserId } from '../platform/ids';
import { type Buckets, bucketFor } from './buckets';
import { prefixOfUploads } from './keys';
import { factsOf } from './objects';
import type { ImageId, StoredImage } from './types';

export interface ImagePageQuery {
  readonly userId: UserId;
  readonly limit: number;
  readonly direction: 'asc' | 'desc';
  /** The last image of the page before. */
  readonly after: { readonly createdAt: number; readonly id: string } | null;
  readonly requestId: RequestId | null;
  readonly model: string | null;
  readonly mediaType: string | null;
  readonly createdAfter: number | null;
  readonly createdBefore: number | null;
  readonly now: number;
}

export interface UploadPageQuery {
  readonly userId: UserId;
  readonly limit: number;
  /** The hash of the last upload of the page before. */
  readonly after: string | null;
  readonly mediaType: string | null;
  readonly createdAfter: number | null;
  readonly createdBefore: number | null;
  readonly now: number;
}

/** `next`: the hash to go on behind; null at the end. */
export interface UploadPage {
  readonly uploads: readonly StoredImage[];
  readonly next: string | null;
}

export interface ImageIndex {
  /** Of what requests made, none past its time. */
  getPage(query: ImagePageQuery): Promise<StoredImage[]>;
  /** In the order of their hashes. A page may have fewer than asked for, and yet a next one. */
  getUploads(query: UploadPageQuery): Promise<UploadPage>;
}

/** R2 gives as many with their metadata as fit an answer, 1,000 at most; beyond these, a page ends. */
const MAX_LISTS = 5;
const SHA_256 = /^[0-9a-f]{64}$/;

interface Row {
  id: ImageId;
  width: number;
  height: number;
  media_type: string;
  bytes: number;
  sha256: string;
  seed: number | null;
  model: string | null;
  provider: string | null;
  provider_model: string | null;
  created_at: number;
  expires_at: number;
}

export function createImageIndex(input: {
  readonly db: D1Database;
  readonly buckets: Buckets;
}): ImageIndex {
  return {
    async getPage(query) {
      const { where, values } = conditions(query);
      const order = query.direction === 'asc' ? 'ASC' : 'DESC';
      const { results } = await input.db
        .prepare(
          `SELECT id, width, height, media_type, bytes, sha256, seed, model, provider,
             provider_model, created_at, expires_at
           FROM images WHERE ${where}
           ORDER BY created_at ${order}, id ${order} LIMIT ?`,
        )
        .bind(...values, query.limit)
        .all<Row>();
      return results.map(fromRow);
    },

    getUploads: (query) => getUploads(bucketFor(input.buckets, query.userId), query),
  };
}

const conditions = (query: ImagePageQuery) =>
  allOf([
    ['user_id = ?', query.userId],
    ['expires_at > ?', query.now],
    ['request_id = ?', query.requestId],
    ['model = ?', query.model],
    ['media_type = ?', query.mediaType],
    ['created_at > ?', query.createdAfter],
    ['created_at < ?', query.createdBefore],
    [
      `(created_at, id) ${query.direction === 'asc' ? '>' : '<'} (?, ?)`,
      query.after?.createdAt ?? null,
      query.after?.id ?? null,
    ],
  ]);

/** Rows are written by `imageStatements` only. */
function fromRow(row: Row): StoredImage {
  return {
    id: row.id,
    width: row.width,
    height: row.height,
    mediaType: row.media_type,
    bytes: row.bytes,
    sha256: row.sha256,
    seed: row.seed,
    model: row.model,
    provider: row.provider,
    providerModel: row.provider_model,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  };
}

async function getUploads(bucket: R2Bucket, query: UploadPageQuery): Promise<UploadPage> {
  const prefix = prefixOfUploads(query.userId);
  const uploads: StoredImage[] = [];
  let after = query.after;
  for (let lists = 0; lists < MAX_LISTS; lists += 1) {
    const { objects, truncated } = await bucket.list({
      prefix,
      include: ['customMetadata', 'httpMetadata'],
      ...(after === null ? {} : { startAfter: `${prefix}${after}` }),
    });
    for (const object of objects) {
      const sha256 = object.key.slice(prefix.length);
      const upload = uploadOf(object, { userId: query.userId, sha256 });
      if (upload && fits(upload, query)) {
        if (uploads.length === query.limit) return { uploads, next: after };
        uploads.push(upload);
      }
      after = sha256;
    }
    if (!truncated) return { uploads, next: null };
  }
  return { uploads, next: after };
}

/** Null for parts of uploads and variants, which lie beside them. */
function uploadOf(object: R2Object, place: { userId: UserId; sha256: string }): StoredImage | null {
  return SHA_256.test(place.sha256) ? factsOf(place, object) : null;
}

function fits(upload: StoredImage, query: UploadPageQuery): boolean {
  return (
    upload.expiresAt > query.now &&
    upload.mediaType === (query.mediaType ?? upload.mediaType) &&
    upload.createdAt > (query.createdAfter ?? Number.NEGATIVE_INFINITY) &&
    upload.createdAt < (query.createdBefore ?? Number.POSITIVE_INFINITY)
  );
}
