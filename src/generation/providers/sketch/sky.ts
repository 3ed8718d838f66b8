/** The sky, its light, and the water's source of reflections. */
import { blend, type Layer } from './canvas';
import { mix, type Rgb } from './colour';
import { noise2, smoothStep } from './noise';
import type { Stage } from './stage';

const WHITE: Rgb = [255, 255, 255];

/** A gradient from the zenith to the horizon, brightened around the light. Covers every pixel. */
export function skyLayer(stage: Stage): Layer {
  const { frame, palette, light, horizon } = stage;
  const reach = 1 / (0.3 * frame.unit) ** 2;
  const [red, green, blue] = palette.light;
  return ({ top, rows, width, pixels }) => {
    let offset = 0;
    for (let y = top; y < top + rows; y++) {
      const height = Math.min(1, y / horizon);
      const upper = mix(palette.skyTop, palette.skyMiddle, smoothStep(0, 0.7, height));
      const colour = mix(upper, palette.skyLow, smoothStep(0.4, 1, height));
      const dy = (y - light.y) * (y - light.y) * reach;
      for (let x = 0; x < width; x++) {
        const dx = x - light.x;
        const near = 1 / (1 + dx * dx * reach + dy);
        const amount = palette.glow * near * (0.25 + 0.7 * near * near);
        pixels[offset] = colour[0] + (red - colour[0]) * amount;
        pixels[offset + 1] = colour[1] + (green - colour[1]) * amount;
        pixels[offset + 2] = colour[2] + (blue - colour[2]) * amount;
        offset += 3;
      }
    }
  };
}

interface Disc {
  x: number;
  y: number;
  radius: number;
}

/** Paints a round body: `colourAt` gets the place in the disc, -1 to 1 each way. */
export function discLayer(disc: Disc, colourAt: (x: number, y: number) => Rgb): Layer {
  const { x, y, radius } = disc;
  return ({ top, rows, width, pixels }) => {
    const first = Math.max(top, Math.floor(y - radius - 1));
    const last = Math.min(top + rows, Math.ceil(y + radius + 2));
    const left = Math.max(0, Math.floor(x - radius - 1));
    const right = Math.min(width, Math.ceil(x + radius + 2));
    for (let row = first; row < last; row++) {
      for (let column = left; column < right; column++) {
        const dx = column - x;
        const dy = row - y;
        const inside = radius - Math.sqrt(dx * dx + dy * dy) + 0.5;
        if (inside <= 0) continue;
        const colour = colourAt(dx / radius, dy / radius);
        blend(pixels, ((row - top) * width + column) * 3, colour, Math.min(1, inside));
      }
    }
  };
}

export function sunLayer(stage: Stage): Layer {
  const core = mix(stage.palette.light, WHITE, 0.55);
  return discLayer(stage.light, () => core);
}

export function moonLayer(stage: Stage): Layer {
  const key = stage.key('moon');
  const lit = mix(stage.palette.light, WHITE, 0.3);
  const maria = mix(lit, stage.palette.skyMiddle, 0.28);
  return discLayer(stage.light, (x, y) =>
    mix(lit, maria, smoothStep(-0.1, 0.5, noise2(key, x * 1.8 + 9, y * 1.8))),
  );
}

/** Where the mirrored picture above the horizon is read from; rows count up from the horizon. */
export interface Mirror {
  record: Layer;
  /** RGB of what stands `rise` pixels above the horizon at column `x`, into `out`. */
  read: (x: number, rise: number, out: Float32Array) => void;
}

/** Keeps what is painted above `horizon` at half size, for water below to reflect. */
export function createMirror(stage: Stage): Mirror {
  const cell = stage.frame.unit > 700 ? 2 : 1;
  const columns = Math.ceil(stage.frame.width / cell);
  const rows = Math.ceil(stage.horizon / cell);
  const kept = new Uint8ClampedArray(columns * rows * 3);
  const record: Layer = ({ top, rows: stripRows, width, pixels }) => {
    for (let y = top; y < Math.min(top + stripRows, stage.horizon); y++) {
      if (y % cell !== 0) continue;
      const to = (y / cell) * columns * 3;
      const from = (y - top) * width * 3;
      for (let column = 0; column < columns; column++) {
        for (let channel = 0; channel < 3; channel++) {
          kept[to + column * 3 + channel] = pixels[from + column * cell * 3 + channel] ?? 0;
        }
      }
    }
  };
  const read = (x: number, rise: number, out: Float32Array) => {
    const position = Math.min(columns - 1.01, Math.max(0, x / cell));
    const column = position | 0;
    const share = position - column;
    const row = Math.max(0, Math.min(rows - 1, ((stage.horizon - rise) / cell) | 0));
    const at = (row * columns + column) * 3;
    for (let channel = 0; channel < 3; channel++) {
      const left = kept[at + channel] ?? 0;
      out[channel] = left + ((kept[at + 3 + channel] ?? 0) - left) * share;
    }
  };
  return { record, read };
}
