/** A skyline of towers in three depths, with lit windows after dark. */
import type { Layer } from './canvas';
import { mix, type Rgb } from './colour';
import { between, hashAt } from './random';
import { rectangle, type Shape, shape, shapesLayer } from './shapes';
import { colourOf, type Stage } from './stage';

const WARM: Rgb = [255, 208, 128];
const COOL: Rgb = [150, 214, 255];
const LAMPS: readonly Rgb[] = [WARM, WARM, WARM, COOL];
const NEON: readonly Rgb[] = [
  [255, 60, 190],
  [60, 230, 255],
  [170, 90, 255],
  [255, 208, 128],
];

interface Building {
  x: number;
  top: number;
  width: number;
  key: number;
}

/** How windows look: pixels across, share of them lit, their colours, how far off (0–1). */
interface Glazing {
  pane: number;
  lit: number;
  lamps: readonly Rgb[];
  far: number;
}

function windows(building: Building, floor: number, glazing: Glazing): Shape[] {
  const { pane, lit, lamps, far } = glazing;
  const shapes: Shape[] = [];
  const columns = Math.floor(building.width / (pane * 2.1)) - 1;
  const rows = Math.floor((floor - building.top) / (pane * 2.6)) - 1;
  const left = building.x + (building.width - (columns * 2.1 - 1.1) * pane) / 2;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const hash = hashAt(building.key, column, row);
      if ((hash & 255) / 255 > lit) continue;
      const x = left + column * pane * 2.1;
      const y = building.top + (row + 0.8) * pane * 2.6;
      const colour = lamps[(hash >>> 8) & 3] ?? WARM;
      const opacity = (0.55 + ((hash >>> 12) & 255) / 640) * (1 - far * 0.5);
      shapes.push(shape(rectangle(x, y, pane, pane * 1.4), colour, colour, opacity));
    }
  }
  return shapes;
}

/** @param floor pixel row of the ground the towers stand on */
export function cityLayer(stage: Stage, floor: number): Layer {
  const { frame, palette } = stage;
  const random = stage.random('city');
  const isDark = ['night', 'dusk', 'sunset', 'space'].includes(stage.description.time);
  const lamps = stage.has('neon') ? NEON : LAMPS;
  const shapes: Shape[] = [];
  for (let depth = 0; depth < 3; depth++) {
    const near = depth / 2;
    const tone = mix(palette.far, palette.near, near * 0.85);
    const colour = mix(colourOf(stage, 'city', tone), palette.haze, 0.5 * (1 - near) + 0.04);
    const pane = Math.max(1.5, frame.unit * (0.0028 + 0.0018 * near));
    const tallest = frame.unit * (0.3 - 0.07 * near);
    let x = -frame.unit * 0.05;
    while (x < frame.width) {
      const width = frame.unit * between(random, 0.03, 0.065 + 0.02 * near);
      const centre = 1 - Math.min(1, Math.abs((x + width / 2) / frame.width - 0.5) * 1.5);
      const height = tallest * (0.22 + 0.55 * centre * random() + 0.25 * random());
      const building = {
        x,
        top: floor - height,
        width,
        key: hashAt(stage.key('window'), depth, x | 0),
      };
      shapes.push(
        shape(
          rectangle(x, building.top, width, height + 2),
          colour,
          mix(colour, palette.haze, 0.3),
        ),
      );
      if (random() < 0.22 && height > tallest * 0.55) {
        const middle = x + width / 2;
        const spire = [middle, building.top - height * 0.22, middle + width * 0.09, building.top];
        shapes.push(shape([...spire, middle - width * 0.09, building.top], colour));
      }
      const lit = isDark ? 0.5 : 0.08;
      if (depth > 0) shapes.push(...windows(building, floor, { pane, lit, lamps, far: 1 - near }));
      x += width * between(random, 0.92, 1.25);
    }
  }
  return shapesLayer(shapes, frame.width);
}
