/** What a generation asks for of what a user's limits cap. Pure. */
import { candidatesFor, sizeFor } from './candidates';
import type { Catalog, Target } from './catalog';
import { USUAL_SIZE } from './prices';
import type { GenerationInput } from './types';

/** As fal and Black Forest Labs count, so that a cap of 1 lets the usual size pass. */
const MEGAPIXEL = 1024 * 1024;
const USUAL_PIXELS = USUAL_SIZE.width * USUAL_SIZE.height;

export interface Asks {
  readonly models: readonly string[];
  /**
   * Of one image: the most that any target which can serve the request would make of it, so that
   * whichever is chosen stays within a cap. What sets the pixels itself is unbounded unless the
   * catalogue knows better.
   */
  readonly megapixels: number | 'unbounded';
}

export function asksOf(
  catalog: Catalog,
  asked: { readonly model: string; readonly input: GenerationInput },
): Asks {
  const { model, input } = asked;
  const most = Math.max(...pixelsOf(catalog, asked));
  return {
    models: [model, ...(input.fallback_models ?? [])],
    megapixels: Number.isFinite(most) ? most / MEGAPIXEL : 'unbounded',
  };
}

/** What pixels an aspect ratio makes is each target's own; a size is the same for all. */
function pixelsOf(
  catalog: Catalog,
  asked: { readonly model: string; readonly input: GenerationInput },
): readonly number[] {
  const { width, height } = asked.input;
  if (width !== undefined && height !== undefined) return [width * height];
  const able = candidatesFor(catalog, asked).filter(({ passedOver }) => passedOver === null);
  const pixels = able.map(({ target }) => pixelsBy(target, asked.input));
  return pixels.length === 0 ? [USUAL_PIXELS] : pixels;
}

/** A target that takes sizes and is told none makes the usual one. */
function pixelsBy(target: Target, input: GenerationInput): number {
  const { sizing } = target.limits;
  if (sizing.by === 'ratio') return sizing.maxPixels ?? Number.POSITIVE_INFINITY;
  const { width, height } = sizeFor(target, input) ?? USUAL_SIZE;
  return width * height;
}
