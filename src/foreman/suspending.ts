/**
 * A suspended account starts nothing more. Calls that run come to their end, and so do jobs at a
 * provider; what waits for anything else ends. That there is something to end is read from the rows,
 * so an object that goes away in the middle goes on when it comes back.
 */
import * as accounts from '../accounts/limits';
import * as ledger from '../requests/ledger';
import * as lifecycle from '../requests/lifecycle';
import type { Decision } from '../requests/types';
import type { Isolate } from './alarm';
import { type Desk, save } from './desk';

/** One change ends no more than this; the alarm goes on at once. */
const BATCH = 100;
/** How long all are left alone after one of them could not be ended. */
const FAULT_RETRY_MS = 60_000;

export const isSuspended = ({ sql }: Pick<Desk, 'sql'>): boolean =>
  accounts.loadAccount(sql)?.status === 'suspended';

/** Another attempt, or a wait for one, is not for a suspended account; another end stays what it is. */
export function unlessSuspended(desk: Pick<Desk, 'sql'>, decision: Decision): Decision {
  if (decision.next === 'end' || !isSuspended(desk)) return decision;
  return { next: 'end', error: lifecycle.suspension };
}

/** Each in a transaction of its own, so that one which cannot be read keeps no other from its end. */
export function endIdle(desk: Desk, isolate: Isolate): void {
  if (!isSuspended(desk)) return;
  for (const id of ledger.getIdleIds(desk.sql, BATCH)) {
    const isEnded = isolate(() => {
      const row = ledger.getOne(desk.sql, id);
      if (!row || row.state.status === 'deleted') return;
      save(desk, row, lifecycle.suspend(row.state, desk.now));
    });
    if (!isEnded) desk.memory.endIdleAt = desk.now + FAULT_RETRY_MS;
  }
}
