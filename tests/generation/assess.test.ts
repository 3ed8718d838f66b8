import { describe, expect, it } from 'vitest';
import { assess, watchedTargets } from '../../src/generation/assess';
import { targetOf } from '../../src/generation/model-parts';
import type { GenerationInput } from '../../src/generation/types';
import { catalogOf, inputOf, modelOf } from '../support/catalog';

const priced = (provider: 'openai' | 'fal' | 'bfl', usd: number, maxImages = 1) =>
  targetOf(provider, 'x', { price: [{ per: 'image', usd }], limits: { maxImages } });
const catalog = catalogOf([
  modelOf('m', priced('openai', 0.3, 8), priced('fal', 0.1), priced('bfl', 0.2, 8)),
  modelOf('free', targetOf('sketch', 'sketch')),
]);
const judge = (maxCostMicros: number | null, input: Partial<GenerationInput> = {}, model = 'm') =>
  assess(catalog, { model, input: inputOf(input), maxCostMicros });

describe('an assessment', () => {
  it('knows the cheapest and the dearest of those that can serve', () => {
    expect(judge(null)).toMatchObject({
      possible: true,
      cheapestMicros: 100_000,
      dearestMicros: 300_000,
    });
  });

  it('leaves what cannot serve out of the prices, and says why', () => {
    const assessment = judge(null, { n: 2 });
    expect(assessment).toMatchObject({
      possible: true,
      cheapestMicros: 400_000,
      dearestMicros: 600_000,
    });
    expect(assessment.targets.map(({ skipped }) => skipped)).toEqual([
      null,
      'makes at most 1 image(s) a request',
      null,
    ]);
  });

  it('skips what costs more than the limit, and says how much', () => {
    const assessment = judge(200_000);
    expect(assessment).toMatchObject({
      possible: true,
      cheapestMicros: 100_000,
      dearestMicros: 200_000,
    });
    expect(assessment.targets.map(({ skipped }) => skipped)).toEqual([
      'costs 0.3 USD, more than max_cost_usd',
      null,
      null,
    ]);
  });

  it('takes a limit for the whole request, not for one image', () => {
    expect(judge(399_999, { n: 2 }).possible).toBe(false);
    expect(judge(400_000, { n: 2 }).possible).toBe(true);
  });

  it('is impossible below the cheapest price, which it names', () => {
    expect(judge(99_999)).toMatchObject({ possible: false, cheapestMicros: 100_000 });
  });

  it('names the cheapest of those that could serve, not of all', () => {
    expect(judge(1, { n: 2 })).toMatchObject({ possible: false, cheapestMicros: 400_000 });
  });

  it('is impossible without a price when none could serve for any money', () => {
    const assessment = judge(null, { mask: 'img_2', image: 'img_1' });
    expect(assessment).toMatchObject({ possible: false, cheapestMicros: null });
    expect(assessment.targets.every(({ skipped }) => skipped === 'takes no input image')).toBe(
      true,
    );
  });

  it('says of a target that cannot serve why, not what it would cost', () => {
    const [, second] = judge(1, { n: 2 }).targets;
    expect(second?.skipped).toBe('makes at most 1 image(s) a request');
  });

  it('of a free target holds under a limit of nothing', () => {
    expect(judge(0, {}, 'free')).toMatchObject({
      possible: true,
      cheapestMicros: 0,
      dearestMicros: 0,
    });
  });
});

describe('the breakers to ask', () => {
  const providersOf = (...asked: Parameters<typeof judge>) =>
    watchedTargets(judge(...asked)).map(({ provider }) => provider);

  it('are those of the targets that would be tried, in their order', () => {
    expect(providersOf(null)).toEqual(['openai', 'fal', 'bfl']);
    expect(providersOf(200_000)).toEqual(['fal', 'bfl']);
    expect(providersOf(null, { n: 2 })).toEqual(['openai', 'bfl']);
  });

  it('are none for the embedded provider', () => {
    expect(providersOf(null, { fallback_models: ['free'] })).toEqual(['openai', 'fal', 'bfl']);
    expect(providersOf(null, {}, 'free')).toEqual([]);
  });
});
