/** Filled outlines with smooth edges: everything that is built, grown or alive. */
import { blend, type Layer } from './canvas';
import { mix, type Rgb } from './colour';

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
  // Half of a regular octagon around the unit circle: rounded, it touches the circle at each side.
  const corner = 0.4142;
  const octagon = [corner, -1, 1, -corner, 1, corner, corner, 1];
  const points = [...octagon, ...octagon.map((value) => -value)];
  return rounded(points, 2).map((value, index) =>
    index % 2 === 0 ? x + value * radiusX : y + value * radiusY,
  );
}

/** Top and bottom rows and left and right columns of an outline, each set in its own array. */
interface Extents {
  top: Float32Array;
  bottom: Float32Array;
  left: Float32Array;
  right: Float32Array;
}

function extentsOf(shapes: readonly Shape[]): Extents {
  const column = (value: number) => new Float32Array(shapes.length).fill(value);
  const extents = {
    top: column(Infinity),
    bottom: column(-Infinity),
    left: column(Infinity),
    right: column(-Infinity),
  };
  for (const [index, { outline }] of shapes.entries()) {
    for (let i = 0; i < outline.length; i += 2) {
      const x = outline[i] ?? 0;
      const y = outline[i + 1] ?? 0;
      extents.left[index] = Math.min(extents.left[index] ?? x, x);
      extents.right[index] = Math.max(extents.right[index] ?? x, x);
      extents.top[index] = Math.min(extents.top[index] ?? y, y);
      extents.bottom[index] = Math.max(extents.bottom[index] ?? y, y);
    }
  }
  return extents;
}

/** Horizontal lines looked at in a row of pixels: what smooths the near-horizontal edges. */
const SAMPLES = 4;

/** Sets `crossings` to where the outline crosses a horizontal line, in order; returns how many. */
function findCrossings(outline: Outline, y: number, crossings: Float64Array): number {
  let count = 0;
  let fromX = outline[outline.length - 2] ?? 0;
  let fromY = outline[outline.length - 1] ?? 0;
  for (let i = 0; i < outline.length; i += 2) {
    const toX = outline[i] ?? 0;
    const toY = outline[i + 1] ?? 0;
    if (fromY <= y !== toY <= y) {
      const x = fromX + ((y - fromY) / (toY - fromY)) * (toX - fromX);
      let slot = count++;
      for (; slot > 0 && (crossings[slot - 1] ?? 0) > x; slot--) {
        crossings[slot] = crossings[slot - 1] ?? 0;
      }
      crossings[slot] = x;
    }
    fromX = toX;
    fromY = toY;
  }
  return count;
}

/** Work space of one layer, so that painting allocates nothing. */
interface Scratch {
  width: number;
  coverage: Float32Array;
  crossings: Float64Array;
}

/** Adds where one horizontal line lies inside the outline (even-odd) to each column's coverage. */
function coverLine(outline: Outline, y: number, scratch: Scratch): void {
  const { coverage, crossings, width } = scratch;
  const count = findCrossings(outline, y, crossings);
  for (let i = 0; i + 1 < count; i += 2) {
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
  const extents = extentsOf(shapes);
  const coverage = new Float32Array(width + 1);
  const edges = shapes.reduce((most, { outline }) => Math.max(most, outline.length / 2), 0);
  const scratch = { width, coverage, crossings: new Float64Array(edges) };
  return (strip) => {
    for (let index = 0; index < shapes.length; index++) {
      const top = extents.top[index] ?? 0;
      const bottom = extents.bottom[index] ?? 0;
      const painted = shapes[index];
      if (bottom < strip.top || top >= strip.top + strip.rows || painted === undefined) continue;
      const left = Math.max(0, Math.floor(extents.left[index] ?? 0));
      const right = Math.min(width, Math.ceil(extents.right[index] ?? 0) + 1);
      if (left >= right) continue;
      const last = Math.min(strip.top + strip.rows - 1, Math.floor(bottom));
      for (let y = Math.max(strip.top, Math.floor(top)); y <= last; y++) {
        coverage.fill(0, left, right);
        for (let sample = 0; sample < SAMPLES; sample++) {
          coverLine(painted.outline, y + (sample + 0.5) / SAMPLES, scratch);
        }
        const depth = Math.min(1, Math.max(0, (y - top) / (bottom - top + 1)));
        const colour = mix(painted.from, painted.to, depth);
        const start = (y - strip.top) * width;
        for (let x = left; x < right; x++) {
          const amount = (coverage[x] ?? 0) * painted.opacity;
          if (amount > 0) blend(strip.pixels, (start + x) * 3, colour, amount);
        }
      }
    }
  };
}
