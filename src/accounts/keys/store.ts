/**
 * Keys in D1: the index for lists. Written by the projector only, from what a user's foreman reports;
 * running twice or out of order changes nothing. Neither a key's secret nor its hash is here.
 */
import type { AccountNews } from '../limits';
import type { KeyId, KeyRecord, Scope, UserId } from '../types';

/** Keys of the oldest MAC version come first, the oldest of these first. */
export interface KeyPageKey {
  readonly macVersion: number;
  readonly createdAt: number;
  readonly id: KeyId;
}

export interface IndexedKey extends Omit<KeyRecord, 'secretHash'> {
  readonly userId: UserId;
}

export interface KeyPageQuery {
  readonly limit: number;
  readonly after: KeyPageKey | null;
  /** Null: of every version. */
  readonly macVersion: number | null;
  readonly now: number;
}

export interface KeyStore {
  /** Of all users: neither revoked nor expired. */
  getActivePage(query: KeyPageQuery): Promise<IndexedKey[]>;
}

interface KeyRow {
  id: KeyId;
  user_id: UserId;
  name: string;
  scopes: string;
  mac_version: number;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
  last_used_at: number | null;
  replaces: KeyId | null;
}

export function createKeyStore(db: D1Database): KeyStore {
  return {
    async getActivePage({ limit, after, macVersion, now }) {
      const { results } = await db
        .prepare(
          `SELECT id, user_id, name, scopes, mac_version, created_at, expires_at, revoked_at,
             last_used_at, replaces
           FROM api_keys
           WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)
             AND (mac_version, created_at, id) > (?, ?, ?)
             ${macVersion === null ? '' : 'AND mac_version = ?'}
           ORDER BY mac_version, created_at, id LIMIT ?`,
        )
        .bind(
          now,
          ...(after ? [after.macVersion, after.createdAt, after.id] : [0, 0, '']),
          ...(macVersion === null ? [] : [macVersion]),
          limit,
        )
        .all<KeyRow>();
      return results.map(fromRow);
    },
  };
}

/**
 * For the projector's batch: all keys in one statement, however many there are. Three facts of a key
 * change in its life, each in one direction only, so that any order of reports ends the same: it is
 * revoked, it expires sooner, it was used later.
 */
export function keyStatements(db: D1Database, news: AccountNews): D1PreparedStatement[] {
  if (news.keys.length === 0) return [];
  const rows = news.keys.map((key) => ({
    id: key.id,
    name: key.name,
    scopes: JSON.stringify(key.scopes),
    mac_version: key.macVersion,
    created_at: key.createdAt,
    expires_at: key.expiresAt,
    revoked_at: key.revokedAt,
    last_used_at: key.lastUsedAt,
    replaces: key.replaces,
  }));
  const upsert = db
    .prepare(
      `INSERT INTO api_keys (id, user_id, name, scopes, mac_version, created_at, expires_at,
         revoked_at, last_used_at, replaces)
       SELECT value ->> 'id', ?, value ->> 'name', value ->> 'scopes', value ->> 'mac_version',
         value ->> 'created_at', value ->> 'expires_at', value ->> 'revoked_at',
         value ->> 'last_used_at', value ->> 'replaces'
       FROM json_each(?) WHERE true
       ON CONFLICT (id) DO UPDATE SET
         revoked_at = ${REVOKED}, expires_at = ${EXPIRES}, last_used_at = ${LAST_USED}
       WHERE api_keys.revoked_at IS NOT ${REVOKED} OR api_keys.expires_at IS NOT ${EXPIRES}
         OR api_keys.last_used_at IS NOT ${LAST_USED}`,
    )
    .bind(news.account.userId, JSON.stringify(rows));
  return [upsert];
}

/** For the end of a user, page by page. */
export function deleteKeysOf(
  db: D1Database,
  { userId, limit }: { readonly userId: UserId; readonly limit: number },
): D1PreparedStatement {
  return db
    .prepare('DELETE FROM api_keys WHERE id IN (SELECT id FROM api_keys WHERE user_id = ? LIMIT ?)')
    .bind(userId, limit);
}

/** `min` and `max` of two are null if either is: then the other holds, if there is one. */
const pickOf = (pick: 'min' | 'max', column: string) => {
  const [old, reported] = [`api_keys.${column}`, `excluded.${column}`];
  return `coalesce(${pick}(${old}, ${reported}), ${old}, ${reported})`;
};
const REVOKED = pickOf('min', 'revoked_at');
const EXPIRES = pickOf('min', 'expires_at');
const LAST_USED = pickOf('max', 'last_used_at');

/** Rows are written by `keyStatements` only. */
function fromRow(row: KeyRow): IndexedKey {
  return {
    id: row.id,
    userId: row.user_id,
    name: row.name,
    scopes: JSON.parse(row.scopes) as Scope[],
    macVersion: row.mac_version,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    lastUsedAt: row.last_used_at,
    replaces: row.replaces,
  };
}
