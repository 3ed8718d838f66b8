/**
 * Rows of provider jobs whose request wants them no more: each is canceled at its provider, and
 * kept until that is done or no longer worth trying. Verbs over SqlStorage, no rules.
 */
import type { JsonObject } from '../platform/json';
import type { RequestId } from './types';

export const abandonedTables: readonly string[] = [
  `CREATE TABLE abandoned_jobs (
    token TEXT PRIMARY KEY,
    request_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    handle TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    sends INTEGER NOT NULL,
    due_at INTEGER NOT NULL
  ) WITHOUT ROWID`,
  'CREATE INDEX abandoned_due ON abandoned_jobs (due_at)',
];

export interface AbandonedJob {
  /** Of the attempt that the job was for. */
  readonly token: string;
  readonly requestId: RequestId;
  /** Number of that attempt. */
  readonly attempt: number;
  readonly provider: string;
  readonly model: string;
  readonly handle: JsonObject;
  readonly correlationId: string;
  readonly sentAt: number;
  readonly sends: number;
}

interface Row extends Record<string, SqlStorageValue> {
  token: string;
  request_id: RequestId;
  attempt: number;
  provider: string;
  model: string;
  handle: string;
  correlation_id: string;
  sent_at: number;
  sends: number;
}

const fromRow = (row: Row): AbandonedJob => ({
  token: row.token,
  requestId: row.request_id,
  attempt: row.attempt,
  provider: row.provider,
  model: row.model,
  handle: JSON.parse(row.handle) as JsonObject,
  correlationId: row.correlation_id,
  sentAt: row.sent_at,
  sends: row.sends,
});

const COLUMNS =
  'token, request_id, attempt, provider, model, handle, correlation_id, sent_at, sends';

/** Says whether it was new. */
export function createOne(sql: SqlStorage, input: AbandonedJob & { readonly dueAt: number }) {
  const { rowsWritten } = sql.exec(
    `INSERT INTO abandoned_jobs (${COLUMNS}, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (token) DO NOTHING`,
    input.token,
    input.requestId,
    input.attempt,
    input.provider,
    input.model,
    JSON.stringify(input.handle),
    input.correlationId,
    input.sentAt,
    input.sends,
    input.dueAt,
  );
  return rowsWritten > 0;
}

export function getOne(sql: SqlStorage, token: string): AbandonedJob | null {
  const [row] = sql.exec<Row>(`SELECT ${COLUMNS} FROM abandoned_jobs WHERE token = ?`, token);
  return row ? fromRow(row) : null;
}

export function getDue(
  sql: SqlStorage,
  input: { readonly now: number; readonly limit: number },
): AbandonedJob[] {
  return sql
    .exec<Row>(
      `SELECT ${COLUMNS} FROM abandoned_jobs WHERE due_at <= ? LIMIT ?`,
      input.now,
      input.limit,
    )
    .toArray()
    .map(fromRow);
}

export function getEarliestDue(sql: SqlStorage): number | null {
  return sql.exec<{ due: number | null }>('SELECT min(due_at) AS due FROM abandoned_jobs').one()
    .due;
}

export function updateSent(
  sql: SqlStorage,
  input: Pick<AbandonedJob, 'token' | 'sentAt' | 'sends'> & { readonly dueAt: number },
): void {
  sql.exec(
    'UPDATE abandoned_jobs SET sent_at = ?, sends = ?, due_at = ? WHERE token = ?',
    input.sentAt,
    input.sends,
    input.dueAt,
    input.token,
  );
}

export function deleteOne(sql: SqlStorage, token: string): void {
  sql.exec('DELETE FROM abandoned_jobs WHERE token = ?', token);
}
