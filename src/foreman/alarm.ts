/**
 * What the foreman does by itself when a time has come. One bounded, synchronous batch; whatever is
 * left over is due again at once.
 */
import { confirmDueAt } from '../platform/backoff';
import type { UserId } from '../platform/ids';
import * as ledger from '../requests/ledger';
import * as lifecycle from '../requests/lifecycle';
import { TOMBSTONE_LIFE_MS } from '../requests/queueing';
import type { RequestState, Tombstone } from '../requests/types';
import { isTerminal } from '../requests/types';
import * as deliveries from '../webhooks/deliveries';
import { sendDelivery } from '../webhooks/delivery';
import { type Desk, deliverMessage, fillSlots, save, wakeProjector } from './desk';
import { loseLease } from './work';

const BATCH = 100;
/** How long a finished request waits again for D1 to confirm it. */
const UNCONFIRMED_MS = 300_000;
const PURGE_RETRY_MS = 60_000;

export function runAlarm(desk: Desk, userId: UserId): void {
  for (const [id, lease] of desk.memory.leases) {
    if (lease.until <= desk.now) loseLease(desk, id);
  }
  for (const row of ledger.getDue(desk.sql, { now: desk.now, limit: BATCH })) attend(desk, row);
  for (const delivery of deliveries.getDue(desk.sql, { now: desk.now, limit: BATCH })) {
    const next = sendDelivery(delivery, desk.now);
    if (next === delivery) continue;
    deliveries.updateOne(desk.sql, next);
    desk.effects.push({ send: 'deliver', message: deliverMessage(next) });
  }
  ledger.deleteExpiredIdempotency(desk.sql, desk.now);
  fillSlots(desk);
  remindProjector(desk, userId);
}

function attend(desk: Desk, row: ledger.LedgerRow): void {
  const { state } = row;
  if (state.status === 'deleted') attendTombstone(desk, row, state);
  else if (isTerminal(state)) handOver(desk, row);
  else save(desk, row, moveOn(state, desk.now));
}

function moveOn(state: RequestState, now: number): RequestState {
  if (now >= state.deadlineAt) return lifecycle.expire(state, now);
  if (state.status !== 'queued') return state;
  return state.wait.for === 'claim' ? lifecycle.resend(state, now) : lifecycle.wake(state, now);
}

/** A finished request leaves when D1 has its last version; from then D1 is its authority. */
function handOver(desk: Desk, row: ledger.LedgerRow): void {
  const { id, version, userId } = row.state;
  if (row.projectedVersion === version) {
    ledger.deleteOne(desk.sql, id);
    return;
  }
  ledger.updateDue(desk.sql, { id, dueAt: desk.now + UNCONFIRMED_MS });
  wakeProjector(desk, userId);
}

function attendTombstone(desk: Desk, row: ledger.LedgerRow, tombstone: Tombstone): void {
  const { id } = tombstone;
  if (!tombstone.purged) {
    desk.effects.push({ purge: id });
    ledger.updateDue(desk.sql, { id, dueAt: desk.now + PURGE_RETRY_MS });
    return;
  }
  const forgetAt = tombstone.deletedAt + TOMBSTONE_LIFE_MS;
  if (desk.now < forgetAt) ledger.updateDue(desk.sql, { id, dueAt: forgetAt });
  else if (row.projectedVersion === tombstone.version) ledger.deleteOne(desk.sql, id);
  else ledger.updateDue(desk.sql, { id, dueAt: desk.now + UNCONFIRMED_MS });
}

/** The stored objects of a deleted request are gone. */
export function confirmPurge(desk: Desk, row: ledger.LedgerRow): void {
  if (row.state.status !== 'deleted' || row.state.purged) return;
  ledger.updateOne(desk.sql, {
    before: row,
    state: { ...row.state, purged: true },
    dueAt: row.state.deletedAt + TOMBSTONE_LIFE_MS,
  });
}

function remindProjector(desk: Desk, userId: UserId): void {
  const { wake } = desk.memory;
  if (!wake || confirmDueAt(wake) > desk.now) return;
  desk.memory.wake = { sentAt: desk.now, sends: wake.sends + 1 };
  desk.effects.push({ send: 'wake', userId });
}
