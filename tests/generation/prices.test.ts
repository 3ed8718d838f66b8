import { describe, expect, it } from 'vitest';
import { priceOf } from '../../src/generation/candidates';
import { builtInModels } from '../../src/generation/models';
import { type Price, type Priced, priceMicros } from '../../src/generation/prices';
import type { GenerationInput } from '../../src/generation/types';
import { catalogOf, inputOf } from '../support/catalog';

const image = (overrides: Partial<Priced> = {}): Priced => ({
  size: { width: 1024, height: 1024 },
  quality: null,
  steps: null,
  ...overrides,
});
const sized = (width: number, height: number) => image({ size: { width, height } });
const unsized = image({ size: null });

const perImage: Price = [
  {
    per: 'image',
    usd: 0.04,
    by_quality: { low: 0.01, high: 0.16 },
    by_size: { '1536x1024': 1.5, '512x512': 0.5 },
  },
];
const perMegapixel: Price = [{ per: 'megapixel', usd: 0.003 }];
const perBegunMegapixel: Price = [{ per: 'megapixel', usd: 0.003, round_up: true }];
const ofSizes: Price = [
  {
    per: 'image',
    usd: 0.25,
    by_quality: { low: 0.02 },
    sizes: { '1024x1024': { usd: 0.16, by_quality: { low: 0.01 } } },
  },
];
const inProportion: Price = [
  {
    per: 'image',
    usd: 0.2,
    sizes: { '1536x1024': { usd: 0.15 } },
    up_to_pixels: 1024 * 1024,
  },
];
const perBinaryMegapixel: Price = [
  { per: 'megapixel', usd: 0.003, round_up: true, pixels: 1024 * 1024 },
];
const perTile: Price = [{ per: 'tile', usd: 0.002 }];
const perTileStep: Price = [{ per: 'tile_step', usd: 0.0004, usual: 10 }];
const perPreview: Price = [
  { per: 'image', usd: 0.04 },
  { per: 'preview', usd: 0.004 },
];
const perStep: Price = [{ per: 'step', usd: 0.00035, usual: 4 }];

describe('the price of one image', () => {
  it.each<[string, Price, Priced, number]>([
    ['nothing, when the list is empty', [], image(), 0],
    ['nothing, when its part is free', [{ per: 'image', usd: 0 }], image(), 0],

    ['the usual one without a quality', perImage, image(), 40_000],
    ['the one of its quality', perImage, image({ quality: 'low' }), 10_000],
    ['the usual one for a quality that is not listed', perImage, image({ quality: 'hd' }), 40_000],
    ['the usual one for the name of a method', perImage, image({ quality: 'toString' }), 40_000],
    ['times the factor of its size', perImage, sized(1536, 1024), 60_000],
    ['times a factor below 1', perImage, sized(512, 512), 20_000],
    ['times 1 for a size that is not listed', perImage, sized(1024, 1536), 40_000],
    [
      'of its quality, times the factor of its size',
      perImage,
      { ...sized(1536, 1024), quality: 'high' },
      240_000,
    ],

    ['the one of a size that has its own', ofSizes, image(), 160_000],
    ['the one of its size and quality', ofSizes, image({ quality: 'low' }), 10_000],
    ['the one for other sizes when it has none', ofSizes, sized(640, 640), 250_000],
    ['the one for other sizes when none is asked for', ofSizes, unsized, 250_000],
    ['of a size that is left to the provider, without a factor', perImage, unsized, 40_000],
    ['in proportion above so many pixels', inProportion, sized(2048, 1024), 400_000],
    ['no less below them', inProportion, sized(512, 512), 200_000],
    ['that of a size of its own, whatever its pixels', inProportion, sized(1536, 1024), 150_000],
    ['in no proportion to a size that nobody asked for', inProportion, unsized, 200_000],

    ['for one megapixel of 1024 by 1024', perBinaryMegapixel, image(), 3_000],
    ['for two such of 1920 by 1080', perBinaryMegapixel, sized(1920, 1080), 6_000],
    ['for two such as soon as the second is begun', perBinaryMegapixel, sized(1024, 1025), 6_000],
    ['of the usual size when none is asked for', perBegunMegapixel, unsized, 6_000],
    ['for a megapixel of 1,000,000 pixels', perMegapixel, sized(1000, 1000), 3_000],
    ['for the part of a megapixel that is made', perMegapixel, sized(500, 500), 750],
    ['for whole megapixels where begun ones count', perBegunMegapixel, sized(500, 500), 3_000],
    ['for no more than the megapixels that are full', perBegunMegapixel, sized(1000, 1000), 3_000],
    ['for one more as soon as it is begun', perBegunMegapixel, sized(1000, 1001), 6_000],

    ['for each tile of 512 by 512', perTile, image(), 8_000],
    ['for one tile however small the image', perTile, sized(64, 64), 2_000],
    ['for begun tiles in both directions', perTile, sized(513, 1025), 12_000],

    ['for each step that is asked for', perStep, image({ steps: 20 }), 7_000],
    ['for the usual steps when none are asked for', perStep, image(), 1_400],

    ['for each tile in each step', perTileStep, image({ steps: 2 }), 3_200],
    ['for each tile in each usual step', perTileStep, image(), 16_000],

    ['for each preview that is asked for', perPreview, image({ previews: 2 }), 48_000],
    ['for the image alone when none are asked for', perPreview, image(), 40_000],

    ['of several parts is their sum', [...perImage, ...perTile, ...perStep], image(), 49_400],
  ])('is %s', (_, price, asked, expected) => {
    expect(priceMicros(price, asked)).toBe(expected);
  });

  it.each<[string, Price, number]>([
    ['a part of a micro-dollar counts as one', [{ per: 'image', usd: 0.000_000_2 }], 1],
    ['what is above a whole one counts as the next', [{ per: 'image', usd: 0.042_000_1 }], 42_001],
    [
      '0.1 and 0.2 are 0.3, whatever their representation says',
      [
        { per: 'image', usd: 0.1 },
        { per: 'tile', usd: 0.1 },
      ],
      300_000,
    ],
    ['0.011 is 11,000 and no more', [{ per: 'image', usd: 0.011 }], 11_000],
    ['0.07 times 1.1 is 77,000 and no more', timesFactor(0.07, 1.1), 77_000],
  ])('is rounded up to whole micro-dollars: %s', (_, price, expected) => {
    const size = { width: 1024, height: 512 };
    expect(priceMicros(price, image({ size }))).toBe(expected);
  });

  it('is exact for every price of up to ten cents in whole micro-dollars', () => {
    const wrong = Array.from({ length: 100_000 }, (_, micros) => micros).filter(
      (micros) => priceMicros([{ per: 'image', usd: micros / 1e6 }], image()) !== micros,
    );
    expect(wrong).toEqual([]);
  });

  it('is a whole number for every known target, whatever the quality', () => {
    const targets = builtInModels.flatMap(({ targets: own }) => own);
    const prices = targets.flatMap(({ price }) =>
      [null, 'low', 'medium', 'high', 'constructor', '__proto__'].map((quality) =>
        priceMicros(price, image({ quality })),
      ),
    );
    expect(prices.every(Number.isSafeInteger)).toBe(true);
  });
});

function timesFactor(usd: number, factor: number): Price {
  return [{ per: 'image', usd, by_size: { '1024x512': factor } }];
}

describe('the list prices of a known target', () => {
  const catalog = catalogOf(builtInModels);
  const wide = { width: 1536, height: 1024 };
  const square = { width: 1024, height: 1024 };
  const hd = { provider_options: { openai: { quality: 'hd' } } };
  const of = (quality: string) => ({ provider_options: { openai: { quality } } });

  it.each<[string, Partial<GenerationInput>, number]>([
    ['gpt-image-1', { ...square, ...of('low') }, 11_000],
    ['gpt-image-1', { ...square, ...of('medium') }, 42_000],
    ['gpt-image-1', { ...square, ...of('high') }, 167_000],
    ['gpt-image-1', { ...wide, ...of('low') }, 16_000],
    ['gpt-image-1', { aspect_ratio: '2:3', ...of('medium') }, 63_000],
    ['gpt-image-1', { ...wide, ...of('high') }, 250_000],
    ['gpt-image-1-mini', { ...wide, ...of('medium') }, 15_000],
    ['gpt-image-1.5', { ...wide, ...of('high') }, 200_000],
    ['gpt-image-2', { ...square, ...of('low') }, 6_000],
    ['gpt-image-2', { ...wide, ...of('high') }, 165_000],
    ['gpt-image-2', { width: 2048, height: 2048, ...of('high') }, 844_000],
    ['dall-e-3', {}, 40_000],
    ['dall-e-3', hd, 80_000],
    ['dall-e-3', { width: 1792, height: 1024 }, 80_000],
    ['dall-e-3', { aspect_ratio: '9:16', ...hd }, 120_000],
  ])('%s of %o costs %i', (model, fields, micros) => {
    const [target] = catalog.find(model)?.targets ?? [];
    expect(target && priceOf(target, inputOf(fields))).toBe(micros);
  });

  it.each<[string, Partial<GenerationInput>, number]>([
    ['neither size nor quality', {}, 250_000],
    ['no quality', square, 167_000],
    ['the quality to choose', { ...square, ...of('auto') }, 167_000],
    ['no size', of('medium'), 63_000],
  ])('of gpt-image-1 is the dearest that may come when it is told %s', (_, fields, micros) => {
    const [target] = catalog.find('gpt-image-1')?.targets ?? [];
    expect(target && priceOf(target, inputOf(fields))).toBe(micros);
  });

  it.each<[string, Partial<GenerationInput>, number]>([
    ['flux-dev', square, 25_000],
    ['flux-dev', { width: 1040, height: 1024 }, 50_000],
    ['flux-2-pro', square, 30_000],
    ['flux-2-pro', { width: 512, height: 512 }, 30_000],
    ['flux-2-pro', { width: 1920, height: 1072 }, 45_000],
    ['flux-2-pro', { width: 2048, height: 2048 }, 75_000],
    ['flux-2-klein-4b', square, 14_000],
  ])('%s of %o has begun megapixels of 1024 by 1024 in full', (model, fields, micros) => {
    const [target] = catalog.find(model)?.targets ?? [];
    expect(target && priceOf(target, inputOf(fields))).toBe(micros);
  });
});
