/**
 * The life of a request: every transition, as a pure function of a state, facts and the time. A
 * transition that does not apply, because the request has moved on or the caller's token is not the
 * current one, returns the very same object: that identity is how callers see that they were fenced
 * off. What to try next is decided elsewhere and passed in.
 */
import { entryHold } from './money';
import { bounded, recheck, withJobWait } from './remote-job';
import type {
  AttemptResult,
  ChosenTarget,
  Decision,
  EndedAttempt,
  Finished,
  Queued,
  RequestError,
  RequestEvent,
  RequestId,
  RequestSpec,
  RequestState,
  RequestStatus,
  Running,
  Shared,
  Wait,
} from './types';
import { isTerminal } from './types';

/** The whole record of what was tried and the time; what follows is the caller's rule. */
export type Decide = (attempts: readonly EndedAttempt[]) => Decision;

/** `holdMicros` is what was kept for it at the door. */
export function accept(spec: RequestSpec, warnings: readonly string[], holdMicros = 0): Queued {
  return {
    ...spec,
    status: 'queued',
    wait: { for: 'slot' },
    holdMicros,
    version: 1,
    events: [{ type: 'request.queued', version: 1, at: spec.createdAt }],
    attempts: [],
    warnings,
    startedAt: null,
    release: 0,
    reusedFrom: null,
  };
}

/**
 * What others that ask for the same have of a request's end; null: each has to see for itself. A
 * refusal is of what is asked, so asking once more would bring the same one.
 */
export function sharedBy(state: Finished): Shared | null {
  if (state.status === 'succeeded') {
    const { status, output, outputWarnings } = state;
    return { status, output, outputWarnings };
  }
  const { status, error } = state;
  const isFinal = error.code === 'content_refused' && error.details.retryable === false;
  return status === 'failed' && isFinal ? { status, error } : null;
}

/** An equal request came to this already: nothing is made, and nothing is charged. */
export function reuse(
  state: Queued,
  facts: { from: RequestId; shared: Shared },
  now: number,
): Finished {
  const { from, shared } = facts;
  return {
    ...withoutProgress(state),
    ...stamp(state, shared.status, now),
    ...shared,
    completedAt: now,
    reusedFrom: from,
  };
}

/** An equal request is under way: this one waits for what it comes to, which costs nothing. */
export function join(state: Queued): Queued {
  return { ...state, wait: { for: 'request' }, holdMicros: 0 };
}

/**
 * The request that this one waited for brought nothing to share: it goes its own way, with what the
 * budget has left when its turn comes.
 */
export function leave(state: RequestState): RequestState {
  if (state.status !== 'queued' || state.wait.for !== 'request') return state;
  return { ...state, wait: { for: 'slot' } };
}

/** Gives the request a slot. Each release has a new number, so older wake-ups turn stale. */
export function release(state: RequestState, now: number): RequestState {
  if (state.status !== 'queued' || state.wait.for !== 'slot') return state;
  return {
    ...state,
    release: state.release + 1,
    wait: { for: 'claim', sentAt: now, sends: 1 },
  };
}

/** The wake-up was not confirmed by a claim in time: the same release is sent again. */
export function resend(state: RequestState, now: number): RequestState {
  if (state.status === 'running') {
    const wait = state.current.job?.wait;
    if (wait?.for !== 'claim') return state;
    return withJobWait(state, { for: 'claim', sentAt: now, sends: wait.sends + 1 });
  }
  if (state.status !== 'queued' || state.wait.for !== 'claim') return state;
  return { ...state, wait: { for: 'claim', sentAt: now, sends: state.wait.sends + 1 } };
}

/** The time that a waiting request waited for has come: it asks for a slot again. */
export function wake(state: RequestState, now: number): RequestState {
  if (state.status !== 'queued' || state.wait.for !== 'time' || state.wait.until > now) {
    return state;
  }
  return { ...state, wait: { for: 'slot' } };
}

export function claim(
  state: RequestState,
  facts: { release: number; token: string; decide: Decide },
  now: number,
): RequestState {
  if (state.release !== facts.release) return state;
  if (state.status === 'running') {
    if (state.current.job?.wait.for !== 'claim') return state;
    const { current } = withJobWait(state, { for: 'call' });
    return { ...state, current: { ...current, token: facts.token } };
  }
  if (state.status !== 'queued' || state.wait.for !== 'claim') return state;
  return follow(state, { decision: facts.decide(state.attempts), token: facts.token }, now);
}

export function settle(
  state: RequestState,
  facts: {
    token: string;
    result: AttemptResult;
    decide: Decide;
    /** For an attempt that follows at once; null when the caller cannot make another one. */
    nextToken: string | null;
  },
  now: number,
): RequestState {
  if (state.status !== 'running' || state.current.token !== facts.token) return state;
  const attempts = [...state.attempts, endAttempt(state, facts.result, facts.token, now)];
  if (facts.result.outcome === 'succeeded') {
    const { current: _, ...rest } = state;
    return {
      ...rest,
      ...stamp(state, 'succeeded', now),
      status: 'succeeded',
      attempts,
      completedAt: now,
      output: facts.result.output,
      outputWarnings: bounded([...(state.current.job?.warnings ?? []), ...facts.result.warnings]),
    };
  }
  const decision = facts.decide(attempts);
  if (decision.next === 'end') return conclude({ ...state, attempts }, decision.error, now);
  const queued = requeue({ ...state, attempts }, { for: 'slot' }, now);
  if (decision.next === 'attempt' && facts.nextToken === null) return queued;
  return follow(queued, { decision, token: facts.nextToken ?? '' }, now);
}

/**
 * Nobody renewed the lease: whether the call was made and billed is not known. A job that the
 * provider has is simply asked for again.
 */
export function loseLease(
  state: RequestState,
  facts: { decide: Decide },
  now: number,
): RequestState {
  if (state.status !== 'running') return state;
  if (state.current.job) {
    if (state.current.job.wait.for !== 'call') return state;
    return recheck(withJobWait(state, { for: 'time', until: now }), now);
  }
  const result: AttemptResult = {
    outcome: 'unknown',
    error: { code: 'lease_lost', message: 'The process that made this call went away.' },
    retryAfterMs: null,
    providerRequestId: null,
    possiblyBilled: !state.current.repeatable,
  };
  const attempts = [...state.attempts, endAttempt(state, result, null, now)];
  const decision = facts.decide(attempts);
  if (decision.next === 'end') return conclude({ ...state, attempts }, decision.error, now);
  return requeue({ ...state, attempts }, waitOf(decision), now);
}

export function cancel(state: RequestState, now: number): RequestState {
  if (isTerminal(state)) return state;
  const error: RequestError = {
    code: 'canceled',
    message: 'The request was canceled.',
    details: { retryable: true },
  };
  return finish(abandonAttempt(state, 'canceled', now), 'canceled', error, now);
}

/** The end of a request that its account, while suspended, may not go on with. */
export const suspension: RequestError = {
  code: 'account_suspended',
  message: 'The account was suspended before the request could be made. Once it is resumed, retry.',
  details: { retryable: true },
};

/** Nothing new is started for a suspended account; a call that runs comes to its end. */
export function suspend(state: RequestState, now: number): RequestState {
  return state.status === 'queued' ? conclude(state, suspension, now) : state;
}

export function expire(state: RequestState, now: number): RequestState {
  if (isTerminal(state) || now < state.deadlineAt) return state;
  const seconds = Math.round((state.deadlineAt - state.createdAt) / 1000);
  const error: RequestError = {
    code: 'deadline_exceeded',
    message: `The request did not finish within its deadline of ${seconds} s.`,
    details: { retryable: true, deadline_seconds: seconds },
  };
  return finish(abandonAttempt(state, 'deadline_exceeded', now), 'expired', error, now);
}

/** The queue gave up on a wake-up. Only the current, unclaimed release may end the request. */
export function deadLetter(
  state: RequestState,
  facts: { release: number },
  now: number,
): RequestState {
  if (state.status !== 'queued' || state.wait.for !== 'claim') return state;
  if (state.release !== facts.release) return state;
  const error: RequestError = {
    code: 'dead_lettered',
    message: 'The request could not be handed to a consumer.',
    details: { retryable: true },
  };
  return finish(state, 'failed', error, now);
}

/** Whether this very caller has settled before: its answer got lost, and it asks again. */
export function hasSettled(state: RequestState, token: string): boolean {
  return state.attempts.some((attempt) => attempt.token === token);
}

function follow(
  state: Queued,
  facts: { decision: Decision; token: string },
  now: number,
): RequestState {
  const { decision, token } = facts;
  switch (decision.next) {
    case 'attempt':
      return start(state, { target: decision.target, token }, now);
    case 'wait':
      return { ...state, wait: waitOf(decision) };
    case 'wait_for_budget':
      return { ...state, wait: waitOf(decision), holdMicros: 0 };
    case 'check':
      return state;
    case 'end':
      return conclude(state, decision.error, now);
  }
}

function waitOf(decision: Decision): Wait {
  switch (decision.next) {
    case 'wait':
      return { for: 'time', until: decision.until, reason: decision.reason };
    case 'wait_for_budget':
      return { for: 'budget', micros: decision.micros, until: decision.until };
    default:
      return { for: 'slot' };
  }
}

function start(
  state: Queued,
  facts: { target: ChosenTarget; token: string },
  now: number,
): Running {
  const { wait: _, holdMicros: __, ...rest } = state;
  return {
    ...rest,
    ...stamp(state, 'running', now),
    status: 'running',
    startedAt: state.startedAt ?? now,
    current: {
      number: state.attempts.length + 1,
      provider: facts.target.provider,
      model: facts.target.model,
      reason: facts.target.reason,
      startedAt: now,
      reservedMicros: facts.target.priceMicros,
      repeatable: facts.target.repeatable,
      token: facts.token,
      job: null,
    },
  };
}

function requeue(state: Running, wait: Wait, now: number): Queued {
  const { current: _, ...rest } = state;
  const holdMicros = wait.for === 'budget' ? 0 : entryHold(state);
  return { ...rest, ...stamp(state, 'queued', now), status: 'queued', wait, holdMicros };
}

/** By decision. A request that the account may not go on with has not failed. */
function conclude(state: Queued | Running, error: RequestError, now: number): Finished {
  return finish(state, error.code === 'account_suspended' ? 'canceled' : 'failed', error, now);
}

function finish(
  state: Queued | Running,
  status: 'failed' | 'canceled' | 'expired',
  error: RequestError,
  now: number,
): Finished {
  return {
    ...withoutProgress(state),
    ...stamp(state, status, now),
    status,
    completedAt: now,
    error,
  };
}

/** The fields that only a live request has. */
function withoutProgress(state: Queued | Running) {
  if (state.status === 'queued') {
    const { wait: _, holdMicros: __, ...rest } = state;
    return rest;
  }
  const { current: _, ...rest } = state;
  return rest;
}

/** A call that is running when its request ends goes on alone: what it may cost is counted. */
function abandonAttempt(
  state: Queued | Running,
  code: 'canceled' | 'deadline_exceeded',
  now: number,
): Queued | Running {
  if (state.status === 'queued') return state;
  const ended = endAttempt(
    state,
    {
      outcome: 'unknown',
      error: { code, message: 'The request ended while this call was running.' },
      retryAfterMs: null,
      providerRequestId: null,
      possiblyBilled: !state.current.repeatable,
    },
    null,
    now,
  );
  return { ...state, attempts: [...state.attempts, ended] };
}

function endAttempt(
  state: Running,
  result: AttemptResult,
  token: string | null,
  now: number,
): EndedAttempt {
  const { job, ...running } = state.current;
  const attempt = { ...running, token };
  const failed = result.outcome !== 'succeeded';
  const possiblyBilled = failed && result.possiblyBilled;
  const charged = possiblyBilled ? attempt.reservedMicros : 0;
  return {
    ...attempt,
    completedAt: now,
    outcome: result.outcome,
    costMicros: failed ? charged : result.costMicros,
    possiblyBilled,
    providerRequestId: result.providerRequestId ?? job?.providerRequestId ?? null,
    retryAfterMs: failed ? result.retryAfterMs : null,
    error: failed ? result.error : null,
  };
}

function stamp(
  state: { version: number; events: readonly RequestEvent[] },
  status: RequestStatus,
  now: number,
): { version: number; events: readonly RequestEvent[] } {
  const version = state.version + 1;
  return { version, events: [...state.events, { type: `request.${status}`, version, at: now }] };
}
