/** Trees and flowers. */
import type { Layer } from './canvas';
import { mix, type Rgb, scale } from './colour';
import { type Dot, dotsLayer } from './dots';
import { between, pick, type Random } from './random';
import { ellipse, place, type Shape, shape, shapesLayer } from './shapes';
import { colourOf, type Stage } from './stage';

interface Tree {
  x: number;
  /** Pixel row of the foot. */
  y: number;
  /** Pixels. */
  height: number;
  colour: Rgb;
}

function conifer(tree: Tree, random: Random, tiers: number): Shape[] {
  const left: number[] = [];
  const right: number[] = [];
  const girth = between(random, 0.17, 0.23);
  for (let tier = 1; tier <= tiers; tier++) {
    const y = -1 + (tier / tiers) * 0.9;
    const reach = girth * (tier / tiers) * between(random, 0.82, 1.15);
    right.push(reach, y, reach * 0.5, y - 0.03);
    left.unshift(-reach * 0.5, y - 0.03, -reach * between(random, 0.85, 1.1), y);
  }
  const outline = [0, -1.04, ...right, 0.03, -0.1, 0.03, 0.02, -0.03, 0.02, -0.03, -0.1, ...left];
  const at = { x: tree.x, y: tree.y, size: tree.height };
  return [shape(place(outline, at), tree.colour, scale(tree.colour, 0.72))];
}

function broadleaf(tree: Tree, random: Random, light: Rgb): Shape[] {
  const { x, y, height } = tree;
  const trunk = place([-0.03, -0.5, 0.03, -0.5, 0.05, 0.02, -0.05, 0.02], {
    x,
    y,
    size: height,
  });
  const shapes = [shape(trunk, scale(tree.colour, 0.5), scale(tree.colour, 0.35))];
  for (let puff = 0; puff < 7; puff++) {
    const radius = height * between(random, 0.15, 0.24);
    const dx = height * between(random, -0.2, 0.2);
    const rise = between(random, 0.48, 0.82);
    const lit = mix(tree.colour, light, 0.26 * (rise - 0.4) * 2);
    const outline = ellipse(x + dx, y - height * rise, radius, radius * 0.85);
    shapes.push(shape(outline, lit, scale(tree.colour, 0.7)));
  }
  return shapes;
}

const AUTUMN: readonly [Rgb, ...Rgb[]] = [
  [208, 96, 30],
  [226, 150, 40],
  [170, 54, 30],
  [196, 120, 40],
];

function leafColour(stage: Stage, random: Random): Rgb {
  const { foliage, haze } = stage.palette;
  if (!stage.has('autumn')) return mix(foliage, haze, random() * 0.1);
  return mix(foliage, pick(random, AUTUMN), 0.72);
}

/** Rows of trees from `row` down; far rows are small and hazy. A wood of firs unless in autumn. */
export function forestLayer(stage: Stage, row: number): Layer {
  const { frame, palette } = stage;
  const random = stage.random('forest');
  const shapes: Shape[] = [];
  const tiers = 3 + stage.octaves;
  const room = Math.min(frame.height - row, frame.unit * 0.4);
  for (let depth = 0; depth < 3; depth++) {
    const near = depth / 2;
    const size = frame.unit * (0.07 + 0.1 * near + 0.05 * near * near);
    const spacing = size * (0.22 + 0.12 * near);
    for (let x = -size; x < frame.width + size; x += spacing * between(random, 0.6, 1.4)) {
      // A clearing in the middle of the nearest row keeps the view open.
      const off = Math.abs(x / frame.width - 0.5);
      if (near === 1 && off < 0.2) continue;
      const height = size * between(random, 0.65, 1.25) * (near === 1 ? 0.7 + off : 1);
      const colour = mix(leafColour(stage, random), palette.haze, 0.5 * (1 - near) + 0.04);
      const y = row + room * 0.3 * near + size * 0.06;
      const tree = { x, y, height, colour: mix(colour, palette.near, 0.35 * near) };
      const isBroad = stage.has('autumn') ? random() < 0.75 : random() < 0.06;
      const made = isBroad ? broadleaf(tree, random, palette.light) : conifer(tree, random, tiers);
      shapes.push(...made);
    }
  }
  return shapesLayer(shapes, frame.width);
}

/** One large tree to the side of the picture. */
export function loneTreeLayer(stage: Stage, row: number): Layer {
  const { frame, palette } = stage;
  const random = stage.random('tree');
  const colour = colourOf(stage, 'tree', leafColour(stage, random));
  const x =
    frame.width * (random() < 0.5 ? between(random, 0.14, 0.28) : between(random, 0.7, 0.86));
  const y = row + (frame.height - row) * 0.24;
  const height = frame.unit * between(random, 0.3, 0.4);
  const crown = [1, 2, 3].flatMap(() => broadleaf({ x, y, height, colour }, random, palette.light));
  return shapesLayer(crown, frame.width);
}

const PETALS: readonly [Rgb, ...Rgb[]] = [
  [232, 70, 88],
  [250, 196, 60],
  [240, 240, 250],
  [190, 100, 220],
  [250, 140, 170],
];

/** Flowers over the ground, larger the nearer; more steps, more flowers. */
export function flowersLayer(stage: Stage, row: number): Layer {
  const { frame, palette } = stage;
  const random = stage.random('flowers');
  const kinds = [pick(random, PETALS), pick(random, PETALS), pick(random, PETALS)];
  const dots: Dot[] = [];
  const count = 700 + stage.steps * 30;
  for (let i = 0; i < count; i++) {
    // Sorted from far to near by construction, so that near flowers cover far ones.
    const near = (i + random()) / count;
    const x = random() * frame.width;
    const y = row + (frame.height - row) * (0.03 + 0.97 * near * near);
    const petal = colourOf(stage, 'flowers', kinds[i % kinds.length] ?? kinds[0] ?? PETALS[0]);
    const lit = mix(mix(petal, palette.skyLow, 0.15), palette.ground, 0.45 * (1 - near) + 0.12);
    const radius = frame.unit * (0.0012 + 0.0075 * near * near) * between(random, 0.6, 1.2);
    dots.push({ x, y, radius, colour: scale(lit, between(random, 0.75, 1.1)), strength: 0.92 });
    if (radius > 3) {
      const heart = { x, y: y - radius * 0.2, radius: radius * 0.34 };
      dots.push({ ...heart, colour: mix(lit, [250, 210, 90], 0.7), strength: 0.85 });
    }
  }
  return dotsLayer(dots, 0.25);
}
