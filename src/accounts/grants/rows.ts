/** Rows of what the user has agreed with apps, inside the foreman object. No rules. */
import type { AppGrant } from './types';

export const grantTables: readonly string[] = [
  `CREATE TABLE grants (
    id TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    state TEXT NOT NULL
  ) WITHOUT ROWID`,
];

export function saveGrant(sql: SqlStorage, grant: AppGrant): void {
  sql.exec(
    `INSERT INTO grants (id, expires_at, state) VALUES (?, ?, ?)
     ON CONFLICT (id) DO NOTHING`,
    grant.id,
    grant.expiresAt,
    JSON.stringify(grant),
  );
}

export const isOpen = (sql: SqlStorage, id: string): boolean =>
  sql.exec('SELECT 1 FROM grants WHERE id = ?', id).toArray().length > 0;

/** Written by `saveGrant` only. */
export function listGrants(sql: SqlStorage): AppGrant[] {
  return sql
    .exec<{ state: string }>('SELECT state FROM grants')
    .toArray()
    .map(({ state }) => JSON.parse(state) as AppGrant);
}

export function deleteGrant(sql: SqlStorage, id: string): void {
  sql.exec('DELETE FROM grants WHERE id = ?', id);
}

export function deleteExpired(sql: SqlStorage, now: number): void {
  sql.exec('DELETE FROM grants WHERE expires_at <= ?', now);
}
