/** D1's log of finished deliveries, as it is paged, replayed and swept. */
import { allOf, type Condition } from '../../platform/conditions';
import {
  cellOf,
  type DeliveryId,
  type EndpointId,
  firstIdAt,
  type UserId,
} from '../../platform/ids';
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
    getPage: ({ before, limit, status, type, ...log }) => {
      const { where, values } = allOf([
        ...ofLog(log),
        ['id < ?', before],
        ['status = ?', status],
        ['type = ?', type],
      ]);
      return rowsOf(
        db
          .prepare(`SELECT * FROM webhook_deliveries WHERE ${where} ORDER BY id DESC LIMIT ?`)
          .bind(...values, limit),
      );
    },

    async getOne({ id, ...log }) {
      const { where, values } = allOf([...ofLog(log), ['id = ?', id]]);
      const asked = db.prepare(`SELECT * FROM webhook_deliveries WHERE ${where}`);
      const [delivery] = await rowsOf(asked.bind(...values));
      return delivery ?? null;
    },

    getRange: ({ from, to, after, statuses, limit, except, ...log }) => {
      const cell = cellOf(log.userId);
      const { where, values } = allOf([
        ...ofLog(log),
        ['id > ?', after],
        // An id has its creation's time in it, so that a range costs what is in it.
        ['id >= ?', firstIdAt('dlv', from, cell)],
        ['id < ?', firstIdAt('dlv', to, cell)],
        ['type <> ?', except],
        ['status IN (SELECT value FROM json_each(?))', JSON.stringify(statuses)],
      ]);
      return rowsOf(
        db
          .prepare(`SELECT * FROM webhook_deliveries WHERE ${where} ORDER BY id LIMIT ?`)
          .bind(...values, limit),
      );
    },

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

const ofLog = ({ userId, endpointId }: Log): Condition[] => [
  ['user_id = ?', userId],
  endpointId === null ? ['endpoint_id IS NULL'] : ['endpoint_id = ?', endpointId],
];
