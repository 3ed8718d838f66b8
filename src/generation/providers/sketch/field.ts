/**
 * A function of the picture's plane, computed on a coarse grid once and read row by row with linear
 * interpolation: noise with many octaves at the price of an addition per pixel.
 */
import type { Frame } from './canvas';

/** Fills `out[0 … width-1]` with the values along pixel row `y`. */
export type Field = (y: number, out: Float32Array) => void;

/**
 * @param sample the value at a point in units (pixels / `frame.unit`)
 * @param from first pixel row that will be read, and `to` the last; what is outside is not computed
 */
export function createField(
  frame: Frame,
  range: { from: number; to: number },
  sample: (x: number, y: number) => number,
): Field {
  // 340 cells a unit: fine enough for relief, and a ninth of the pixels of 1024 x 1024.
  const cell = Math.max(1, frame.unit / 340);
  const from = Math.max(0, Math.floor(range.from));
  const to = Math.min(frame.height, Math.ceil(range.to));
  const columns = Math.ceil(frame.width / cell) + 2;
  const rows = Math.max(2, Math.ceil((to - from) / cell) + 2);
  const grid = new Float32Array(columns * rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      grid[row * columns + column] = sample(
        (column * cell) / frame.unit,
        (from + row * cell) / frame.unit,
      );
    }
  }
  const line = new Float32Array(columns);
  return (y, out) => {
    const position = Math.min(rows - 1.001, Math.max(0, (y - from) / cell));
    const row = Math.floor(position);
    const share = position - row;
    const start = row * columns;
    for (let column = 0; column < columns; column++) {
      const above = grid[start + column] ?? 0;
      line[column] = above + ((grid[start + columns + column] ?? 0) - above) * share;
    }
    const step = 1 / cell;
    for (let x = 0; x < frame.width; x++) {
      const at = x * step;
      const column = at | 0;
      const left = line[column] ?? 0;
      out[x] = left + ((line[column + 1] ?? 0) - left) * (at - column);
    }
  };
}
