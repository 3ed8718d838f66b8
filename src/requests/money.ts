/**
 * What a request has cost, and what it holds of its user's budget while it is live, so that what was
 * accepted can be paid for. What a user's requests hold together is `Usage.reservedMicros`. Pure.
 */
import type { Hold, RequestSpec, RequestState } from './types';
import { isTerminal } from './types';

export function costMicros(state: RequestState): number {
  return state.attempts.reduce((sum, attempt) => sum + attempt.costMicros, 0);
}

/** Kept from the door to the first call: the least that the request can cost. */
export function entryHold(
  { onBudget, floorMicros: micros }: Pick<RequestSpec, 'onBudget' | 'floorMicros'>,
  at: number,
): Hold | null {
  return onBudget === 'wait' || micros === 0 ? null : { micros, at };
}

export function holdOf(state: RequestState): Hold | null {
  if (isTerminal(state)) return null;
  if (state.status === 'queued') return state.hold;
  const { reservedMicros: micros, startedAt: at } = state.current;
  return micros === 0 ? null : { micros, at };
}

/** The money that it waited for has come free, and is kept for it until it has a slot. */
export function fund(state: RequestState, now: number): RequestState {
  if (state.status !== 'queued' || state.wait.for !== 'budget') return state;
  return { ...state, wait: { for: 'slot' }, hold: { micros: state.wait.micros, at: now } };
}

/** The budget began anew, and what there is of it went to others. */
export function waitOn(state: RequestState, until: number): RequestState {
  if (state.status !== 'queued' || state.wait.for !== 'budget') return state;
  if (state.wait.until === until) return state;
  return { ...state, wait: { ...state.wait, until } };
}
