import { describe, expect, it } from 'vitest';
import { type Eta, estimate } from '../../src/requests/estimate';
import * as lifecycle from '../../src/requests/lifecycle';
import type { RequestState } from '../../src/requests/types';
import { failure, NOW, queued, released, running } from '../support/states';

const pace = { p50Ms: 10_000, p90Ms: 25_000 };
const of = (state: RequestState, facts: Partial<Parameters<typeof estimate>[0]> = {}) =>
  estimate({ state, position: null, slots: 2, pace, now: NOW, ...facts });
const eta = (p50Ms: number, p90Ms: number): Eta => ({ p50At: NOW + p50Ms, p90At: NOW + p90Ms });

const wait = { next: 'wait', until: NOW + 60_000, reason: 'throttled', inTurn: false } as const;
const pausing = lifecycle.settle(
  running(),
  { token: 'token-1', result: failure('throttled'), nextToken: null, decide: () => wait },
  NOW + 20,
);

describe('an estimate', () => {
  it.each<[number, number, Eta]>([
    [1, 1, eta(10_000, 25_000)],
    [1, 2, eta(10_000, 25_000)],
    [2, 2, eta(10_000, 25_000)],
    [3, 2, eta(20_000, 35_000)],
    [5, 1, eta(50_000, 65_000)],
    [100, 10, eta(100_000, 115_000)],
    [2, 0, eta(20_000, 35_000)],
  ])('of the %i. in the queue of %i slots goes by rounds', (position, slots, expected) => {
    expect(of(queued(), { position, slots })).toEqual(expected);
    expect(of(released(), { position, slots })).toEqual(expected);
  });

  it('of one whose place is unknown is that of the next', () => {
    expect(of(queued())).toEqual(eta(10_000, 25_000));
  });

  it('of a running request counts from the start of its call', () => {
    const state = running();
    const { startedAt } = state.current;
    expect(of(state)).toEqual({ p50At: startedAt + 10_000, p90At: startedAt + 25_000 });
  });

  it('is never in the past', () => {
    const state = running();
    const now = state.current.startedAt + 12_000;
    expect(of(state, { now })).toEqual({ p50At: now, p90At: state.current.startedAt + 25_000 });
    expect(of(state, { now: now + 60_000 })).toEqual({ p50At: now + 60_000, p90At: now + 60_000 });
  });

  it('of one that pauses counts from the end of its pause', () => {
    expect(pausing).toMatchObject({ status: 'queued', wait: { for: 'time' } });
    expect(of(pausing)).toEqual(eta(70_000, 85_000));
    const now = NOW + 90_000;
    expect(of(pausing, { now })).toEqual({ p50At: now + 10_000, p90At: now + 25_000 });
  });

  it('of one that waits for its equal is not made: the other has its own', () => {
    expect(of(lifecycle.join(queued()))).toBeNull();
  });

  it('of one that has ended is none', () => {
    expect(of(lifecycle.cancel(queued(), NOW))).toBeNull();
  });
});
