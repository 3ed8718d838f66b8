import { describe, expect, it } from 'vitest';
import type { Strip } from '../../../../src/generation/providers/sketch/canvas';
import type { Rgb } from '../../../../src/generation/providers/sketch/colour';
import {
  ellipse,
  place,
  rectangle,
  shape,
  shapesLayer,
} from '../../../../src/generation/providers/sketch/shapes';

const WHITE: Rgb = [255, 255, 255];

/** The red of every pixel of an 8 x 8 picture painted in strips of `stripRows`. */
function paint(outline: number[], stripRows = 8, opacity = 1): number[] {
  const layer = shapesLayer([shape(outline, WHITE, WHITE, opacity)], 8);
  const painted: number[] = [];
  for (let top = 0; top < 8; top += stripRows) {
    const pixels = new Float32Array(8 * stripRows * 3);
    const strip: Strip = { top, rows: stripRows, width: 8, pixels };
    layer(strip);
    painted.push(...pixels.filter((_, index) => index % 3 === 0));
  }
  return painted;
}

const area = (painted: number[]) => painted.reduce((sum, value) => sum + value, 0) / 255;

describe('shapesLayer', () => {
  it.each([
    ['whole pixels', rectangle(2, 3, 4, 2), 8],
    ['half pixels', rectangle(2.5, 3.5, 3, 2), 6],
    ['what is cut off at the edges', rectangle(-5, -5, 8, 8), 9],
    ['nothing outside the picture', rectangle(20, 20, 4, 4), 0],
    ['a triangle', [0, 0, 8, 8, 0, 8], 32],
    ['a circle', ellipse(4, 4, 3, 3), 28],
  ])('covers the area of %s', (_, outline, expected) => {
    expect(Math.abs(area(paint(outline)) - expected)).toBeLessThan(0.7);
  });

  it('paints the same in one strip as in many', () => {
    const outline = ellipse(4.2, 3.7, 3, 2.4);
    expect(paint(outline, 1)).toEqual(paint(outline, 8));
    expect(paint(outline, 2)).toEqual(paint(outline, 8));
  });

  it('mixes by opacity', () => {
    expect(paint(rectangle(0, 0, 8, 8), 8, 0.25)[0]).toBeCloseTo(63.75);
  });
});

describe('place', () => {
  it('scales, mirrors and moves', () => {
    expect(place([1, 2, -1, 0], { x: 10, y: 20, size: 3, flip: -1 })).toEqual([7, 26, 13, 20]);
  });
});
