/**
 * What layers paint on. A picture is painted in strips from top to bottom, so memory holds a few
 * rows of floats instead of a whole picture: an isolate has 128 MB for all its requests.
 */
import type { Rgb } from './colour';

/** Size in pixels; `unit` is the side of a square of the same area, the yardstick of all shapes. */
export interface Frame {
  width: number;
  height: number;
  unit: number;
}

/** Rows `top` to `top + rows - 1`; `pixels` is rows x width x RGB, 0–255 as floats. */
export interface Strip {
  top: number;
  rows: number;
  width: number;
  pixels: Float32Array;
}

/** Paints its part of one strip over what is there. Called once per strip, top to bottom. */
export type Layer = (strip: Strip) => void;

export function createFrame(width: number, height: number): Frame {
  return { width, height, unit: Math.sqrt(width * height) };
}

/** Mixes `colour` over the pixel that starts at `offset`; `amount` is 0–1. */
export function blend(pixels: Float32Array, offset: number, colour: Rgb, amount: number): void {
  const red = pixels[offset] ?? 0;
  const green = pixels[offset + 1] ?? 0;
  const blue = pixels[offset + 2] ?? 0;
  pixels[offset] = red + (colour[0] - red) * amount;
  pixels[offset + 1] = green + (colour[1] - green) * amount;
  pixels[offset + 2] = blue + (colour[2] - blue) * amount;
}
