/** The rows of idempotency keys inside the foreman object, and what each stands for. */
import type { RequestId } from '../platform/ids';

export const idempotencyTables: readonly string[] = [
  `CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    request_id TEXT NOT NULL,
    expires_at INTEGER
  ) WITHOUT ROWID`,
  'CREATE INDEX idempotency_expiry ON idempotency (expires_at) WHERE expires_at IS NOT NULL',
];

export interface IdempotencyRecord {
  readonly fingerprint: string;
  readonly requestId: RequestId;
}

export function getOne(sql: SqlStorage, key: string): IdempotencyRecord | null {
  const [row] = sql.exec<{ fingerprint: string; request_id: RequestId }>(
    'SELECT fingerprint, request_id FROM idempotency WHERE key = ?',
    key,
  );
  return row ? { fingerprint: row.fingerprint, requestId: row.request_id } : null;
}

/** A key that stood for another request stands for this one from now on. */
export function putOne(sql: SqlStorage, input: IdempotencyRecord & { readonly key: string }): void {
  sql.exec(
    'INSERT OR REPLACE INTO idempotency (key, fingerprint, request_id) VALUES (?, ?, ?)',
    input.key,
    input.fingerprint,
    input.requestId,
  );
}

/** The clock of a record starts when its request is terminal. */
export function expire(
  sql: SqlStorage,
  input: Pick<IdempotencyRecord, 'requestId'> & { readonly key: string; readonly at: number },
): void {
  sql.exec(
    'UPDATE idempotency SET expires_at = ? WHERE key = ? AND request_id = ?',
    input.at,
    input.key,
    input.requestId,
  );
}

export function deleteExpired(sql: SqlStorage, now: number): void {
  sql.exec(
    `DELETE FROM idempotency WHERE key IN
     (SELECT key FROM idempotency WHERE expires_at <= ? LIMIT 1000)`,
    now,
  );
}

export function getEarliestExpiry(sql: SqlStorage): number | null {
  return sql
    .exec<{ due: number | null }>(
      'SELECT min(expires_at) AS due FROM idempotency WHERE expires_at IS NOT NULL',
    )
    .one().due;
}
