/**
 * The circuit breaker of one target: what the ends of its calls make of it, and whether the next call
 * may go. Half-open is open for long enough, so nothing has to happen when that moment comes.
 */
import { cappedRetryAfterMs } from '../../platform/backoff';
import type { CallEnd, Standing } from './types';

export interface Circuit {
  readonly phase: Phase;
  /** The provider asked not to be called before; null when it never did. */
  readonly coolingUntil: number | null;
  readonly failuresInARow: number;
  readonly recent: readonly Slice[];
  readonly lastSuccessAt: number | null;
  readonly lastFailureAt: number | null;
}

export type Phase =
  | { readonly is: 'closed' }
  | { readonly is: 'open'; readonly openedAt: number; readonly reason: string };

/** Calls that ended within `SLICE_MS` of each other: exact times would grow with the traffic. */
export interface Slice {
  readonly startsAt: number;
  readonly calls: number;
  readonly failures: number;
}

/** Who else calls the target at the moment. */
export interface Traffic {
  readonly inUse: number;
  /** How many calls the provider allows at once; null when it does not say. */
  readonly concurrency: number | null;
  readonly isProbing: boolean;
  /** How many users wait for a place. */
  readonly inLine: number;
}

const MAX_FAILURES_IN_A_ROW = 5;
/** Under load a few failures end together by chance: while others succeed, the target works. */
const RECENT_SUCCESS_MS = 2_000;
const WINDOW_MS = 60_000;
const SLICE_MS = 5_000;
const MIN_CALLS_FOR_RATE = 20;
const MAX_FAILURE_RATE = 0.5;
const PROBE_AFTER_MS = 30_000;
/** Nothing else can serve the request, so a wasted call costs less than the wait. */
const SOLE_PROBE_AFTER_MS = 5_000;
/** For so long after an opening calls still begin that were let go before it was known. */
const STRAGGLER_MS = 2_000;
const USUAL_COOL_DOWN_MS = 1_000;
/** When to ask again for what a call that is under way may free at any moment. */
const ASK_AGAIN_MS = 1_000;
/** A place is kept for who stands in line, so it lies idle until that one asks again. */
const NEXT_TURN_MS = 250;
/** With a long line the next turn is hardly one's own: all of it asks some 50 times a second. */
const NEXT_TURN_PER_USER_MS = 20;
const MAX_NEXT_TURN_MS = 2_000;

export const untried: Circuit = {
  phase: { is: 'closed' },
  coolingUntil: null,
  failuresInARow: 0,
  recent: [],
  lastSuccessAt: null,
  lastFailureAt: null,
};

/** @returns the same object when the end says nothing of the target's health. */
export function afterCall(circuit: Circuit, end: CallEnd, now: number): Circuit {
  const effect = effectOf(end);
  switch (effect.is) {
    case 'none':
      return circuit;
    case 'cool_down':
      return coolDown(circuit, now + effect.forMs);
    case 'success':
      return succeed(circuit, end, now);
    case 'failure':
      return fail(circuit, { end, opensFor: effect.opensFor }, now);
  }
}

type Effect =
  | { readonly is: 'none' | 'success' }
  | { readonly is: 'cool_down'; readonly forMs: number }
  /** `opensFor`: why this one alone opens the breaker; null when it only counts. */
  | { readonly is: 'failure'; readonly opensFor: string | null };

function effectOf({ outcome, errorKind, retryAfterMs }: CallEnd): Effect {
  switch (outcome) {
    case 'succeeded':
      return { is: 'success' };
    case 'refused':
      return { is: 'none' };
    case 'throttled': {
      const isTold = retryAfterMs !== null;
      return {
        is: 'cool_down',
        forMs: isTold ? cappedRetryAfterMs(retryAfterMs) : USUAL_COOL_DOWN_MS,
      };
    }
    case 'rejected':
      if (errorKind === 'auth') return { is: 'failure', opensFor: 'an authentication error' };
      if (errorKind === 'payment') return { is: 'failure', opensFor: 'a payment error' };
      return { is: 'none' };
    case 'not_sent':
    case 'failed':
    case 'unknown':
      return { is: 'failure', opensFor: null };
  }
}

function coolDown(circuit: Circuit, until: number): Circuit {
  if (circuit.coolingUntil !== null && circuit.coolingUntil >= until) return circuit;
  return { ...circuit, coolingUntil: until };
}

function succeed(circuit: Circuit, end: CallEnd, now: number): Circuit {
  // Successes may be told late, and by a clock that is ahead.
  const endedAt = Math.min(end.endedAt, now);
  const known = {
    ...circuit,
    failuresInARow: 0,
    lastSuccessAt: Math.max(circuit.lastSuccessAt ?? 0, endedAt),
  };
  // A call that is older than the opening has met the target as it was.
  if (circuit.phase.is === 'open' && end.startedAt >= circuit.phase.openedAt) {
    return { ...known, phase: { is: 'closed' }, recent: [] };
  }
  return { ...known, recent: counted(circuit.recent, { failed: false, now }) };
}

function fail(
  circuit: Circuit,
  { end, opensFor }: { readonly end: CallEnd; readonly opensFor: string | null },
  now: number,
): Circuit {
  const known = {
    ...circuit,
    failuresInARow: circuit.failuresInARow + 1,
    recent: counted(circuit.recent, { failed: true, now }),
    lastFailureAt: now,
  };
  const { phase } = circuit;
  if (phase.is === 'open' && end.startedAt < phase.openedAt + STRAGGLER_MS) return known;
  const cause = opensFor ?? (phase.is === 'open' ? 'a failed probe' : causeToOpen(known, now));
  if (cause === null) return known;
  return { ...known, phase: { is: 'open', openedAt: now, reason: `breaker open after ${cause}` } };
}

function causeToOpen(circuit: Circuit, now: number): string | null {
  const { failuresInARow, lastSuccessAt } = circuit;
  // A success that began within the time also ended within it.
  const hasWorked = lastSuccessAt !== null && now - lastSuccessAt < RECENT_SUCCESS_MS;
  if (failuresInARow >= MAX_FAILURES_IN_A_ROW && !hasWorked) {
    return `${failuresInARow} failures in a row`;
  }
  const { calls, failures } = windowOf(circuit, now);
  if (calls < MIN_CALLS_FOR_RATE || failures <= calls * MAX_FAILURE_RATE) return null;
  return `${failures} failures in ${calls} calls`;
}

function counted(
  recent: readonly Slice[],
  { failed, now }: { readonly failed: boolean; readonly now: number },
): Slice[] {
  const startsAt = now - (now % SLICE_MS);
  const before = recent.filter((slice) => isRecent(slice, now) && slice.startsAt !== startsAt);
  const known = recent.find((slice) => slice.startsAt === startsAt);
  const { calls, failures } = known ?? { calls: 0, failures: 0 };
  return [...before, { startsAt, calls: calls + 1, failures: failures + Number(failed) }];
}

const isRecent = ({ startsAt }: Slice, now: number) => startsAt > now - WINDOW_MS;

export function windowOf({ recent }: Circuit, now: number): Omit<Slice, 'startsAt'> {
  const slices = recent.filter((slice) => isRecent(slice, now));
  return {
    calls: slices.reduce((sum, { calls }) => sum + calls, 0),
    failures: slices.reduce((sum, { failures }) => sum + failures, 0),
  };
}

/**
 * Whether one more call may go. `sole`: no other target can serve the request that asks. An open
 * breaker comes first, as the ledger is to name what lasts longest.
 */
export function judge(
  circuit: Circuit,
  { inUse, concurrency, isProbing, inLine }: Traffic,
  { now, sole }: { readonly now: number; readonly sole: boolean },
): Standing {
  const { phase } = circuit;
  const coolingUntil = circuit.coolingUntil ?? 0;
  if (phase.is === 'open') {
    const probeAt = phase.openedAt + (sole ? SOLE_PROBE_AFTER_MS : PROBE_AFTER_MS);
    const until = Math.max(probeAt, coolingUntil);
    if (now < probeAt) return { state: 'open', blockedUntil: until, reason: phase.reason };
  }
  if (now < coolingUntil) {
    return {
      state: 'cooling',
      blockedUntil: coolingUntil,
      reason: 'asked by the provider to wait',
    };
  }
  const blockedUntil = now + ASK_AGAIN_MS;
  if (phase.is === 'open' && isProbing) {
    return {
      state: 'half_open',
      blockedUntil,
      reason: 'breaker half-open, its probe is under way',
    };
  }
  if (concurrency !== null && inUse >= concurrency) {
    const reason = `all ${concurrency} calls in use`;
    return { state: 'full', blockedUntil: now + nextTurnMs(inLine), reason };
  }
  const state = phase.is === 'open' ? 'half_open' : 'closed';
  return { state, blockedUntil: null, reason: null };
}

const nextTurnMs = (inLine: number) =>
  Math.min(MAX_NEXT_TURN_MS, NEXT_TURN_MS + inLine * NEXT_TURN_PER_USER_MS);
