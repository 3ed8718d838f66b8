/** Dead letters in D1. What an operator does with one and the record of it are one batch. */

import type { AuditEvent } from '../accounts/audit/event';
import { auditStatement } from '../accounts/audit/store';
import { allOf } from '../platform/conditions';
import type { Json } from '../platform/json';
import type { DeadLetter, LetterId, LetterType } from './dead-letters';
import type { RequestId, UserId } from './types';

export interface LetterPageQuery {
  readonly limit: number;
  /** The last letter of the page before. */
  readonly after: Pick<DeadLetter, 'createdAt' | 'id'> | null;
  readonly type: LetterType | null;
  readonly userId: string | null;
}

export interface DeadLetterStore {
  createOne(letter: DeadLetter): Promise<void>;
  getOne(id: LetterId): Promise<DeadLetter | null>;
  /** Newest first. */
  getPage(query: LetterPageQuery): Promise<DeadLetter[]>;
  /** The first replay is the one that is remembered; null when the letter is gone. */
  updateReplayed(input: {
    readonly id: LetterId;
    readonly at: number;
    readonly as: RequestId | null;
    readonly event: AuditEvent;
  }): Promise<DeadLetter | null>;
  /** Says whether there was one. */
  deleteOne(input: { readonly id: LetterId; readonly event: AuditEvent }): Promise<boolean>;
  /** @returns how many letters were removed. */
  deleteOld(input: { readonly before: number; readonly limit: number }): Promise<number>;
}

interface Row {
  id: LetterId;
  type: LetterType;
  queue: string;
  body: string;
  reason: string;
  user_id: UserId | null;
  request_id: RequestId | null;
  correlation_id: string | null;
  created_at: number;
  replayed_at: number | null;
  replayed_as: RequestId | null;
}

const COLUMNS =
  'id, type, queue, body, reason, user_id, request_id, correlation_id, created_at, replayed_at, replayed_as';

export function createDeadLetterStore(db: D1Database): DeadLetterStore {
  return {
    async createOne(letter) {
      await db
        .prepare(`INSERT INTO dead_letters (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
        .bind(
          letter.id,
          letter.type,
          letter.queue,
          JSON.stringify(letter.message),
          letter.reason,
          letter.userId,
          letter.requestId,
          letter.correlationId,
          letter.createdAt,
          letter.replayedAt,
          letter.replayedAs,
        )
        .run();
    },

    async getOne(id) {
      const row = await db
        .prepare(`SELECT ${COLUMNS} FROM dead_letters WHERE id = ?`)
        .bind(id)
        .first<Row>();
      return row && fromRow(row);
    },

    async getPage(query) {
      const { where, values } = conditions(query);
      const { results } = await db
        .prepare(
          `SELECT ${COLUMNS} FROM dead_letters WHERE ${where}
           ORDER BY created_at DESC, id DESC LIMIT ?`,
        )
        .bind(...values, query.limit)
        .all<Row>();
      return results.map(fromRow);
    },

    async updateReplayed({ id, at, as, event }) {
      const first = 'EXISTS (SELECT 1 FROM dead_letters WHERE id = ? AND replayed_at IS NULL)';
      const update = db
        .prepare(
          `UPDATE dead_letters
           SET replayed_as = CASE WHEN replayed_at IS NULL THEN ? ELSE replayed_as END,
             replayed_at = coalesce(replayed_at, ?)
           WHERE id = ? RETURNING ${COLUMNS}`,
        )
        .bind(as, at, id);
      const record = auditStatement(db, [event], { sql: first, values: [id] });
      const [, updated] = await db.batch<Row>([record, update]);
      const [row] = updated?.results ?? [];
      return row ? fromRow(row) : null;
    },

    async deleteOne({ id, event }) {
      const exists = 'EXISTS (SELECT 1 FROM dead_letters WHERE id = ?)';
      const record = auditStatement(db, [event], { sql: exists, values: [id] });
      const remove = db.prepare('DELETE FROM dead_letters WHERE id = ? RETURNING id').bind(id);
      const [, removed] = await db.batch([record, remove]);
      return (removed?.results.length ?? 0) > 0;
    },

    async deleteOld({ before, limit }) {
      const { meta } = await db
        .prepare(
          `DELETE FROM dead_letters WHERE id IN
           (SELECT id FROM dead_letters WHERE created_at < ? LIMIT ?)`,
        )
        .bind(before, limit)
        .run();
      return meta.changes;
    },
  };
}

/** For the end of a user, page by page. */
export function deleteLettersOf(
  db: D1Database,
  { userId, limit }: { readonly userId: UserId; readonly limit: number },
): D1PreparedStatement {
  return db
    .prepare(
      'DELETE FROM dead_letters WHERE id IN (SELECT id FROM dead_letters WHERE user_id = ? LIMIT ?)',
    )
    .bind(userId, limit);
}

const conditions = ({ after, type, userId }: LetterPageQuery) =>
  allOf([
    ['true'],
    ['type = ?', type],
    ['user_id = ?', userId],
    ['(created_at, id) < (?, ?)', after?.createdAt ?? null, after?.id ?? null],
  ]);

/** Written by this store; rows of an earlier version may hold a message that was cut off. */
function fromRow(row: Row): DeadLetter {
  return {
    id: row.id,
    type: row.type,
    queue: row.queue,
    message: messageOf(row.body),
    reason: row.reason,
    userId: row.user_id,
    requestId: row.request_id,
    correlationId: row.correlation_id,
    createdAt: row.created_at,
    replayedAt: row.replayed_at,
    replayedAs: row.replayed_as,
  };
}

function messageOf(body: string): Json {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}
