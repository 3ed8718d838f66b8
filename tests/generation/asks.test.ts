import { describe, expect, it } from 'vitest';
import { asksOf } from '../../src/generation/asks';
import { listed, pixels, ratios, targetOf, upTo } from '../../src/generation/model-parts';
import { builtInModels } from '../../src/generation/models';
import type { GenerationInput } from '../../src/generation/types';
import { catalogOf, inputOf, modelOf } from '../support/catalog';

const target = (name: string, sizing: ReturnType<typeof pixels>) =>
  targetOf('openai', name, { limits: { sizing } });
const catalog = catalogOf([
  modelOf('free', target('free', pixels(8, 64, 2048))),
  modelOf('listed', target('listed', listed('1024x1024', '1536x1024'))),
  modelOf('shaped', target('shaped', ratios('3:2'))),
  modelOf('ultra', target('ultra', upTo(4_243_456))),
  modelOf('either', target('free', pixels(8, 64, 2048)), target('ultra', upTo(4_243_456))),
]);
const mp = (pixels: number) => pixels / (1024 * 1024);
const megapixels = (model: string, input: Partial<GenerationInput>) =>
  asksOf(catalog, { model, input: inputOf(input) }).megapixels;

describe('what a generation asks for', () => {
  it.each<[string, string, Partial<GenerationInput>, number | 'unbounded']>([
    ['the size that the client names', 'free', { width: 640, height: 512 }, mp(327_680)],
    ['the usual size when none is named', 'free', {}, 1],
    ['the size that a target makes of a ratio', 'listed', { aspect_ratio: '3:2' }, 1.5],
    ['no more than usual where any size is made', 'free', { aspect_ratio: '3:2' }, mp(1_038_336)],
    ['unbounded of a target that sets the pixels', 'shaped', { aspect_ratio: '3:2' }, 'unbounded'],
    ['unbounded of one that is told nothing', 'shaped', {}, 'unbounded'],
    ['the most that a target which sets the pixels makes', 'ultra', {}, mp(4_243_456)],
    ['the most of all that can serve it', 'either', {}, mp(4_243_456)],
    ['no more than its size where one is named', 'either', { width: 64, height: 64 }, mp(4_096)],
    ['unbounded with one unbounded fallback', 'free', { fallback_models: ['shaped'] }, 'unbounded'],
    [
      'the largest of what a fallback would make',
      'free',
      { aspect_ratio: '3:2', fallback_models: ['listed'] },
      1.5,
    ],
    ['nothing of a target that cannot', 'listed', { aspect_ratio: '21:9' }, 1],
  ])('is %s', (_, model, input, expected) => {
    expect(megapixels(model, input)).toBe(expected);
  });

  it('is of its model and all its fallbacks, by the names that the client gave', () => {
    const input = inputOf({ fallback_models: ['free', 'auto'] });
    expect(asksOf(catalog, { model: 'listed', input }).models).toEqual(['listed', 'free', 'auto']);
  });

  it.each<[string, Partial<GenerationInput>, number | 'unbounded']>([
    ['flux-1.1-pro-ultra', { aspect_ratio: '16:9' }, mp(4_243_456)],
    ['flux-fill-pro', { image: 'img_1', mask: 'img_2' }, 'unbounded'],
    ['stable-image-core', {}, mp(1_600_000)],
    ['flux-kontext-pro', {}, mp(1_100_000)],
    ['grok-imagine-image', {}, 'unbounded'],
    ['gpt-image-2', { width: 2048, height: 1024 }, 2],
  ])('of %s is known for what it is: %o', (model, input, expected) => {
    const known = catalogOf(builtInModels);
    expect(asksOf(known, { model, input: inputOf(input) }).megapixels).toBe(expected);
  });
});
