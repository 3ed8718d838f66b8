/** Objects and rows of images side by side, for the search for those that have lost each other. */
import { type Cell, isId, type RequestId, type UserId } from '../platform/ids';
import { type Buckets, cellsOf } from './buckets';
import { IMAGES_PREFIX } from './keys';
import { expiryOf } from './objects';
import { deleteObjects, deleteRows, getPosition, imageStatements, setPosition } from './store';
import type { StoredImage } from './types';

/** What R2 lists in one call. */
const MAX_OBJECTS = 1_000;
/** With as many rows that have lost their object as there are objects, a page still fits. */
export const MAX_ROWS = 2_000;

export interface FoundObject {
  readonly key: string;
  /** Null where its metadata does not say. */
  readonly userId: UserId | null;
  readonly expiresAt: number;
}

export interface FoundRow {
  readonly id: string;
  readonly key: string;
  readonly userId: UserId;
  readonly requestId: RequestId;
  readonly expiresAt: number;
}

/** A request as D1 has it. */
export interface IndexedRequest {
  readonly userId: UserId;
  readonly status: 'live' | 'ended' | 'deleted';
  readonly version: number;
  readonly images: readonly StoredImage[];
}
export type IndexedRequests = ReadonlyMap<RequestId, IndexedRequest>;

/** One bucket, and the rows of what lies there. Keys and rows have one order. */
export interface SearchedBucket {
  getObjects(after: string | null): Promise<{ objects: FoundObject[]; more: boolean }>;
  /** Those behind `after`, as far as `until`, or to the end; some of them, if there are very many. */
  getRows(range: { after: string | null; until: string | null }): Promise<FoundRow[]>;
  exists(key: string): Promise<boolean>;
  deleteKeys(keys: readonly string[]): Promise<void>;
  getPosition(): Promise<string | null>;
  setPosition(key: string | null): Promise<void>;
}

export interface OrphanStore {
  readonly buckets: readonly SearchedBucket[];
  getRequests(ids: readonly RequestId[]): Promise<IndexedRequests>;
  /** Only as long as D1 has the request as it was read. */
  createRow(input: {
    readonly requestId: RequestId;
    readonly request: IndexedRequest;
    readonly image: StoredImage;
  }): Promise<void>;
  deleteRows(ids: readonly string[]): Promise<void>;
}

export function createOrphanStore(input: {
  readonly buckets: Buckets;
  readonly db: D1Database;
}): OrphanStore {
  const { db } = input;
  return {
    buckets: cellsOf(input.buckets).map(([cell, bucket]) => searchedBucket(bucket, cell, db)),

    async getRequests(ids) {
      const { results } = await db
        .prepare(
          `SELECT id, user_id, status, version, json_extract(state, '$.output.images') AS images
           FROM requests WHERE id IN (SELECT value FROM json_each(?))`,
        )
        .bind(JSON.stringify(ids))
        .all<RequestRow>();
      return new Map(results.map((row) => [row.id, fromRow(row)]));
    },

    async createRow({ requestId, request, image }) {
      const { userId, version } = request;
      const row = { userId, requestId, version, images: [image], isRevised: false };
      await db.batch(imageStatements(db, row));
    },

    deleteRows: (ids) => deleteRows(db, ids),
  };
}

function searchedBucket(bucket: R2Bucket, cell: Cell, db: D1Database): SearchedBucket {
  // What has the cell of another bucket was put here by a foreign hand.
  const prefix = `${IMAGES_PREFIX}req_${cell}`;
  const end = `${IMAGES_PREFIX}req_${cell}~`;
  return {
    async getObjects(after) {
      const { objects, truncated } = await bucket.list({
        prefix,
        include: ['customMetadata'],
        limit: MAX_OBJECTS,
        ...(after === null ? {} : { startAfter: after }),
      });
      return { objects: objects.map(fromObject), more: truncated };
    },

    async getRows({ after, until }) {
      const { results } = await db
        .prepare(
          `SELECT id, object_key AS key, user_id AS userId, request_id AS requestId,
             expires_at AS expiresAt
           FROM images WHERE object_key > ? AND object_key <= ? ORDER BY object_key LIMIT ?`,
        )
        .bind(after ?? prefix, until ?? end, MAX_ROWS)
        .all<{ [Name in keyof FoundRow]: FoundRow[Name] }>();
      return results;
    },

    exists: async (key) => (await bucket.head(key)) !== null,
    deleteKeys: (keys) => deleteObjects(bucket, keys),
    getPosition: () => getPosition(bucket, 'orphans'),
    setPosition: (key) => setPosition(bucket, 'orphans', key),
  };
}

function fromObject(object: R2Object): FoundObject {
  const user = object.customMetadata?.user ?? '';
  const userId = isId('usr', user) ? user : null;
  return { key: object.key, userId, expiresAt: expiryOf(object) };
}

interface RequestRow {
  id: RequestId;
  user_id: UserId;
  status: string;
  version: number;
  images: string | null;
}

/** The output was written by the projector, as the request's own state has it. */
function fromRow(row: RequestRow): IndexedRequest {
  const { user_id: userId, version, images } = row;
  return {
    userId,
    status: standingOf(row.status),
    version,
    images: images === null ? [] : (JSON.parse(images) as StoredImage[]),
  };
}

function standingOf(status: string): IndexedRequest['status'] {
  if (status === 'deleted') return 'deleted';
  return status === 'queued' || status === 'running' ? 'live' : 'ended';
}
