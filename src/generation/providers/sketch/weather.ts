/** What falls through the air in front of a picture: rain, snow and lightning. */
import type { Layer } from './canvas';
import { mix, type Rgb } from './colour';
import { type Dot, dotsLayer } from './dots';
import { between } from './random';
import { type Shape, shape, shapesLayer } from './shapes';
import type { Stage } from './stage';

const WATER: Rgb = [220, 230, 240];
const FLAKE: Rgb = [255, 255, 255];

export function rainLayer(stage: Stage): Layer {
  const { frame, palette } = stage;
  const random = stage.random('rain');
  const slant = between(random, 0.12, 0.3);
  const colour = mix(WATER, palette.skyLow, 0.3);
  const shapes: Shape[] = Array.from({ length: 380 + stage.steps * 6 }, () => {
    const near = random();
    const length = frame.unit * (0.014 + 0.034 * near);
    const x = random() * frame.width * 1.2 - frame.width * 0.1;
    const y = random() * frame.height - length;
    const wide = Math.max(0.7, frame.unit * 0.0013 * (0.4 + near));
    const tip = x - length * slant;
    const outline = [x, y, x + wide, y, tip + wide, y + length, tip, y + length];
    return shape(outline, colour, colour, 0.1 + 0.2 * near);
  });
  return shapesLayer(shapes, frame.width);
}

export function snowfallLayer(stage: Stage): Layer {
  const { frame } = stage;
  const random = stage.random('snowfall');
  const dots: Dot[] = Array.from({ length: 320 + stage.steps * 8 }, () => {
    const near = random() * random();
    return {
      x: random() * frame.width,
      y: random() * frame.height,
      radius: frame.unit * (0.0009 + 0.0042 * near),
      colour: FLAKE,
      strength: 0.75 - 0.3 * near,
    };
  });
  return dotsLayer(dots, 0.7);
}

/** One forked bolt from the clouds to the horizon, with a faint glow. */
export function lightningLayer(stage: Stage): Layer {
  const { frame, horizon } = stage;
  const random = stage.random('lightning');
  const shapes: Shape[] = [];
  const bolt = (fromX: number, fromY: number, toY: number, wide: number) => {
    let x = fromX;
    let y = fromY;
    while (y < toY) {
      const nextX = x + frame.unit * between(random, -0.028, 0.03);
      const nextY = y + frame.unit * between(random, 0.015, 0.045);
      for (const [girth, opacity] of [
        [7, 0.07],
        [3, 0.16],
        [1, 0.95],
      ] as const) {
        const half = (wide * girth) / 2;
        const outline = [x - half, y, x + half, y, nextX + half, nextY, nextX - half, nextY];
        shapes.push(shape(outline, [238, 236, 255], [238, 236, 255], opacity));
      }
      if (wide > frame.unit * 0.002 && random() < 0.16) {
        bolt(nextX, nextY, Math.min(toY, nextY + frame.unit * 0.16), wide * 0.5);
      }
      x = nextX;
      y = nextY;
    }
  };
  bolt(frame.width * between(random, 0.25, 0.75), horizon * 0.12, horizon, frame.unit * 0.0032);
  return shapesLayer(shapes, frame.width);
}
