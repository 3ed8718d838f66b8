/**
 * Draws a picture from a prompt and a seed, without a model: the words choose a scene and its
 * colours, the seed its composition. Floats are only added, multiplied, divided and rooted, so that
 * every engine draws the same pixels.
 */
import type { Frame, Layer, Strip } from './canvas';
import { encodePng } from './png';
import { hashAt } from './random';
import { createScene } from './scene';
import { createStage } from './stage';
import { describePrompt } from './words';

export interface SketchInput {
  prompt: string;
  negativePrompt: string | null;
  /** 0 … 2³²−1. */
  seed: number;
  /** Pixels, 64–2048 each. */
  width: number;
  height: number;
  /** Level of detail, 1–200; null is 30. */
  steps: number | null;
  /** How strongly colour words tint, 1–20; null is 7.5. */
  guidanceScale: number | null;
}

/** About how many pixels are painted at a time: the strip stays in the processor's cache. */
const STRIP_PIXELS = 32_768;
/** Brightness steps up or down. More looks like film and doubles the file. */
const GRAIN = 1.5;
const VIGNETTE = 0.16;

function quantise(strip: Strip, frame: Frame, grainKey: number, bytes: Uint8ClampedArray): void {
  const { top, rows, width, pixels } = strip;
  let offset = 0;
  for (let y = top; y < top + rows; y++) {
    const down = (y / frame.height) * 2 - 1;
    for (let x = 0; x < width; x++) {
      const across = (x / width) * 2 - 1;
      const corner = across * across + down * down;
      const factor = 1 - VIGNETTE * 0.25 * corner * corner;
      const grain = ((hashAt(grainKey, x, y) & 255) / 255 - 0.5) * GRAIN;
      bytes[offset] = (pixels[offset] ?? 0) * factor + grain;
      bytes[offset + 1] = (pixels[offset + 1] ?? 0) * factor + grain;
      bytes[offset + 2] = (pixels[offset + 2] ?? 0) * factor + grain;
      offset += 3;
    }
  }
}

function* paint(layers: readonly Layer[], frame: Frame, grainKey: number): Iterable<Uint8Array> {
  const { width, height } = frame;
  const stripRows = Math.max(1, Math.floor(STRIP_PIXELS / width));
  const pixels = new Float32Array(stripRows * width * 3);
  const bytes = new Uint8ClampedArray(pixels.length);
  for (let top = 0; top < height; top += stripRows) {
    const rows = Math.min(stripRows, height - top);
    const strip = { top, rows, width, pixels };
    for (const layer of layers) layer(strip);
    quantise(strip, frame, grainKey, bytes);
    yield new Uint8Array(bytes.buffer, 0, rows * width * 3);
  }
}

/** A PNG (8-bit RGB) of exactly width x height; the same bytes for the same input. */
export async function drawSketch(input: SketchInput): Promise<Uint8Array> {
  const description = describePrompt(input.prompt, input.negativePrompt);
  const stage = createStage({ ...input, description });
  const { width, height } = input;
  const strips = paint(createScene(stage), stage.frame, stage.key('grain'));
  return encodePng({ width, height, strips });
}
