import { describe, expect, it } from 'vitest';
import { parseRetryAfter, retryAfterMs } from '../../src/platform/retry-after';

const now = Date.UTC(2026, 10, 21, 12, 0, 0);
const YEAR_MS = 365 * 86_400_000;

describe('Retry-After', () => {
  it.each([
    ['seconds', '120', 120_000],
    ['zero', '0', 0],
    ['fractions of a second', '0.25', 250],
    ['less than a millisecond, rounded up', '0.0001', 1],
    ['white space around seconds', ' 7\t', 7_000],
    ['a negative number', '-5', 0],
    ['a number past all dates', '9'.repeat(400), YEAR_MS],
    ['a date', 'Sat, 21 Nov 2026 12:00:30 GMT', 30_000],
    ['a date gone by', 'Sat, 21 Nov 2026 11:59:00 GMT', 0],
    ['a date in the RFC 850 form', 'Saturday, 21-Nov-26 12:01:00 GMT', 60_000],
    ['a date in the asctime form', 'Sat Nov 21 12:00:05 2026', 5_000],
    ['a date in the asctime form, day below ten', 'Tue Dec  1 12:00:00 2026', 10 * 86_400_000],
    ['a date past a year', 'Fri, 31 Dec 9999 23:59:59 GMT', YEAR_MS],
  ])('may be %s', (_, value, expected) => {
    expect(parseRetryAfter(value, now)).toBe(expected);
  });

  it.each([
    ['absent', null],
    ['empty', ''],
    ['blank', '  '],
    ['a word', 'soon'],
    ['a number with a unit', '5s'],
    ['two numbers', '5, 5'],
    ['in hex', '0x10'],
    ['in exponent form', '1e3'],
    ['infinite', 'Infinity'],
    ['something that Date.parse takes for a date', 'retry 1'],
    ['an ISO date', '2026-11-21T12:00:30Z'],
    ['a date in another zone', 'Sat, 21 Nov 2026 12:00:30 PST'],
    ['a date that is none', 'Sat, 99 Nov 2026 12:00:30 GMT'],
  ])('is ignored when it is %s', (_, value) => {
    expect(parseRetryAfter(value, now)).toBeNull();
  });
});

describe('the wait that an answer asks for', () => {
  it.each([
    ['nothing without a header', {}, null],
    ['Retry-After', { 'Retry-After': '2' }, 2_000],
    ['retry-after-ms', { 'retry-after-ms': '1500' }, 1_500],
    ['x-ms-retry-after-ms', { 'x-ms-retry-after-ms': '40.2' }, 41],
    ['the finer of two', { 'Retry-After': '2', 'retry-after-ms': '1500' }, 1_500],
    ['none below zero', { 'retry-after-ms': '-1' }, 0],
    ['the one that can be read', { 'Retry-After': '2', 'retry-after-ms': 'soon' }, 2_000],
    ['nothing when none can be read', { 'Retry-After': 'x', 'retry-after-ms': 'y' }, null],
  ])('is %s', (_, headers: Record<string, string>, expected) => {
    expect(retryAfterMs(new Headers(headers), now)).toBe(expected);
  });
});
