import { describe, expect, it } from 'vitest';
import type { Candidate } from '../../src/generation/candidates';
import { targetOf } from '../../src/generation/model-parts';
import { type PlanInput, plan } from '../../src/generation/plan';
import type { EndedAttempt, Outcome, TargetVerdict } from '../../src/requests/types';
import { NOW } from '../support/states';

const candidate = (name: string, overrides: Partial<Candidate> = {}): Candidate => ({
  target: targetOf('openai', name, { price: [{ per: 'image', usd: 0.04 }] }),
  name: `openai/${name}`,
  priceMicros: 40_000,
  passedOver: null,
  isOff: false,
  ...overrides,
});

const attempt = (
  model: string,
  outcome: Outcome,
  overrides: Partial<EndedAttempt> = {},
): EndedAttempt => ({
  number: 1,
  token: 'token-1',
  provider: 'openai',
  model,
  reason: 'first choice',
  startedAt: NOW - 100,
  completedAt: NOW,
  reservedMicros: 40_000,
  repeatable: false,
  outcome,
  costMicros: 0,
  possiblyBilled: false,
  providerRequestId: null,
  retryAfterMs: null,
  error: { code: 'server_error', message: 'it broke' },
  ...overrides,
});

/** Nothing speaks against a call. */
const open: TargetVerdict = { state: 'closed', blockedUntil: null, reason: null, pace: null };

const renewsAt = NOW + 86_400_000;

const ask = (overrides: Partial<PlanInput>) =>
  plan({
    candidates: [candidate('a'), candidate('b')],
    attempts: [],
    moment: 'attempt_ended',
    maxAttempts: 4,
    maxCostMicros: null,
    budget: { leftMicros: null, renewsAt },
    onBudget: 'reject',
    retryUnknown: true,
    fallbackOnRefusal: false,
    verdicts: { 'openai/a': open, 'openai/b': open, 'openai/c': open },
    deadlineAt: NOW + 900_000,
    now: NOW,
    random: 0.5,
    ...overrides,
  });

const left = (leftMicros: number) => ({ budget: { leftMicros, renewsAt } });
const sole = [candidate('a')];
const chosen = (model: string) => ({ next: 'attempt', target: { model } });
const ended = (code: string) => ({ next: 'end', error: { code } });

describe('the first attempt', () => {
  it('goes to the first target', () => {
    expect(ask({ moment: 'slot_given' })).toMatchObject({
      next: 'attempt',
      target: { model: 'a', reason: 'first choice', priceMicros: 40_000 },
    });
  });

  it('passes over a target that cannot serve, and says why', () => {
    const candidates = [candidate('a', { passedOver: 'no key' }), candidate('b')];
    expect(ask({ candidates, moment: 'slot_given' })).toMatchObject({
      target: { model: 'b', reason: 'first choice; openai/a passed over: no key' },
    });
  });

  it('ends when no target can serve', () => {
    const candidates = [candidate('a', { passedOver: 'no key' })];
    expect(ask({ candidates })).toMatchObject(ended('no_target_available'));
  });
});

describe('after each outcome', () => {
  it.each<[Outcome, object]>([
    ['rejected', chosen('b')],
    ['throttled', chosen('b')],
    ['not_sent', chosen('b')],
    ['failed', chosen('b')],
    ['unknown', chosen('b')],
    ['refused', ended('content_refused')],
  ])('%s with a second target', (outcome, expected) => {
    expect(ask({ attempts: [attempt('a', outcome)] })).toMatchObject(expected);
  });

  it.each<[Outcome, object]>([
    ['rejected', ended('provider_failed')],
    ['throttled', { next: 'wait', reason: 'throttled' }],
    ['not_sent', { next: 'wait', reason: 'backoff' }],
    ['failed', { next: 'wait', reason: 'backoff' }],
    ['unknown', { next: 'wait', reason: 'backoff' }],
    ['refused', ended('content_refused')],
  ])('%s with a sole target', (outcome, expected) => {
    const attempts = [attempt('a', outcome)];
    expect(ask({ candidates: sole, attempts })).toMatchObject(expected);
  });

  it('names the fallback and what it follows', () => {
    expect(ask({ attempts: [attempt('a', 'throttled')] })).toMatchObject({
      target: { reason: 'fallback after throttled on openai/a' },
    });
  });

  it('comes back to the first target after a pause once both have failed', () => {
    const attempts = [attempt('a', 'failed'), attempt('b', 'failed')];
    expect(ask({ attempts })).toMatchObject({ next: 'wait', reason: 'backoff' });
    expect(ask({ attempts, moment: 'slot_given' })).toMatchObject({
      target: { model: 'a', reason: 'retry after failed on openai/b' },
    });
  });

  it('never tries again what was rejected', () => {
    const attempts = [attempt('a', 'rejected'), attempt('b', 'failed')];
    expect(ask({ attempts, moment: 'slot_given' })).toMatchObject(chosen('b'));
  });

  it('tells an invalid image from another failure', () => {
    const error = { code: 'invalid_output', message: 'an HTML page' };
    const attempts = [attempt('a', 'failed', { error })];
    expect(ask({ attempts, maxAttempts: 1 })).toMatchObject(ended('invalid_output'));
  });
});

it('images that could not be stored are not generated, and paid for, again', () => {
  const error = { code: 'storage_failed', message: 'R2 was away' };
  const attempts = [attempt('a', 'failed', { error, possiblyBilled: true })];
  expect(ask({ attempts })).toMatchObject(ended('storage_failed'));
});

describe('the number of attempts', () => {
  it('never passes max_attempts', () => {
    const attempts = [attempt('a', 'failed'), attempt('b', 'failed')];
    expect(ask({ attempts, maxAttempts: 2 })).toMatchObject(ended('provider_failed'));
  });

  it('allows one more dispatch after an unknown call, and no third', () => {
    const once = [attempt('a', 'unknown')];
    expect(ask({ attempts: once })).toMatchObject(chosen('b'));
    const twice = [attempt('a', 'unknown'), attempt('b', 'unknown')];
    expect(ask({ attempts: twice })).toMatchObject(ended('provider_failed'));
  });

  it('allows no third call that may be paid for, whatever the second was', () => {
    const billed = attempt('b', 'failed', { possiblyBilled: true });
    expect(ask({ attempts: [attempt('a', 'unknown'), billed] })).toMatchObject(
      ended('provider_failed'),
    );
    const free = attempt('b', 'throttled');
    expect(ask({ attempts: [attempt('a', 'unknown'), free] })).not.toMatchObject({ next: 'end' });
  });

  it('makes no further dispatch after an unknown call with retry_unknown off', () => {
    const attempts = [attempt('a', 'unknown')];
    expect(ask({ attempts, retryUnknown: false })).toMatchObject(ended('provider_failed'));
  });

  it('repeats a lost call freely where it costs nothing', () => {
    const lost = attempt('a', 'unknown', { repeatable: true });
    const input = { candidates: sole, attempts: [lost, lost], retryUnknown: false };
    expect(ask(input)).toMatchObject({ next: 'wait' });
  });
});

describe('pauses', () => {
  it.each([
    [1, 500],
    [2, 1_000],
    [3, 2_000],
  ])('after %i failures wait half of the doubled base at random 0.5', (failures, delay) => {
    const attempts = Array.from({ length: failures }, () => attempt('a', 'failed'));
    const decision = ask({ candidates: sole, attempts, maxAttempts: 10 });
    const wait = { next: 'wait', until: NOW + delay, reason: 'backoff', inTurn: false };
    expect(decision).toEqual(wait);
  });

  it('are never shorter than Retry-After', () => {
    const attempts = [attempt('a', 'throttled', { retryAfterMs: 7_000 })];
    expect(ask({ candidates: sole, attempts, random: 0 })).toMatchObject({ until: NOW + 7_000 });
  });

  it('cap Retry-After at 60 s', () => {
    const attempts = [attempt('a', 'throttled', { retryAfterMs: 3_600_000 })];
    expect(ask({ candidates: sole, attempts, random: 0 })).toMatchObject({ until: NOW + 60_000 });
  });

  it('keep a throttled target cool even when a slot comes earlier', () => {
    const attempts = [attempt('a', 'throttled', { retryAfterMs: 7_000 })];
    const early = ask({ candidates: sole, attempts, moment: 'slot_given', now: NOW + 6_999 });
    expect(early).toMatchObject({ next: 'wait', until: NOW + 7_000 });
    const due = ask({ candidates: sole, attempts, moment: 'slot_given', now: NOW + 7_000 });
    expect(due).toMatchObject(chosen('a'));
  });
});

describe('cost', () => {
  it('passes over a target beyond max_cost_usd', () => {
    const candidates = [candidate('a', { priceMicros: 90_000 }), candidate('b')];
    expect(ask({ candidates, maxCostMicros: 50_000 })).toMatchObject(chosen('b'));
  });

  it('counts what earlier attempts may have cost', () => {
    const attempts = [attempt('a', 'unknown', { costMicros: 40_000, possiblyBilled: true })];
    expect(ask({ attempts, maxCostMicros: 79_999 })).toMatchObject(ended('budget_exceeded'));
    expect(ask({ attempts, maxCostMicros: 80_000 })).toMatchObject(chosen('b'));
  });

  it('holds the budget against each target, so that a paid fallback cannot leak past it', () => {
    const free = candidate('free', { priceMicros: 0 });
    const candidates = [free, candidate('paid')];
    const attempts = [attempt('free', 'failed')];
    expect(ask({ candidates, attempts, ...left(10_000) })).toMatchObject({ next: 'wait' });
    expect(ask({ candidates: sole, ...left(39_999) })).toMatchObject(ended('budget_exceeded'));
  });
});

describe('a budget that does not reach', () => {
  const dear = candidate('dear', { priceMicros: 90_000 });
  const candidates = [dear, candidate('b')];
  const waits = { onBudget: 'wait' } as const;

  it('is waited for if the client says so, for as much as the cheapest target costs', () => {
    const decision = { next: 'wait_for_budget', micros: 40_000, until: renewsAt };
    expect(ask({ candidates, ...waits, ...left(39_999) })).toEqual(decision);
    const attempts = [attempt('b', 'failed')];
    expect(ask({ candidates, attempts, ...waits, ...left(-1) })).toEqual(decision);
  });

  it('is not waited for while one target is within it', () => {
    expect(ask({ candidates, ...waits, ...left(40_000) })).toMatchObject(chosen('b'));
  });

  it('is not waited for in vain: max_cost_usd does not grow', () => {
    const over = ask({ candidates, ...waits, ...left(0), maxCostMicros: 39_999 });
    expect(over).toMatchObject(ended('budget_exceeded'));
    const decision = { next: 'wait_for_budget', micros: 40_000 };
    expect(ask({ candidates, ...waits, ...left(0), maxCostMicros: 50_000 })).toMatchObject(
      decision,
    );
  });
});

describe('targets that all callers know of', () => {
  const blocked = (state: TargetVerdict['state'], ms: number): TargetVerdict => ({
    ...open,
    state,
    blockedUntil: NOW + ms,
    reason: `it is ${state}`,
  });
  const at = { moment: 'slot_given' } as const;

  it('are looked at before the first call, all that could serve at once', () => {
    expect(ask({ ...at, verdicts: {} })).toEqual({
      next: 'check',
      targets: ['openai/a', 'openai/b'],
      sole: false,
    });
    expect(ask({ ...at, candidates: sole, verdicts: {} })).toMatchObject({ sole: true });
  });

  it('that are blocked are passed over, and the ledger says why', () => {
    const verdicts = { 'openai/a': blocked('open', 30_000), 'openai/b': open } as const;
    expect(ask({ ...at, verdicts })).toMatchObject({
      next: 'attempt',
      target: { model: 'b', reason: 'first choice; openai/a passed over: it is open' },
    });
  });

  it.each([
    ['open', 'breaker_open'],
    ['cooling', 'throttled'],
    ['full', 'provider_queue'],
  ] as const)(
    'when all are %s, the request waits in its turn, with no attempt used',
    (state, reason) => {
      const verdicts = {
        'openai/a': blocked(state, 5_000),
        'openai/b': blocked('open', 30_000),
      } as const;
      const decision = ask({ ...at, verdicts });
      expect(decision).toEqual({ next: 'wait', until: NOW + 5_125, reason, inTurn: true });
    },
  );

  it('a failure that opens the only breaker is followed by waiting for it, not by a backoff', () => {
    const verdicts = { 'openai/a': blocked('open', 5_000) } as const;
    const decision = ask({ candidates: sole, attempts: [attempt('a', 'failed')], verdicts });
    expect(decision).toMatchObject({ next: 'wait', reason: 'breaker_open', inTurn: true });
  });

  it('a pause that is due is not shortened by looking at them', () => {
    const attempts = [attempt('a', 'failed'), attempt('b', 'failed')];
    expect(ask({ attempts, verdicts: {} })).toMatchObject({ next: 'wait', reason: 'backoff' });
  });

  it('a call that the deadline would cut off at once is not made', () => {
    const decision = ask({ ...at, deadlineAt: NOW + 999 });
    expect(decision).toMatchObject({ next: 'wait', until: NOW + 999 });
  });
});

describe('a refusal', () => {
  const refused = [attempt('a', 'refused', { error: { code: 'moderation', message: 'no' } })];
  const other = candidate('b', { target: targetOf('google', 'b'), name: 'google/b' });
  const candidates = [candidate('a'), candidate('c'), other];
  const verdicts = { 'openai/a': open, 'openai/c': open, 'google/b': open } as const;

  it('ends the request, unless the client wants another provider to be asked', () => {
    expect(ask({ attempts: refused, candidates, verdicts })).toMatchObject(
      ended('content_refused'),
    );
  });

  it('is taken to another provider, and to no other model of the same', () => {
    const input = { attempts: refused, candidates, verdicts, fallbackOnRefusal: true };
    expect(ask(input)).toMatchObject({
      next: 'attempt',
      target: { provider: 'google', model: 'b' },
    });
  });

  it('by every provider ends the request with the last one’s', () => {
    const attempts = [...refused, attempt('b', 'refused', { provider: 'google' })];
    const input = { attempts, candidates, verdicts, fallbackOnRefusal: true };
    expect(ask(input)).toMatchObject(ended('content_refused'));
  });
});
