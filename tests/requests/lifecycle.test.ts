import { describe, expect, it } from 'vitest';
import * as lifecycle from '../../src/requests/lifecycle';
import { costMicros } from '../../src/requests/money';
import type {
  AttemptResult,
  Decision,
  Finished,
  RequestError,
  RequestState,
} from '../../src/requests/types';
import {
  failure,
  NOW,
  queued,
  released,
  running,
  success,
  target,
  tryTarget,
} from '../support/states';

const end = (): Decision => ({
  next: 'end',
  error: { code: 'provider_failed', message: 'no', details: {} },
});
const waitUntil = (until: number) => (): Decision => ({
  next: 'wait',
  until,
  reason: 'backoff',
  inTurn: false,
});
const settle = (
  state: RequestState,
  facts: Partial<Parameters<typeof lifecycle.settle>[1]> = {},
  now = NOW + 50,
) =>
  lifecycle.settle(
    state,
    { token: 'token-1', result: success, nextToken: 'token-2', decide: tryTarget, ...facts },
    now,
  );

const suspended = () => ({ next: 'end', error: lifecycle.suspension }) as const;

const succeeded = () => settle(running());
const terminalStates: [string, RequestState][] = [
  ['succeeded', succeeded()],
  ['failed', settle(running(), { result: failure('failed'), decide: end })],
  ['canceled', lifecycle.cancel(queued(), NOW + 1)],
  ['expired', lifecycle.expire(queued(), NOW + 900_000)],
];

describe('a transition', () => {
  it('raises the version by one and records one event', () => {
    const state = succeeded();
    expect(state.version).toBe(3);
    expect(state.events.map(({ type, version }) => [type, version])).toEqual([
      ['request.queued', 1],
      ['request.running', 2],
      ['request.succeeded', 3],
    ]);
  });

  it('to the same status changes nothing that clients see', () => {
    const state = released();
    expect(state.version).toBe(1);
    expect(lifecycle.resend(state, NOW + 1).version).toBe(1);
  });

  describe.each(terminalStates)('out of %s', (_status, state) => {
    it.each([
      ['release', lifecycle.release(state, NOW)],
      ['resend', lifecycle.resend(state, NOW)],
      ['wake', lifecycle.wake(state, NOW)],
      ['claim', lifecycle.claim(state, { release: 1, token: 'x', decide: tryTarget }, NOW)],
      ['settle', settle(state)],
      ['lease loss', lifecycle.loseLease(state, { decide: tryTarget }, NOW)],
      ['cancel', lifecycle.cancel(state, NOW)],
      ['expire', lifecycle.expire(state, NOW + 9e9)],
      ['dead letter', lifecycle.deadLetter(state, { release: 1 }, NOW)],
    ])('by %s is refused: the very same object comes back', (_name, next) => {
      expect(next).toBe(state);
    });
  });
});

describe('a claim', () => {
  it('is fenced off when its release is not the current one', () => {
    const state = released();
    const facts = { release: 2, token: 'x', decide: tryTarget };
    expect(lifecycle.claim(state, facts, NOW)).toBe(state);
  });

  it('is fenced off while the request waits for a slot or for a time', () => {
    const waiting = queued();
    const facts = { release: 0, token: 'x', decide: tryTarget };
    expect(lifecycle.claim(waiting, facts, NOW)).toBe(waiting);
    const inBackoff = settle(running(), {
      result: failure('failed'),
      decide: waitUntil(NOW + 999),
    });
    expect(lifecycle.claim(inBackoff, { ...facts, release: 1 }, NOW)).toBe(inBackoff);
  });

  it('starts an attempt with a number, a token and what it reserves', () => {
    const { current } = running('token-7');
    expect(current).toMatchObject({ number: 1, token: 'token-7', reservedMicros: 42_000 });
  });

  it('ends the request when the plan has nothing to try', () => {
    const state = lifecycle.claim(released(), { release: 1, token: 'x', decide: end }, NOW);
    expect(state).toMatchObject({ status: 'failed', error: { code: 'provider_failed' } });
  });
});

describe('settling', () => {
  it('with another token than the current one does nothing', () => {
    const state = running('token-1');
    expect(settle(state, { token: 'token-0' })).toBe(state);
  });

  it('a failure goes on with the next target at once, as a new attempt with a new token', () => {
    const state = settle(running(), { result: failure('failed') });
    expect(state).toMatchObject({
      status: 'running',
      version: 4,
      current: { number: 2, token: 'token-2' },
      attempts: [{ number: 1, outcome: 'failed', costMicros: 0, possiblyBilled: false }],
    });
  });

  it('a failure waits for a slot when its consumer cannot go on', () => {
    const state = settle(running(), { result: failure('failed'), nextToken: null });
    expect(state).toMatchObject({ status: 'queued', wait: { for: 'slot' }, version: 3 });
  });

  it('a failure waits for the time that the plan names, without a slot', () => {
    const state = settle(running(), { result: failure('failed'), decide: waitUntil(NOW + 2000) });
    expect(state).toMatchObject({ status: 'queued', wait: { for: 'time', until: NOW + 2000 } });
    expect(lifecycle.wake(state, NOW + 1999)).toBe(state);
    expect(lifecycle.wake(state, NOW + 2000)).toMatchObject({ wait: { for: 'slot' } });
  });

  it('charges the reservation for a call that was possibly billed', () => {
    const result = failure('unknown', { possiblyBilled: true });
    const state = settle(running(), { result, decide: end });
    expect(state.attempts).toMatchObject([{ costMicros: 42_000, possiblyBilled: true }]);
    expect(costMicros(state)).toBe(42_000);
  });

  it('a late answer after a lost lease changes nothing', () => {
    const lost = lifecycle.loseLease(running(), { decide: tryTarget }, NOW + 20);
    expect(lost).toMatchObject({ status: 'queued', attempts: [{ outcome: 'unknown' }] });
    expect(settle(lost)).toBe(lost);
    const again = lifecycle.claim(
      lifecycle.release(lost, NOW + 30),
      { release: 2, token: 'token-2', decide: tryTarget },
      NOW + 40,
    );
    expect(settle(again, { token: 'token-1' })).toBe(again);
  });
});

describe('cancel and expiry during a call', () => {
  it.each([
    ['canceled', (state: RequestState) => lifecycle.cancel(state, NOW + 30)],
    ['expired', (state: RequestState) => lifecycle.expire(state, NOW + 900_000)],
  ])('%s charges the call as possibly billed and closes the attempt', (status, apply) => {
    const state = apply(running());
    expect(state).toMatchObject({
      status,
      attempts: [{ outcome: 'unknown', possiblyBilled: true, costMicros: target.priceMicros }],
    });
    expect(settle(state)).toBe(state);
  });

  it('expiry comes at the deadline, not before', () => {
    const state = running();
    expect(lifecycle.expire(state, NOW + 899_999)).toBe(state);
    expect(lifecycle.expire(state, NOW + 900_000)).toMatchObject({
      status: 'expired',
      error: { code: 'deadline_exceeded' },
    });
  });
});

describe('a dead letter', () => {
  it('ends only the current, unclaimed release', () => {
    const state = released();
    expect(lifecycle.deadLetter(state, { release: 2 }, NOW)).toBe(state);
    const claimed = running();
    expect(lifecycle.deadLetter(claimed, { release: 1 }, NOW)).toBe(claimed);
    expect(lifecycle.deadLetter(state, { release: 1 }, NOW)).toMatchObject({
      status: 'failed',
      error: { code: 'dead_lettered' },
    });
  });
});

describe('what a request shares with its equals', () => {
  const other = 'req_0ccccccccccccccccccccccccccc';
  const endedBy = (code: RequestError['code'], details: RequestError['details']) =>
    settle(running(), {
      result: failure('failed'),
      decide: () => ({ next: 'end', error: { code, message: 'no', details } }),
    }) as Finished;

  it.each<[string, Finished]>([
    ['a failure that may not come again', endedBy('provider_failed', { retryable: true })],
    ['a failure of this one alone', endedBy('budget_exceeded', { retryable: false })],
    ['a refusal that may not come again', endedBy('content_refused', { retryable: true })],
    ['a cancellation', lifecycle.cancel(queued(), NOW) as Finished],
    ['a missed deadline', lifecycle.expire(queued(), NOW + 900_000) as Finished],
  ])('is not %s', (_, state) => {
    expect(lifecycle.sharedBy(state)).toBeNull();
  });

  it('is its output with what was said of that, and not what it was told itself', () => {
    const asked = { ...running(), warnings: ['its own'] };
    const result: AttemptResult = {
      outcome: 'succeeded',
      output: { images: [] },
      costMicros: 42_000,
      providerRequestId: null,
      warnings: ['openai ignores seed'],
    };
    const made = settle(asked, { result });
    const shared = lifecycle.sharedBy(made as Finished);
    if (!shared) throw new Error('expected an output');
    const state = lifecycle.reuse(lifecycle.join(queued()), { from: other, shared }, NOW + 60);
    expect(state).toMatchObject({
      status: 'succeeded',
      version: 2,
      completedAt: NOW + 60,
      output: { images: [] },
      warnings: [],
      outputWarnings: ['openai ignores seed'],
      attempts: [],
      reusedFrom: other,
    });
    expect(state).not.toHaveProperty('wait');
  });

  it('is a refusal, as asking again would bring the same', () => {
    const state = endedBy('content_refused', { retryable: false });
    const shared = lifecycle.sharedBy(state);
    if (!shared) throw new Error('expected a refusal');
    expect(lifecycle.reuse(queued(), { from: other, shared }, NOW + 60)).toMatchObject({
      status: 'failed',
      error: { code: 'content_refused' },
      attempts: [],
      reusedFrom: other,
    });
  });

  it.each([
    ['canceled', (state: RequestState) => lifecycle.cancel(state, NOW)],
    ['expired', (state: RequestState) => lifecycle.expire(state, NOW + 900_000)],
  ])('is nothing to a follower that was %s', (status, end) => {
    expect(end(lifecycle.join(queued()))).toMatchObject({ status, reusedFrom: null });
  });
});

describe('a suspension', () => {
  it('ends what is not called for, and lets a call and an end be', () => {
    for (const state of [queued(), released(), lifecycle.join(queued())]) {
      const ended = lifecycle.suspend(state, NOW + 5);
      expect(ended).toMatchObject({ status: 'canceled', error: { code: 'account_suspended' } });
    }
    for (const state of [running(), ...terminalStates.map(([, state]) => state)]) {
      expect(lifecycle.suspend(state, NOW + 5)).toBe(state);
    }
  });

  it('cancels where another attempt would be made, and keeps the record of the last one', () => {
    const facts = { result: failure('failed'), decide: suspended };
    const lost = lifecycle.loseLease(running(), { decide: suspended }, NOW + 50);
    for (const state of [settle(running(), facts), lost]) {
      expect(state).toMatchObject({ status: 'canceled', error: lifecycle.suspension });
      expect(state.attempts).toHaveLength(1);
    }
  });
});
