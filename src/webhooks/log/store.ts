/** D1's log of finished deliveries, as it is paged, replayed and swept. */
import type { DeliveryId, EndpointId, UserId } from '../../platform/ids';
import { type DeliveryRow, fromRow } from '../store';
import type { FinishedDelivery } from '../types';
import type { LogQuery } from './page';

/** Deliveries to one endpoint, or, with null, to the URLs that requests name themselves. */
interface Log {
  readonly userId: UserId;
  readonly endpointId: EndpointId | null;
}

export interface DeliveryLogStore {
  /** Newest first. */
  getPage(query: LogQuery & Pick<Log, 'userId'>): Promise<FinishedDelivery[]>;
  getOne(of: Log & { readonly id: DeliveryId }): Promise<FinishedDelivery | null>;
  /** Created from `from` until before `to`, pings aside; oldest first, behind `after`. */
  getRange(range: LogRange): Promise<FinishedDelivery[]>;
  /** @returns how many there were. */
  deleteOld(input: { before: number; limit: number }): Promise<number>;
}

export interface LogRange extends Log {
  /** Epoch ms. */
  readonly from: number;
  readonly to: number;
  readonly after: DeliveryId | null;
  readonly statuses: readonly FinishedDelivery['status'][];
  readonly limit: number;
  /** A type that is left out. */
  readonly except: string;
}

export function createDeliveryLogStore(db: D1Database): DeliveryLogStore {
  const rowsOf = async (statement: D1PreparedStatement) => {
    const { results } = await statement.all<DeliveryRow>();
    return results.map(fromRow);
  };
  return {
    getPage: ({ userId, endpointId, before, limit, status, type }) =>
      rowsOf(
        db
          .prepare(
            `SELECT * FROM webhook_deliveries
             WHERE user_id = ?1 AND endpoint_id IS ?2 AND (?3 IS NULL OR id < ?3)
               AND (?4 IS NULL OR status = ?4) AND (?5 IS NULL OR type = ?5)
             ORDER BY id DESC LIMIT ?6`,
          )
          .bind(userId, endpointId, before, status, type, limit),
      ),

    async getOne({ userId, endpointId, id }) {
      const [delivery] = await rowsOf(
        db
          .prepare(
            'SELECT * FROM webhook_deliveries WHERE id = ? AND user_id = ? AND endpoint_id IS ?',
          )
          .bind(id, userId, endpointId),
      );
      return delivery ?? null;
    },

    getRange: ({ userId, endpointId, from, to, after, statuses, limit, except }) =>
      rowsOf(
        db
          .prepare(
            `SELECT * FROM webhook_deliveries
             WHERE user_id = ?1 AND endpoint_id IS ?2 AND (?3 IS NULL OR id > ?3)
               AND created_at >= ?4 AND created_at < ?5 AND type <> ?6
               AND status IN (SELECT value FROM json_each(?7))
             ORDER BY id LIMIT ?8`,
          )
          .bind(userId, endpointId, after, from, to, except, JSON.stringify(statuses), limit),
      ),

    async deleteOld({ before, limit }) {
      const { meta } = await db
        .prepare(
          `DELETE FROM webhook_deliveries WHERE id IN
           (SELECT id FROM webhook_deliveries WHERE finished_at < ? LIMIT ?)`,
        )
        .bind(before, limit)
        .run();
      return meta.changes;
    },
  };
}
