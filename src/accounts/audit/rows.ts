/**
 * Audit events inside the foreman object, on their way to D1: written in the transaction of what they
 * tell of, dropped once D1 has them.
 */
import type { AuditId } from '../../platform/ids';
import type { AuditEvent } from './event';

export const auditTables: readonly string[] = [
  'CREATE TABLE audit_events (id TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID',
];

export function createAudit(sql: SqlStorage, event: AuditEvent): void {
  sql.exec('INSERT INTO audit_events (id, state) VALUES (?, ?)', event.id, JSON.stringify(event));
}

/** Oldest first. */
export function getAudit(sql: SqlStorage, limit: number): AuditEvent[] {
  return sql
    .exec<{ state: string }>('SELECT state FROM audit_events ORDER BY id LIMIT ?', limit)
    .toArray()
    .map(({ state }) => JSON.parse(state) as AuditEvent);
}

export function hasAudit(sql: SqlStorage): boolean {
  return sql.exec('SELECT 1 FROM audit_events LIMIT 1').toArray().length > 0;
}

export function deleteAudit(sql: SqlStorage, id: AuditId): void {
  sql.exec('DELETE FROM audit_events WHERE id = ?', id);
}
