/**
 * What D1 does not know yet: requests, finished deliveries, the account and its keys, and what is on
 * record. The projector pulls, writes, and confirms what it wrote; a change in between stays news.
 */
import type { AuditEvent } from '../accounts/audit/event';
import * as audit from '../accounts/audit/rows';
import * as accounts from '../accounts/limits';
import type { Account, KeyRecord } from '../accounts/types';
import { confirmDueAt } from '../platform/backoff';
import type { AuditId, RequestId, UserId } from '../platform/ids';
import * as ledger from '../requests/ledger';
import type { RequestState, Tombstone } from '../requests/types';
import * as deliveries from '../webhooks/deliveries';
import type { FinishedDelivery } from '../webhooks/types';
import type { Desk } from './desk';
import type { Wake } from './memory';
import { wakeProjector } from './waking';

export interface News {
  readonly requests: readonly (RequestState | Tombstone)[];
  readonly deliveries: readonly FinishedDelivery[];
  readonly account: { readonly account: Account; readonly keys: readonly KeyRecord[] } | null;
  readonly audit: readonly AuditEvent[];
}

export interface Confirmation {
  readonly requests: readonly { readonly id: RequestId; readonly version: number }[];
  readonly deliveries: readonly Pick<FinishedDelivery, 'id' | 'finishedAt'>[];
  readonly accountVersion: number | null;
  readonly audit: readonly AuditId[];
  /** The projector stops here: what is left wants a new wake-up. */
  readonly last: boolean;
}

/** At most three statements a request and one a delivery: some 100 a page. */
const PAGE = 25;

/** Of a user who is being deleted D1 is told that, and what is on record: nothing that would stay. */
export function pullNews(desk: Pick<Desk, 'sql' | 'memory'>): News {
  const isLeaving = desk.memory.deletion !== null;
  return {
    requests: isLeaving ? [] : ledger.getNews(desk.sql, PAGE).map((row) => row.state),
    deliveries: isLeaving ? [] : deliveries.getFinished(desk.sql, PAGE),
    account: accounts.getNews(desk.sql),
    audit: audit.getAudit(desk.sql, PAGE),
  };
}

/** Says whether there is more; if not, the projector has answered its wake-up. */
export function confirmNews(
  desk: Desk,
  confirmation: Confirmation,
  userId: UserId,
): { readonly more: boolean } {
  const changedBefore = desk.now - desk.settings.requestHotMs;
  for (const confirmed of confirmation.requests) {
    ledger.confirmNews(desk.sql, confirmed);
    ledger.deleteConfirmed(desk.sql, { id: confirmed.id, changedBefore });
  }
  for (const delivery of confirmation.deliveries) deliveries.deleteOne(desk.sql, delivery);
  if (confirmation.accountVersion !== null) {
    accounts.confirmNews(desk.sql, confirmation.accountVersion);
  }
  for (const id of confirmation.audit) audit.deleteAudit(desk.sql, id);
  const more = hasNews(desk);
  if (!more || confirmation.last) forgetWake(desk);
  if (more && confirmation.last) wakeProjector(desk, userId);
  return { more };
}

/** Whatever a change has put on record is news, so that those who do so need not think of it. */
export function tellOfRecords(desk: Desk): void {
  if (desk.memory.wake) return;
  const [event] = audit.getAudit(desk.sql, 1);
  if (event?.userId) wakeProjector(desk, event.userId);
}

/** D1 may have missed these. */
export function tellAgain(desk: Desk, ids: readonly RequestId[]): void {
  const account = accounts.loadAccount(desk.sql);
  if (!account) return;
  for (const id of ids) ledger.markNews(desk.sql, id);
  wakeProjector(desk, account.userId);
}

/** Due at once, unless reminders were already being sent: then their backoff goes on. */
export function recallWake(sql: SqlStorage): Wake {
  const stored = ledger.getWake(sql);
  return stored ? { ...stored, stored: true } : { sentAt: 0, sends: 0, stored: false };
}

/** The projector has not answered: it is woken once more, and a row says when that was. */
export function remindProjector(desk: Desk, userId: UserId): void {
  const { wake } = desk.memory;
  if (!wake || confirmDueAt(wake) > desk.now) return;
  const next = { sentAt: desk.now, sends: wake.sends + 1 };
  ledger.saveWake(desk.sql, next);
  desk.memory.wake = { ...next, stored: true };
  desk.effects.push({ send: 'wake', userId });
}

function forgetWake(desk: Desk): void {
  if (desk.memory.wake?.stored) ledger.deleteWake(desk.sql);
  desk.memory.wake = null;
}

export function hasNews({ sql, memory }: Pick<Desk, 'sql' | 'memory'>): boolean {
  const isLeaving = memory.deletion !== null;
  return (
    (!isLeaving && (ledger.hasNews(sql) || deliveries.hasFinished(sql))) ||
    audit.hasAudit(sql) ||
    accounts.getNews(sql) !== null
  );
}
