/**
 * Audit events in D1, to which they are only ever added. Those of a foreman come with its news; what
 * no foreman has a part in writes its event in the batch of the change.
 */
import { allOf } from '../../platform/conditions';
import type { AuditId, UserId } from '../../platform/ids';
import type { JsonObject } from '../../platform/json';
import type { Actor } from '../types';
import type { AuditAction, AuditEvent } from './event';

export interface AuditQuery {
  readonly limit: number;
  /** The last event of the page before. */
  readonly after: Pick<AuditEvent, 'at' | 'id'> | null;
  readonly userId: string | null;
  readonly action: AuditAction | null;
  readonly actorId: string | null;
  readonly target: string | null;
  readonly createdAfter: number | null;
  readonly createdBefore: number | null;
}

export interface AuditStore {
  /** One that is there stays as it is. */
  createOne(event: AuditEvent): Promise<void>;
  /** Newest first. */
  getPage(query: AuditQuery): Promise<AuditEvent[]>;
}

interface Row {
  id: AuditId;
  at: number;
  action: AuditAction;
  actor_type: Actor['type'];
  actor_id: string | null;
  address: string | null;
  correlation_id: string;
  user_id: UserId | null;
  target: string | null;
  details: string;
}

const COLUMNS =
  'id, at, action, actor_type, actor_id, address, correlation_id, user_id, target, details';

export function createAuditStore(db: D1Database): AuditStore {
  return {
    async createOne(event) {
      await auditStatement(db, [event]).run();
    },

    async getPage(query) {
      const { where, values } = conditions(query);
      const { results } = await db
        .prepare(
          `SELECT ${COLUMNS} FROM audit_events WHERE ${where}
           ORDER BY at DESC, id DESC LIMIT ?`,
        )
        .bind(...values, query.limit)
        .all<Row>();
      return results.map(fromRow);
    },
  };
}

/** A condition on what the same batch changes, in SQL. */
export interface OnlyIf {
  readonly sql: string;
  readonly values: readonly (string | number)[];
}

/** For a batch. An event that is told twice is stored once. */
export function auditStatement(
  db: D1Database,
  events: readonly AuditEvent[],
  onlyIf: OnlyIf = { sql: 'true', values: [] },
): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO audit_events (${COLUMNS})
       SELECT event.value ->> 'id', event.value ->> 'at', event.value ->> 'action',
         event.value ->> '$.actor.type', event.value ->> '$.actor.id', event.value ->> 'address',
         event.value ->> 'correlationId', event.value ->> 'userId', event.value ->> 'target',
         event.value -> 'details'
       FROM json_each(?) AS event WHERE ${onlyIf.sql}
       ON CONFLICT (id) DO NOTHING`,
    )
    .bind(JSON.stringify(events), ...onlyIf.values);
}

const conditions = ({ after, ...query }: AuditQuery) =>
  allOf([
    ['true'],
    ['user_id = ?', query.userId],
    ['action = ?', query.action],
    ['actor_id = ?', query.actorId],
    ['target = ?', query.target],
    ['at > ?', query.createdAfter],
    ['at < ?', query.createdBefore],
    ['(at, id) < (?, ?)', after?.at ?? null, after?.id ?? null],
  ]);

/** Rows are written by `auditStatement` only. */
function fromRow(row: Row): AuditEvent {
  return {
    id: row.id,
    at: row.at,
    action: row.action,
    actor: { type: row.actor_type, id: row.actor_id } as Actor,
    address: row.address,
    correlationId: row.correlation_id,
    userId: row.user_id,
    target: row.target,
    details: JSON.parse(row.details) as JsonObject,
  };
}
