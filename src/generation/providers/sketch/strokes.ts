/** The sketcher's hand: faint pencil hatching over the finished picture, a little more each step. */
import type { Layer } from './canvas';
import { between, createRandom } from './random';
import type { Stage } from './stage';

const STROKES_PER_STEP = 24;

interface Stroke {
  x: number;
  y: number;
  /** Pixels across and down. */
  dx: number;
  dy: number;
  /** Brightness to multiply with, less 1. */
  tone: number;
}

export function strokesLayer(stage: Stage): Layer {
  const { frame } = stage;
  const random = createRandom(stage.touchKey);
  const lean = between(random, 0.5, 1.1);
  const strokes: Stroke[] = Array.from({ length: stage.steps * STROKES_PER_STEP }, () => {
    const length = frame.unit * between(random, 0.012, 0.045);
    return {
      x: random() * frame.width,
      y: random() * frame.height,
      dx: length,
      dy: -length * lean * between(random, 0.8, 1.2),
      tone: between(random, -0.075, 0.05),
    };
  });
  const wide = Math.max(1, Math.round(frame.unit / 700));
  return ({ top, rows, width, pixels }) => {
    for (const { x, y, dx, dy, tone } of strokes) {
      if (y < top || y + dy >= top + rows) continue;
      const first = Math.max(top, Math.ceil(y + dy));
      const last = Math.min(top + rows - 1, Math.floor(y));
      for (let row = first; row <= last; row++) {
        const along = (row - y) / dy;
        // Pressed hardest in the middle, as a pencil is.
        const factor = 1 + tone * 4 * along * (1 - along);
        const start = Math.round(x + dx * along);
        for (let column = start; column < Math.min(width, start + wide); column++) {
          const offset = ((row - top) * width + column) * 3;
          pixels[offset] = (pixels[offset] ?? 0) * factor;
          pixels[offset + 1] = (pixels[offset + 1] ?? 0) * factor;
          pixels[offset + 2] = (pixels[offset + 2] ?? 0) * factor;
        }
      }
    }
  };
}
