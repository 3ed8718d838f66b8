/** Still or moving water from the horizon down: reflections, waves and the glitter of the light. */
import type { Layer } from './canvas';
import { noise2 } from './noise';
import { createMirror } from './sky';
import type { Stage } from './stage';

/** The first layer records what the second reflects; paint nothing reflected after the first. */
export function waterLayers(stage: Stage): Layer[] {
  const mirror = createMirror(stage);
  const { frame, palette, light, horizon } = stage;
  const key = stage.key('water');
  const isSea = stage.has('sea');
  const height = isSea ? 0.55 : 0.24;
  const finer = stage.octaves > 3;
  const reflected = new Float32Array(3);
  const surface: Layer = ({ top, rows, width, pixels }) => {
    for (let y = Math.max(top, Math.ceil(horizon)); y < top + rows; y++) {
      const below = y - horizon;
      const nearness = below / (frame.height - horizon);
      // Perspective: waves of one size lie closer together towards the horizon.
      const stretch = 1 / (0.045 + nearness * 0.5);
      const rowAt = 7 * stretch;
      const depthShare = (isSea ? 0.3 : 0.14) + nearness * 0.38;
      const calm = Math.min(1, 0.3 + nearness * 5);
      const path = frame.unit * (0.03 + 0.12 * nearness);
      for (let x = 0; x < width; x++) {
        const across = (((x - frame.width / 2) / frame.unit) * 4 + 60) * stretch;
        let wave = noise2(key, across, rowAt * 3.2);
        if (finer) wave += 0.5 * noise2(key + 1, across * 2.3, rowAt * 7.4);
        // Near the horizon waves are finer than pixels and would only flicker.
        const slope = wave * height * calm;
        const bend = slope * frame.unit * (0.006 + 0.05 * nearness);
        mirror.read(x + bend * 0.5, below * 0.94 + bend, reflected);
        const share = Math.min(0.92, Math.max(0.05, depthShare - slope * 0.28));
        const away = (x - light.x) / path;
        const shine = Math.max(0, slope - 0.03) * 1.9 * palette.glow;
        const glitter = Math.min(0.85, shine / (1 + away * away));
        const tone = 1 + slope * 0.16;
        const offset = ((y - top) * width + x) * 3;
        for (let channel = 0; channel < 3; channel++) {
          const image = reflected[channel] ?? 0;
          const colour = (image + ((palette.water[channel] ?? 0) - image) * share) * tone;
          pixels[offset + channel] = colour + ((palette.light[channel] ?? 0) - colour) * glitter;
        }
      }
    }
  };
  return [mirror.record, surface];
}
