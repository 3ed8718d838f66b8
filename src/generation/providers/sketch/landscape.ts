/** Mountain ranges, hills, dunes and open ground, from far to near. */
import type { Layer } from './canvas';
import { mix, type Rgb, scale } from './colour';
import { createField } from './field';
import { fractal2, noise2, ridged2 } from './noise';
import { between } from './random';
import type { Stage } from './stage';
import { terrainLayer } from './terrain';

const SNOW: Rgb = [244, 248, 255];

/** A skyline in pixels: `base` minus a height in units for each column. */
function skyline(stage: Stage, base: number, heightAt: (x: number) => number): Float32Array {
  const { width, unit } = stage.frame;
  const top = new Float32Array(width);
  for (let x = 0; x < width; x++) top[x] = base - heightAt(x / unit) * unit;
  return top;
}

/** Slopes that face the light are bright: noise minus itself a little nearer to the light. */
function rockRelief(stage: Stage, key: number, fineness: number, from: number) {
  const side = stage.light.x > stage.frame.width / 2 ? 0.035 : -0.035;
  const rock = (x: number, y: number) =>
    ridged2(key, x * fineness + y * fineness * 0.5, y * fineness * 1.1 - x * 2, stage.octaves);
  return createField(
    stage.frame,
    { from, to: stage.frame.height },
    (x, y) => rock(x, y) - rock(x + side, y - 0.02),
  );
}

function lowest(top: Float32Array): number {
  return top.reduce((least, y) => Math.min(least, y), Infinity);
}

/** Three ranges, each nearer, lower and darker than the one behind it. */
export function mountainLayers(stage: Stage): Layer[] {
  const { palette, horizon, frame } = stage;
  const random = stage.random('mountains');
  const isSnowy = stage.has('snow');
  const tallest = between(random, 0.36, 0.5) * Math.min(1, frame.height / frame.unit);
  return [0, 1, 2].map((range) => {
    const key = stage.key(`range ${range}`);
    const near = range / 2;
    const height = tallest * (1 - 0.32 * range);
    const frequency = 1.5 + range * 0.7;
    const shift = random() * 50;
    const top = skyline(stage, horizon + 2, (x) => {
      const peaks = ridged2(key, x * frequency + shift, 0.4, stage.octaves + 1);
      const swell = 0.75 + 0.35 * noise2(key + 90, x * 1.1 + shift, 2.5);
      return height * Math.max(0.1, (peaks - 0.3) * swell * 1.7);
    });
    const body = mix(palette.far, palette.near, near * 0.75);
    const hazy = mix(body, palette.haze, 0.42 * (1 - near) + 0.08);
    return terrainLayer({
      top,
      crest: hazy,
      base: mix(hazy, palette.haze, 0.62 - 0.3 * near),
      span: frame.unit * height * 0.95,
      relief: rockRelief(stage, key + 300, 7 + range * 2, lowest(top)),
      strength: (0.85 + 0.35 * near) * (isSnowy ? 0.45 : 1),
      cap:
        range < (isSnowy ? 3 : 1)
          ? {
              colour: mix(mix(SNOW, palette.light, 0.25), palette.skyLow, 0.35 + 0.3 * (1 - near)),
              depth: frame.unit * height * (isSnowy ? 0.85 : 0.32),
            }
          : null,
    });
  });
}

export function hillLayers(stage: Stage): Layer[] {
  const { palette, horizon, frame } = stage;
  return [0, 1, 2].map((row) => {
    const key = stage.key(`hill ${row}`);
    const near = row / 2;
    const base = horizon + row * 0.035 * frame.unit;
    const top = skyline(
      stage,
      base,
      (x) => 0.08 - 0.02 * row + 0.075 * fractal2(key, x * (1.7 - 0.2 * row), row + 0.5, 3),
    );
    const body = mix(mix(palette.foliage, palette.ground, 0.45), palette.haze, 0.6 - 0.45 * near);
    return terrainLayer({
      top,
      crest: mix(body, palette.light, 0.12),
      base: scale(body, 0.86),
      span: 0.16 * frame.unit,
      relief: rockRelief(stage, key + 300, 9, lowest(top)),
      strength: 0.1,
      cap: null,
    });
  });
}

/** Dunes with a bright windward and a dark leeward side, and ripples of sand. */
export function duneLayers(stage: Stage): Layer[] {
  const { palette, horizon, frame } = stage;
  const depth = frame.height - horizon;
  return [0, 1, 2, 3].map((row) => {
    const key = stage.key(`dune ${row}`);
    const near = row / 3;
    const crestOf = (x: number) =>
      0.03 + (0.05 + 0.05 * near) * ridged2(key, x * (1.5 - 0.6 * near) + row, 0.4, 2);
    const top = skyline(stage, horizon + depth * 0.85 * near * near + 0.03 * frame.unit, crestOf);
    const body = mix(palette.ground, palette.haze, 0.5 * (1 - near));
    const relief = createField(frame, { from: lowest(top), to: frame.height }, (x, y) => {
      const slope = noise2(key + 7, x * 2.2 + y * 1.6, y * 3);
      const ripple = noise2(key + 8, x * 7 + slope * 2, y * (46 - 24 * near) + slope * 5);
      return slope * 0.5 + ripple * 0.14;
    });
    return terrainLayer({
      top,
      crest: mix(body, palette.light, 0.35),
      base: mix(scale(body, 0.74), palette.near, 0.18),
      span: depth * (0.22 + 0.4 * near),
      relief,
      strength: 0.42,
      cap: null,
    });
  });
}

/** Row where the nearest ground begins; water in front of it keeps a strip of shore. */
export function groundRow(stage: Stage, isWet: boolean): number {
  return isWet ? stage.horizon + (stage.frame.height - stage.horizon) * 0.66 : stage.horizon;
}

/** Grass, snow or bare earth from `row` down, its texture wider the nearer it lies. */
export function groundLayer(stage: Stage, row: number): Layer {
  const { palette, frame } = stage;
  const key = stage.key('ground');
  const depth = frame.height - row;
  const top = skyline(
    stage,
    row,
    (x) => 0.012 + 0.022 * fractal2(key, x * 2.1, 0.5, Math.min(3, stage.octaves)),
  );
  const start = row / frame.unit;
  const coarse = 1 / stage.octaves;
  const relief = createField(frame, { from: lowest(top), to: frame.height }, (x, y) => {
    const nearness = Math.max(0.03, (y - start) / (1 - start * 0.4)) + 0.1;
    const patch = fractal2(key + 5, (x - 0.5) / nearness + 4, 2.4 / nearness, stage.octaves);
    const blades = noise2(key + 6, x * 70 + patch * 3, y * (34 - 14 * nearness) + patch * 6);
    return patch * (0.5 + coarse * 0.2) + blades * 0.16;
  });
  const isBare = stage.has('snow') || stage.has('desert');
  const far = mix(palette.ground, palette.haze, 0.4);
  const near = isBare ? scale(palette.ground, 0.84) : mix(palette.ground, palette.foliage, 0.75);
  return terrainLayer({
    top,
    crest: far,
    base: near,
    span: depth * 0.9,
    relief,
    strength: isBare ? 0.16 : 0.5,
    cap: null,
  });
}
