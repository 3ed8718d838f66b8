/** What every part of a picture is built from: size, colours, level of detail, horizon and light. */
import { createFrame, type Frame } from './canvas';
import { mix, type Rgb, tinted } from './colour';
import { createPalette, type Palette, tintStrength } from './palette';
import { between, createRandom, hashAt, hashText, type Random, subkey } from './random';
import type { Thing } from './vocabulary';
import type { Description } from './words';

const DEFAULT_STEPS = 30;
const DEFAULT_GUIDANCE = 7.5;

export interface Stage {
  frame: Frame;
  palette: Palette;
  description: Description;
  has: (thing: Thing) => boolean;
  /** A stream of numbers for a named part. */
  random: (name: string) => Random;
  key: (name: string) => number;
  /** 1–200; more gives more of everything that is counted. */
  steps: number;
  /** Octaves of the noise in large forms. */
  octaves: number;
  /** Pixel row where the ground or the water begins. */
  horizon: number;
  /** Centre and radius of the sun or the moon, in pixels. */
  light: { x: number; y: number; radius: number };
  /** How much a colour word before a thing tints it, 0–1. */
  tintStrength: number;
  /** Changes with the negative prompt too, as the last touches do in any image model. */
  touchKey: number;
}

export interface StageInput {
  description: Description;
  negativePrompt: string | null;
  seed: number;
  width: number;
  height: number;
  steps: number | null;
  guidanceScale: number | null;
}

/** Octaves grow with the logarithm of the steps, written out: Math.log is not exact everywhere. */
function octavesFor(steps: number): number {
  return 2 + [6, 12, 24, 60].filter((threshold) => steps >= threshold).length;
}

export function createStage(input: StageInput): Stage {
  const { description, seed } = input;
  const frame = createFrame(input.width, input.height);
  const pictureKey = hashAt(description.fingerprint, seed, 7);
  const steps = input.steps ?? DEFAULT_STEPS;
  const guidance = input.guidanceScale ?? DEFAULT_GUIDANCE;
  const random = createRandom(subkey(pictureKey, 'composition'));
  const isWet = description.things.has('sea') || description.things.has('lake');
  const horizon = frame.height * between(random, isWet ? 0.5 : 0.56, isWet ? 0.62 : 0.68);
  const isLow = description.time !== 'day' && description.time !== 'night';
  const lift = isLow ? between(random, 0.06, 0.2) : between(random, 0.32, 0.42);
  const light = {
    x: frame.width * (random() < 0.5 ? between(random, 0.16, 0.4) : between(random, 0.6, 0.84)),
    y: horizon - lift * Math.min(frame.unit, frame.height),
    radius: frame.unit * between(random, 0.035, 0.055),
  };
  return {
    frame,
    palette: createPalette(description, pictureKey, guidance),
    description,
    has: (thing) => description.things.has(thing),
    random: (name) => createRandom(subkey(pictureKey, name)),
    key: (name) => subkey(pictureKey, name),
    steps,
    octaves: octavesFor(steps),
    horizon,
    light,
    tintStrength: tintStrength(guidance),
    touchKey: hashAt(pictureKey, hashText(input.negativePrompt ?? ''), 3),
  };
}

/** The colour of a thing: its own, or that of the colour word before it. */
export function colourOf(stage: Stage, thing: Thing, own: Rgb): Rgb {
  const tint = stage.description.tintOf.get(thing);
  return tint === undefined ? own : mix(tinted(own, tint, 1), tint, 0.6 * stage.tintStrength);
}
