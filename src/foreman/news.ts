/**
 * What D1 does not know yet: requests, finished deliveries, the account and its keys. The projector
 * pulls, writes, and confirms what it wrote; a change in between stays news.
 */
import * as accounts from '../accounts/limits';
import type { Account, KeyRecord } from '../accounts/types';
import type { DeliveryId, RequestId, UserId } from '../platform/ids';
import * as ledger from '../requests/ledger';
import type { RequestState, Tombstone } from '../requests/types';
import * as deliveries from '../webhooks/deliveries';
import type { FinishedDelivery } from '../webhooks/types';
import { type Desk, wakeProjector } from './desk';

export interface News {
  readonly requests: readonly (RequestState | Tombstone)[];
  readonly deliveries: readonly FinishedDelivery[];
  readonly account: { readonly account: Account; readonly keys: readonly KeyRecord[] } | null;
}

export interface Confirmation {
  readonly requests: readonly { readonly id: RequestId; readonly version: number }[];
  readonly deliveries: readonly DeliveryId[];
  readonly accountVersion: number | null;
  /** The projector stops here: what is left wants a new wake-up. */
  readonly last: boolean;
}

/** With up to ten statements a request, a page stays well within one D1 batch. */
const PAGE = 25;

export function pullNews(desk: Pick<Desk, 'sql'>): News {
  return {
    requests: ledger.getNews(desk.sql, PAGE).map((row) => row.state),
    deliveries: deliveries.getFinished(desk.sql, PAGE),
    account: accounts.getNews(desk.sql),
  };
}

/** Says whether there is more; if not, the projector has answered its wake-up. */
export function confirmNews(
  desk: Desk,
  confirmation: Confirmation,
  userId: UserId,
): { readonly more: boolean } {
  const completedBefore = desk.now - desk.settings.requestHotMs;
  for (const confirmed of confirmation.requests) {
    ledger.confirmNews(desk.sql, confirmed);
    ledger.deleteConfirmed(desk.sql, { id: confirmed.id, completedBefore });
  }
  for (const id of confirmation.deliveries) deliveries.deleteOne(desk.sql, id);
  if (confirmation.accountVersion !== null) {
    accounts.confirmNews(desk.sql, confirmation.accountVersion);
  }
  const more = hasNews(desk.sql);
  if (!more || confirmation.last) desk.memory.wake = null;
  if (more && confirmation.last) wakeProjector(desk, userId);
  return { more };
}

export function hasNews(sql: SqlStorage): boolean {
  return ledger.hasNews(sql) || deliveries.hasFinished(sql) || accounts.getNews(sql) !== null;
}
