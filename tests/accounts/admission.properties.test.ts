import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  admit,
  budgetLeftMicros,
  freshUsage,
  rateLimitHeaders,
  rebook,
  refund,
} from '../../src/accounts/admission';
import { DEFAULT_LIMITS, type Limits } from '../../src/accounts/types';

const start = Date.UTC(2026, 10, 30, 20);
const dayOf = (at: number) => new Date(at).toISOString().slice(0, 10);
const monthOf = (at: number) => new Date(at).toISOString().slice(0, 7);

const someLimits: fc.Arbitrary<Limits> = fc.record({
  requests_per_minute: fc.oneof(
    fc.integer({ min: 0, max: 600 }),
    fc.double({ min: 0, max: 5, noNaN: true }),
  ),
  burst: fc.integer({ min: 0, max: 20 }),
  max_running: fc.integer({ min: 0, max: 3 }),
  max_waiting: fc.integer({ min: 0, max: 3 }),
  images_per_day: fc.integer({ min: 0, max: 40 }),
  monthly_budget_usd: fc.option(fc.integer({ min: 0, max: 5 })),
  max_images_per_request: fc.constant(8),
  max_megapixels: fc.constant(null),
  retention_hours: fc.constant(null),
  allowed_models: fc.constant(null),
});

const askedOf = (units: number) => ({
  units,
  models: ['auto'],
  megapixels: 1,
  retentionMs: null,
});

/** Mostly short steps; now and then a day, or backwards. */
const someStep = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 30_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 * 86_400_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: -60_000, max: -1 }) },
);

const someVisit = fc.record({
  step: someStep,
  asked: fc.integer({ min: 1, max: 8 }).map(askedOf),
  holdMicros: fc.constant(1),
  running: fc.integer({ min: 0, max: 3 }),
  waiting: fc.integer({ min: 0, max: 3 }),
});

describe('admission, whatever comes', () => {
  it('admits in any span at most the burst and what the rate refills in it', () => {
    fc.assert(
      fc.property(someLimits, fc.array(someVisit, { maxLength: 60 }), (limits, visits) => {
        let usage = freshUsage(limits, start);
        let now = start;
        let latest = start;
        const admittedAt: number[] = [];
        for (const { step, ...visit } of visits) {
          now += step;
          latest = Math.max(latest, now);
          const verdict = admit({ usage, limits, now, ...visit });
          if (!verdict.admitted) continue;
          usage = verdict.usage;
          expect(usage.tokens).toBeGreaterThanOrEqual(0);
          expect(usage.tokens).toBeLessThanOrEqual(limits.burst);
          admittedAt.push(latest);
        }
        for (const [first, from] of admittedAt.entries()) {
          for (const [offset, to] of admittedAt.slice(first).entries()) {
            const refilled = ((to - from) * limits.requests_per_minute) / 60_000;
            expect(offset + 1).toBeLessThanOrEqual(limits.burst + refilled + 1e-6);
          }
        }
      }),
    );
  });

  it('admits on each UTC day at most the images of a day', () => {
    fc.assert(
      fc.property(someLimits, fc.array(someVisit, { maxLength: 60 }), (limits, visits) => {
        let usage = freshUsage(limits, start);
        let now = start;
        const perDay = new Map<string, number>();
        for (const { step, ...visit } of visits) {
          now += Math.abs(step);
          const verdict = admit({ usage, limits, now, ...visit });
          if (!verdict.admitted) continue;
          usage = verdict.usage;
          const day = dayOf(now);
          perDay.set(day, (perDay.get(day) ?? 0) + visit.asked.units);
        }
        for (const units of perDay.values())
          expect(units).toBeLessThanOrEqual(limits.images_per_day);
      }),
    );
  });

  it('keeps its promise: who waits as long as told, and finds room, is let in', () => {
    fc.assert(
      fc.property(someLimits, fc.array(someVisit, { maxLength: 40 }), (limits, visits) => {
        let usage = freshUsage(limits, start);
        let now = start;
        for (const { step, ...visit } of visits) {
          now += step;
          const verdict = admit({ usage, limits, now, ...visit });
          if (verdict.admitted) {
            usage = verdict.usage;
            continue;
          }
          const { code, limit, retryAfterMs } = verdict.refusal;
          if (code === 'too_many_waiting' || retryAfterMs === null) continue;
          const later = admit({ usage, limits, ...visit, now: now + retryAfterMs });
          expect(later.admitted || later.refusal.limit !== limit).toBe(true);
          expect(now + retryAfterMs).toBeGreaterThan(now);
        }
      }),
    );
  });

  it('leaves what it was given as it was', () => {
    fc.assert(
      fc.property(someLimits, someVisit, (limits, { step, ...visit }) => {
        const usage = Object.freeze(freshUsage(limits, start));
        const copy = { ...usage };
        admit({ usage, limits, now: start + step, ...visit });
        expect(usage).toEqual(copy);
      }),
    );
  });

  it('agrees with a model that keeps every admitted request and every call in a list', () => {
    const someEvent = fc.oneof(
      fc.record({
        do: fc.constant('admit' as const),
        step: fc.nat(20_000),
        units: fc.integer({ min: 1, max: 8 }),
      }),
      fc.record({ do: fc.constant('refund' as const), step: fc.nat(4 * 3_600_000) }),
      fc.record({
        do: fc.constant('reserve' as const),
        step: fc.nat(20_000),
        micros: fc.nat(900_000),
      }),
      fc.record({
        do: fc.constant('release' as const),
        step: fc.nat(4 * 3_600_000),
        micros: fc.nat(900_000),
      }),
    );
    const changes = { images_per_day: 30, monthly_budget_usd: 3, max_images_per_request: 31 };
    const limits = { ...DEFAULT_LIMITS, ...changes };
    fc.assert(
      fc.property(fc.array(someEvent, { maxLength: 80 }), (events) => {
        let usage = freshUsage(limits, start);
        let now = start;
        const admitted: { at: number; units: number }[] = [];
        const running: number[] = [];
        let spent = { month: monthOf(start), micros: 0 };
        for (const event of events) {
          now += event.step;
          if (event.do === 'admit') {
            const { units } = event;
            const verdict = admit({
              usage,
              limits,
              now,
              asked: askedOf(units),
              waiting: 0,
              running: 0,
              holdMicros: 1,
            });
            if (verdict.admitted) {
              usage = verdict.usage;
              admitted.push({ at: now, units });
            }
          } else if (event.do === 'refund') {
            const request = admitted.shift();
            if (request) usage = refund(usage, request.units, request.at, now);
          } else if (event.do === 'reserve') {
            const change = { heldMicros: 0, holdMicros: event.micros, costMicros: 0 };
            usage = rebook(usage, change, now);
            running.push(event.micros);
          } else {
            const heldMicros = running.shift();
            if (heldMicros === undefined) continue;
            const change = { heldMicros, holdMicros: 0, costMicros: event.micros };
            usage = rebook(usage, change, now);
            if (monthOf(now) > spent.month) spent = { month: monthOf(now), micros: 0 };
            spent.micros += event.micros;
          }
          const held = running.reduce((sum, micros) => sum + micros, 0);
          const taken = held + (monthOf(now) > spent.month ? 0 : spent.micros);
          expect(budgetLeftMicros(usage, limits, now)).toBe(3_000_000 - taken);
          const sameDay = (entry: { at: number }) => dayOf(entry.at) === dayOf(now);
          const units = admitted.filter(sameDay).reduce((sum, entry) => sum + entry.units, 0);
          const probe = {
            usage,
            limits: { ...limits, burst: 100 },
            now,
            waiting: 0,
            running: 0,
            holdMicros: 1,
          };
          const hasBudget = taken < 3_000_000;
          const full = admit({
            ...probe,
            usage: { ...usage, tokens: 1 },
            asked: askedOf(30 - units),
          });
          expect(full.admitted).toBe(hasBudget);
          const over = admit({
            ...probe,
            usage: { ...usage, tokens: 1 },
            asked: askedOf(31 - units),
          });
          expect(over.admitted).toBe(false);
        }
      }),
    );
  });

  it('writes headers that are structured fields', () => {
    fc.assert(
      fc.property(someLimits, fc.array(someVisit, { maxLength: 20 }), (limits, visits) => {
        let usage = freshUsage(limits, start);
        let now = start;
        for (const { step, ...visit } of visits) {
          now += step;
          const verdict = admit({ usage, limits, now, ...visit });
          if (verdict.admitted) usage = verdict.usage;
          const headers = rateLimitHeaders(usage, limits, now);
          expect(headers['RateLimit-Policy']).toMatch(/^"requests";q=\d{1,15}(;w=[1-9]\d{0,14})?$/);
          expect(headers.RateLimit).toMatch(/^"requests";r=\d{1,15}(;t=\d{1,15})?$/);
        }
      }),
    );
  });
});
