/**
 * What a request has cost, and what it holds of its user's budget while it is live, so that what was
 * accepted can be paid for. What a user's requests hold together is `Usage.reservedMicros`. Pure.
 */
import type { RequestSpec, RequestState } from './types';
import { isTerminal } from './types';

export function costMicros(state: RequestState): number {
  return state.attempts.reduce((sum, attempt) => sum + attempt.costMicros, 0);
}

/** Kept from the door to the first call: the least that the request can cost. */
export const entryHold = (spec: Pick<RequestSpec, 'onBudget' | 'floorMicros'>): number =>
  spec.onBudget === 'wait' ? 0 : spec.floorMicros;

export function holdOf(state: RequestState): number {
  if (isTerminal(state)) return 0;
  return state.status === 'queued' ? state.holdMicros : state.current.reservedMicros;
}

/** The money that it waited for has come free, and is kept for it until it has a slot. */
export function fund(state: RequestState): RequestState {
  if (state.status !== 'queued' || state.wait.for !== 'budget') return state;
  return { ...state, wait: { for: 'slot' }, holdMicros: state.wait.micros };
}

/** The budget began anew, and what there is of it went to others. */
export function waitOn(state: RequestState, until: number): RequestState {
  if (state.status !== 'queued' || state.wait.for !== 'budget') return state;
  if (state.wait.until === until) return state;
  return { ...state, wait: { ...state.wait, until } };
}
