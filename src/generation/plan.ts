/**
 * What to do next for a request: try a target, wait, or end. Pure: the record of attempts, the
 * candidates and the time go in, a decision comes out. It runs inside the foreman's transaction.
 */
import { backoffMs, cappedRetryAfterMs } from '../platform/backoff';
import type {
  Budget,
  Decision,
  EndedAttempt,
  OnBudget,
  RequestError,
  TargetVerdict,
  TargetVerdicts,
  WaitReason,
} from '../requests/types';
import type { Candidate } from './candidates';
import { hasBreaker } from './catalog';

/** Requests of different users that wait for the same target do not come back all at once. */
const JITTER_MS = 250;
/** A call with less time than this would be paid for and cut off. */
const MIN_CALL_MS = 1_000;

export interface PlanInput {
  /** Every target of the model and its fallbacks, in order of preference. */
  readonly candidates: readonly Candidate[];
  readonly attempts: readonly EndedAttempt[];
  /** Whether an attempt has just ended (a pause may be due) or a pause is over. */
  readonly moment: 'attempt_ended' | 'slot_given';
  readonly maxAttempts: number;
  readonly maxCostMicros: number | null;
  readonly budget: Budget;
  readonly onBudget: OnBudget;
  readonly retryUnknown: boolean;
  /** Whether another provider may be asked what one has refused. */
  readonly fallbackOnRefusal: boolean;
  readonly verdicts: TargetVerdicts;
  readonly deadlineAt: number;
  readonly now: number;
  /** Uniform in [0, 1). */
  readonly random: number;
}

/** The code of an attempt whose images were made and paid for, but could not be kept. */
export const STORAGE_FAILED = 'storage_failed';
/** The code of an attempt that ended before its call, for want of an input image. */
export const INPUT_UNAVAILABLE = 'input_unavailable';

export function plan(input: PlanInput): Decision {
  const last = input.attempts.at(-1);
  const verdict = last && finalVerdict(last, input);
  if (verdict) return { next: 'end', error: verdict };

  const usable = input.candidates.filter((candidate) => isUsable(candidate, input));
  if (usable.length === 0) return { next: 'end', error: nothingUsable(input) };
  const affordable = usable.filter((candidate) => isAffordable(candidate, input));
  if (affordable.length === 0) return cannotAfford(usable, input);

  const ranked = affordable
    .map((candidate) => rankedOf(candidate, input))
    .sort((a, b) => a.tries - b.tries);
  if (input.moment === 'slot_given' || !last) return tryNow(ranked, input);

  const triesOfLast = countTries(last.provider, last.model, input.attempts);
  const untried = ranked.filter((entry) => entry.tries < triesOfLast && !isCooling(entry, input));
  const unchecked = uncheckedOf(untried);
  if (unchecked.length > 0) return check(unchecked, ranked);
  const ready = untried.find((entry) => isReady(entry, input));
  return ready ? choose(ready, input) : pause(ranked, last, input);
}

interface Ranked {
  readonly candidate: Candidate;
  readonly tries: number;
  /** Until then the provider asked this very request not to call; 0 when it did not. */
  readonly coolUntil: number;
  /** Of all callers; null when nobody has looked yet. */
  readonly verdict: TargetVerdict | null;
}

function tryNow(ranked: readonly Ranked[], input: PlanInput): Decision {
  const unchecked = uncheckedOf(ranked);
  if (unchecked.length > 0) return check(unchecked, ranked);
  const ready = ranked.find((entry) => isReady(entry, input));
  return ready ? choose(ready, input) : waitFor(ranked, input);
}

const check = (unchecked: readonly Ranked[], ranked: readonly Ranked[]): Decision => ({
  next: 'check',
  targets: unchecked.map(({ candidate }) => candidate.name),
  sole: ranked.length === 1,
});

const uncheckedOf = (ranked: readonly Ranked[]) =>
  ranked.filter(({ verdict, candidate }) => verdict === null && hasBreaker(candidate.target));

const isCooling = (entry: Ranked, { now }: PlanInput) => entry.coolUntil > now;

const isReady = (entry: Ranked, input: PlanInput) =>
  !isCooling(entry, input) && !entry.verdict?.blockedUntil;

/** None may be called now. */
function waitFor(ranked: readonly Ranked[], input: PlanInput): Decision {
  const waits = ranked.map(({ coolUntil, verdict }): Wait => {
    const blockedUntil = verdict?.blockedUntil ?? 0;
    if (coolUntil > blockedUntil) return { until: coolUntil, reason: 'throttled', inTurn: false };
    const until = Math.max(blockedUntil, input.now) + Math.floor(input.random * JITTER_MS);
    return { until, reason: waitReason(verdict), inTurn: true };
  });
  return { next: 'wait', ...waits.reduce((a, b) => (b.until < a.until ? b : a)) };
}

type Wait = Omit<Extract<Decision, { next: 'wait' }>, 'next'>;

function waitReason(verdict: TargetVerdict | null): WaitReason {
  switch (verdict?.state) {
    case 'cooling':
      return 'throttled';
    case 'full':
      return 'provider_queue';
    default:
      return 'breaker_open';
  }
}

/** Ends that no further attempt may follow. */
function finalVerdict(last: EndedAttempt, input: PlanInput): RequestError | null {
  if (last.outcome === 'refused' && !hasOtherProvider(input)) return refusal(last);
  // Nothing is generated, and paid for, again because our own storage failed.
  if (last.error?.code === STORAGE_FAILED) return failure(last);
  if (input.attempts.length >= input.maxAttempts) return failure(last);
  const unknown = input.attempts.findIndex((a) => a.outcome === 'unknown' && !a.repeatable);
  if (unknown === -1) return null;
  if (!input.retryUnknown) return failure(last);
  return input.attempts.slice(unknown + 1).some(mayBePaid) ? failure(last) : null;
}

/** Who refused once refuses again: only a provider that has not is worth asking. */
function hasOtherProvider(input: PlanInput): boolean {
  return input.fallbackOnRefusal && input.candidates.some((other) => isUsable(other, input));
}

/**
 * An unknown call may have been paid for, so it is answered by one more dispatch that may be paid
 * for, and no third. One that surely was not does not count.
 */
function mayBePaid({ outcome, possiblyBilled, repeatable }: EndedAttempt): boolean {
  if (outcome === 'not_sent' || outcome === 'throttled' || outcome === 'rejected') return false;
  return !repeatable && (outcome === 'unknown' || possiblyBilled);
}

function isUsable(candidate: Candidate, { attempts }: PlanInput): boolean {
  if (candidate.passedOver !== null) return false;
  const { provider, model } = candidate.target;
  return !attempts.some(
    (ended) =>
      ended.provider === provider &&
      (ended.outcome === 'refused' || (ended.outcome === 'rejected' && ended.model === model)),
  );
}

function isAffordable(candidate: Candidate, input: PlanInput): boolean {
  const { priceMicros } = candidate;
  const { leftMicros } = input.budget;
  if (priceMicros === 0) return true;
  return isWithinMaxCost(candidate, input) && (leftMicros === null || priceMicros <= leftMicros);
}

/** By what the client allows for the whole request. */
function isWithinMaxCost({ priceMicros }: Candidate, { attempts, maxCostMicros }: PlanInput) {
  const spent = attempts.reduce((sum, attempt) => sum + attempt.costMicros, 0);
  return maxCostMicros === null || spent + priceMicros <= maxCostMicros;
}

function rankedOf(candidate: Candidate, { attempts, verdicts }: PlanInput): Ranked {
  const { provider, model } = candidate.target;
  const own = attempts.filter((a) => a.provider === provider && a.model === model);
  const last = own.at(-1);
  const asked = last?.outcome === 'throttled' ? cappedRetryAfterMs(last.retryAfterMs) : 0;
  return {
    candidate,
    tries: own.length,
    coolUntil: last && asked > 0 ? last.completedAt + asked : 0,
    verdict: verdicts[candidate.name] ?? null,
  };
}

const countTries = (provider: string, model: string, attempts: readonly EndedAttempt[]) =>
  attempts.filter((a) => a.provider === provider && a.model === model).length;

function pause(ranked: readonly Ranked[], last: EndedAttempt, input: PlanInput): Decision {
  // What opened their breakers concerns all callers: it is waited for, with no attempt used.
  if (ranked.every(({ verdict }) => verdict?.state === 'open' && verdict.blockedUntil !== null)) {
    return waitFor(ranked, input);
  }
  const reason = last.outcome === 'throttled' ? 'throttled' : 'backoff';
  const waits = ranked
    .filter((entry) => entry.tries === ranked[0]?.tries)
    .map((entry) => {
      const delay = backoffMs({
        failures: Math.max(0, entry.tries - 1),
        retryAfterMs: last.retryAfterMs,
        random: input.random,
      });
      return Math.max(input.now + delay, entry.coolUntil);
    });
  return { next: 'wait', until: Math.min(...waits), reason, inTurn: false };
}

function choose(entry: Ranked, input: PlanInput): Decision {
  const { candidate, tries } = entry;
  const { now, deadlineAt } = input;
  if (deadlineAt - now < MIN_CALL_MS) {
    return { next: 'wait', until: deadlineAt, reason: 'backoff', inTurn: false };
  }
  return {
    next: 'attempt',
    target: {
      provider: candidate.target.provider,
      model: candidate.target.model,
      reason: reasonFor(candidate, tries, input),
      priceMicros: candidate.priceMicros,
      repeatable: candidate.target.repeatable,
    },
  };
}

/** Why this target, and why none that is preferred to it. */
function reasonFor(candidate: Candidate, tries: number, input: PlanInput): string {
  const last = input.attempts.at(-1);
  const before = input.candidates.slice(0, input.candidates.indexOf(candidate));
  const passed = before.flatMap((other) => {
    const why = whyNot(other, input);
    return why === null ? [] : [`${other.name} passed over: ${why}`];
  });
  if (!last) return ['first choice', ...passed].join('; ');
  const after = `after ${last.outcome} on ${last.provider}/${last.model}`;
  return [tries > 0 ? `retry ${after}` : `fallback ${after}`, ...passed].join('; ');
}

/** Null when it has only had its turn, or is not configured. */
function whyNot(candidate: Candidate, input: PlanInput): string | null {
  if (candidate.isOff) return null;
  if (candidate.passedOver !== null) return candidate.passedOver;
  if (!isAffordable(candidate, input)) return 'over budget';
  return input.verdicts[candidate.name]?.reason ?? null;
}

const refusal = (last: EndedAttempt, retryable = false): RequestError => ({
  code: 'content_refused',
  message: last.error?.message ?? 'The provider refused the content.',
  details: { retryable, ...last.error?.details },
});

function failure(last: EndedAttempt): RequestError {
  // There are others to ask, and no attempts left to do so.
  if (last.outcome === 'refused') return refusal(last, true);
  return {
    ...describeFailure(last),
    details: {
      retryable: last.outcome !== 'rejected',
      provider: last.provider,
      outcome: last.outcome,
      possibly_billed: last.possiblyBilled,
      provider_code: last.error?.code ?? null,
      provider_message: last.error?.message ?? null,
    },
  };
}

function describeFailure(last: EndedAttempt): Pick<RequestError, 'code' | 'message'> {
  if (last.error?.code === 'invalid_output') {
    const message = `${last.provider} answered with something that is not a valid image.`;
    return { code: 'invalid_output', message };
  }
  const own = [STORAGE_FAILED, INPUT_UNAVAILABLE] as const;
  const code = own.find((known) => known === last.error?.code);
  if (code) return { code, message: last.error?.message ?? code };
  const reason = last.error?.message ?? last.outcome;
  return { code: 'provider_failed', message: `${last.provider} did not deliver: ${reason}` };
}

function nothingUsable(input: PlanInput): RequestError {
  const last = input.attempts.at(-1);
  if (last) return failure(last);
  return {
    code: 'no_target_available',
    message: 'No target can serve this request now.',
    details: { retryable: true, targets: passedOverTargets(input.candidates) },
  };
}

/** Money of the user's may come free; what the client allows does not grow. */
function cannotAfford(usable: readonly Candidate[], input: PlanInput): Decision {
  const allowed = usable.filter((candidate) => isWithinMaxCost(candidate, input));
  if (input.onBudget === 'reject' || allowed.length === 0) {
    return { next: 'end', error: overBudget(usable, input) };
  }
  const until = input.budget.renewsAt;
  return { next: 'wait_for_budget', micros: cheapestOf(allowed), until };
}

const cheapestOf = (candidates: readonly Candidate[]) =>
  Math.min(...candidates.map(({ priceMicros }) => priceMicros));

function overBudget(usable: readonly Candidate[], input: PlanInput): RequestError {
  const { leftMicros } = input.budget;
  return {
    code: 'budget_exceeded',
    message: 'No target can serve this request within its cost limit and the budget.',
    details: {
      retryable: true,
      cheapest_usd: cheapestOf(usable) / 1e6,
      max_cost_usd: input.maxCostMicros === null ? null : input.maxCostMicros / 1e6,
      budget_left_usd: leftMicros === null ? null : leftMicros / 1e6,
    },
  };
}

/** For the caller: each target that cannot serve, and why. */
export function passedOverTargets(candidates: readonly Candidate[]) {
  return candidates
    .filter((candidate) => candidate.passedOver !== null)
    .map((candidate) => ({
      provider: candidate.target.provider,
      model: candidate.target.model,
      reason: candidate.passedOver,
    }));
}
