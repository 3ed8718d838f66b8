/**
 * What the foreman does by itself when a time has come. One bounded, synchronous batch; whatever is
 * left over is due again at once.
 */
import type { RequestId, UserId } from '../platform/ids';
import * as idempotency from '../requests/idempotency-rows';
import * as ledger from '../requests/ledger';
import * as lifecycle from '../requests/lifecycle';
import { waitOn } from '../requests/money';
import { phaseOf, TOMBSTONE_LIFE_MS } from '../requests/queueing';
import { recheck } from '../requests/remote-job';
import * as reusable from '../requests/reuse';
import type { RequestState, Tombstone } from '../requests/types';
import { isTerminal } from '../requests/types';
import * as deliveries from '../webhooks/deliveries';
import { resendAbandoned } from './abandoning';
import { budgetOf } from './budget';
import { type Desk, fillSlots, save } from './desk';
import { fillLanes } from './lanes';
import { remindProjector } from './news';
import { endLost } from './outliving';
import { attendDelivery } from './posting';
import { tellFollowers } from './reusing';
import { endIdle } from './suspending';
import { endMoreDeliveries } from './telling';
import { wakeProjector } from './waking';
import { loseLease } from './work';

const BATCH = 100;
/** How long a finished request waits again for D1 to confirm it. */
const UNCONFIRMED_MS = 300_000;
const PURGE_RETRY_MS = 60_000;
/** How long a row is left alone that could not be attended to. */
const FAULT_RETRY_MS = 60_000;

/**
 * Runs one piece of the batch so that it can fail alone: what it wrote is rolled back. Says whether
 * it went through.
 */
export type Isolate = (work: () => void) => boolean;

/** A row that nothing can be done about must not keep the others from being attended to. */
export function runAlarm(desk: Desk, userId: UserId, isolate: Isolate): void {
  const { sql, now } = desk;
  const lost = [...desk.memory.leases].filter(([, lease]) => lease.until <= now).slice(0, BATCH);
  for (const [id, lease] of lost) {
    if (!isolate(() => loseLease(desk, id))) {
      desk.memory.leases.set(id, { ...lease, until: now + FAULT_RETRY_MS });
    }
  }
  endLost(desk.memory, now);
  endIdle(desk, isolate);
  for (const id of ledger.getDueIds(sql, { now, limit: BATCH })) {
    if (isolate(() => attend(desk, id))) continue;
    ledger.updateDue(sql, { id, dueAt: now + FAULT_RETRY_MS });
  }
  for (const id of deliveries.getDueIds(sql, { now, limit: BATCH })) {
    if (isolate(() => attendDelivery(desk, id))) continue;
    deliveries.updateDue(sql, { id, dueAt: now + FAULT_RETRY_MS });
  }
  // One that cannot be ended is left to its own time.
  if (!isolate(() => endMoreDeliveries(desk))) desk.memory.ending.clear();
  isolate(() => fillLanes(desk));
  idempotency.deleteExpired(sql, now);
  reusable.deleteExpired(sql, now);
  attendFollowers(desk, isolate);
  isolate(() => resendAbandoned(desk, userId, BATCH));
  isolate(() => fillSlots(desk));
  remindProjector(desk, userId);
}

function attend(desk: Desk, id: RequestId): void {
  const row = ledger.getOne(desk.sql, id);
  if (!row) return;
  const { state } = row;
  if (state.status === 'deleted') attendTombstone(desk, row, state);
  else if (isTerminal(state)) handOver(desk, row);
  else save(desk, row, moveOn(desk, state));
}

function attendFollowers(desk: Desk, isolate: Isolate): void {
  const reuseKey = reusable.getNextUntold(desk.sql, desk.now);
  if (reuseKey === null) return;
  if (isolate(() => tellFollowers(desk, reuseKey, (row, next) => save(desk, row, next)))) return;
  reusable.updateTelling(desk.sql, { key: reuseKey, at: desk.now + FAULT_RETRY_MS });
}

function moveOn(desk: Desk, state: RequestState): RequestState {
  const { now } = desk;
  if (now >= state.deadlineAt) return lifecycle.expire(state, now);
  // Whom the new month's money pays for is not for each to see by itself.
  if (phaseOf(state) === 'budget') return waitOn(state, budgetOf(desk, state, []).renewsAt);
  const isSent = phaseOf(state) === 'remote' ? isJobSent(state) : phaseOf(state) === 'claim';
  if (isSent) return lifecycle.resend(state, now);
  return state.status === 'running' ? recheck(state, now) : lifecycle.wake(state, now);
}

const isJobSent = (state: RequestState) =>
  state.status === 'running' && state.current.job?.wait.for === 'claim';

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
  else if (row.projectedVersion === tombstone.version) {
    // Once more, for what a call that was running at the deletion may have stored after it.
    desk.effects.push({ purge: id });
    ledger.deleteOne(desk.sql, id);
  } else ledger.updateDue(desk.sql, { id, dueAt: desk.now + UNCONFIRMED_MS });
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
