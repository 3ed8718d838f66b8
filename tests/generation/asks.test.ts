import { describe, expect, it } from 'vitest';
import { asksOf } from '../../src/generation/asks';
import { listed, pixels, ratios, targetOf } from '../../src/generation/model-parts';
import type { GenerationInput } from '../../src/generation/types';
import { catalogOf, inputOf, modelOf } from '../support/catalog';

const target = (name: string, sizing: ReturnType<typeof pixels>) =>
  targetOf('openai', name, { limits: { sizing } });
const catalog = catalogOf([
  modelOf('free', target('free', pixels(8, 64, 2048))),
  modelOf('listed', target('listed', listed('1024x1024', '1536x1024'))),
  modelOf('shaped', target('shaped', ratios('3:2'))),
]);
const megapixels = (model: string, input: Partial<GenerationInput>) =>
  asksOf(catalog, { model, input: inputOf(input) }).megapixels;

describe('what a generation asks for', () => {
  it.each<[string, string, Partial<GenerationInput>, number]>([
    ['the size that the client names', 'free', { width: 640, height: 512 }, 0.32768],
    ['the usual size when none is named', 'free', {}, 1.048576],
    ['the size that a target makes of a ratio', 'listed', { aspect_ratio: '3:2' }, 1.572864],
    ['no more than usual where any size is made', 'free', { aspect_ratio: '3:2' }, 1.038336],
    [
      'the usual size of a target that makes it itself',
      'shaped',
      { aspect_ratio: '3:2' },
      1.048576,
    ],
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
});
