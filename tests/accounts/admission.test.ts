import { describe, expect, it } from 'vitest';
import {
  admit,
  admitReady,
  budgetLeftMicros,
  budgetRenewsAt,
  freshUsage,
  rateLimitHeaders,
  rebook,
  refund,
  rollOver,
  type Usage,
} from '../../src/accounts/admission';
import type { Asked } from '../../src/accounts/caps';
import { DEFAULT_LIMITS, type Limits } from '../../src/accounts/types';

const noon = Date.UTC(2026, 10, 21, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const nextDay = Date.UTC(2026, 10, 22);
const nextMonth = Date.UTC(2026, 11, 1);

const one: Asked = { units: 1, models: ['auto'], megapixels: 1.048576, retentionMs: null };
const limitsWith = (changes: Partial<Limits>): Limits => ({ ...DEFAULT_LIMITS, ...changes });

function tryAdmit(
  changes: Partial<Limits> = {},
  input: Partial<Omit<Parameters<typeof admit>[0], 'usage' | 'asked'>> & {
    usage?: Partial<Usage>;
    units?: number;
    asked?: Partial<Asked>;
  } = {},
) {
  const limits = limitsWith(changes);
  const { usage, units = 1, asked, ...rest } = input;
  return admit({
    limits,
    waiting: 0,
    running: 0,
    holdMicros: 1,
    now: noon,
    ...rest,
    asked: { ...one, units, ...asked },
    usage: { ...freshUsage(limits, noon), ...usage },
  });
}

const refusalOf = (...args: Parameters<typeof tryAdmit>) => {
  const verdict = tryAdmit(...args);
  return verdict.admitted ? null : verdict.refusal;
};

describe('the request bucket', () => {
  it('takes a token and counts the images of an admitted request', () => {
    expect(tryAdmit({ burst: 5 }, { units: 3 })).toMatchObject({
      admitted: true,
      usage: { tokens: 4, unitsToday: 3 },
    });
  });

  it('refuses when it is empty, and says when there is a token again', () => {
    const limits = { requests_per_minute: 60, burst: 5 };
    expect(refusalOf(limits, { usage: { tokens: 0.25 } })).toMatchObject({
      code: 'rate_limited',
      limit: 'requests_per_minute',
      allowed: 60,
      retryAfterMs: 750,
    });
  });

  it.each([
    ['a second', 60, 1_000, true],
    ['a millisecond less than a second', 60, 999, false],
    ['nothing, with a rate that would take years', 0.000001, 1_000, false],
    ['two minutes at half a request a minute', 0.5, 2 * MINUTE, true],
  ])('refills continuously: after %s', (_, requests_per_minute, elapsed, admitted) => {
    const verdict = tryAdmit(
      { requests_per_minute, burst: 5 },
      { usage: { tokens: 0 }, now: noon + elapsed },
    );
    expect(verdict.admitted).toBe(admitted);
  });

  it('never holds more than the burst, also when the burst has been made smaller', () => {
    const usage = { tokens: 100, refilledAt: noon - HOUR };
    expect(tryAdmit({ burst: 3 }, { usage })).toMatchObject({ usage: { tokens: 2 } });
  });

  it.each([
    ['requests_per_minute', { requests_per_minute: 0 }],
    ['burst', { burst: 0 }],
  ])('is shut for good while %s is 0, however many tokens are left', (limit, changes) => {
    const refusal = refusalOf(changes, { usage: { tokens: 50 }, now: noon + HOUR });
    expect(refusal).toMatchObject({ code: 'rate_limited', limit, allowed: 0, retryAfterMs: null });
  });

  it('neither gains nor loses by a clock that jumps back', () => {
    const usage = { tokens: 2.5, refilledAt: noon };
    const limits = { requests_per_minute: 60, burst: 10 };
    const back = tryAdmit(limits, { usage, now: noon - HOUR });
    expect(back).toMatchObject({ usage: { tokens: 1.5, refilledAt: noon } });
  });

  it('counts the time that a clock must catch up into the time to wait', () => {
    const usage = { tokens: 0, refilledAt: noon };
    const limits = { requests_per_minute: 60, burst: 10 };
    expect(refusalOf(limits, { usage, now: noon - 5_000 })?.retryAfterMs).toBe(6_000);
  });
});

describe('the waiting cap', () => {
  it.each([
    ['a free slot', { max_running: 2, max_waiting: 0 }, 1, 0, true],
    ['a free slot, but no room', { max_running: 2, max_waiting: 1 }, 1, 1, false],
    ['a free slot, and room', { max_running: 2, max_waiting: 2 }, 0, 1, true],
    [
      'a free slot and no room ever, but one that waits',
      { max_running: 2, max_waiting: 0 },
      0,
      1,
      false,
    ],
    ['no slot but room to wait', { max_running: 2, max_waiting: 3 }, 2, 2, true],
    ['no slot and no room', { max_running: 2, max_waiting: 3 }, 2, 3, false],
    ['more than the caps after they were lowered', { max_running: 1, max_waiting: 1 }, 5, 5, false],
    ['no slot ever, but room to wait', { max_running: 0, max_waiting: 1 }, 0, 0, true],
    ['no slot ever and no room ever', { max_running: 0, max_waiting: 0 }, 0, 0, false],
  ])('with %s', (_, limits, running, waiting, admitted) => {
    const verdict = tryAdmit(limits, { running, waiting });
    expect(verdict.admitted).toBe(admitted);
    if (!verdict.admitted) {
      expect(verdict.refusal).toMatchObject({
        code: 'too_many_waiting',
        limit: 'max_waiting',
        allowed: limits.max_waiting,
        used: waiting,
      });
    }
  });

  it('promises nothing where no slot will ever come free', () => {
    expect(refusalOf({ max_running: 0, max_waiting: 0 })?.retryAfterMs).toBeNull();
    expect(refusalOf({ max_running: 1, max_waiting: 0 }, { running: 1 })?.retryAfterMs).toBe(5_000);
  });
});

describe('the images of the day', () => {
  it.each([
    [8, 2, true],
    [8, 3, false],
    [10, 1, false],
    [0, 10, true],
  ])('admits %i used and %i more of 10: %s', (unitsToday, units, admitted) => {
    const limits = { images_per_day: 10, max_images_per_request: 10 };
    expect(tryAdmit(limits, { usage: { unitsToday }, units }).admitted).toBe(admitted);
  });

  it('says how many are used and when the UTC day ends', () => {
    expect(refusalOf({ images_per_day: 10 }, { usage: { unitsToday: 9 }, units: 2 })).toMatchObject(
      {
        code: 'quota_exceeded',
        limit: 'images_per_day',
        allowed: 10,
        used: 9,
        retryAfterMs: nextDay - noon,
      },
    );
  });

  it('says that waiting does not help a request that no day can hold', () => {
    expect(refusalOf({ images_per_day: 3 }, { units: 4 })?.retryAfterMs).toBeNull();
    expect(refusalOf({ images_per_day: 0 })?.retryAfterMs).toBeNull();
  });

  it('begins anew at midnight UTC, not before', () => {
    const limits = { images_per_day: 1 };
    const usage = { unitsToday: 1 };
    expect(tryAdmit(limits, { usage, now: nextDay - 1 }).admitted).toBe(false);
    expect(tryAdmit(limits, { usage, now: nextDay })).toMatchObject({
      usage: { day: '2026-11-22', unitsToday: 1 },
    });
  });

  it('does not return to the day before with a clock that jumps back over midnight', () => {
    const usage = { day: '2026-11-22', unitsToday: 1, refilledAt: nextDay };
    const refusal = refusalOf({ images_per_day: 1 }, { usage, now: nextDay - 1_000 });
    expect(refusal?.retryAfterMs).toBe(24 * HOUR + 1_000);
  });
});

describe('a refund', () => {
  const limits = DEFAULT_LIMITS;
  const usage = { ...freshUsage(limits, noon), unitsToday: 5 };

  it('gives the images back on the same UTC day', () => {
    expect(refund(usage, 2, noon, noon + HOUR).unitsToday).toBe(3);
  });

  it('gives nothing back once the day is over', () => {
    const next = { ...usage, day: '2026-11-22', unitsToday: 4 };
    expect(refund(next, 2, noon, nextDay + HOUR)).toBe(next);
    expect(refund(usage, 2, noon, nextDay)).toMatchObject({ day: '2026-11-22', unitsToday: 0 });
  });

  it('never goes below nothing', () => {
    expect(refund(usage, 9, noon, noon).unitsToday).toBe(0);
  });
});

describe('the budget of the month', () => {
  const limits = limitsWith({ monthly_budget_usd: 1 });
  const fresh = freshUsage(limits, noon);
  const takes = (usage: Usage, holdMicros: number, at = noon) =>
    rebook(usage, { heldMicros: 0, holdMicros, costMicros: 0 }, at);

  it('is what was spent and what is held, taken from the limit', () => {
    const held = takes(takes(fresh, 300_000), 100_000);
    expect(budgetLeftMicros(held, limits, noon)).toBe(600_000);
    const change = { heldMicros: 300_000, holdMicros: 0, costMicros: 250_000 };
    expect(budgetLeftMicros(rebook(held, change, noon), limits, noon)).toBe(650_000);
  });

  it('is null where none is set', () => {
    expect(budgetLeftMicros(fresh, DEFAULT_LIMITS, noon)).toBeNull();
  });

  it('goes below zero when calls cost more than was held for them', () => {
    const change = { heldMicros: 1, holdMicros: 0, costMicros: 1_500_000 };
    const after = rebook(takes(fresh, 1), change, noon);
    expect(budgetLeftMicros(after, limits, noon)).toBe(-500_000);
  });

  it('begins anew with the UTC month, less what is held', () => {
    const spent = { ...fresh, spentMicros: 900_000, reservedMicros: 50_000 };
    expect(budgetLeftMicros(spent, limits, nextMonth - 1)).toBe(50_000);
    expect(budgetLeftMicros(spent, limits, nextMonth)).toBe(950_000);
  });

  it('pays for what was held last month when it is booked', () => {
    const ends = { heldMicros: 300_000, holdMicros: 0, costMicros: 250_000 };
    const after = rebook(takes(fresh, 300_000), ends, nextMonth + 1);
    expect(after).toMatchObject({ month: '2026-12', spentMicros: 250_000, reservedMicros: 0 });
  });

  it('counts the same while the clock stands in a month that is over', () => {
    const later = takes(fresh, 300_000, nextMonth);
    const ends = { heldMicros: 300_000, holdMicros: 0, costMicros: 250_000 };
    const after = rebook(later, ends, noon);
    expect(after).toMatchObject({ month: '2026-12', spentMicros: 250_000, reservedMicros: 0 });
  });

  it.each([
    [noon, nextMonth],
    [nextMonth, Date.UTC(2027, 0, 1)],
    [nextMonth - 1, nextMonth],
  ])('at %i begins anew at %i, also for a clock that jumps back', (now, renewal) => {
    expect(budgetRenewsAt(fresh, now)).toBe(renewal);
    expect(budgetRenewsAt(rollOver(fresh, now), now - 40 * 24 * HOUR)).toBe(renewal);
  });

  it.each([
    ['something left', { spentMicros: 999_999 }, true, null],
    ['all spent', { spentMicros: 1_000_000 }, false, nextMonth - noon],
    ['overspent', { spentMicros: 1_500_000 }, false, nextMonth - noon],
    ['the rest held', { spentMicros: 400_000, reservedMicros: 600_000 }, false, 5_000],
  ])('at the door, with %s', (_, usage, admitted, retryAfterMs) => {
    const verdict = tryAdmit({ monthly_budget_usd: 1 }, { usage });
    expect(verdict.admitted).toBe(admitted);
    if (verdict.admitted) return;
    expect(verdict.refusal).toMatchObject({
      code: 'quota_exceeded',
      limit: 'monthly_budget_usd',
      allowed: 1,
      retryAfterMs,
    });
  });

  it('never stands in the way of a request that a free target can serve', () => {
    expect(tryAdmit({ monthly_budget_usd: 0 }, { holdMicros: 0 }).admitted).toBe(true);
  });

  it('refuses what costs more than is left', () => {
    const usage = { spentMicros: 970_000 };
    expect(tryAdmit({ monthly_budget_usd: 1 }, { usage, holdMicros: 40_000 }).admitted).toBe(false);
    expect(tryAdmit({ monthly_budget_usd: 1 }, { usage, holdMicros: 30_000 }).admitted).toBe(true);
  });

  it('of 0 admits nothing that costs, ever', () => {
    expect(refusalOf({ monthly_budget_usd: 0 })).toMatchObject({
      limit: 'monthly_budget_usd',
      retryAfterMs: null,
    });
  });

  it('ends in December too', () => {
    const december = Date.UTC(2026, 11, 31, 23);
    const usage = { ...freshUsage(limits, december), spentMicros: 1_000_000 };
    const input = { limits, waiting: 0, running: 0, asked: one, holdMicros: 1, now: december };
    expect(admit({ usage, ...input })).toMatchObject({ refusal: { retryAfterMs: HOUR } });
    expect(admit({ usage, ...input, now: december + HOUR }).admitted).toBe(true);
  });
});

describe('the caps on one request', () => {
  it.each<[Partial<Limits>, Partial<Asked>, string | null]>([
    [{ max_images_per_request: 3 }, { units: 3 }, null],
    [{ max_images_per_request: 3 }, { units: 4 }, 'limit_exceeded'],
    [{ max_images_per_request: 0 }, { units: 1 }, 'limit_exceeded'],
    [{ max_megapixels: 1.05 }, { megapixels: 1.05 }, null],
    [{ max_megapixels: 1 }, { megapixels: 1.048576 }, 'limit_exceeded'],
    [{ max_megapixels: 0 }, { megapixels: 0.004096 }, 'limit_exceeded'],
    [{ max_megapixels: 0 }, { megapixels: null }, null],
    [{ max_megapixels: 1_000_000 }, { megapixels: 'unbounded' }, 'limit_exceeded'],
    [{ max_megapixels: null }, { megapixels: 'unbounded' }, null],
    [{ retention_hours: 24 }, { retentionMs: 24 * HOUR }, null],
    [{ retention_hours: 24 }, { retentionMs: 25 * HOUR }, 'limit_exceeded'],
    [{ retention_hours: 24 }, { retentionMs: null }, null],
    [{ allowed_models: ['a', 'b'] }, { models: ['a', 'b'] }, null],
    [{ allowed_models: ['a', 'b'] }, { models: ['a', 'c', 'b'] }, 'model_not_allowed'],
    [{ allowed_models: ['sketch'] }, { models: ['auto'] }, 'model_not_allowed'],
    [{ allowed_models: [] }, { models: ['a'] }, 'model_not_allowed'],
  ])('of %o stand against %o: %s', (changes, asked, code) => {
    expect(refusalOf(changes, { asked })?.code ?? null).toBe(code);
  });

  it('name what is over them, and promise nothing', () => {
    const megapixels = { code: 'limit_exceeded', limit: 'max_megapixels', allowed: 1, used: 4.2 };
    expect(refusalOf({ max_megapixels: 1 }, { asked: { megapixels: 4.2 } })).toMatchObject({
      ...megapixels,
      retryAfterMs: null,
    });
    expect(refusalOf({ max_images_per_request: 2 }, { units: 5 })).toMatchObject({
      limit: 'max_images_per_request',
      allowed: 2,
      used: 5,
      retryAfterMs: null,
    });
    expect(refusalOf({ retention_hours: 24 }, { asked: { retentionMs: 48 * HOUR } })).toMatchObject(
      {
        limit: 'retention_hours',
        allowed: 24,
        used: 48,
        retryAfterMs: null,
      },
    );
    const models = ['a', 'c'];
    expect(refusalOf({ allowed_models: ['a'] }, { asked: { models } })).toMatchObject({
      limit: 'allowed_models',
      allowed: ['a'],
      used: 'c',
      retryAfterMs: null,
    });
  });

  it('come before all that waiting mends', () => {
    const limits = {
      ...{ allowed_models: [], requests_per_minute: 0, max_running: 0, max_waiting: 0 },
      ...{ images_per_day: 0, monthly_budget_usd: 0 },
    };
    const order = ['requests_per_minute', 'max_waiting', 'images_per_day', 'monthly_budget_usd'];
    const open = [
      {},
      { allowed_models: null },
      { requests_per_minute: 60 },
      { max_waiting: 1 },
      { images_per_day: 1 },
    ];
    const met = open.map((_, index) => {
      const changes = Object.assign({}, limits, ...open.slice(0, index + 1));
      return refusalOf(changes)?.limit;
    });
    expect(met).toEqual(['allowed_models', ...order]);
  });

  it('stand against what is made already, as the rate does, and no other limit', () => {
    const ready = (changes: Partial<Limits>) => {
      const limits = limitsWith(changes);
      return admitReady({ usage: freshUsage(limits, noon), limits, asked: one, now: noon });
    };
    for (const changes of [{ allowed_models: [] }, { max_images_per_request: 0 }, { burst: 0 }]) {
      expect(ready(changes).admitted).toBe(false);
    }
    expect(ready({ images_per_day: 0, max_waiting: 0, max_running: 0 }).admitted).toBe(true);
  });
});

describe('rolling over', () => {
  it('leaves usage of the same day and month alone', () => {
    const usage = freshUsage(DEFAULT_LIMITS, noon);
    expect(rollOver(usage, noon + HOUR)).toBe(usage);
    expect(rollOver(usage, noon - 40 * 24 * HOUR)).toBe(usage);
  });
});

describe('rate limit headers', () => {
  it.each([
    ['a full bucket', { requests_per_minute: 100, burst: 100 }, 100, 'q=100;w=60', 'r=100'],
    ['a used bucket', { requests_per_minute: 2, burst: 100 }, 50, 'q=100;w=3000', 'r=50;t=30'],
    ['a part of a token', { requests_per_minute: 60, burst: 5 }, 2.75, 'q=5;w=5', 'r=2;t=1'],
    ['an empty bucket', { requests_per_minute: 6, burst: 5 }, 0, 'q=5;w=50', 'r=0;t=10'],
    [
      'half a request a minute',
      { requests_per_minute: 0.5, burst: 1 },
      0,
      'q=1;w=120',
      'r=0;t=120',
    ],
    ['no rate', { requests_per_minute: 0, burst: 5 }, 5, 'q=5', 'r=0'],
    ['no burst', { requests_per_minute: 10, burst: 0 }, 0, 'q=0', 'r=0'],
    ['neither', { requests_per_minute: 0, burst: 0 }, 0, 'q=0', 'r=0'],
    ['a rate beyond any clock', { requests_per_minute: 5e-324, burst: 1 }, 0, 'q=1', 'r=0'],
  ])('for %s', (_, changes, tokens, policy, left) => {
    const limits = limitsWith(changes);
    const usage = { ...freshUsage(limits, noon), tokens };
    expect(rateLimitHeaders(usage, limits, noon)).toEqual({
      'RateLimit-Policy': `"requests";${policy}`,
      RateLimit: `"requests";${left}`,
    });
  });

  it('promise a token no later than the refusal does', () => {
    const limits = limitsWith({ requests_per_minute: 7, burst: 3 });
    const usage = { ...freshUsage(limits, noon), tokens: 0.3 };
    const verdict = admit({
      usage,
      limits,
      waiting: 0,
      running: 0,
      asked: one,
      holdMicros: 1,
      now: noon,
    });
    const seconds = verdict.admitted ? 0 : Math.ceil((verdict.refusal.retryAfterMs ?? 0) / 1000);
    expect(rateLimitHeaders(usage, limits, noon).RateLimit).toBe(`"requests";r=0;t=${seconds}`);
  });
});
