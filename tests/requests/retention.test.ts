import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { capRefusal } from '../../src/accounts/caps';
import { DEFAULT_LIMITS } from '../../src/accounts/types';
import {
  HOUR_MS,
  lastsFor,
  longestRetentionMs,
  MAX_RETENTION_HOURS,
  withinRetention,
} from '../../src/requests/retention';
import { NOW } from '../support/states';

const settings = { imageRetentionMs: 30 * 24 * HOUR_MS };
const hours = fc.integer({ min: 1, max: MAX_RETENTION_HOURS });
const someLimit = fc.option(hours);
const asMs = (asked: number | null) => (asked === null ? null : asked * HOUR_MS);

describe('the longest that a user may have', () => {
  it.each([
    [null, 720],
    [1, 1],
    [MAX_RETENTION_HOURS, MAX_RETENTION_HOURS],
  ])('with the limit %s is %s hours', (retention_hours, expected) => {
    expect(longestRetentionMs({ retention_hours }, settings)).toBe(expected * HOUR_MS);
  });
});

describe('a request', () => {
  it('never has more than the longest: what asks for more is refused, what is retried is cut', () => {
    fc.assert(
      fc.property(someLimit, fc.option(hours), fc.boolean(), (limit, asked, isRetry) => {
        const longestMs = longestRetentionMs({ retention_hours: limit }, settings);
        const limits = { ...DEFAULT_LIMITS, retention_hours: longestMs / HOUR_MS };
        const retryOf = isRetry ? ('req_0aaaaaaaaaaaaaaaaaaaaaaaaaa' as const) : null;
        const { spec, warnings } = withinRetention(
          { retryOf, retentionMs: asMs(asked) },
          longestMs,
        );
        const { retentionMs } = spec;
        const refusal = capRefusal({ units: 1, models: [], megapixels: null, retentionMs }, limits);
        const isOver = asked !== null && asked * HOUR_MS > longestMs;
        expect(refusal !== null).toBe(isOver && !isRetry);
        expect(warnings).toHaveLength(isOver && isRetry ? 1 : 0);
        if (refusal) return;
        const kept = retentionMs ?? longestMs;
        expect(kept).toBe(asked === null ? longestMs : Math.min(asked * HOUR_MS, longestMs));
      }),
    );
  });
});

describe('an output', () => {
  it.each<[number | null, number, boolean]>([
    [null, NOW, true],
    [null, NOW - 1, true],
    [HOUR_MS, NOW + HOUR_MS, true],
    [HOUR_MS, NOW + HOUR_MS - 1, false],
  ])('for one who asked for %s, until %s: %s', (askedMs, until, expected) => {
    expect(lastsFor(askedMs, until, NOW)).toBe(expected);
  });
});
