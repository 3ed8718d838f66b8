/** When a request is likely to end, by the pace of its target. Pure. */
import type { Pace, RequestState } from './types';

/** Epoch ms: half of such requests have ended by the first, nine of ten by the second. */
export interface Eta {
  readonly p50At: number;
  readonly p90At: number;
}

export function estimate(input: {
  readonly state: RequestState;
  /** Among the user's own; null when it does not wait for a slot. */
  readonly position: number | null;
  /** How many of the user's requests run at once. */
  readonly slots: number;
  readonly pace: Pace;
  readonly now: number;
}): Eta | null {
  const { state, position, slots, pace, now } = input;
  const after = (from: number, runs: number): Eta => ({
    p50At: Math.max(now, from + runs * pace.p50Ms),
    p90At: Math.max(now, from + (runs - 1) * pace.p50Ms + pace.p90Ms),
  });
  if (state.status === 'running') return after(state.current.startedAt, 1);
  if (state.status !== 'queued') return null;
  // When the other ends, or money comes free, is not for a target's pace to say.
  if (state.wait.for === 'request' || state.wait.for === 'budget') return null;
  if (state.wait.for === 'time') return after(Math.max(now, state.wait.until), 1);
  return after(now, Math.ceil((position ?? 1) / Math.max(1, slots)));
}
