/** Filled outlines with smooth edges: everything that is built, grown or alive. */
import type { Layer } from './canvas';
import type { Rgb } from './colour';

/** x and y in turns; closed by itself. */
export type Outline = readonly number[];

export interface Shape {
  outline: Outline;
  /** Colour at the highest point of the outline, and at the lowest. */
  from: Rgb;
  to: Rgb;
  /** 0–1. */
  opacity: number;
}

export function shape(outline: Outline, from: Rgb, to: Rgb = from, opacity = 1): Shape {
  return { outline, from, to, opacity };
}

/** Moves an outline of unit size to its place; `flip` is -1 to mirror it, else 1. */
export function place(
  outline: Outline,
  at: { x: number; y: number; size: number; flip?: number },
): number[] {
  const flip = at.flip ?? 1;
  return outline.map((value, index) =>
    index % 2 === 0 ? at.x + value * at.size * flip : at.y + value * at.size,
  );
}

/** Rounds an outline by cutting its corners (Chaikin): curves without trigonometry. */
export function rounded(outline: Outline, times = 3): number[] {
  let points = [...outline];
  for (let time = 0; time < times; time++) {
    const next: number[] = [];
    for (let i = 0; i < points.length; i += 2) {
      const x = points[i] ?? 0;
      const y = points[i + 1] ?? 0;
      const toX = points[(i + 2) % points.length] ?? 0;
      const toY = points[(i + 3) % points.length] ?? 0;
      next.push(x * 0.75 + toX * 0.25, y * 0.75 + toY * 0.25);
      next.push(x * 0.25 + toX * 0.75, y * 0.25 + toY * 0.75);
    }
    points = next;
  }
  return points;
}

export function rectangle(x: number, y: number, width: number, height: number): number[] {
  return [x, y, x + width, y, x + width, y + height, x, y + height];
}

export function ellipse(x: number, y: number, radiusX: number, radiusY: number): number[] {
  // A rounded octagon shrinks a little inside its corners; 1.05 makes up for it.
  const corner = 0.4142 * 1.05;
  const side = 1.05;
  const octagon = [corner, -side, side, -corner, side, corner, corner, side];
  const points = [...octagon, ...octagon.map((value) => -value)];
  return rounded(points, 2).map((value, index) =>
    index % 2 === 0 ? x + value * radiusX : y + value * radiusY,
  );
}

interface Bounds {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

function boundsOf(outline: Outline): Bounds {
  const bounds = { left: Infinity, right: -Infinity, top: Infinity, bottom: -Infinity };
  for (let i = 0; i < outline.length; i += 2) {
    const x = outline[i] ?? 0;
    const y = outline[i + 1] ?? 0;
    bounds.left = Math.min(bounds.left, x);
    bounds.right = Math.max(bounds.right, x);
    bounds.top = Math.min(bounds.top, y);
    bounds.bottom = Math.max(bounds.bottom, y);
  }
  return bounds;
}

const SAMPLES = 4;

/** Adds where one horizontal line lies inside the outline (even-odd) to each column's coverage. */
function coverLine(outline: Outline, y: number, width: number, coverage: Float32Array): void {
  const crossings: number[] = [];
  const length = outline.length;
  for (let i = 0; i < length; i += 2) {
    const fromY = outline[i + 1] ?? 0;
    const toY = outline[i + 3 < length ? i + 3 : 1] ?? 0;
    if (fromY <= y === toY <= y) continue;
    const fromX = outline[i] ?? 0;
    const toX = outline[i + 2 < length ? i + 2 : 0] ?? 0;
    crossings.push(fromX + ((y - fromY) / (toY - fromY)) * (toX - fromX));
  }
  crossings.sort((a, b) => a - b);
  for (let i = 0; i + 1 < crossings.length; i += 2) {
    const from = Math.max(0, crossings[i] ?? 0);
    const to = Math.min(width, crossings[i + 1] ?? 0);
    for (let x = Math.floor(from); x < to; x++) {
      const part = Math.min(x + 1, to) - Math.max(x, from);
      coverage[x] = (coverage[x] ?? 0) + part / SAMPLES;
    }
  }
}

/** Paints shapes in order, the first farthest away. */
export function shapesLayer(shapes: readonly Shape[], width: number): Layer {
  const bounds = shapes.map(({ outline }) => boundsOf(outline));
  const coverage = new Float32Array(width + 1);
  return ({ top, rows, pixels }) => {
    for (const [index, { outline, from, to, opacity }] of shapes.entries()) {
      const box = bounds[index];
      if (box === undefined || box.bottom < top || box.top >= top + rows) continue;
      const left = Math.max(0, Math.floor(box.left));
      const right = Math.min(width, Math.ceil(box.right) + 1);
      const last = Math.min(top + rows - 1, Math.floor(box.bottom));
      for (let y = Math.max(top, Math.floor(box.top)); y <= last; y++) {
        coverage.fill(0, left, Math.max(left, right));
        for (let sample = 0; sample < SAMPLES; sample++) {
          coverLine(outline, y + (sample + 0.5) / SAMPLES, width, coverage);
        }
        const depth = Math.min(1, Math.max(0, (y - box.top) / (box.bottom - box.top + 1)));
        const red = from[0] + (to[0] - from[0]) * depth;
        const green = from[1] + (to[1] - from[1]) * depth;
        const blue = from[2] + (to[2] - from[2]) * depth;
        for (let x = left; x < right; x++) {
          const amount = (coverage[x] ?? 0) * opacity;
          if (amount <= 0) continue;
          const offset = ((y - top) * width + x) * 3;
          pixels[offset] = (pixels[offset] ?? 0) + (red - (pixels[offset] ?? 0)) * amount;
          pixels[offset + 1] =
            (pixels[offset + 1] ?? 0) + (green - (pixels[offset + 1] ?? 0)) * amount;
          pixels[offset + 2] =
            (pixels[offset + 2] ?? 0) + (blue - (pixels[offset + 2] ?? 0)) * amount;
        }
      }
    }
  };
}
