/**
 * A page of a delivery log, from what D1 has of finished deliveries and what the foreman still
 * holds. Of what both have, the foreman's is the later. Pure.
 */
import type { DeliveryId, EndpointId } from '../../platform/ids';
import type { Delivery, FinishedDelivery } from '../types';

export const deliveryStatuses = ['pending', 'delivered', 'failed', 'skipped'] as const;

export interface LogQuery {
  /** Null: of the URLs that requests name themselves. */
  readonly endpointId: EndpointId | null;
  /** Newest first, from the one behind this. */
  readonly before: DeliveryId | null;
  readonly limit: number;
  readonly status: Delivery['status'] | null;
  readonly type: string | null;
}

/** What the foreman holds, as it is there. */
export interface HeldDeliveries {
  /** The first that fit the query, newest first. */
  readonly page: readonly Delivery[];
  /** Of those that D1 has shown. */
  readonly known: readonly Delivery[];
  /** Behind it there may be more that fit; null: there are not. */
  readonly end: DeliveryId | null;
}

/** Each side brings one more than the page takes, where it has as many. Ids sort by time. */
export function mergePage(
  query: Pick<LogQuery, 'limit' | 'status'>,
  archived: readonly FinishedDelivery[],
  held: HeldDeliveries,
): { readonly items: Delivery[]; readonly next: DeliveryId | null } {
  // Behind the last one of a side that has more, that side is not known.
  const ends = [archived, held.page].flatMap((side) => {
    const last = side.at(-1);
    return last && side.length > query.limit ? [last.id] : [];
  });
  if (held.end !== null) ends.push(held.end);
  const end = ends.sort().at(-1) ?? null;
  const latest = new Map<DeliveryId, Delivery>();
  for (const delivery of [...archived, ...held.page, ...held.known]) {
    latest.set(delivery.id, delivery);
  }
  const items = [...latest.values()]
    .filter(({ id, status }) => (end === null || id >= end) && isAsked(query, status))
    .sort((a, b) => (a.id < b.id ? 1 : -1));
  if (items.length <= query.limit) return { items, next: end };
  const shown = items.slice(0, query.limit);
  return { items: shown, next: shown.at(-1)?.id ?? null };
}

const isAsked = (query: Pick<LogQuery, 'status'>, status: Delivery['status']) =>
  query.status === null || query.status === status;
