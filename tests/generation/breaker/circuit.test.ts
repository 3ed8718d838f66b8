import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  afterCall,
  type Circuit,
  judge,
  type Traffic,
  untried,
  windowOf,
} from '../../../src/generation/breaker/circuit';
import type { CallEnd } from '../../../src/generation/breaker/types';
import { type Outcome, outcomes } from '../../../src/requests/types';
import { endOf } from './support';

const NOW = 1_800_000_000_000;
const idle: Traffic = { inUse: 0, concurrency: null, isProbing: false, inLine: 0 };

/** `[ms after NOW, the end]`; a call takes 100 ms unless it says otherwise. */
type Step = readonly [at: number, end: Partial<CallEnd>];

const run = (steps: readonly Step[], circuit = untried): Circuit =>
  steps.reduce(
    (state, [at, end]) => afterCall(state, endOf({ endedAt: NOW + at, ...end }), NOW + at),
    circuit,
  );
const times = (n: number, step: Step): Step[] => Array.from({ length: n }, () => step);
const failed: Partial<CallEnd> = { outcome: 'failed' };
const succeeded: Partial<CallEnd> = { outcome: 'succeeded' };

const reasonOf = ({ phase }: Circuit) => (phase.is === 'open' ? phase.reason : null);
const judged = (circuit: Circuit, at: number, traffic: Partial<Traffic> = {}, sole = false) =>
  judge(circuit, { ...idle, ...traffic }, { now: NOW + at, sole });

const opened = run(times(5, [0, failed]));

describe('a breaker opens', () => {
  it.each<[string, string | null, readonly Step[]]>([
    ['not after 4 failures', null, times(4, [0, failed])],
    ['after 5 in a row', 'breaker open after 5 failures in a row', times(5, [0, failed])],
    [
      'not when a success parts them',
      null,
      [...times(4, [0, failed]), [1, succeeded], ...times(4, [9_000, failed])],
    ],
    ['not while a success is 2 s old', null, [[0, succeeded], ...times(9, [1_999, failed])]],
    [
      'with the next failure after those 2 s',
      'breaker open after 6 failures in a row',
      [[0, succeeded], ...times(5, [1_999, failed]), [2_000, failed]],
    ],
    [
      'not by half of 20',
      null,
      Array.from({ length: 20 }, (_, index): Step => [index, index % 2 ? failed : succeeded]),
    ],
    [
      'by more than half of 20 within a minute',
      'breaker open after 11 failures in 20 calls',
      [
        ...Array.from({ length: 18 }, (_, index): Step => [index, index % 2 ? failed : succeeded]),
        [18, failed],
        [19, failed],
      ],
    ],
    [
      'not by failures that are more than a minute old',
      null,
      [
        ...Array.from({ length: 18 }, (_, index): Step => [index, index % 2 ? failed : succeeded]),
        [59_999, succeeded],
        [60_000, failed],
        [60_001, failed],
      ],
    ],
    [
      'at once by an authentication error',
      'breaker open after an authentication error',
      [[0, { outcome: 'rejected', errorKind: 'auth' }]],
    ],
    [
      'at once by a payment error',
      'breaker open after a payment error',
      [[0, { outcome: 'rejected', errorKind: 'payment' }]],
    ],
  ])('%s', (_, reason, steps) => {
    expect(reasonOf(run(steps))).toBe(reason);
  });

  const effects: Readonly<Record<Outcome, 'counts' | 'resets' | 'neither'>> = {
    succeeded: 'resets',
    refused: 'neither',
    rejected: 'neither',
    throttled: 'neither',
    not_sent: 'counts',
    failed: 'counts',
    unknown: 'counts',
  };
  it.each(outcomes)('with %s among 4 failures: by what it means', (outcome) => {
    const circuit = run([...times(4, [0, failed]), [0, { outcome }]]);
    const failures = { counts: 5, resets: 0, neither: 4 }[effects[outcome]];
    expect(circuit.failuresInARow).toBe(failures);
    expect(circuit.phase.is).toBe(failures === 5 ? 'open' : 'closed');
  });

  it.each(['parameter', 'not_found', null])('not by a rejection of kind %s', (errorKind) => {
    expect(run(times(9, [0, { outcome: 'rejected', errorKind }]))).toBe(untried);
  });
});

describe('an open breaker', () => {
  const reason = 'breaker open after 5 failures in a row';
  const half = { state: 'half_open', blockedUntil: null, reason: null };

  it.each([
    [0, false, { state: 'open', blockedUntil: NOW + 30_000, reason }],
    [29_999, false, { state: 'open', blockedUntil: NOW + 30_000, reason }],
    [30_000, false, half],
    [0, true, { state: 'open', blockedUntil: NOW + 5_000, reason }],
    [4_999, true, { state: 'open', blockedUntil: NOW + 5_000, reason }],
    [5_000, true, half],
  ])('after %i ms (sole target: %s)', (at, sole, standing) => {
    expect(judged(opened, at, {}, sole)).toEqual(standing);
  });

  it('lets one probe go, and has the others ask again a second later', () => {
    expect(judged(opened, 30_000, { isProbing: true })).toEqual({
      state: 'half_open',
      blockedUntil: NOW + 31_000,
      reason: 'breaker half-open, its probe is under way',
    });
  });

  it('closes with the success of a probe, with a clean record', () => {
    const closed = run([[30_500, succeeded]], opened);
    expect(judged(closed, 30_500)).toEqual({ state: 'closed', blockedUntil: null, reason: null });
    expect(closed.failuresInARow).toBe(0);
    expect(windowOf(closed, NOW + 30_500)).toEqual({ calls: 0, failures: 0 });
  });

  it('is open for another 30 s after a probe that failed', () => {
    const again = run([[30_500, failed]], opened);
    expect(judged(again, 60_499)).toMatchObject({
      state: 'open',
      blockedUntil: NOW + 60_500,
      reason: 'breaker open after a failed probe',
    });
    expect(judged(again, 60_500)).toEqual(half);
  });

  it.each<[Outcome, number]>([
    ['refused', 30_500],
    ['rejected', 30_500],
    ['throttled', 31_500],
  ])('stays half-open after a probe that was %s', (outcome, from) => {
    const same = run([[30_500, { outcome }]], opened);
    expect(judged(same, from)).toEqual(half);
  });

  it('says why when it was the key that the probe failed by', () => {
    const again = run([[30_500, { outcome: 'rejected', errorKind: 'auth' }]], opened);
    expect(reasonOf(again)).toBe('breaker open after an authentication error');
  });

  it('is not closed by the success of a call from before', () => {
    const still = run([[10_000, { ...succeeded, startedAt: NOW - 1 }]], opened);
    expect(still.phase).toBe(opened.phase);
  });

  it.each([-1, 1_999])('is not prolonged by a call that began %i ms after', (startedAfter) => {
    const still = run([[20_000, { ...failed, startedAt: NOW + startedAfter }]], opened);
    expect(still.phase).toBe(opened.phase);
  });
});

describe('a cool-down', () => {
  it.each([
    [null, 1_000],
    [0, 0],
    [2_500, 2_500],
    [3_600_000, 60_000],
  ])('of Retry-After %s ms lasts %i ms', (retryAfterMs, lasts) => {
    const cooling = run([[0, { outcome: 'throttled', retryAfterMs }]]);
    expect(judged(cooling, lasts)).toMatchObject({ state: 'closed', blockedUntil: null });
    if (lasts === 0) return;
    expect(judged(cooling, lasts - 1)).toEqual({
      state: 'cooling',
      blockedUntil: NOW + lasts,
      reason: 'asked by the provider to wait',
    });
  });

  it('is never cut short by another one, nor by a success', () => {
    const longer = run([[0, { outcome: 'throttled', retryAfterMs: 30_000 }]]);
    const still = run(
      [
        [10, { outcome: 'throttled' }],
        [20, succeeded],
      ],
      longer,
    );
    expect(judged(still, 20)).toMatchObject({ state: 'cooling', blockedUntil: NOW + 30_000 });
  });

  it('outlasts an opening, which gives the reason', () => {
    const both = run([[0, { outcome: 'throttled', retryAfterMs: 40_000 }]], opened);
    expect(judged(both, 0)).toMatchObject({ state: 'open', blockedUntil: NOW + 40_000 });
    expect(judged(both, 30_000)).toMatchObject({ state: 'cooling', blockedUntil: NOW + 40_000 });
  });
});

describe('a cap', () => {
  it.each([
    [0, 'closed', null, null],
    [2, 'closed', null, null],
    [3, 'full', NOW + 250, 'all 3 calls in use'],
    [4, 'full', NOW + 250, 'all 3 calls in use'],
  ])('of 3 with %i in use', (inUse, state, blockedUntil, reason) => {
    const standing = judged(untried, 0, { inUse, concurrency: 3 });
    expect(standing).toEqual({ state, blockedUntil, reason });
  });

  it.each([
    [1, 270],
    [50, 1_250],
    [75, 1_750],
    [10_000, 2_000],
  ])('with %i users in line is asked again in %i ms', (inLine, ms) => {
    const standing = judged(untried, 0, { inUse: 3, concurrency: 3, inLine });
    expect(standing.blockedUntil).toBe(NOW + ms);
  });

  it('holds for a probe too', () => {
    expect(judged(opened, 30_000, { inUse: 1, concurrency: 1 }).state).toBe('full');
  });
});

interface SomeEnd extends Omit<CallEnd, 'startedAt' | 'endedAt'> {
  /** Since the end before. */
  readonly wait: number;
  readonly took: number;
}

/** Failures more often than not, so that breakers do open. */
const someEnd: fc.Arbitrary<SomeEnd> = fc.record({
  permit: fc.uuid(),
  outcome: fc.oneof(fc.constant('failed' as const), fc.constantFrom(...outcomes)),
  errorKind: fc.constantFrom(null, 'parameter', 'not_found'),
  retryAfterMs: fc.option(fc.integer({ min: 0, max: 10_000_000 })),
  wait: fc.oneof(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 0, max: 70_000 })),
  took: fc.integer({ min: 0, max: 120_000 }),
});

/** Each end in turn, with the circuit before and after it. */
function* played(ends: readonly SomeEnd[]) {
  let now = NOW;
  let circuit = untried;
  for (const { wait, took, ...rest } of ends) {
    now += wait;
    const end = { ...rest, startedAt: now - took, endedAt: now };
    const before = circuit;
    circuit = afterCall(before, end, now);
    yield { before, after: circuit, end, now };
  }
}

const isFailure = ({ outcome }: CallEnd) => ['not_sent', 'failed', 'unknown'].includes(outcome);
const someEnds = fc.array(someEnd, { maxLength: 80 });

describe('whatever comes', () => {
  it('a closed breaker opens by a failure, and after 5 failures at least', () => {
    let openings = 0;
    fc.assert(
      fc.property(someEnds, (ends) => {
        let failures = 0;
        for (const { before, after, end } of played(ends)) {
          failures = before.phase.is === 'open' ? 0 : failures + Number(isFailure(end));
          if (before.phase.is === 'open' || after.phase.is === 'closed') continue;
          expect(isFailure(end)).toBe(true);
          expect(failures).toBeGreaterThanOrEqual(5);
          openings += 1;
        }
      }),
    );
    expect(openings).toBeGreaterThan(0);
  });

  it('the success of a call that began after the opening closes it', () => {
    fc.assert(
      fc.property(someEnds, (ends) => {
        for (const { after, now } of played(ends)) {
          if (after.phase.is === 'closed') continue;
          const startedAt = after.phase.openedAt;
          const probe = endOf({ outcome: 'succeeded', startedAt, endedAt: now });
          expect(afterCall(after, probe, now).phase.is).toBe('closed');
        }
      }),
    );
  });

  it('nobody is kept waiting for more than a minute, nor told to come back in the past', () => {
    fc.assert(
      fc.property(someEnds, fc.boolean(), (ends, sole) => {
        for (const { after, now } of played(ends)) {
          const { blockedUntil } = judge(after, idle, { now, sole });
          if (blockedUntil === null) continue;
          expect(blockedUntil).toBeGreaterThan(now);
          expect(blockedUntil).toBeLessThanOrEqual(now + 60_000);
          expect(judge(after, idle, { now: blockedUntil, sole }).blockedUntil).toBeNull();
        }
      }),
    );
  });

  it('the record of the last minute stays small', () => {
    fc.assert(
      fc.property(someEnds, (ends) => {
        for (const { after } of played(ends)) expect(after.recent.length).toBeLessThanOrEqual(13);
      }),
    );
  });
});
