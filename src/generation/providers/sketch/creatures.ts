/** Birds, cats, dogs, people and faces, as rounded silhouettes. */
import { inLight, type Spot } from './buildings';
import { mix, type Rgb, scale } from './colour';
import { between, pick, type Random } from './random';
import { ellipse, place, rectangle, rounded, type Shape, shape } from './shapes';
import { colourOf, type Stage } from './stage';

export function birds(stage: Stage, random: Random): Shape[] {
  const { frame, horizon, palette } = stage;
  const colour = colourOf(stage, 'birds', mix(palette.near, palette.skyMiddle, 0.25));
  const centre = {
    x: frame.width * between(random, 0.3, 0.7),
    y: horizon * between(random, 0.25, 0.5),
  };
  return Array.from({ length: 11 }, () => {
    const size = frame.unit * between(random, 0.012, 0.026);
    const lift = between(random, 0.25, 0.6);
    const wings = [-1, -lift, -0.45, -lift * 1.15, 0, 0, 0.45, -lift * 1.15, 1, -lift];
    const under = [0.45, -lift * 0.75, 0, 0.24, -0.45, -lift * 0.75];
    const spot = {
      x: centre.x + frame.unit * between(random, -0.2, 0.2),
      y: centre.y + frame.unit * between(random, -0.09, 0.09),
      size,
    };
    return shape(place(rounded([...wings, ...under], 1), spot), colour);
  });
}

const COATS: readonly [Rgb, ...Rgb[]] = [
  [44, 40, 46],
  [206, 132, 66],
  [120, 112, 108],
  [232, 224, 212],
];

/** Sits with its back three quarters to us, the tail around its side. */
export function cat(stage: Stage, spot: Spot, random: Random): Shape[] {
  const coat = inLight(stage, colourOf(stage, 'cat', pick(random, COATS)), 0.3);
  const dark = scale(coat, 0.66);
  const at = (outline: number[]) => place(outline, spot);
  const body = [-0.14, -0.62, 0.14, -0.62, 0.26, -0.3, 0.34, 0.02, -0.34, 0.02, -0.28, -0.3];
  const tail = [
    0.2, -0.1, 0.46, -0.06, 0.56, -0.26, 0.5, -0.42, 0.58, -0.46, 0.68, -0.26, 0.6, 0.04, 0.3, 0.06,
  ];
  const eye = (x: number): Shape[] => [
    shape(at(ellipse(x, -0.74, 0.045, 0.05)), [206, 220, 96]),
    shape(at(ellipse(x, -0.74, 0.014, 0.044)), [16, 16, 20]),
  ];
  return [
    shape(at(ellipse(0.06, 0.02, 0.5, 0.05)), stage.palette.near, stage.palette.near, 0.45),
    shape(at(rounded(tail)), coat, dark),
    shape(at(rounded(body)), coat, dark),
    shape(at([-0.2, -0.8, -0.19, -1.06, -0.04, -0.88]), coat, dark),
    shape(at([0.2, -0.8, 0.19, -1.06, 0.04, -0.88]), coat, dark),
    shape(at(ellipse(0, -0.74, 0.23, 0.19)), mix(coat, stage.palette.light, 0.14), coat),
    ...eye(-0.09),
    ...eye(0.09),
    shape(at([-0.025, -0.66, 0.025, -0.66, 0, -0.63]), [214, 128, 130]),
    ...[-0.1, 0.02].map((x) => shape(at(rounded(rectangle(x, -0.3, 0.09, 0.33), 1)), coat, dark)),
  ];
}

/** Stands in profile; a bushy tail and pointed ears make it fox, wolf or dog. */
export function dog(stage: Stage, spot: Spot, random: Random): Shape[] {
  const own = pick(random, [
    [196, 104, 46],
    [150, 104, 66],
    [110, 108, 112],
  ] as [Rgb, Rgb, Rgb]);
  const coat = inLight(stage, colourOf(stage, 'dog', own), 0.22);
  const dark = scale(coat, 0.62);
  const pale = mix(coat, [250, 244, 234], 0.65);
  const at = (outline: number[]) => place(outline, spot);
  const body = [
    -0.46, -0.56, -0.1, -0.54, 0.26, -0.62, 0.42, -0.5, 0.36, -0.26, -0.06, -0.26, -0.46, -0.3,
  ];
  const head = [
    0.24, -0.72, 0.4, -0.86, 0.54, -0.78, 0.76, -0.64, 0.74, -0.58, 0.52, -0.54, 0.32, -0.44,
  ];
  const tail = [
    -0.4, -0.52, -0.66, -0.5, -0.96, -0.3, -1.02, -0.14, -0.8, -0.12, -0.56, -0.28, -0.4, -0.38,
  ];
  const legs = [-0.42, -0.28, 0.16, 0.3];
  return [
    shape(at(ellipse(0, 0.01, 0.62, 0.045)), stage.palette.near, stage.palette.near, 0.4),
    shape(at(rounded(tail)), coat, mix(coat, pale, 0.5)),
    ...legs.map((x) =>
      shape(at([x, -0.36, x + 0.13, -0.36, x + 0.08, 0.01, x + 0.01, 0.01]), coat, dark),
    ),
    shape(at(rounded(body)), mix(coat, stage.palette.light, 0.12), dark),
    shape(at([0.3, -0.74, 0.32, -1.02, 0.44, -0.8]), dark),
    shape(at([0.4, -0.76, 0.46, -1, 0.54, -0.76]), coat, dark),
    shape(at(rounded(head, 2)), mix(coat, stage.palette.light, 0.12), coat),
    shape(at(rounded([0.4, -0.56, 0.74, -0.62, 0.72, -0.57, 0.46, -0.44, 0.36, -0.34], 2)), pale),
    shape(at(ellipse(0.75, -0.63, 0.025, 0.025)), [22, 20, 22]),
    shape(at(ellipse(0.54, -0.69, 0.02, 0.024)), [22, 20, 22]),
  ];
}

/** One to three figures that stand and look into the picture. */
export function people(stage: Stage, spot: Spot, random: Random): Shape[] {
  const count = 1 + Math.floor(random() * 2.4);
  return Array.from({ length: count }, (_, index) => {
    const coat = inLight(stage, colourOf(stage, 'people', pick(random, CLOTHES)), 0.4);
    const legs = scale(inLight(stage, [44, 46, 58], 0.5), 0.9);
    const own = {
      ...spot,
      x: spot.x + index * spot.size * 0.42,
      size: spot.size * (1 - 0.12 * index),
    };
    const at = (outline: number[]) => place(outline, own);
    return [
      shape(at(ellipse(0.02, 0.01, 0.2, 0.03)), stage.palette.near, stage.palette.near, 0.45),
      shape(
        at([-0.1, -0.48, 0.1, -0.48, 0.11, 0, 0.03, 0.01, 0, -0.4, -0.03, 0.01, -0.11, 0]),
        legs,
      ),
      shape(
        at(
          rounded(
            [-0.13, -0.82, 0.13, -0.82, 0.19, -0.45, 0.13, -0.36, -0.13, -0.36, -0.19, -0.45],
            2,
          ),
        ),
        mix(coat, stage.palette.light, 0.15),
        scale(coat, 0.7),
      ),
      shape(at(ellipse(0, -0.91, 0.075, 0.09)), inLight(stage, [206, 158, 128], 0.3)),
      shape(
        at(rounded([-0.09, -0.9, -0.08, -1.02, 0.08, -1.02, 0.09, -0.9, 0, -0.94], 2)),
        [40, 32, 34],
      ),
    ];
  }).flat();
}

const CLOTHES: readonly [Rgb, ...Rgb[]] = [
  [178, 52, 48],
  [52, 84, 130],
  [206, 160, 70],
  [70, 104, 84],
];
const SKINS: readonly [Rgb, ...Rgb[]] = [
  [238, 200, 174],
  [214, 164, 128],
  [160, 108, 78],
  [104, 68, 52],
];
const HAIR: readonly [Rgb, ...Rgb[]] = [
  [40, 30, 30],
  [92, 56, 36],
  [196, 144, 78],
  [140, 62, 36],
];

/** A head and shoulders in the middle of the picture; `spot` is the chin's place. */
export function face(stage: Stage, spot: Spot, random: Random): Shape[] {
  const { light } = stage.palette;
  const skin = mix(pick(random, SKINS), light, 0.12);
  const shade = mix(scale(skin, 0.74), stage.palette.skyTop, 0.14);
  const hair = pick(random, HAIR);
  const coat = inLight(stage, colourOf(stage, 'face', pick(random, CLOTHES)), 0.2);
  const at = (outline: number[]) => place(outline, spot);
  const iris = pick(random, [
    [70, 110, 130],
    [84, 60, 40],
    [76, 110, 70],
  ] as [Rgb, Rgb, Rgb]);
  const lips = mix(skin, [180, 60, 66], 0.6);
  const eye = (x: number): Shape[] => [
    shape(at(rounded([x - 0.1, -0.5, x, -0.55, x + 0.1, -0.5, x, -0.46], 2)), [246, 242, 236]),
    shape(at(ellipse(x, -0.505, 0.036, 0.04)), scale(iris, 0.6), iris),
    shape(at(ellipse(x, -0.505, 0.017, 0.019)), [14, 12, 14]),
    shape(at(ellipse(x + 0.013, -0.52, 0.009, 0.009)), [255, 255, 255]),
    shape(at(rounded([x - 0.12, -0.6, x, -0.655, x + 0.12, -0.61, x, -0.625], 1)), hair),
  ];
  const skull = [
    -0.37, -0.8, -0.24, -1.04, 0.24, -1.04, 0.37, -0.8, 0.36, -0.36, 0.16, 0, -0.16, 0, -0.36,
    -0.36,
  ];
  const shadow = [0.06, -1, 0.24, -1.02, 0.37, -0.8, 0.36, -0.36, 0.16, 0, 0.04, -0.02, 0.2, -0.4];
  const back = [
    -0.46, -0.9, -0.3, -1.26, 0.3, -1.26, 0.48, -0.9, 0.5, -0.2, 0.42, 0.3, -0.42, 0.3, -0.5, -0.2,
  ];
  const fringe = [
    -0.44, -0.3, -0.5, -1, -0.2, -1.24, 0.2, -1.24, 0.5, -1, 0.44, -0.26, 0.36, -0.62, 0.1, -0.74,
    -0.14, -0.6, -0.36, -0.5,
  ];
  const nose = [-0.012, -0.5, 0.03, -0.5, 0.07, -0.31, 0, -0.27, -0.045, -0.3];
  return [
    shape(at(rounded(back)), hair, scale(hair, 0.55)),
    shape(at([-0.14, -0.2, 0.14, -0.2, 0.18, 0.36, -0.18, 0.36]), shade, scale(shade, 0.85)),
    shape(
      at(rounded([-0.3, 0.22, 0.3, 0.22, 0.86, 0.46, 1, 1.4, -1, 1.4, -0.86, 0.46])),
      coat,
      scale(coat, 0.5),
    ),
    shape(at(rounded(skull)), skin, mix(skin, shade, 0.35)),
    ...[0, 0.03, 0.06, 0.09].map((inset) =>
      shape(
        at(rounded(shadow.map((v, i) => (i % 2 === 0 ? v - inset * (0.4 - v) : v)))),
        shade,
        shade,
        0.1,
      ),
    ),
    ...[-0.21, 0.21].map((x) => shape(at(ellipse(x, -0.33, 0.1, 0.07)), lips, lips, 0.16)),
    ...eye(-0.16),
    ...eye(0.16),
    shape(at(rounded(nose, 2)), shade, scale(shade, 0.92), 0.5),
    shape(
      at(rounded([-0.12, -0.175, -0.03, -0.205, 0, -0.19, 0.03, -0.205, 0.12, -0.175, 0, -0.1], 2)),
      lips,
      scale(lips, 0.85),
    ),
    shape(at(rounded(fringe, 2)), mix(hair, light, 0.12), hair),
  ];
}
