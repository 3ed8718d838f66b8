/**
 * The rows of requests inside the foreman object, as the deletion of their user goes over them. By
 * id, as a row that cannot be read is to go, too. Verbs over SqlStorage, no rules.
 */
import type { RequestId } from './types';

export function getLiveIds(sql: SqlStorage, limit: number): RequestId[] {
  return idsOf(
    sql.exec<{ id: RequestId }>('SELECT id FROM requests WHERE live = 1 LIMIT ?', limit),
  );
}

export function hasLive(sql: SqlStorage): boolean {
  return getLiveIds(sql, 1).length > 0;
}

/** A live request that cannot be ended is taken for ended. */
export function setAside(sql: SqlStorage, id: RequestId): void {
  sql.exec("UPDATE requests SET live = 0, phase = 'finished' WHERE id = ?", id);
}

/** Ended requests and tombstones, in the order of their ids. */
export function getEndedIds(sql: SqlStorage, limit: number): RequestId[] {
  return idsOf(
    sql.exec<{ id: RequestId }>(
      'SELECT id FROM requests WHERE live = 0 ORDER BY id LIMIT ?',
      limit,
    ),
  );
}

/** @returns how many of them were more than tombstones. */
export function deleteMany(sql: SqlStorage, ids: readonly RequestId[]): number {
  const deleted = sql.exec<{ phase: string }>(
    `DELETE FROM requests WHERE live = 0 AND id IN (SELECT value FROM json_each(?))
     RETURNING phase`,
    JSON.stringify(ids),
  );
  return deleted.toArray().filter(({ phase }) => phase !== 'deleted').length;
}

const idsOf = (rows: Iterable<{ id: RequestId }>) => [...rows].map(({ id }) => id);
