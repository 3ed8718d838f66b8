/** D1's view of requests: the index for lists and history. Every query is one tenant's. */
import { allOf, type Condition } from '../platform/conditions';
import type { RequestId, UserId } from '../platform/ids';
import { costMicros } from './money';
import { changedAt } from './revising';
import { parseState } from './stored';
import type { RequestState, RequestStatus, Tombstone } from './types';
import { isTerminal } from './types';

export const sortColumns = {
  created_at: 'created_at',
  updated_at: 'updated_at',
  cost_usd: 'cost_micros',
} as const;
export type SortBy = keyof typeof sortColumns;

export interface PageQuery {
  readonly userId: UserId;
  readonly limit: number;
  readonly sortBy: SortBy;
  readonly direction: 'asc' | 'desc';
  /** The sort value and id of the last row of the page before. */
  readonly after: { readonly value: number; readonly id: string } | null;
  readonly status: RequestStatus | null;
  readonly model: string | null;
  readonly createdAfter: number | null;
  readonly createdBefore: number | null;
  readonly updatedAfter: number | null;
  readonly updatedBefore: number | null;
  readonly metadata: readonly { readonly key: string; readonly value: string }[];
}

export interface PageRow {
  readonly state: RequestState;
  readonly sortValue: number;
}

export interface RequestStore {
  getOne(input: { userId: UserId; id: RequestId }): Promise<RequestState | 'deleted' | null>;
  getPage(query: PageQuery): Promise<PageRow[]>;
  getCount(query: PageQuery): Promise<number>;
  /** Some of what D1 shows as live although its deadline was before `before`. */
  getLate(input: { before: number; limit: number }): Promise<{ userId: UserId; id: RequestId }[]>;
  /** @returns how many tombstones were forgotten. */
  deleteTombstones(input: { before: number; limit: number }): Promise<number>;
}

export function createRequestStore(db: D1Database): RequestStore {
  return {
    async getOne({ userId, id }) {
      const row = await db
        .prepare('SELECT status, state FROM requests WHERE id = ? AND user_id = ?')
        .bind(id, userId)
        .first<{ status: string; state: string }>();
      if (!row) return null;
      return row.status === 'deleted' ? 'deleted' : stateOf(row.state);
    },

    async getPage(query) {
      const column = sortColumns[query.sortBy];
      const compare = query.direction === 'asc' ? '>' : '<';
      const { value = null, id = null } = query.after ?? {};
      const { where, values } = allOf([
        ...conditions(query),
        [`(${column}, id) ${compare} (?, ?)`, value, id],
      ]);
      const order = query.direction === 'asc' ? 'ASC' : 'DESC';
      const { results } = await db
        .prepare(
          `SELECT state, ${column} AS sort_value FROM requests WHERE ${where}
           ORDER BY ${column} ${order}, id ${order} LIMIT ?`,
        )
        .bind(...values, query.limit)
        .all<{ state: string; sort_value: number }>();
      return results.map((row) => ({ state: stateOf(row.state), sortValue: row.sort_value }));
    },

    async getCount(query) {
      const { where, values } = allOf(conditions(query));
      const row = await db
        .prepare(`SELECT count(*) AS total FROM requests WHERE ${where}`)
        .bind(...values)
        .first<{ total: number }>();
      return row?.total ?? 0;
    },

    async getLate({ before, limit }) {
      const { results } = await db
        .prepare(
          `SELECT user_id, id FROM requests
           WHERE status IN ('queued', 'running') AND deadline_at < ? ORDER BY random() LIMIT ?`,
        )
        .bind(before, limit)
        .all<{ user_id: UserId; id: RequestId }>();
      return results.map((row) => ({ userId: row.user_id, id: row.id }));
    },

    async deleteTombstones({ before, limit }) {
      const { meta } = await db
        .prepare(
          `DELETE FROM requests WHERE id IN
           (SELECT id FROM requests WHERE status = 'deleted' AND updated_at < ? LIMIT ?)`,
        )
        .bind(before, limit)
        .run();
      return meta.changes;
    },
  };
}

/** For the end of a user, page by page: some of the requests, and tombstones of such. */
export async function getSomeOf(
  db: D1Database,
  { userId, limit }: { readonly userId: UserId; readonly limit: number },
): Promise<{ id: RequestId; isTombstone: boolean }[]> {
  const { results } = await db
    .prepare('SELECT id, status FROM requests WHERE user_id = ? ORDER BY created_at, id LIMIT ?')
    .bind(userId, limit)
    .all<{ id: RequestId; status: string }>();
  return results.map(({ id, status }) => ({ id, isTombstone: status === 'deleted' }));
}

/** Without tombstones, as the user's foreman lets nothing bring them back. */
export function deleteRequestsOf(
  db: D1Database,
  of: { readonly userId: UserId; readonly requestIds: readonly RequestId[] },
): D1PreparedStatement {
  return db
    .prepare('DELETE FROM requests WHERE user_id = ? AND id IN (SELECT value FROM json_each(?))')
    .bind(of.userId, JSON.stringify(of.requestIds));
}

/** Newest version wins, so a statement may run twice and in any order. */
export function upsertStatement(
  db: D1Database,
  state: RequestState | Tombstone,
): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO requests (id, user_id, kind, status, model, created_at, updated_at,
         deadline_at, cost_micros, version, metadata, state)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at,
         cost_micros = excluded.cost_micros, version = excluded.version,
         metadata = excluded.metadata, state = excluded.state
       WHERE excluded.version > requests.version`,
    )
    .bind(...columnsOf(state));
}

function columnsOf(state: RequestState | Tombstone): (string | number)[] {
  const { id, userId, version } = state;
  if (state.status === 'deleted') {
    const { deletedAt } = state;
    return [id, userId, '', 'deleted', '', deletedAt, deletedAt, deletedAt, 0, version, '{}', '{}'];
  }
  return [
    id,
    userId,
    state.kind,
    state.status,
    state.model,
    state.createdAt,
    isTerminal(state) ? changedAt(state) : (state.events.at(-1)?.at ?? state.createdAt),
    state.deadlineAt,
    costMicros(state),
    version,
    JSON.stringify(state.metadata),
    JSON.stringify(state),
  ];
}

/** Those of the list, whichever page of it is asked for. */
const conditions = (query: PageQuery): Condition[] => [
  ['user_id = ?', query.userId],
  ["status <> 'deleted'"],
  ['status = ?', query.status],
  ['model = ?', query.model],
  ['created_at > ?', query.createdAfter],
  ['created_at < ?', query.createdBefore],
  ['updated_at > ?', query.updatedAfter],
  ['updated_at < ?', query.updatedBefore],
  ...query.metadata.map(
    ({ key, value }): Condition => [
      '(SELECT value FROM json_each(metadata) WHERE key = ?) = ?',
      key,
      value,
    ],
  ),
];

/** Written by `upsertStatement` only, and never for a tombstone. */
const stateOf = (text: string) => parseState(text) as RequestState;
