/**
 * Users and keys in D1: the index for lists. Written by the projector only, from what a user's
 * foreman reports; running twice or out of order changes nothing.
 */
import type { AccountNews } from './limits';
import { type Account, DEFAULT_LIMITS, type Limits, type UserId } from './types';

export interface PageKey {
  readonly createdAt: number;
  readonly id: UserId;
}

export interface AccountStore {
  /** Newest first, those after `after`. */
  getUserPage(input: {
    readonly limit: number;
    readonly after: PageKey | null;
  }): Promise<Account[]>;
}

interface UserRow {
  id: UserId;
  name: string;
  external_id: string | null;
  region: Account['region'];
  status: Account['status'];
  limits: string;
  created_at: number;
  version: number;
}

export function createAccountStore(db: D1Database): AccountStore {
  return {
    async getUserPage({ limit, after }) {
      const columns = 'id, name, external_id, region, status, limits, created_at, version';
      const order = 'ORDER BY created_at DESC, id DESC LIMIT ?';
      const statement = after
        ? db
            .prepare(`SELECT ${columns} FROM users WHERE (created_at, id) < (?, ?) ${order}`)
            .bind(after.createdAt, after.id, limit)
        : db.prepare(`SELECT ${columns} FROM users ${order}`).bind(limit);
      const { results } = await statement.all<UserRow>();
      return results.map(fromRow);
    },
  };
}

/**
 * For the projector's batch. The newest version of a user wins. A key has one change in its life,
 * its revocation, which nothing undoes; all keys go in one statement, however many there are.
 */
export function accountStatements(db: D1Database, news: AccountNews): D1PreparedStatement[] {
  const { account, keys } = news;
  const user = db
    .prepare(
      `INSERT INTO users (id, name, external_id, region, status, limits, created_at, version)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET
         name = excluded.name, status = excluded.status, limits = excluded.limits,
         version = excluded.version
       WHERE excluded.version > users.version`,
    )
    .bind(
      account.userId,
      account.name,
      account.externalId,
      account.region,
      account.status,
      JSON.stringify(account.limits),
      account.createdAt,
      account.version,
    );
  if (keys.length === 0) return [user];
  const rows = keys.map((key) => ({
    id: key.id,
    name: key.name,
    scopes: JSON.stringify(key.scopes),
    mac_version: key.macVersion,
    created_at: key.createdAt,
    revoked_at: key.revokedAt,
  }));
  const upsertKeys = db
    .prepare(
      `INSERT INTO api_keys (id, user_id, name, scopes, mac_version, created_at, revoked_at)
       SELECT value ->> 'id', ?, value ->> 'name', value ->> 'scopes', value ->> 'mac_version',
         value ->> 'created_at', value ->> 'revoked_at'
       FROM json_each(?) WHERE true
       ON CONFLICT (id) DO UPDATE SET revoked_at = excluded.revoked_at
       WHERE api_keys.revoked_at IS NULL AND excluded.revoked_at IS NOT NULL`,
    )
    .bind(account.userId, JSON.stringify(rows));
  return [user, upsertKeys];
}

/** Rows are written by `accountStatements` only. */
function fromRow(row: UserRow): Account {
  return {
    userId: row.id,
    name: row.name,
    externalId: row.external_id,
    region: row.region,
    status: row.status,
    limits: { ...DEFAULT_LIMITS, ...(JSON.parse(row.limits) as Partial<Limits>) },
    createdAt: row.created_at,
    version: row.version,
  };
}
