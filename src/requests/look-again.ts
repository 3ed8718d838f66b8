/**
 * When a client that polls should look again (`Retry-After`): about when half of such requests have
 * ended, and the more rarely the longer this one has taken. A long-poll or a stream hears it at once.
 * The same facts give the same answer. Pure.
 */
import type { Eta } from './estimate';
import type { RequestState } from './types';

const MIN_SECONDS = 1;
/** A look costs one read: soon enough for a person, and rare enough for days of waiting. */
const MAX_SECONDS = 30;
/** Of those ahead in the queue, as long as nobody knows how long one takes. */
const TURN_MS = 1_000;
/** What has taken ten minutes is worth a look every half one: a twentieth late is hardly noticed. */
const SHARE_OF_AGE = 20;

export function lookAgainSeconds(
  of: {
    readonly state: RequestState;
    readonly position: number | null;
    readonly eta: Eta | null;
  },
  now: number,
): number {
  const { createdAt, deadlineAt } = of.state;
  const ms = Math.max(expectedMs(of, now), (now - createdAt) / SHARE_OF_AGE);
  // It has ended by then, whatever it waits for.
  const seconds = Math.ceil(Math.min(ms, deadlineAt - now) / 1000);
  return Math.min(MAX_SECONDS, Math.max(MIN_SECONDS, seconds));
}

function expectedMs(
  { state, position, eta }: Parameters<typeof lookAgainSeconds>[0],
  now: number,
): number {
  if (eta) return eta.p50At - now;
  const wait = state.status === 'queued' ? state.wait : null;
  // Money may come free at any time, and may not before the month is over.
  if (wait?.for === 'budget') return MAX_SECONDS * 1000;
  if (wait?.for === 'time') return wait.until - now;
  return ((position ?? 1) - 1) * TURN_MS;
}
