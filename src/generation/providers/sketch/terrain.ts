/** Ground with a skyline: mountain ranges, hills, dunes, meadows. */
import type { Layer } from './canvas';
import type { Rgb } from './colour';
import type { Field } from './field';

export interface Terrain {
  /** Pixel row of the skyline for each column; everything below it is ground. */
  top: Float32Array;
  /** Colour at the skyline, and from `span` pixels below it on. */
  crest: Rgb;
  base: Rgb;
  span: number;
  /** Brightness around 0; `strength` scales it. */
  relief: Field;
  strength: number;
  /** Snow down to about `depth` pixels below the skyline. */
  cap: { colour: Rgb; depth: number } | null;
}

export function terrainLayer(terrain: Terrain): Layer {
  const { top: skyline, crest, base, span, relief, strength, cap } = terrain;
  const highest = skyline.reduce((least, y) => Math.min(least, y), Infinity);
  const shades = new Float32Array(skyline.length);
  return ({ top, rows, width, pixels }) => {
    for (let y = Math.max(top, Math.floor(highest)); y < top + rows; y++) {
      relief(y, shades);
      let offset = (y - top) * width * 3;
      for (let x = 0; x < width; x++, offset += 3) {
        const below = y + 1 - (skyline[x] ?? 0);
        if (below <= 0) continue;
        const cover = Math.min(1, below);
        const depth = below < span ? below / span : 1;
        const shade = shades[x] ?? 0;
        let red = crest[0] + (base[0] - crest[0]) * depth;
        let green = crest[1] + (base[1] - crest[1]) * depth;
        let blue = crest[2] + (base[2] - crest[2]) * depth;
        if (cap !== null) {
          // The relief makes the snow line uneven: it lies longer in the lit hollows.
          const snow = Math.min(1, Math.max(0, 3 - (3 * below) / cap.depth + shade * 5));
          red += (cap.colour[0] - red) * snow;
          green += (cap.colour[1] - green) * snow;
          blue += (cap.colour[2] - blue) * snow;
        }
        const factor = 1 + shade * strength;
        const oldRed = pixels[offset] ?? 0;
        const oldGreen = pixels[offset + 1] ?? 0;
        const oldBlue = pixels[offset + 2] ?? 0;
        pixels[offset] = oldRed + (red * factor - oldRed) * cover;
        pixels[offset + 1] = oldGreen + (green * factor - oldGreen) * cover;
        pixels[offset + 2] = oldBlue + (blue * factor - oldBlue) * cover;
      }
    }
  };
}
