/**
 * Who goes next, and when something has to happen to a request by itself. Pure.
 */
import { confirmDueAt } from '../platform/backoff';
import { changedAt } from './revising';
import type { Priority, RemoteJob, RequestState } from './types';
import { isTerminal } from './types';

/** A claimed attempt whose lease is not renewed for this long is lost: what a kill costs. */
export const LEASE_MS = 15_000;

/** How long a deleted request is remembered, so that no late news brings it back. */
export const TOMBSTONE_LIFE_MS = 7 * 86_400_000;

const LEVELS: Record<Priority, number> = { low: 0, normal: 1, high: 2 };
const LEVEL_MS = 60_000;

/**
 * Lower goes first. A level is worth one minute of waiting, so a waiting request rises one level
 * a minute against newer ones; as all of them age alike, their order never changes and can be
 * stored.
 */
export function rankOf(request: {
  readonly priority: Priority;
  readonly createdAt: number;
}): number {
  return request.createdAt - LEVELS[request.priority] * LEVEL_MS;
}

/** One turn after the other: what a closed door costs a foreman is the same for any backlog. */
const TURN_MS = 50;

export const turnMs = (ahead: number) => ahead * TURN_MS;

/** When the foreman must look at this request again. A lease is not here: it is kept in memory. */
export function dueAt(state: RequestState, hotMs: number): number {
  if (isTerminal(state)) return changedAt(state) + hotMs;
  if (state.status === 'running') return Math.min(state.deadlineAt, jobDueAt(state.current.job));
  switch (state.wait.for) {
    case 'slot':
    case 'request':
      return state.deadlineAt;
    case 'claim':
      return Math.min(state.deadlineAt, confirmDueAt(state.wait));
    case 'time':
    case 'budget':
      return Math.min(state.deadlineAt, state.wait.until);
  }
}

/** A job that is asked for under a lease has no time of its own. */
function jobDueAt(job: RemoteJob | null): number {
  if (!job || job.wait.for === 'call') return Number.POSITIVE_INFINITY;
  return job.wait.for === 'time' ? job.wait.until : confirmDueAt(job.wait);
}

/**
 * How a stored request is found again: what it waits for, or that it no longer waits. `running` is
 * under a lease; `remote` is left to the provider.
 */
export type Phase =
  | 'slot'
  | 'claim'
  | 'time'
  | 'request'
  | 'budget'
  | 'running'
  | 'remote'
  | 'finished'
  | 'deleted';

export function phaseOf(state: RequestState): Phase {
  if (isTerminal(state)) return 'finished';
  if (state.status === 'queued') return state.wait.for;
  const { job } = state.current;
  return job && job.wait.for !== 'call' ? 'remote' : 'running';
}

/** Released or running: it counts against `max_running`. */
export const holdsSlot = (phase: Phase) =>
  phase === 'claim' || phase === 'running' || phase === 'remote';

/** Accepted and neither released nor running: it counts against `max_waiting`. */
export const isWaiting = (phase: Phase) =>
  phase === 'slot' || phase === 'time' || phase === 'request' || phase === 'budget';
