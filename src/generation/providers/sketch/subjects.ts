/** Puts what is built or alive into the picture: who stands where, and how large. */
import { balloons, boat, castle, house, lighthouse, type Spot } from './buildings';
import type { Layer } from './canvas';
import { birds, cat, dog, face, people } from './creatures';
import { between } from './random';
import { type Shape, shapesLayer } from './shapes';
import type { Stage } from './stage';
import type { Thing } from './vocabulary';

/** Subjects that need ground under their feet. */
export const STANDING: readonly Thing[] = ['house', 'castle', 'lighthouse', 'cat', 'dog', 'people'];

type Draw = (stage: Stage, spot: Spot, random: () => number) => Shape[];

/** How large (in units), and how far down the ground (0–1), each stands. */
const PLACES: readonly (readonly [Thing, Draw, size: number, down: number])[] = [
  ['castle', castle, 0.34, 0.1],
  ['lighthouse', lighthouse, 0.36, 0.14],
  ['house', house, 0.17, 0.2],
  ['people', people, 0.2, 0.5],
  ['dog', dog, 0.2, 0.6],
  ['cat', cat, 0.28, 0.62],
];

/** @param ground pixel row where the nearest ground begins */
export function standingLayer(stage: Stage, ground: number): Layer {
  const { frame } = stage;
  const shapes: Shape[] = [];
  for (const [index, [thing, draw, size, down]] of PLACES.entries()) {
    if (!stage.has(thing)) continue;
    const random = stage.random(thing);
    const others = PLACES.slice(0, index).filter(([other]) => stage.has(other)).length;
    const share = others % 2 === 0 ? between(random, 0.36, 0.6) : between(random, 0.18, 0.8);
    const spot = {
      x: frame.width * share,
      y: ground + (frame.height - ground) * down,
      size: frame.unit * size,
      flip: random() < 0.5 ? -1 : 1,
    };
    shapes.push(...draw(stage, spot, random));
  }
  return shapesLayer(shapes, frame.width);
}

export function boatLayer(stage: Stage): Layer {
  const random = stage.random('boat');
  const { frame, horizon } = stage;
  const spot = {
    x: frame.width * between(random, 0.3, 0.7),
    y: horizon + (frame.height - horizon) * between(random, 0.2, 0.3),
    size: frame.unit * between(random, 0.16, 0.21),
    flip: random() < 0.5 ? -1 : 1,
  };
  return shapesLayer(boat(stage, spot), frame.width);
}

export function airborneLayer(stage: Stage): Layer {
  const shapes = [
    ...(stage.has('balloon') ? balloons(stage, stage.random('balloon')) : []),
    ...(stage.has('birds') ? birds(stage, stage.random('birds')) : []),
  ];
  return shapesLayer(shapes, stage.frame.width);
}

export function faceLayer(stage: Stage): Layer {
  const { frame } = stage;
  const size = Math.min(frame.width * 0.72, frame.height * 0.5, frame.unit * 0.5);
  const spot = { x: frame.width / 2, y: frame.height * 0.68, size, flip: 1 };
  return shapesLayer(face(stage, spot, stage.random('face')), frame.width);
}
