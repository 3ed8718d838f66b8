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
const megapixels = (model: string, input: Partial<GenerationInput>) =>
  asksOf(catalog, { model, input: inputOf(input) }).megapixels;

describe('what a generation asks for', () => {
  it.each<[string, string, Partial<GenerationInput>, number | 'unbounded']>([
    ['the size that the client names', 'free', { width: 640, height: 512 }, 0.32768],
    ['the usual size when none is named', 'free', {}, 1.048576],
    ['the size that a target makes of a ratio', 'listed', { aspect_ratio: '3:2' }, 1.572864],
    ['no more than usual where any size is made', 'free', { aspect_ratio: '3:2' }, 1.038336],
    ['unbounded of a target that sets the pixels', 'shaped', { aspect_ratio: '3:2' }, 'unbounded'],
    ['unbounded of one that is told nothing', 'shaped', {}, 'unbounded'],
    ['the most that a target which sets the pixels makes', 'ultra', {}, 4.243456],
    ['the most of all that can serve it', 'either', {}, 4.243456],
    ['no more than its size where one is named', 'either', { width: 64, height: 64 }, 0.004096],
    ['unbounded with one unbounded fallback', 'free', { fallback_models: ['shaped'] }, 'unbounded'],
    [
      'the largest of what a fallback would make',
      'free',
      { aspect_ratio: '3:2', fallback_models: ['listed'] },
      1.572864,
    ],
    ['nothing of a target that cannot', 'listed', { aspect_ratio: '21:9' }, 1.048576],
  ])('is %s', (_, model, input, expected) => {
    expect(megapixels(model, input)).toBe(expected);
  });

  it('is of its model and all its fallbacks, by the names that the client gave', () => {
    const input = inputOf({ fallback_models: ['free', 'auto'] });
    expect(asksOf(catalog, { model: 'listed', input }).models).toEqual(['listed', 'free', 'auto']);
  });

  it.each<[string, Partial<GenerationInput>, number | 'unbounded']>([
    ['flux-1.1-pro-ultra', { aspect_ratio: '16:9' }, 4.243456],
    ['flux-fill-pro', { image: 'img_1', mask: 'img_2' }, 'unbounded'],
    ['stable-image-core', {}, 1.6],
    ['flux-kontext-pro', {}, 1.1],
    ['grok-imagine-image', {}, 'unbounded'],
    ['gpt-image-2', { width: 2048, height: 1024 }, 2.097152],
  ])('of %s is known for what it is: %o', (model, input, expected) => {
    const known = catalogOf(builtInModels);
    expect(asksOf(known, { model, input: inputOf(input) }).megapixels).toBe(expected);
  });
});
