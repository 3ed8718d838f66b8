/** The rows of a user's webhook endpoints inside the foreman object. Verbs over SqlStorage, no rules. */
import type { EndpointId } from '../../platform/ids';
import type { Endpoint } from './types';

export const endpointTables: readonly string[] = [
  'CREATE TABLE webhook_endpoints (id TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID',
];

/** Rows are written by this file only. */
function fromRow(row: { state: string }): Endpoint {
  const stored = JSON.parse(row.state) as Endpoint;
  return { ...stored, rotations: stored.rotations ?? rotationsOf(stored.secrets) };
}

/** An earlier version knew the key of the last rotation only. */
function rotationsOf([newest, previous]: Endpoint['secrets']): Endpoint['rotations'] {
  if (!newest || newest.madeBy === null) return [];
  const { madeBy: key, createdAt: at } = newest;
  return [{ key, overlapMs: (previous?.expiresAt ?? at) - at, at }];
}

/** Oldest first. */
export function getList(sql: SqlStorage): Endpoint[] {
  return sql
    .exec<{ state: string }>('SELECT state FROM webhook_endpoints ORDER BY id')
    .toArray()
    .map(fromRow);
}

export function saveOne(sql: SqlStorage, endpoint: Endpoint): void {
  sql.exec(
    `INSERT INTO webhook_endpoints (id, state) VALUES (?, ?)
     ON CONFLICT (id) DO UPDATE SET state = excluded.state`,
    endpoint.id,
    JSON.stringify(endpoint),
  );
}

export function deleteOne(sql: SqlStorage, id: EndpointId): void {
  sql.exec('DELETE FROM webhook_endpoints WHERE id = ?', id);
}
