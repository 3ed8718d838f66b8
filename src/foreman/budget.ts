/**
 * The money of one user, kept in step with what the user's requests hold and have cost. Runs inside
 * one transaction.
 */
import { budgetLeftMicros, budgetRenewsAt, rebook } from '../accounts/admission';
import * as accounts from '../accounts/limits';
import * as ledger from '../requests/ledger';
import { fund, holdOf } from '../requests/money';
import type { Budget, EndedAttempt, RequestState } from '../requests/types';
import type { Desk } from './desk';

/** One change wakes no more than this; the alarm goes on at once. */
const MAX_FUNDED = 100;

export function keepBudget(desk: Desk, previous: RequestState | null, next: RequestState): void {
  const ended = next.attempts.slice(previous?.attempts.length ?? 0);
  const heldMicros = previous ? holdOf(previous) : 0;
  const change = { heldMicros, holdMicros: holdOf(next), costMicros: costOf(ended) };
  const isFree = change.holdMicros === heldMicros && change.costMicros === 0;
  const usage = isFree ? null : accounts.loadUsage(desk.sql);
  if (!usage) return;
  accounts.saveUsage(desk.sql, rebook(usage, change, desk.now));
}

/**
 * The sum is moved by what each change makes of one hold, so that a fault in it would stay for good:
 * rows of an earlier version held nothing at the door, and forgot what was held when a month turned.
 */
export function mendHolds(sql: SqlStorage, reservedMicros: number): void {
  const usage = accounts.loadUsage(sql);
  if (!usage || usage.reservedMicros === reservedMicros) return;
  accounts.saveUsage(sql, { ...usage, reservedMicros });
}

/**
 * As a request sees it: its own hold is there for it. Attempts that are just ending are not yet in
 * the books.
 */
export function budgetOf(
  desk: Pick<Desk, 'sql' | 'now'>,
  state: RequestState,
  ending: readonly EndedAttempt[],
): Budget {
  const account = accounts.loadAccount(desk.sql);
  const usage = accounts.loadUsage(desk.sql);
  if (!account || !usage) return { leftMicros: 0, renewsAt: desk.now };
  const change = { heldMicros: holdOf(state), holdMicros: 0, costMicros: costOf(ending) };
  const booked = rebook(usage, change, desk.now);
  return {
    leftMicros: budgetLeftMicros(booked, account.limits, desk.now),
    renewsAt: budgetRenewsAt(booked, desk.now),
  };
}

/**
 * Money came free: it goes to those who wait for it, best rank first, to as many as it pays for.
 * What each is given it holds, so that the same money wakes nobody twice. Says whether there may be
 * more to wake.
 */
export function fundWaiting(
  desk: Desk,
  account: accounts.StoredAccount,
  save: (row: ledger.LedgerRow, next: RequestState) => void,
): boolean {
  const usage = desk.memory.waiting === 0 ? null : accounts.loadUsage(desk.sql);
  if (!usage) return false;
  let left = budgetLeftMicros(usage, account.limits, desk.now);
  const rows = ledger.getFundable(desk.sql, { micros: left, limit: MAX_FUNDED });
  for (const row of rows) {
    if (row.state.status !== 'queued' || row.state.wait.for !== 'budget') continue;
    const { micros } = row.state.wait;
    if (left !== null && micros > left) continue;
    if (left !== null) left -= micros;
    save(row, fund(row.state));
  }
  if (rows.length < MAX_FUNDED) return false;
  return ledger.getFundable(desk.sql, { micros: left, limit: 1 }).length > 0;
}

const costOf = (ended: readonly EndedAttempt[]) =>
  ended.reduce((sum, { costMicros }) => sum + costMicros, 0);
