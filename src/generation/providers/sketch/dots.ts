/** Many small soft discs: stars, petals, snowflakes. */
import { blend, type Layer } from './canvas';
import type { Rgb } from './colour';

export interface Dot {
  x: number;
  y: number;
  /** Pixels; below 0.6 it is a faint single pixel. */
  radius: number;
  colour: Rgb;
  /** 0–1 at the centre. */
  strength: number;
}

/** @param softness 0 for a hard edge of one pixel, 1 for a glow that fades from the centre */
export function dotsLayer(dots: readonly Dot[], softness: number): Layer {
  return ({ top, rows, width, pixels }) => {
    for (const dot of dots) {
      const reach = dot.radius + 1;
      if (dot.y + reach < top || dot.y - reach > top + rows) continue;
      const edge = 1 + (dot.radius - 1) * softness;
      const first = Math.max(top, Math.ceil(dot.y - reach));
      const last = Math.min(top + rows - 1, Math.floor(dot.y + reach));
      const left = Math.max(0, Math.ceil(dot.x - reach));
      const right = Math.min(width - 1, Math.floor(dot.x + reach));
      for (let y = first; y <= last; y++) {
        for (let x = left; x <= right; x++) {
          const distance = Math.sqrt((x - dot.x) * (x - dot.x) + (y - dot.y) * (y - dot.y));
          const inside = Math.min(1, (dot.radius + 0.5 - distance) / Math.max(1, edge));
          if (inside <= 0) continue;
          blend(pixels, ((y - top) * width + x) * 3, dot.colour, dot.strength * inside);
        }
      }
    }
  };
}
