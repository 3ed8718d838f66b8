/** What a generation asks for of what a user's limits cap. Pure. */
import { candidatesFor, type Size, sizeFor } from './candidates';
import type { Catalog } from './catalog';
import { USUAL_SIZE } from './prices';
import type { GenerationInput } from './types';

const MEGAPIXEL = 1_000_000;

export interface Asks {
  readonly models: readonly string[];
  /** Of one image: the largest that a target which can serve the request would be asked for. */
  readonly megapixels: number;
}

export function asksOf(
  catalog: Catalog,
  asked: { readonly model: string; readonly input: GenerationInput },
): Asks {
  const { model, input } = asked;
  const sizes = sizesOf(catalog, asked).map(({ width, height }) => width * height);
  return {
    models: [model, ...(input.fallback_models ?? [])],
    megapixels: Math.max(...sizes) / MEGAPIXEL,
  };
}

/** What pixels an aspect ratio makes is each target's own; a size is the same for all. */
function sizesOf(
  catalog: Catalog,
  asked: { readonly model: string; readonly input: GenerationInput },
): readonly Size[] {
  const { width, height, aspect_ratio: ratio } = asked.input;
  if (width !== undefined && height !== undefined) return [{ width, height }];
  if (ratio === undefined) return [USUAL_SIZE];
  const able = candidatesFor(catalog, asked).filter(({ passedOver }) => passedOver === null);
  const sizes = able.map(({ target }) => sizeFor(target, asked.input) ?? USUAL_SIZE);
  return sizes.length === 0 ? [USUAL_SIZE] : sizes;
}
