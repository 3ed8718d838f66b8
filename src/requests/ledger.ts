/**
 * The rows of requests inside the foreman object. Verbs over SqlStorage, no rules. Written rows and
 * index entries are what the platform bills, so an update touches no more columns than it must.
 */
import type { RequestId } from '../platform/ids';
import { type Phase, phaseOf, rankOf } from './queueing';
import { parseState } from './stored';
import type { RequestState, Tombstone } from './types';
import { isTerminal } from './types';

/** Followers, by what they wait for: other requests have no entry in it. */
export const followerTables: readonly string[] = [
  `CREATE INDEX requests_followers ON requests (json_extract(state, '$.reuseKey'), rank, id)
   WHERE phase = 'request'`,
];

/** Those that wait for money, by how much: other requests have no entry in it. */
export const unfundedTables: readonly string[] = [
  `CREATE INDEX requests_unfunded ON requests (json_extract(state, '$.wait.micros'))
   WHERE phase = 'budget'`,
];

export const requestTables: readonly string[] = [
  // live: 1 until the request is terminal. projected_version: what D1 has confirmed, null while D1
  // lacks the current version. state: JSON of a RequestState, or of a Tombstone.
  `CREATE TABLE requests (
    id TEXT PRIMARY KEY,
    phase TEXT NOT NULL,
    live INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    projected_version INTEGER,
    state TEXT NOT NULL
  ) WITHOUT ROWID`,
  'CREATE INDEX requests_due ON requests (due_at)',
  'CREATE INDEX requests_live ON requests (rank, id) WHERE live = 1',
  'CREATE INDEX requests_news ON requests (id) WHERE projected_version IS NULL',
  // Until when a call that was running when the object was constructed is waited for.
  'CREATE TABLE lease_grace (token TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID',
  // The last reminder to the projector, while it has not answered.
  'CREATE TABLE projector_wake (id INTEGER PRIMARY KEY CHECK (id = 1), sent_at INTEGER NOT NULL, sends INTEGER NOT NULL)',
];

export interface LedgerRow {
  readonly phase: Phase;
  readonly rank: number;
  readonly dueAt: number;
  readonly projectedVersion: number | null;
  readonly state: RequestState | Tombstone;
}

interface Row extends Record<string, SqlStorageValue> {
  phase: string;
  rank: number;
  due_at: number;
  projected_version: number | null;
  state: string;
}

function fromRow(row: Row): LedgerRow {
  return {
    phase: row.phase as Phase,
    rank: row.rank,
    dueAt: row.due_at,
    projectedVersion: row.projected_version,
    state: parseState(row.state),
  };
}

const COLUMNS = 'phase, rank, due_at, projected_version, state';

export function getOne(sql: SqlStorage, id: RequestId): LedgerRow | null {
  const [row] = sql.exec<Row>(`SELECT ${COLUMNS} FROM requests WHERE id = ?`, id);
  return row ? fromRow(row) : null;
}

export function createOne(
  sql: SqlStorage,
  input: { readonly state: RequestState; readonly dueAt: number },
): void {
  const { state, dueAt } = input;
  sql.exec(
    `INSERT INTO requests (id, phase, live, rank, due_at, projected_version, state)
     VALUES (?, ?, ?, ?, ?, NULL, ?)`,
    state.id,
    phaseOf(state),
    isTerminal(state) ? 0 : 1,
    rankOf(state),
    dueAt,
    JSON.stringify(state),
  );
}

/** A tombstone for a request that has already left for D1. */
export function createTombstone(
  sql: SqlStorage,
  input: { readonly tombstone: Tombstone; readonly dueAt: number },
): void {
  sql.exec(
    `INSERT INTO requests (id, phase, live, rank, due_at, projected_version, state)
     VALUES (?, 'deleted', 0, 0, ?, NULL, ?)`,
    input.tombstone.id,
    input.dueAt,
    JSON.stringify(input.tombstone),
  );
}

export function updateOne(
  sql: SqlStorage,
  input: {
    readonly before: LedgerRow;
    readonly state: RequestState | Tombstone;
    readonly dueAt: number;
  },
): void {
  const { before, state, dueAt } = input;
  const deleted = state.status === 'deleted';
  const phase = deleted ? 'deleted' : phaseOf(state);
  const live = !deleted && !isTerminal(state);
  const wasLive = before.phase !== 'deleted' && before.phase !== 'finished';
  const sets = ['phase = ?', 'state = ?'];
  const values: SqlStorageValue[] = [phase, JSON.stringify(state)];
  if (dueAt !== before.dueAt) {
    sets.push('due_at = ?');
    values.push(dueAt);
  }
  if (live !== wasLive) {
    sets.push('live = ?');
    values.push(live ? 1 : 0);
  }
  if (state.version !== before.state.version && before.projectedVersion !== null) {
    sets.push('projected_version = NULL');
  }
  sql.exec(`UPDATE requests SET ${sets.join(', ')} WHERE id = ?`, ...values, state.id);
}

export function updateDue(sql: SqlStorage, input: { id: RequestId; dueAt: number }): void {
  sql.exec('UPDATE requests SET due_at = ? WHERE id = ?', input.dueAt, input.id);
}

export function updateRank(sql: SqlStorage, input: { id: RequestId; rank: number }): void {
  sql.exec('UPDATE requests SET rank = ? WHERE id = ?', input.rank, input.id);
}

export function deleteOne(sql: SqlStorage, id: RequestId): void {
  sql.exec('DELETE FROM requests WHERE id = ?', id);
}

/** The live requests that want a slot, best rank first. */
export function getNextForSlot(sql: SqlStorage): LedgerRow | null {
  const [row] = sql.exec<Row>(
    `SELECT ${COLUMNS} FROM requests WHERE live = 1 AND phase = 'slot' ORDER BY rank, id LIMIT 1`,
  );
  return row ? fromRow(row) : null;
}

/** Those that wait for what an equal request comes to, best rank first. */
export function getFollowers(
  sql: SqlStorage,
  input: { readonly reuseKey: string; readonly limit: number },
): LedgerRow[] {
  return sql
    .exec<Row>(
      `SELECT ${COLUMNS} FROM requests
       WHERE phase = 'request' AND json_extract(state, '$.reuseKey') = ?
       ORDER BY rank, id LIMIT ?`,
      input.reuseKey,
      input.limit,
    )
    .toArray()
    .map(fromRow);
}

/** Those that wait for no more money than this, best rank first; null: however much. */
export function getFundable(
  sql: SqlStorage,
  input: { readonly micros: number | null; readonly limit: number },
): LedgerRow[] {
  return sql
    .exec<Row>(
      `SELECT ${COLUMNS} FROM requests
       WHERE phase = 'budget' AND json_extract(state, '$.wait.micros') <= ?
       ORDER BY rank, id LIMIT ?`,
      input.micros ?? Number.MAX_SAFE_INTEGER,
      input.limit,
    )
    .toArray()
    .map(fromRow);
}

const STANDS_BEFORE = '(rank, id) < ((SELECT rank FROM requests WHERE id = ?), ?)';

/** The live requests that neither are called for nor left to a provider; followers of others first. */
export function getIdleIds(sql: SqlStorage, limit: number): RequestId[] {
  return sql
    .exec<{ id: RequestId }>(
      `SELECT id FROM requests WHERE live = 1 AND phase NOT IN ('running', 'remote')
       ORDER BY phase = 'request' DESC, rank, id LIMIT ?`,
      limit,
    )
    .toArray()
    .map(({ id }) => id);
}

/** 1 is next: how many of the user's requests that want or have a release stand before this one. */
export function getPosition(sql: SqlStorage, id: RequestId): number {
  const { count } = sql
    .exec<{ count: number }>(
      `SELECT count(*) AS count FROM requests
       WHERE live = 1 AND phase IN ('slot', 'claim') AND ${STANDS_BEFORE}`,
      id,
      id,
    )
    .one();
  return count + 1;
}

/** How many of the user's requests that neither run nor follow another stand before this one. */
export function getWaitingAhead(sql: SqlStorage, id: RequestId): number {
  return sql
    .exec<{ count: number }>(
      `SELECT count(*) AS count FROM requests
       WHERE live = 1 AND phase IN ('slot', 'claim', 'time') AND ${STANDS_BEFORE}`,
      id,
      id,
    )
    .one().count;
}

export interface LiveRow extends Record<string, SqlStorageValue> {
  readonly phase: Phase;
  readonly id: RequestId;
  readonly token: string | null;
  /** What it holds of the budget: `holdOf` its state. Nothing, when that cannot be read. */
  readonly holdMicros: number;
}

/** All live rows, for a foreman that has just been constructed. */
export function getLive(sql: SqlStorage): LiveRow[] {
  return sql
    .exec<LiveRow>(
      `SELECT phase, id, CASE phase WHEN 'running' THEN json_extract(state, '$.current.token') END
         AS token,
         coalesce(CASE WHEN json_valid(state) THEN json_extract(state,
           CASE WHEN phase IN ('running', 'remote') THEN '$.current.reservedMicros'
           ELSE '$.holdMicros' END) END, 0) AS holdMicros
       FROM requests WHERE live = 1`,
    )
    .toArray();
}

export function getWake(sql: SqlStorage): { sentAt: number; sends: number } | null {
  const [row] = sql.exec<{ sent_at: number; sends: number }>(
    'SELECT sent_at, sends FROM projector_wake',
  );
  return row ? { sentAt: row.sent_at, sends: row.sends } : null;
}

export function saveWake(sql: SqlStorage, wake: { sentAt: number; sends: number }): void {
  sql.exec(
    'INSERT OR REPLACE INTO projector_wake (id, sent_at, sends) VALUES (1, ?, ?)',
    wake.sentAt,
    wake.sends,
  );
}

export function deleteWake(sql: SqlStorage): void {
  sql.exec('DELETE FROM projector_wake');
}

export function getGrace(sql: SqlStorage): Map<string, number> {
  const rows = sql.exec<{ token: string; until: number }>('SELECT token, until FROM lease_grace');
  return new Map([...rows].map(({ token, until }) => [token, until]));
}

export function createGrace(sql: SqlStorage, input: { token: string; until: number }): void {
  sql.exec('INSERT INTO lease_grace (token, until) VALUES (?, ?)', input.token, input.until);
}

export function deleteGrace(sql: SqlStorage, token: string): void {
  sql.exec('DELETE FROM lease_grace WHERE token = ?', token);
}

/** Ids only: a row that cannot be read must not hide the others. */
export function getDueIds(sql: SqlStorage, input: { now: number; limit: number }): RequestId[] {
  return sql
    .exec<{ id: RequestId }>(
      'SELECT id FROM requests WHERE due_at <= ? ORDER BY due_at LIMIT ?',
      input.now,
      input.limit,
    )
    .toArray()
    .map(({ id }) => id);
}

export function getEarliestDue(sql: SqlStorage): number | null {
  return sql.exec<{ due: number | null }>('SELECT min(due_at) AS due FROM requests').one().due;
}

/** Requests whose current version D1 has not confirmed, oldest first. */
export function getNews(sql: SqlStorage, limit: number): LedgerRow[] {
  return sql
    .exec<Row>(
      `SELECT ${COLUMNS} FROM requests WHERE projected_version IS NULL ORDER BY id LIMIT ?`,
      limit,
    )
    .toArray()
    .map(fromRow);
}

export function hasNews(sql: SqlStorage): boolean {
  const rows = sql.exec('SELECT 1 FROM requests WHERE projected_version IS NULL LIMIT 1');
  return rows.toArray().length > 0;
}

/** D1 is to be told again. */
export function markNews(sql: SqlStorage, id: RequestId): void {
  sql.exec('UPDATE requests SET projected_version = NULL WHERE id = ?', id);
}

/** D1 has this version; a newer one stays news. */
export function confirmNews(sql: SqlStorage, input: { id: RequestId; version: number }): void {
  sql.exec(
    `UPDATE requests SET projected_version = ?
     WHERE id = ? AND projected_version IS NULL AND json_extract(state, '$.version') = ?`,
    input.version,
    input.id,
    input.version,
  );
}

/** Drops a request that is past its hot time and whose last version D1 has. */
export function deleteConfirmed(
  sql: SqlStorage,
  input: { id: RequestId; changedBefore: number },
): void {
  sql.exec(
    `DELETE FROM requests WHERE id = ? AND phase = 'finished' AND projected_version IS NOT NULL
     AND coalesce(json_extract(state, '$.revisedAt'), json_extract(state, '$.completedAt')) <= ?`,
    input.id,
    input.changedBefore,
  );
}
