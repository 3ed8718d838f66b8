/**
 * Rows of what equal requests share: which of them makes it, and what that one came to. They outlive
 * the request's stay in the object, and end with its output. Verbs over SqlStorage, no rules.
 */
import type { RequestId, Shared } from './types';

export const reuseTables: readonly string[] = [
  // shared: JSON of a Shared, null while the request is live. expires_at: when an output is of no
  // more use. tell_at: when followers are to be told who do not know of it yet, null for none.
  `CREATE TABLE reusable (
    key TEXT PRIMARY KEY,
    request_id TEXT NOT NULL,
    shared TEXT,
    expires_at INTEGER,
    tell_at INTEGER
  ) WITHOUT ROWID`,
  'CREATE INDEX reusable_expiry ON reusable (expires_at) WHERE expires_at IS NOT NULL',
  'CREATE INDEX reusable_untold ON reusable (tell_at) WHERE tell_at IS NOT NULL',
];

export interface Reusable {
  readonly requestId: RequestId;
  readonly shared: Shared | null;
  readonly expiresAt: number | null;
}

export function getOne(sql: SqlStorage, key: string): Reusable | null {
  const [row] = sql.exec<{
    request_id: RequestId;
    shared: string | null;
    expires_at: number | null;
  }>('SELECT request_id, shared, expires_at FROM reusable WHERE key = ?', key);
  if (!row) return null;
  const shared = row.shared === null ? null : (JSON.parse(row.shared) as Shared);
  return { requestId: row.request_id, shared, expiresAt: row.expires_at };
}

/** The request that makes it from here on; what an earlier one came to is forgotten. */
export function saveMaker(sql: SqlStorage, input: { key: string; requestId: RequestId }): void {
  sql.exec(
    `INSERT OR REPLACE INTO reusable (key, request_id, shared, expires_at, tell_at)
     VALUES (?, ?, NULL, NULL, NULL)`,
    input.key,
    input.requestId,
  );
}

export function saveShared(
  sql: SqlStorage,
  input: { key: string; shared: Shared; expiresAt: number | null },
): void {
  sql.exec(
    'UPDATE reusable SET shared = ?, expires_at = ? WHERE key = ?',
    JSON.stringify(input.shared),
    input.expiresAt,
    input.key,
  );
}

/** `at`: when the followers that are left are told; null when there are none. */
export function updateTelling(sql: SqlStorage, input: { key: string; at: number | null }): void {
  sql.exec(
    'UPDATE reusable SET tell_at = ? WHERE key = ? AND tell_at IS NOT ?',
    input.at,
    input.key,
    input.at,
  );
}

/** The key whose followers have waited longest to be told. */
export function getNextUntold(sql: SqlStorage, now: number): string | null {
  const [row] = sql.exec<{ key: string }>(
    'SELECT key FROM reusable WHERE tell_at <= ? ORDER BY tell_at LIMIT 1',
    now,
  );
  return row?.key ?? null;
}

/** Of those that wait for it, the one whose output is to be kept longest; the first of such. */
export function getLongestKept(sql: SqlStorage, key: string): RequestId | null {
  const [row] = sql.exec<{ id: RequestId }>(
    `SELECT id FROM requests WHERE phase = 'request' AND json_extract(state, '$.reuseKey') = ?
     ORDER BY json_extract(state, '$.retentionMs') DESC, rank, id LIMIT 1`,
    key,
  );
  return row?.id ?? null;
}

export function deleteOne(sql: SqlStorage, key: string): void {
  sql.exec('DELETE FROM reusable WHERE key = ?', key);
}

export function deleteExpired(sql: SqlStorage, now: number): void {
  sql.exec(
    `DELETE FROM reusable WHERE key IN
     (SELECT key FROM reusable WHERE expires_at <= ? LIMIT 1000)`,
    now,
  );
}

export function getEarliestDue(sql: SqlStorage): number | null {
  return sql
    .exec<{ due: number | null }>(
      `SELECT min(due) AS due FROM
       (SELECT min(expires_at) AS due FROM reusable WHERE expires_at IS NOT NULL
        UNION ALL SELECT min(tell_at) FROM reusable WHERE tell_at IS NOT NULL)`,
    )
    .one().due;
}
