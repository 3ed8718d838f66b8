/**
 * The life of a provider's job within a running attempt: kept, left alone, asked for again. Pure, and
 * fenced like every transition: one that does not apply returns the very same state.
 */
import type { JobProgress, JobWait, RequestState, Running } from './types';

/**
 * The provider has a job for this attempt, or still has it. Its handle is kept before anybody waits,
 * so that whoever comes next asks for the same job.
 */
export function keepJob(
  state: RequestState,
  facts: { token: string; progress: JobProgress },
  now: number,
): RequestState {
  if (state.status !== 'running' || state.current.token !== facts.token) return state;
  const { checkAfterMs, warnings, ...progress } = facts.progress;
  const known = state.current.job;
  const isLeft = checkAfterMs !== null;
  const delayMs = known?.nudged ? 0 : (checkAfterMs ?? 0);
  const wait: JobWait = isLeft ? { for: 'time', until: now + delayMs } : { for: 'call' };
  const job = {
    ...progress,
    warnings: bounded([...(known?.warnings ?? []), ...warnings]),
    acceptedAt: known?.acceptedAt ?? now,
    nudged: isLeft ? false : (known?.nudged ?? false),
    wait,
  };
  return { ...state, current: { ...state.current, job } };
}

/** It is time to ask for the job: a wake-up goes out for it, under a release of its own. */
export function recheck(state: RequestState, now: number): RequestState {
  if (state.status !== 'running') return state;
  const wait = state.current.job?.wait;
  if (wait?.for !== 'time' || wait.until > now) return state;
  const next = withJobWait(state, { for: 'claim', sentAt: now, sends: 1 });
  return { ...next, release: state.release + 1 };
}

/** The provider says that the job of this attempt has ended: it is asked for at once. */
export function nudge(state: RequestState, attempt: number, now: number): RequestState {
  if (state.status !== 'running' || state.current.number !== attempt) return state;
  const { job } = state.current;
  if (job?.wait.for === 'call' && !job.nudged) {
    return { ...state, current: { ...state.current, job: { ...job, nudged: true } } };
  }
  if (job?.wait.for !== 'time') return state;
  return recheck(withJobWait(state, { for: 'time', until: now }), now);
}

export function withJobWait(state: Running, wait: JobWait): Running {
  const { job } = state.current;
  return job ? { ...state, current: { ...state.current, job: { ...job, wait } } } : state;
}

/** What a provider has to say is bounded, as it is stored, listed and sent with the request. */
const MAX_WARNINGS = 20;
const MAX_WARNING_CHARS = 300;

export const bounded = (texts: readonly string[]): readonly string[] =>
  [...new Set(texts.map((text) => text.slice(0, MAX_WARNING_CHARS)))].slice(0, MAX_WARNINGS);
