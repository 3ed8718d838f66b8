/**
 * Rows of what equal requests share: which request makes it, and what came out. They outlive the
 * request's stay in the object, and end with its output. Verbs over SqlStorage, no rules.
 */
import type { JsonObject } from '../platform/json';
import type { RequestId } from './types';

export const reuseTables: readonly string[] = [
  // output: null while the request is live. expires_at: when the output is of no more use.
  `CREATE TABLE reusable (
    key TEXT PRIMARY KEY,
    request_id TEXT NOT NULL,
    output TEXT,
    expires_at INTEGER
  ) WITHOUT ROWID`,
  'CREATE INDEX reusable_expiry ON reusable (expires_at) WHERE expires_at IS NOT NULL',
];

export interface Reusable {
  readonly requestId: RequestId;
  readonly output: JsonObject | null;
  readonly expiresAt: number | null;
}

export function getOne(sql: SqlStorage, key: string): Reusable | null {
  const [row] = sql.exec<{
    request_id: RequestId;
    output: string | null;
    expires_at: number | null;
  }>('SELECT request_id, output, expires_at FROM reusable WHERE key = ?', key);
  if (!row) return null;
  const output = row.output === null ? null : (JSON.parse(row.output) as JsonObject);
  return { requestId: row.request_id, output, expiresAt: row.expires_at };
}

/** The request that makes it from here on; what an earlier one made is forgotten. */
export function saveMaker(sql: SqlStorage, input: { key: string; requestId: RequestId }): void {
  sql.exec(
    'INSERT OR REPLACE INTO reusable (key, request_id, output, expires_at) VALUES (?, ?, NULL, NULL)',
    input.key,
    input.requestId,
  );
}

export function saveOutput(
  sql: SqlStorage,
  input: { key: string; requestId: RequestId; output: JsonObject; expiresAt: number },
): void {
  sql.exec(
    'UPDATE reusable SET output = ?, expires_at = ? WHERE key = ? AND request_id = ?',
    JSON.stringify(input.output),
    input.expiresAt,
    input.key,
    input.requestId,
  );
}

export function deleteOf(sql: SqlStorage, input: { key: string; requestId: RequestId }): void {
  sql.exec('DELETE FROM reusable WHERE key = ? AND request_id = ?', input.key, input.requestId);
}

export function deleteExpired(sql: SqlStorage, now: number): void {
  sql.exec(
    `DELETE FROM reusable WHERE key IN
     (SELECT key FROM reusable WHERE expires_at <= ? LIMIT 1000)`,
    now,
  );
}

export function getEarliestExpiry(sql: SqlStorage): number | null {
  return sql
    .exec<{ due: number | null }>(
      'SELECT min(expires_at) AS due FROM reusable WHERE expires_at IS NOT NULL',
    )
    .one().due;
}
