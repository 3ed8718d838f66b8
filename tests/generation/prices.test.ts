import { describe, expect, it } from 'vitest';
import { builtInModels } from '../../src/generation/models';
import { type Price, type Priced, priceMicros } from '../../src/generation/prices';

const image = (overrides: Partial<Priced> = {}): Priced => ({
  size: { width: 1024, height: 1024 },
  quality: null,
  steps: null,
  ...overrides,
});
const sized = (width: number, height: number) => image({ size: { width, height } });

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
const perTile: Price = [{ per: 'tile', usd: 0.002 }];
const perTileStep: Price = [{ per: 'tile_step', usd: 0.0004, usual: 10 }];
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
