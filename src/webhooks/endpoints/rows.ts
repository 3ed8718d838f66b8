/** The rows of a user's webhook endpoints inside the foreman object. Verbs over SqlStorage, no rules. */
import type { EndpointId } from '../../platform/ids';
import type { Endpoint } from './types';

export const endpointTables: readonly string[] = [
  'CREATE TABLE webhook_endpoints (id TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID',
];

/** Rows are written by this file only. */
const fromRow = (row: { state: string }) => JSON.parse(row.state) as Endpoint;

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
