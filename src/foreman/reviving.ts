/**
 * A request that ended only because its wake-up was lost: an operator has it made once more, as a
 * new request of the same user. Runs inside one transaction.
 */
import { rollOver } from '../accounts/admission';
import * as accounts from '../accounts/limits';
import * as ledger from '../requests/ledger';
import { accept } from '../requests/lifecycle';
import { retrySpec } from '../requests/retry';
import type { RequestId, RequestState, RunMessage } from '../requests/types';
import { isTerminal } from '../requests/types';
import { type Desk, fillSlots, insert } from './desk';

export interface Revival extends Pick<RunMessage, 'request' | 'release'> {
  /** Of the new request. Its id is the same each time, so that asking twice makes no second one. */
  readonly as: { readonly id: RequestId; readonly createdAt: number };
  /** What D1 holds of a request that has left the foreman. */
  readonly archived: RequestState | null;
}

export type ReviveAnswer =
  | { readonly outcome: 'revived'; readonly request: RequestId }
  /** `live`: the message is to go out again. `overtaken`: nobody waits for its release any more. */
  | { readonly outcome: 'live' | 'overtaken' | 'ended' | 'absent' };

export function revive(desk: Desk, revival: Revival): ReviveAnswer {
  const { request, release, as, archived } = revival;
  if (desk.memory.deletion) return { outcome: 'absent' };
  if (ledger.getOne(desk.sql, as.id)) return { outcome: 'revived', request: as.id };
  const state = ledger.getOne(desk.sql, request)?.state ?? archived;
  if (!state || state.status === 'deleted') return { outcome: 'absent' };
  if (!isTerminal(state)) return { outcome: state.release === release ? 'live' : 'overtaken' };
  const isDeadLettered = state.status === 'failed' && state.error.code === 'dead_lettered';
  if (!isDeadLettered) return { outcome: 'ended' };
  takeUnits(desk, state.units);
  insert(desk, accept(retrySpec(state, as), state.warnings));
  fillSlots(desk);
  return { outcome: 'revived', request: as.id };
}

/** No limit stands against it, as it was admitted before. If it fails, its end gives them back. */
function takeUnits(desk: Desk, units: number): void {
  const usage = accounts.loadUsage(desk.sql);
  if (!usage) return;
  const current = rollOver(usage, desk.now);
  accounts.saveUsage(desk.sql, { ...current, unitsToday: current.unitsToday + units });
}
