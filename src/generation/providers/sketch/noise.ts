/**
 * Gradient noise from additions and multiplications only: Math.sin and its kin may differ in the
 * last bit from engine to engine, and the bytes of a sketch must not.
 */
import { hashAt } from './random';

function gradient(hash: number, x: number, y: number): number {
  const u = (hash & 4) === 0 ? x : y;
  const v = (hash & 4) === 0 ? y : x;
  return ((hash & 1) === 0 ? u : -u) + ((hash & 2) === 0 ? v : -v) * 0.5;
}

function fade(t: number): number {
  return t * t * t * (t * (t * 6 - 15) + 10);
}

/** Smooth noise in about [-1, 1]; one feature per unit. */
export function noise2(key: number, x: number, y: number): number {
  const column = Math.floor(x);
  const row = Math.floor(y);
  const dx = x - column;
  const dy = y - row;
  const u = fade(dx);
  const topLeft = gradient(hashAt(key, column, row), dx, dy);
  const topRight = gradient(hashAt(key, column + 1, row), dx - 1, dy);
  const bottomLeft = gradient(hashAt(key, column, row + 1), dx, dy - 1);
  const bottomRight = gradient(hashAt(key, column + 1, row + 1), dx - 1, dy - 1);
  const top = topLeft + (topRight - topLeft) * u;
  const bottom = bottomLeft + (bottomRight - bottomLeft) * u;
  return (top + (bottom - top) * fade(dy)) * 1.4;
}

/** Octaves of noise, each twice as fine and half as strong; about [-1, 1]. */
export function fractal2(key: number, x: number, y: number, octaves: number): number {
  let sum = 0;
  let strength = 0.55;
  let scale = 1;
  for (let octave = 0; octave < octaves; octave++) {
    // The shift keeps the lattices of the octaves from lining up, which would show as a grid.
    const shift = octave * 17.37;
    sum += strength * noise2(key + octave, x * scale + shift, y * scale - shift);
    strength *= 0.5;
    scale *= 2;
  }
  return sum;
}

/** As `fractal2`, but folded so that it has sharp crests; about [0, 1], crests at 1. */
export function ridged2(key: number, x: number, y: number, octaves: number): number {
  let sum = 0;
  let total = 0;
  let strength = 1;
  let scale = 1;
  for (let octave = 0; octave < octaves; octave++) {
    const shift = octave * 11.71;
    const crest = 1 - Math.abs(noise2(key + octave, x * scale + shift, y * scale + shift));
    sum += strength * crest * crest;
    total += strength;
    strength *= 0.46;
    scale *= 2.03;
  }
  return sum / total;
}

/** 0 below `low`, 1 above `high`, a smooth S between. */
export function smoothStep(low: number, high: number, value: number): number {
  const t = Math.min(1, Math.max(0, (value - low) / (high - low)));
  return t * t * (3 - 2 * t);
}
