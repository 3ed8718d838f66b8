import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deliveryVerdict, nextAttempt } from '../../src/webhooks/schedule';

const now = Date.UTC(2026, 10, 21);
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const middle = () => 0.5;
const lowest = () => 0;
const highest = () => 0.999_999;

describe('the retry schedule', () => {
  it.each([
    [1, 5 * SECOND],
    [2, 5 * MINUTE],
    [3, 30 * MINUTE],
    [4, 2 * HOUR],
    [5, 5 * HOUR],
    [6, 10 * HOUR],
    [7, 14 * HOUR],
    [8, 20 * HOUR],
    [9, 24 * HOUR],
  ])('waits after try %i for %i ms, give or take a tenth', (attemptsMade, delay) => {
    const wait = (random: () => number) =>
      (nextAttempt({ attemptsMade, now, retryAfterMs: null, random }) ?? 0) - now;
    expect(wait(middle)).toBe(delay);
    expect(wait(lowest)).toBe(delay * 0.9);
    expect(wait(highest)).toBeGreaterThan(delay * 1.0999);
    expect(wait(highest)).toBeLessThanOrEqual(delay * 1.1);
  });

  it('makes the first try at once', () => {
    expect(nextAttempt({ attemptsMade: 0, now, retryAfterMs: null, random: middle })).toBe(now);
  });

  it.each([10, 11, 1_000])('is over after %i tries, whatever Retry-After says', (attemptsMade) => {
    for (const retryAfterMs of [null, 0, HOUR]) {
      expect(nextAttempt({ attemptsMade, now, retryAfterMs, random: middle })).toBeNull();
    }
  });

  it.each([
    ['longer than the wait puts it off', 1, HOUR, HOUR],
    ['shorter than the wait changes nothing', 3, MINUTE, 27 * MINUTE],
    ['of nothing changes nothing', 1, 0, 4.5 * SECOND],
    ['of more than 24 h counts as 24 h', 1, 400 * 24 * HOUR, 24 * HOUR],
  ])('a Retry-After %s', (_, attemptsMade, retryAfterMs, wait) => {
    expect(nextAttempt({ attemptsMade, now, retryAfterMs, random: lowest })).toBe(now + wait);
  });

  it('never tries before Retry-After, and spreads those that were asked for the same time', () => {
    const tries = fc.integer({ min: 1, max: 9 });
    const asked = fc.integer({ min: 0, max: 24 * HOUR });
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(tries, asked, random, (attemptsMade, retryAfterMs, draw) => {
        const at = nextAttempt({ attemptsMade, now, retryAfterMs, random: () => draw });
        expect(at).toBeGreaterThanOrEqual(now + retryAfterMs);
      }),
    );
    const wait = (random: () => number) =>
      nextAttempt({ attemptsMade: 1, now, retryAfterMs: HOUR, random });
    expect(wait(highest)).toBeGreaterThan(Number(wait(lowest)) + 5 * MINUTE);
  });
});

describe('a delivery', () => {
  it.each([
    ['delivered', [200, 201, 202, 204, 299]],
    ['gone', [410]],
    [
      'retry',
      [100, 199, 300, 301, 302, 304, 307, 308, 400, 401, 404, 409, 411, 429, 500, 503, 530],
    ],
  ] as const)('is %s when the answer is %j', (verdict, statuses) => {
    for (const status of statuses) expect(deliveryVerdict({ status })).toBe(verdict);
  });

  it.each(['refused', 'failed'] as const)('that was %s is tried again', (outcome) => {
    expect(deliveryVerdict({ outcome })).toBe('retry');
  });
});
