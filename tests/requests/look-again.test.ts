import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Eta } from '../../src/requests/estimate';
import * as lifecycle from '../../src/requests/lifecycle';
import { lookAgainSeconds } from '../../src/requests/look-again';
import type { RequestState } from '../../src/requests/types';
import { failure, NOW, queued, released, running } from '../support/states';

const eta = (p50Ms: number): Eta => ({ p50At: NOW + p50Ms, p90At: NOW + 10 * p50Ms });
const look = (
  state: RequestState,
  facts: { position?: number | null; eta?: Eta | null; ageMs?: number } = {},
) =>
  lookAgainSeconds(
    { state, position: facts.position ?? null, eta: facts.eta ?? null },
    NOW + (facts.ageMs ?? 0),
  );

const pausing = (until: number) =>
  lifecycle.settle(
    running(),
    {
      token: 'token-1',
      result: failure('throttled'),
      nextToken: null,
      decide: () => ({ next: 'wait', until, reason: 'throttled', inTurn: false }),
    },
    NOW + 20,
  );
const unfunded = (): RequestState => ({
  ...queued(),
  wait: { for: 'budget', micros: 1, until: NOW + 86_400_000 },
});

describe('a client looks again', () => {
  it.each<[string, number, RequestState, Parameters<typeof look>[1]]>([
    ['soon for a call that runs, whose pace nobody knows', 1, running(), {}],
    ['soon for what is next', 1, queued(), { position: 1 }],
    ['soon for what is on its way to a consumer', 1, released(), { position: 1 }],
    ['a second later for each one ahead', 4, queued(), { position: 5 }],
    ['at most half a minute later for a long queue', 30, queued(), { position: 500 }],
    ['when half of such requests have ended', 8, running(), { eta: eta(7_400) }],
    [
      'by the pace and not by the place, once the pace is known',
      2,
      queued(),
      { position: 20, eta: eta(2_000) },
    ],
    ['at most half a minute later for a slow model', 30, running(), { eta: eta(120_000) }],
    ['soon for a quick model', 1, running(), { eta: eta(150) }],
    ['when its pause is over', 12, pausing(NOW + 12_000), {}],
    ['when its pause is over and it has run', 17, pausing(NOW + 12_000), { eta: eta(17_000) }],
    ['rarely when it waits for money', 30, unfunded(), {}],
    ['soon when it waits for its equal', 1, lifecycle.join(queued()), {}],
    ['more rarely the longer it has taken', 6, lifecycle.join(queued()), { ageMs: 120_000 }],
    ['more rarely the longer it is overdue', 3, running(), { eta: eta(1_000), ageMs: 60_000 }],
    ['every half minute after ten', 30, running(), { ageMs: 600_000 }],
    ['when it must have ended', 5, running('t', { deadlineAt: NOW + 5_000 }), { eta: eta(60_000) }],
    ['soon when it should have ended', 1, running('t', { deadlineAt: NOW - 5_000 }), {}],
  ])('%s: %i s', (_, seconds, state, facts) => {
    expect(look(state, facts)).toBe(seconds);
  });

  it('within 1 to 30 whole seconds, and never sooner for a worse place, estimate or age', () => {
    const facts = fc.record({
      position: fc.integer({ min: 1, max: 10_000 }),
      p50Ms: fc.option(fc.integer({ min: -600_000, max: 600_000 })),
      ageMs: fc.integer({ min: 0, max: 1_000_000 }),
    });
    const states = [queued(), running(), pausing(NOW + 9_000), unfunded()];
    const more = fc.nat({ max: 100_000 });
    // A deadline out of reach, as time passes towards one.
    const far = { deadlineAt: NOW + 1e10 };
    fc.assert(
      fc.property(facts, more, fc.constantFrom(...states), (given, extra, base) => {
        const state: RequestState = { ...base, ...far };
        const at = ({ position, p50Ms, ageMs }: typeof given) =>
          lookAgainSeconds(
            // As far from the clock as before, whatever the age.
            { state, position, eta: p50Ms === null ? null : eta(ageMs + p50Ms) },
            NOW + ageMs,
          );
        const seconds = at(given);
        expect(seconds).toBe(at(given));
        expect(Number.isInteger(seconds) && seconds >= 1 && seconds <= 30).toBe(true);
        expect(at({ ...given, position: given.position + extra })).toBeGreaterThanOrEqual(seconds);
        if (given.p50Ms === null) return;
        const { p50Ms } = given;
        expect(at({ ...given, p50Ms: p50Ms + extra })).toBeGreaterThanOrEqual(seconds);
        expect(at({ ...given, ageMs: given.ageMs + extra })).toBeGreaterThanOrEqual(seconds);
      }),
    );
  });
});
