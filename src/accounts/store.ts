/**
 * Users in D1: the index for lists. Written by the projector only, from what a user's
 * foreman reports; running twice or out of order changes nothing.
 */
import { keyStatements } from './keys/store';
import type { AccountNews } from './limits';
import {
  type Account,
  type AccountStatus,
  DEFAULT_LIMITS,
  type Limits,
  type UserId,
} from './types';

export interface PageKey {
  readonly createdAt: number;
  readonly id: UserId;
}

/** What is undefined lets every user through. */
export interface UserFilter {
  readonly externalId?: string | undefined;
  readonly status?: AccountStatus | undefined;
}

export interface AccountStore {
  /** Newest first, those after `after`. */
  getUserPage(
    input: UserFilter & { readonly limit: number; readonly after: PageKey | null },
  ): Promise<Account[]>;
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
    async getUserPage({ limit, after, externalId, status }) {
      const wanted: [condition: string, values: (string | number)[]][] = [];
      if (externalId !== undefined) wanted.push(['external_id = ?', [externalId]]);
      if (status !== undefined) wanted.push(['status = ?', [status]]);
      if (after) wanted.push(['(created_at, id) < (?, ?)', [after.createdAt, after.id]]);
      const where = wanted.map(([condition]) => condition).join(' AND ');
      const { results } = await db
        .prepare(
          `SELECT id, name, external_id, region, status, limits, created_at, version FROM users
           ${where && `WHERE ${where}`} ORDER BY created_at DESC, id DESC LIMIT ?`,
        )
        .bind(...wanted.flatMap(([, values]) => values), limit)
        .all<UserRow>();
      return results.map(fromRow);
    },
  };
}

/** For the projector's batch. The newest version of a user wins. */
export function accountStatements(db: D1Database, news: AccountNews): D1PreparedStatement[] {
  const { account } = news;
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
  return [user, ...keyStatements(db, news)];
}

/** For the end of a user, behind everything else. */
export function deleteUserStatement(db: D1Database, userId: UserId): D1PreparedStatement {
  return db.prepare('DELETE FROM users WHERE id = ?').bind(userId);
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
