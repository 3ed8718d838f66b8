/** Houses, castles, lighthouses, boats and balloons. */
import { mix, type Rgb, scale } from './colour';
import { between, type Random } from './random';
import { ellipse, place, rectangle, rounded, type Shape, shape } from './shapes';
import { colourOf, type Stage } from './stage';

/** Where a subject stands: its foot in pixels, its size in pixels, and which way it looks. */
export interface Spot {
  x: number;
  y: number;
  size: number;
  flip: number;
}

const LAMP: Rgb = [255, 214, 130];
const WOOD: Rgb = [120, 80, 56];

/** A colour as it looks in the light of the hour. */
export function inLight(stage: Stage, colour: Rgb, amount = 0.45): Rgb {
  return mix(colour, stage.palette.near, amount);
}

function isDark(stage: Stage): boolean {
  return stage.description.time !== 'day' && stage.description.time !== 'dawn';
}

export function house(stage: Stage, spot: Spot): Shape[] {
  const wall = inLight(
    stage,
    colourOf(stage, 'house', [214, 196, 168]),
    isDark(stage) ? 0.6 : 0.25,
  );
  const roof = stage.has('snow')
    ? mix([240, 244, 252], stage.palette.skyMiddle, 0.3)
    : inLight(stage, [130, 62, 48], 0.4);
  const pane = isDark(stage) ? LAMP : mix(stage.palette.skyMiddle, stage.palette.near, 0.35);
  const at = (outline: number[]) => place(outline, spot);
  return [
    shape(at([0.2, -0.95, 0.3, -0.95, 0.3, -0.5, 0.2, -0.5]), scale(wall, 0.7)),
    shape(at(rectangle(-0.5, -0.52, 1, 0.54)), wall, scale(wall, 0.78)),
    shape(at([-0.62, -0.48, -0.42, -0.9, 0.42, -0.9, 0.62, -0.48]), roof, scale(roof, 0.72)),
    shape(at(rectangle(-0.07, -0.3, 0.16, 0.32)), scale(inLight(stage, WOOD), 0.8)),
    ...[-0.38, 0.2].map((x) => shape(at(rectangle(x, -0.36, 0.18, 0.16)), pane, scale(pane, 0.9))),
  ];
}

export function castle(stage: Stage, spot: Spot): Shape[] {
  const stone = colourOf(stage, 'castle', mix([150, 146, 150], stage.palette.near, 0.45));
  const roof = inLight(stage, [90, 70, 120], 0.35);
  const pane = isDark(stage) ? LAMP : scale(stone, 0.45);
  const at = (outline: number[]) => place(outline, spot);
  const tower = (x: number, width: number, height: number): Shape[] => [
    shape(at(rectangle(x - width / 2, -height, width, height + 0.04)), stone, scale(stone, 0.68)),
    shape(
      at([x - width * 0.66, -height, x, -height - width * 1.7, x + width * 0.66, -height]),
      roof,
      scale(roof, 0.7),
    ),
    shape(at(rectangle(x - width * 0.1, -height + width * 0.5, width * 0.2, width * 0.42)), pane),
  ];
  const teeth = [0, 1, 2, 3, 4, 5].map((tooth) =>
    shape(at(rectangle(-0.5 + tooth * 0.18, -0.5, 0.1, 0.1)), stone),
  );
  return [
    ...tower(-0.16, 0.2, 0.92),
    ...tower(0.2, 0.17, 0.76),
    shape(at(rectangle(-0.5, -0.42, 1, 0.46)), stone, scale(stone, 0.66)),
    ...teeth,
    ...tower(-0.5, 0.2, 0.66),
    ...tower(0.5, 0.2, 0.6),
    shape(at(rounded([-0.1, 0.04, -0.1, -0.26, 0.1, -0.26, 0.1, 0.04], 1)), scale(stone, 0.3)),
  ];
}

export function lighthouse(stage: Stage, spot: Spot): Shape[] {
  const white = inLight(stage, [244, 240, 232], isDark(stage) ? 0.45 : 0.12);
  const band = inLight(stage, colourOf(stage, 'lighthouse', [196, 48, 44]), 0.25);
  const at = (outline: number[]) => place(outline, spot);
  const half = (rise: number) => 0.14 - 0.06 * rise;
  const ring = (from: number, to: number) =>
    at([-half(to), -to, half(to), -to, half(from), -from, -half(from), -from]);
  const beam = (side: number, opacity: number) =>
    shape(at([0, -1.1, side * 2.2, -1.42, side * 2.2, -1.02]), LAMP, LAMP, opacity);
  const beams = isDark(stage) ? [beam(1, 0.22), beam(-1, 0.12)] : [];
  return [
    ...beams,
    shape(ring(-0.03, 1), white, scale(white, 0.8)),
    shape(ring(0.2, 0.38), band, scale(band, 0.85)),
    shape(ring(0.6, 0.78), band, scale(band, 0.85)),
    shape(at(rectangle(-0.12, -1.04, 0.24, 0.05)), scale(band, 0.5)),
    shape(at(rectangle(-0.065, -1.17, 0.13, 0.13)), LAMP),
    shape(at([-0.1, -1.16, 0, -1.3, 0.1, -1.16]), band, scale(band, 0.7)),
    ...(isDark(stage)
      ? [0.26, 0.17].map((r) => shape(at(ellipse(0, -1.1, r, r)), LAMP, LAMP, 0.16))
      : []),
  ];
}

/** A sailing boat and its reflection. */
export function boat(stage: Stage, spot: Spot): Shape[] {
  const hull = inLight(stage, colourOf(stage, 'boat', [112, 62, 44]), 0.3);
  const sail = mix(colourOf(stage, 'boat', [250, 244, 230]), stage.palette.light, 0.25);
  const dark = inLight(stage, WOOD, 0.7);
  const outlines: [number[], Rgb][] = [
    [[-0.015, -1.1, 0.015, -1.1, 0.015, -0.1, -0.015, -0.1], dark],
    [[0.03, -1.06, 0.16, -0.6, 0.46, -0.2, 0.03, -0.18], sail],
    [[-0.03, -0.95, -0.14, -0.55, -0.36, -0.2, -0.03, -0.18], scale(sail, 0.86)],
    [[-0.5, -0.14, 0.56, -0.16, 0.4, 0.04, -0.36, 0.04], hull],
  ];
  const mirrored = outlines.map(([outline, colour]) => {
    const below = outline.map((value, index) => (index % 2 === 0 ? value : 0.08 - value * 0.75));
    return shape(place(below, spot), mix(colour, stage.palette.water, 0.4), colour, 0.3);
  });
  const upright = outlines.map(([outline, colour]) =>
    shape(place(outline, spot), colour, scale(colour, 0.8)),
  );
  return [...mirrored, ...upright];
}

const ENVELOPES: readonly Rgb[] = [
  [206, 62, 54],
  [240, 176, 60],
  [56, 120, 170],
  [150, 84, 160],
];

export function balloons(stage: Stage, random: Random): Shape[] {
  const { frame, horizon } = stage;
  return [0.5, 0.75, 1.3].flatMap((scaleOf, index) => {
    const own = ENVELOPES[(index + Math.floor(random() * 4)) % 4] ?? WOOD;
    const colour = inLight(stage, colourOf(stage, 'balloon', own), 0.15 + 0.1 * (2 - index));
    const spot = {
      x: frame.width * (0.2 + 0.3 * index + between(random, -0.08, 0.08)),
      y: horizon * between(random, 0.42, 0.75),
      size: frame.unit * 0.16 * scaleOf,
      flip: 1,
    };
    const at = (outline: number[]) => place(outline, spot);
    const envelope = rounded([
      -0.5, -0.85, -0.3, -1.15, 0.3, -1.15, 0.5, -0.85, 0.12, -0.2, -0.12, -0.2,
    ]);
    const stripe = rounded([
      -0.16, -0.85, -0.1, -1.14, 0.1, -1.14, 0.16, -0.85, 0.05, -0.2, -0.05, -0.2,
    ]);
    const lit = mix(colour, stage.palette.light, 0.25);
    return [
      shape(at(envelope), lit, scale(colour, 0.7)),
      shape(at(stripe), mix(lit, [255, 250, 235], 0.55), mix(colour, [255, 250, 235], 0.3)),
      shape(at([-0.09, -0.24, -0.08, -0.24, -0.05, -0.08, -0.06, -0.08]), WOOD),
      shape(at([0.09, -0.24, 0.08, -0.24, 0.05, -0.08, 0.06, -0.08]), WOOD),
      shape(at(rectangle(-0.07, -0.1, 0.14, 0.1)), WOOD, scale(WOOD, 0.6)),
    ];
  });
}
