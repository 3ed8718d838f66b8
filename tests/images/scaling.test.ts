import fc from 'fast-check';
import { expect, it } from 'vitest';
import { everyAsk, nameOfAsk, planVariant } from '../../src/images/variants/plan';
import { flatten, shrink } from '../../src/images/variants/scaling';

const side = fc.integer({ min: 1, max: 16 });
const sizes = fc
  .record({ width: side, height: side, smaller: side, lower: side })
  .filter(({ width, height, smaller, lower }) => smaller <= width && lower <= height)
  .map(({ width, height, smaller, lower }) => ({
    from: { width, height },
    to: { width: smaller, height: lower },
  }));
const byte = fc.integer({ min: 0, max: 255 });

it('one colour stays that colour, whatever the sizes', () => {
  fc.assert(
    fc.property(
      sizes,
      fc.tuple(byte, byte, byte, fc.integer({ min: 1, max: 255 })),
      (of, colour) => {
        const pixels = new Uint8Array(of.from.width * of.from.height * 4);
        for (let at = 0; at < pixels.length; at += 4) pixels.set(colour, at);
        const small = shrink(pixels, of.from, of.to);
        expect(small).toHaveLength(of.to.width * of.to.height * 4);
        for (let at = 0; at < small.length; at += 4) {
          expect([...small.subarray(at, at + 4)]).toEqual([...colour]);
        }
      },
    ),
  );
});

it('nothing of an opaque image is lost or counted twice: its mean stays', () => {
  const meanOf = (pixels: Uint8Array) => {
    const greens = pixels.filter((_, at) => at % 4 === 1);
    return greens.reduce((sum, value) => sum + value, 0) / greens.length;
  };
  fc.assert(
    fc.property(sizes, fc.infiniteStream(byte), ({ from, to }, values) => {
      const pixels = Uint8Array.from({ length: from.width * from.height * 4 }, (_, at) =>
        at % 4 === 3 ? 255 : values.next().value,
      );
      expect(Math.abs(meanOf(shrink(pixels, from, to)) - meanOf(pixels))).toBeLessThanOrEqual(0.51);
    }),
  );
});

it('to its own size an opaque image is itself', () => {
  const pixels = Uint8Array.from({ length: 5 * 3 * 4 }, (_, at) => (at % 4 === 3 ? 255 : at * 3));
  expect(shrink(pixels, { width: 5, height: 3 }, { width: 5, height: 3 })).toEqual(pixels);
});

it('onto white a half transparent black is grey', () => {
  const pixels = new Uint8Array([0, 0, 0, 128, 9, 8, 7, 255, 1, 2, 3, 0]);
  flatten(pixels);
  expect([...pixels]).toEqual([127, 127, 127, 255, 9, 8, 7, 255, 255, 255, 255, 255]);
});

it('of one image there are at most 60 copies under names that no two asks share in the cache', () => {
  expect(new Set(everyAsk.map(nameOfAsk)).size).toBe(60);
  const image = { width: 5_000, height: 10, mediaType: 'image/png' as const };
  const names = everyAsk.flatMap((ask) => planVariant(image, ask)?.name ?? []);
  expect(new Set(names).size).toBe(14 * 3 + 2);
});
