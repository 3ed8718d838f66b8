import { describe, expect, it } from 'vitest';
import {
  fractal2,
  noise2,
  ridged2,
  smoothStep,
} from '../../../../src/generation/providers/sketch/noise';

const places = Array.from({ length: 400 }, (_, i) => [i * 0.37 - 60, 40 - i * 0.23] as const);

describe('noise', () => {
  it('stays near [-1, 1], and ridges within [0, 1]', () => {
    for (const [x, y] of places) {
      expect(Math.abs(noise2(1, x, y))).toBeLessThanOrEqual(1.1);
      expect(Math.abs(fractal2(1, x, y, 6))).toBeLessThanOrEqual(1.2);
      expect(ridged2(1, x, y, 6)).toBeGreaterThanOrEqual(0);
      expect(ridged2(1, x, y, 6)).toBeLessThanOrEqual(1);
    }
  });

  it('is smooth: a thousandth of a unit moves it by less than a hundredth', () => {
    for (const [x, y] of places) {
      expect(Math.abs(noise2(1, x + 0.001, y) - noise2(1, x, y))).toBeLessThan(0.01);
    }
  });

  it('differs from key to key', () => {
    const differing = places.filter(([x, y]) => noise2(1, x, y) !== noise2(2, x, y));
    expect(differing.length).toBeGreaterThan(300);
  });

  it('gets finer with each octave', () => {
    const [x, y] = [3.3, 4.7];
    expect(fractal2(1, x, y, 3)).not.toBe(fractal2(1, x, y, 4));
  });
});

describe('smoothStep', () => {
  it.each([
    [-1, 0],
    [0, 0],
    [0.5, 0.5],
    [1, 1],
    [2, 1],
  ])('of %f between 0 and 1 is %f', (value, expected) => {
    expect(smoothStep(0, 1, value)).toBe(expected);
  });
});
