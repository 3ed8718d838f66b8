import { describe, expect, it } from 'vitest';
import { candidatesFor, sizeFor } from '../../src/generation/candidates';
import type { AutoPolicy, Sizing, Target, TargetLimits } from '../../src/generation/catalog';
import { targetOf } from '../../src/generation/model-parts';
import { aspectRatios, type GenerationInput, MAX_PIXELS } from '../../src/generation/types';
import type { TargetName, TargetVerdicts } from '../../src/requests/types';
import { catalogOf, inputOf, modelOf } from '../support/catalog';

const limited = (limits: Partial<TargetLimits>, facts: Partial<Target> = {}) =>
  targetOf('openai', 'one', { ...facts, limits });
const sizedBy = (sizing: Sizing) => limited({ sizing });

const pixels = (bounds: Partial<Extract<Sizing, { by: 'pixels' }>> = {}): Sizing => ({
  by: 'pixels',
  step: 1,
  min: 64,
  max: 2048,
  maxPixels: MAX_PIXELS,
  ...bounds,
});

function only(target: Target, input: Partial<GenerationInput>) {
  const catalog = catalogOf([modelOf('m', target)]);
  const [candidate] = candidatesFor(catalog, { model: 'm', input: inputOf(input) });
  if (!candidate) throw new Error('expected a candidate');
  return candidate;
}

describe('a target that can do all that is asked', () => {
  it.each<[string, Partial<TargetLimits>, Partial<GenerationInput>]>([
    ['nothing but a prompt', {}, {}],
    ['as many images as it makes', { maxImages: 4 }, { n: 4 }],
    ['a prompt as long as it takes', { maxPromptChars: 6 }, { prompt: 'a boat' }],
    ['a prompt of any length, without a limit', {}, { prompt: 'x'.repeat(4_000) }],
    ['as many steps as it takes', { maxSteps: 8 }, { steps: 8 }],
    ['no steps, where they are limited', { maxSteps: 8 }, {}],
    ['one of its formats', { formats: ['png', 'webp'] }, { output_format: 'webp' }],
    ['an input image that it may have', { inputImage: 'optional' }, { image: 'img_1' }],
    ['no input image where it may have one', { inputImage: 'optional' }, {}],
    ['the input image that it needs', { inputImage: 'required' }, { image: 'img_1' }],
    ['a mask', { inputImage: 'optional', mask: true }, { image: 'img_1', mask: 'img_2' }],
  ])('is not passed over: %s', (_, limits, input) => {
    expect(only(limited(limits), input).passedOver).toBeNull();
  });
});

describe('a target that falls short says in a sentence of what', () => {
  it.each<[Partial<TargetLimits>, Partial<GenerationInput>, string]>([
    [{ maxImages: 2 }, { n: 3 }, 'makes at most 2 image(s) a request'],
    [{ maxPromptChars: 5 }, { prompt: 'a boat' }, 'takes prompts of at most 5 characters'],
    [{ maxSteps: 8 }, { steps: 9 }, 'takes at most 8 steps'],
    [{ formats: ['png', 'jpeg'] }, { output_format: 'webp' }, 'makes png, jpeg only'],
    [{ inputImage: 'none' }, { image: 'img_1' }, 'takes no input image'],
    [{ inputImage: 'required' }, {}, 'needs an input image'],
    [{ inputImage: 'optional' }, { image: 'img_1', mask: 'img_2' }, 'takes no mask'],
  ])('%o', (limits, input, sentence) => {
    expect(only(limited(limits), input).passedOver).toBe(sentence);
  });

  it('counts the prompt that a style makes, not the one that was written', () => {
    const target = limited({ maxPromptChars: 10 });
    const styled = { prompt: 'a boat, in ink' };
    expect(only(target, { prompt: 'a boat', styled }).passedOver).toMatch('at most 10 characters');
    const short = { prompt: 'ink' };
    expect(only(target, { prompt: 'a boat at sea', styled: short }).passedOver).toBeNull();
  });

  it('names the missing setting first, whatever else is wrong', () => {
    const catalog = catalogOf([modelOf('m', targetOf('openai', 'one'))], {
      off: { openai: 'OPENAI_API_KEY is not set' },
    });
    const [candidate] = candidatesFor(catalog, { model: 'm', input: inputOf({ n: 8 }) });
    expect(candidate?.passedOver).toBe('OPENAI_API_KEY is not set');
  });
});

describe('a size', () => {
  const stepped = pixels({ step: 64, min: 128, max: 1024, maxPixels: 786_432 });
  const refusal = 'makes sides of 128 to 1024 pixels in steps of 64, and at most 786432 pixels';
  const listed: Sizing = { by: 'list', sizes: ['1024x1024', '1792x1024'] };
  const ratios: Sizing = { by: 'ratio', ratios: ['1:1', '16:9'], maxPixels: null };

  it.each<[string, Sizing, Partial<GenerationInput>, string | null]>([
    ['in steps and within bounds', stepped, { width: 768, height: 1024 }, null],
    ['at the lower bound', stepped, { width: 128, height: 128 }, null],
    ['off the steps', stepped, { width: 700, height: 512 }, refusal],
    ['off the steps in its height', stepped, { width: 512, height: 700 }, refusal],
    ['below the bounds', stepped, { width: 64, height: 512 }, refusal],
    ['above the bounds', stepped, { width: 512, height: 1088 }, refusal],
    ['of too many pixels', stepped, { width: 1024, height: 1024 }, refusal],
    ['left open', stepped, {}, null],
    ['of a ratio that no size within bounds has', stepped, { aspect_ratio: '21:9' }, null],
    [
      'of a ratio that no size in its steps has',
      pixels({ step: 256, max: 1024 }),
      { aspect_ratio: '16:9' },
      'makes sides of 64 to 1024 pixels in steps of 256, and at most 4194304 pixels',
    ],

    ['on the list', listed, { width: 1792, height: 1024 }, null],
    [
      'off the list',
      listed,
      { width: 1024, height: 1792 },
      'makes the sizes 1024x1024, 1792x1024 only',
    ],
    ['of a ratio on the list', listed, { aspect_ratio: '1:1' }, null],
    ['of a ratio near one on the list', listed, { aspect_ratio: '16:9' }, null],
    [
      'of a ratio off the list',
      listed,
      { aspect_ratio: '3:2' },
      'makes the sizes 1024x1024, 1792x1024 only',
    ],
    ['left open to a list', listed, {}, null],

    ['of an offered ratio', ratios, { aspect_ratio: '16:9' }, null],
    [
      'of another ratio',
      ratios,
      { aspect_ratio: '9:16' },
      'makes the aspect ratios 1:1, 16:9 only',
    ],
    [
      'in pixels, where the provider sets them',
      ratios,
      { width: 1024, height: 1024 },
      'sets the pixels itself: give aspect_ratio, not width and height',
    ],
    ['left open to a provider of ratios', ratios, {}, null],
  ])('%s', (_, sizing, input, sentence) => {
    expect(only(sizedBy(sizing), input).passedOver).toBe(sentence);
  });

  it.each<[string, Sizing, Partial<GenerationInput>, string | null]>([
    ['is the one asked for', pixels(), { width: 640, height: 480 }, '640x480'],
    ['is left to the provider', pixels(), {}, null],
    ['is derived from the ratio', pixels(), { aspect_ratio: '1:1' }, '1024x1024'],
    ['is the listed one of that ratio', listed, { aspect_ratio: '16:9' }, '1792x1024'],
    ['is left to the provider of a list', listed, {}, null],
    ['is never sent where the provider sets it', ratios, { aspect_ratio: '16:9' }, null],
  ])('that is sent %s', (_, sizing, input, expected) => {
    const size = sizeFor(sizedBy(sizing), inputOf(input));
    expect(size && `${size.width}x${size.height}`).toBe(expected);
  });
});

describe('the size derived from an aspect ratio', () => {
  const steps = [1, 2, 8, 16, 32, 64, 100, 256];
  const bounds = [
    [64, 2048],
    [256, 1536],
    [512, 1024],
    [768, 1344],
    [1024, 2048],
  ] as const;
  const areas = [262_144, 1_048_576, 1_500_000, MAX_PIXELS];
  const cases = steps.flatMap((step) =>
    bounds.flatMap(([min, max]) =>
      areas.flatMap((maxPixels) =>
        aspectRatios.map((ratio) => ({ step, min, max, maxPixels, ratio })),
      ),
    ),
  );

  /** Whether any size at all has this ratio, tried one by one. */
  function exists({ step, min, max, maxPixels, ratio }: (typeof cases)[number]): boolean {
    const [across = 1, down = 1] = ratio.split(':').map(Number);
    for (let width = Math.ceil(min / step) * step; width <= max; width += step) {
      const height = (width * down) / across;
      const isSide = Number.isInteger(height) && height % step === 0;
      if (isSide && height >= min && height <= max && width * height <= maxPixels) return true;
    }
    return false;
  }

  it('has exactly that ratio, in steps, within bounds, and exists whenever there is one', () => {
    for (const of of cases) {
      const { ratio, ...sizing } = of;
      const target = sizedBy(pixels(sizing));
      const size = sizeFor(target, inputOf({ aspect_ratio: ratio }));
      expect([of, size !== null]).toEqual([of, exists(of)]);
      expect([of, only(target, { aspect_ratio: ratio }).passedOver === null]).toEqual([
        of,
        size !== null,
      ]);
      if (!size) continue;
      const { width, height } = size;
      const [across = 1, down = 1] = ratio.split(':').map(Number);
      const holds = {
        ratio: width * down === height * across,
        steps: width % of.step === 0 && height % of.step === 0,
        sides: Math.min(width, height) >= of.min && Math.max(width, height) <= of.max,
        area: width * height <= of.maxPixels,
      };
      expect([of, holds]).toEqual([of, { ratio: true, steps: true, sides: true, area: true }]);
    }
  });

  it('is no larger than usual unless the bounds force it to be', () => {
    const usual = sizeFor(sizedBy(pixels()), inputOf({ aspect_ratio: '16:9' }));
    expect(usual).toEqual({ width: 1360, height: 765 });
    const forced = sizeFor(sizedBy(pixels({ min: 1024 })), inputOf({ aspect_ratio: '16:9' }));
    expect(forced).toEqual({ width: 1824, height: 1026 });
  });
});

describe('the order', () => {
  const names = (model: string, input: Partial<GenerationInput>, catalog = plain) =>
    candidatesFor(catalog, { model, input: inputOf(input) }).map(({ name }) => name);
  const [a, b, c] = [targetOf('openai', 'a'), targetOf('fal', 'b'), targetOf('bfl', 'c')];
  const plain = catalogOf([modelOf('m', a, b), modelOf('n', b, c), modelOf('o', c)]);

  it('is that of the model, then that of each fallback', () => {
    expect(names('o', { fallback_models: ['m'] })).toEqual(['bfl/c', 'openai/a', 'fal/b']);
  });

  it('has a target once, where it comes first', () => {
    expect(names('m', { fallback_models: ['n', 'm'] })).toEqual(['openai/a', 'fal/b', 'bfl/c']);
  });

  it('has nothing of a model that is gone', () => {
    expect(names('gone', { fallback_models: ['o'] })).toEqual(['bfl/c']);
  });
});

describe('auto', () => {
  const targets = [
    targetOf('sketch', 'sketch', { usualMs: 1 }),
    targetOf('openai', 'dear', { price: [{ per: 'image', usd: 0.3 }], usualMs: 2_000 }),
    targetOf('fal', 'cheap', { price: [{ per: 'image', usd: 0.1 }], usualMs: 9_000 }),
    targetOf('bfl', 'middling', { price: [{ per: 'image', usd: 0.2 }], usualMs: 5_000 }),
  ];
  const ranked = (autoPolicy: AutoPolicy, verdicts: TargetVerdicts = {}, model = 'auto') => {
    const catalog = catalogOf([modelOf(model, ...targets)], { autoPolicy });
    return candidatesFor(catalog, { model, input: inputOf() }, verdicts).map(({ name }) => name);
  };
  const paced = (p50Ms: number) =>
    ({ state: 'closed', blockedUntil: null, reason: null, pace: { p50Ms, p90Ms: p50Ms } }) as const;

  it.each<[AutoPolicy, TargetVerdicts, TargetName[]]>([
    ['order', {}, ['openai/dear', 'fal/cheap', 'bfl/middling', 'sketch/sketch']],
    ['cost', {}, ['fal/cheap', 'bfl/middling', 'openai/dear', 'sketch/sketch']],
    ['speed', {}, ['openai/dear', 'bfl/middling', 'fal/cheap', 'sketch/sketch']],
    [
      'speed',
      { 'fal/cheap': paced(500), 'openai/dear': paced(6_000) },
      ['fal/cheap', 'bfl/middling', 'openai/dear', 'sketch/sketch'],
    ],
    [
      'order',
      { 'fal/cheap': paced(1) },
      ['openai/dear', 'fal/cheap', 'bfl/middling', 'sketch/sketch'],
    ],
  ])('by %s with the paces %o', (policy, verdicts, expected) => {
    expect(ranked(policy, verdicts)).toEqual(expected);
  });

  it('is ranked; a model that the client names is not', () => {
    expect(ranked('cost', {}, 'mine')).toEqual([
      'sketch/sketch',
      'openai/dear',
      'fal/cheap',
      'bfl/middling',
    ]);
  });
});

describe('the price of a candidate', () => {
  const target = (facts: Partial<TargetLimits> = {}) =>
    limited(
      { maxImages: 8, ...facts },
      {
        price: [
          { per: 'image', usd: 0.04, by_quality: { high: 0.1 }, by_size: { '1792x1024': 2 } },
        ],
      },
    );
  const listed: Sizing = { by: 'list', sizes: ['1024x1024', '1792x1024'] };

  it.each<[string, Target, Partial<GenerationInput>, number]>([
    ['is for all of the images', target(), { n: 3 }, 120_000],
    ['is of the size asked for', target(), { width: 1792, height: 1024 }, 80_000],
    [
      'is of the size that a ratio leads to',
      target({ sizing: listed }),
      { aspect_ratio: '16:9' },
      80_000,
    ],
    [
      'is of its own quality option',
      target(),
      { provider_options: { openai: { quality: 'high' } } },
      100_000,
    ],
    [
      'is not of the quality of another provider',
      target(),
      { provider_options: { fal: { quality: 'high' } } },
      40_000,
    ],
    [
      'is not of a quality that is no text',
      target(),
      { provider_options: { openai: { quality: 1 } } },
      40_000,
    ],
  ])('%s', (_, of, input, expected) => {
    expect(only(of, input).priceMicros).toBe(expected);
  });
});
