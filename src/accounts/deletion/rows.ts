/** The row of the deletion of a user inside the foreman object: the last that is left of it. */
import type { Deletion } from './progress';

export const deletionTables: readonly string[] = [
  'CREATE TABLE deletion (id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL)',
];

/** Written by `saveDeletion` only. */
export function loadDeletion(sql: SqlStorage): Deletion | null {
  const [row] = sql.exec<{ state: string }>('SELECT state FROM deletion WHERE id = 1');
  return row ? (JSON.parse(row.state) as Deletion) : null;
}

export function saveDeletion(sql: SqlStorage, deletion: Deletion): void {
  sql.exec(
    `INSERT INTO deletion (id, state) VALUES (1, ?)
     ON CONFLICT (id) DO UPDATE SET state = excluded.state`,
    JSON.stringify(deletion),
  );
}
