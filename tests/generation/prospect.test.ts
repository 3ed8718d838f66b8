import { describe, expect, it } from 'vitest';
import { assess } from '../../src/generation/assess';
import { targetOf } from '../../src/generation/model-parts';
import { presentProspect, prospectSchema } from '../../src/generation/prospect';
import type { TargetVerdict, TargetVerdicts } from '../../src/requests/types';
import { catalogOf, inputOf, modelOf } from '../support/catalog';

const priced = (provider: 'openai' | 'fal' | 'bfl' | 'sketch', usd: number, maxImages = 8) =>
  targetOf(provider, 'x', { price: [{ per: 'image', usd }], limits: { maxImages } });
const catalog = catalogOf([
  modelOf(
    'm',
    priced('openai', 0.3),
    priced('fal', 0.1, 1),
    priced('bfl', 0.2),
    priced('sketch', 0),
  ),
]);

function prospectOf(health: TargetVerdicts, n = 1, maxCostMicros: number | null = null) {
  const assessment = assess(catalog, { model: 'm', input: inputOf({ n }), maxCostMicros }, health);
  return presentProspect({ model: 'm', assessment, health, warnings: ['a warning'] });
}
const verdict = (overrides: Partial<TargetVerdict>): TargetVerdict => ({
  state: 'closed',
  blockedUntil: null,
  reason: null,
  pace: null,
  ...overrides,
});
const open = verdict({
  state: 'open',
  blockedUntil: 2,
  reason: 'breaker open: 5 failures in a row',
});
const ordersOf = (...of: Parameters<typeof prospectOf>) =>
  prospectOf(...of).targets.map(({ provider, order }) => [provider, order]);

describe('a plan', () => {
  it('is what its schema says, and says that it is one', () => {
    const plan = prospectOf({ 'openai/x': open });
    expect(prospectSchema.parse(plan)).toEqual(plan);
    expect(plan).toMatchObject({ dry_run: true, model: 'm', warnings: ['a warning'] });
  });

  it('numbers the targets in the order in which they are tried', () => {
    expect(ordersOf({})).toEqual([
      ['openai', 1],
      ['fal', 2],
      ['bfl', 3],
      ['sketch', 4],
    ]);
  });

  it('gives no number to one that is skipped, and says why it is', () => {
    const { targets } = prospectOf({}, 2);
    expect(targets.map(({ order, skipped_reason }) => [order, skipped_reason])).toEqual([
      [1, null],
      [null, 'makes at most 1 image(s) a request'],
      [2, null],
      [3, null],
    ]);
  });

  it('tries what is blocked after what is not, and says what blocks it', () => {
    const health = { 'openai/x': open, 'bfl/x': verdict({ state: 'half_open' }) };
    expect(ordersOf(health)).toEqual([
      ['openai', 4],
      ['fal', 1],
      ['bfl', 2],
      ['sketch', 3],
    ]);
    const [first] = prospectOf(health).targets;
    expect(first).toMatchObject({ breaker: 'open', skipped_reason: open.reason });
  });

  it('says nothing of a breaker that was not asked', () => {
    const health = { 'openai/x': verdict({}) };
    expect(prospectOf(health).targets.map(({ breaker }) => breaker)).toEqual([
      'closed',
      null,
      null,
      null,
    ]);
  });

  it('has the price of each target and the range of those that would be tried', () => {
    const plan = prospectOf({}, 2, 500_000);
    expect(plan.targets.map(({ price_usd }) => price_usd)).toEqual([0.6, 0.2, 0.4, 0]);
    expect(plan.price_usd).toEqual({ min: 0, max: 0.4 });
  });

  it('expects what the first target takes, in seconds', () => {
    const quick = verdict({ pace: { p50Ms: 1_500, p90Ms: 4_000 } });
    const slow = verdict({ pace: { p50Ms: 9_000, p90Ms: 20_000 } });
    const plan = prospectOf({ 'openai/x': slow, 'fal/x': quick });
    expect(plan.eta_seconds).toEqual({ p50: 9, p90: 20 });
    expect(plan.targets[1]?.eta_seconds).toEqual({ p50: 1.5, p90: 4 });
    expect(
      prospectOf({ 'openai/x': { ...open, pace: slow.pace }, 'fal/x': quick }).eta_seconds,
    ).toEqual({
      p50: 1.5,
      p90: 4,
    });
    expect(prospectOf({ 'fal/x': quick }).eta_seconds).toBeNull();
  });
});
