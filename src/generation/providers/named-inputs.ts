/**
 * Fields of a job under the names that a model has for them. On a marketplace of models each family
 * of them calls its inputs differently, and refuses or overlooks what it does not have.
 */
import type { Json } from '../../platform/json';
import type { Field, Place } from './direct';
import type { ProviderJob } from './provider';

type Named = Exclude<Field, 'size' | 'aspect_ratio'>;

/** What a model calls each field; one without a name it does not have. */
export type InputNames = Readonly<Partial<Record<Named, string>>>;

/** Addresses of the input images. */
export interface InputUrls {
  readonly image: string | null;
  readonly mask: string | null;
}

export function namedPlaces(
  job: ProviderJob,
  of: {
    readonly names: InputNames;
    readonly urls: InputUrls;
    /** As the provider spells it. */
    readonly format: string | null;
  },
): Place<Json>[] {
  const values: Readonly<Record<Named, Json>> = {
    negative_prompt: job.negativePrompt,
    seed: job.seed,
    steps: job.steps,
    guidance_scale: job.guidanceScale,
    output_format: of.format,
    image: of.urls.image,
    mask: of.urls.mask,
    strength: job.strength,
  };
  const isNamed = (field: string): field is Named => Object.hasOwn(of.names, field);
  return Object.keys(values)
    .filter(isNamed)
    .flatMap((field) => {
      const name = of.names[field];
      return name === undefined ? [] : [[field, name, values[field]] as const];
    });
}
