/**
 * What requests have used, in D1: facts per request and provider, written by the projector and summed
 * up here. They hold no content and outlive their request.
 */
import type { RequestId, RequestUsage } from '../../requests/types';
import type { UserId } from '../types';

export const groupings = ['day', 'model', 'provider'] as const;
export type Grouping = (typeof groupings)[number];

export interface UsageQuery {
  readonly userId: UserId;
  /** Of the requests' creation, epoch ms: `from` is in the range, `to` is not. */
  readonly from: number;
  readonly to: number;
  readonly groupBy: Grouping;
  readonly limit: number;
  /** The last group of the page before. */
  readonly after: string | null;
}

export interface UsageGroup {
  /** A day (`2026-11-21`), a model or a provider; `''` when no provider was called. */
  readonly group: string;
  readonly requests: number;
  readonly images: number;
  readonly costMicros: number;
}

export interface UsageStore {
  /** In the order of the groups. */
  getPage(query: UsageQuery): Promise<UsageGroup[]>;
}

/** A request counts once in its day and its model, and with each provider that was called. */
const sums: { readonly [by in Grouping]: { readonly group: string; readonly requests: string } } = {
  day: { group: "date(created_at / 1000, 'unixepoch')", requests: 'sum(requests)' },
  model: { group: 'model', requests: 'sum(requests)' },
  provider: { group: 'provider', requests: 'count(*)' },
};

interface Row {
  name: string;
  requests: number;
  images: number;
  cost_micros: number;
}

export function createUsageStore(db: D1Database): UsageStore {
  return {
    async getPage({ userId, from, to, groupBy, limit, after }) {
      const { group, requests } = sums[groupBy];
      const { results } = await db
        .prepare(
          `SELECT ${group} AS name, ${requests} AS requests, sum(images) AS images,
             sum(cost_micros) AS cost_micros
           FROM usage_facts WHERE user_id = ? AND created_at >= ? AND created_at < ?
             AND (? IS NULL OR ${group} > ?)
           GROUP BY name ORDER BY name LIMIT ?`,
        )
        .bind(userId, from, to, after, after, limit)
        .all<Row>();
      return results.map(fromRow);
    },
  };
}

export interface RequestUse {
  readonly id: RequestId;
  readonly version: number;
  readonly usage: RequestUsage;
}

/**
 * For the projector's batch, of one user. The rows of a request are replaced all at once by those of
 * a newer version, so the statements may run twice and in any order.
 */
export function usageStatements(
  db: D1Database,
  { userId, requests }: { readonly userId: UserId; readonly requests: readonly RequestUse[] },
): D1PreparedStatement[] {
  const versions = Object.fromEntries(requests.map(({ id, version }) => [id, version]));
  const deleteOlder = db
    .prepare(
      `DELETE FROM usage_facts
       WHERE user_id = ?1 AND request_id IN (SELECT key FROM json_each(?2))
         AND version < (SELECT value FROM json_each(?2) WHERE key = usage_facts.request_id)`,
    )
    .bind(userId, JSON.stringify(versions));
  const insert = db
    .prepare(
      `INSERT INTO usage_facts
         (user_id, request_id, provider, model, created_at, requests, images, cost_micros, version)
       SELECT ?1, fact.value ->> 'requestId', fact.value ->> 'provider', fact.value ->> 'model',
         fact.value ->> 'createdAt', fact.value ->> 'requests', fact.value ->> 'units',
         fact.value ->> 'costMicros', fact.value ->> 'version'
       FROM json_each(?2) AS fact
       WHERE NOT EXISTS (
         SELECT 1 FROM usage_facts AS newer
         WHERE newer.user_id = ?1 AND newer.request_id = fact.value ->> 'requestId'
           AND newer.version > fact.value ->> 'version'
       )
       ON CONFLICT DO NOTHING`,
    )
    .bind(userId, JSON.stringify(requests.flatMap(factsOf)));
  return [deleteOlder, insert];
}

/** For the end of a user, page by page: those of up to `limit` requests. */
export function deleteUsageOf(
  db: D1Database,
  { userId, limit }: { readonly userId: UserId; readonly limit: number },
): D1PreparedStatement {
  return db
    .prepare(
      `DELETE FROM usage_facts WHERE user_id = ?1 AND request_id IN
       (SELECT request_id FROM usage_facts WHERE user_id = ?1 LIMIT ?2)`,
    )
    .bind(userId, limit);
}

const NOBODY = { provider: '', units: 0, costMicros: 0 };

function factsOf({ id: requestId, version, usage }: RequestUse) {
  const { model, createdAt } = usage;
  const providers = usage.providers.length > 0 ? usage.providers : [NOBODY];
  return providers.map((use, index) => ({
    ...use,
    ...{ requestId, version, model, createdAt },
    requests: index === 0 ? 1 : 0,
  }));
}

/** Rows are written by `usageStatements` and by the migration that made the table. */
function fromRow(row: Row): UsageGroup {
  return {
    group: row.name,
    requests: row.requests,
    images: row.images,
    costMicros: row.cost_micros,
  };
}
