/**
 * The `input` of a prediction. Each model on Replicate has a schema of its own; the table knows the
 * families of the catalogue, and any other model is asked by the names most of them use. Source: the
 * API tabs of the models' pages.
 */
import type { Json, JsonObject } from '../../platform/json';
import { ignoredFields, type Place, placed } from './direct';
import { warningsOf, withOptions } from './jobs';
import { type InputNames, type InputUrls, namedPlaces } from './named-inputs';
import type { ProviderJob } from './provider';

/** How a family is told the size: in pixels, by ratio, by ratio or `custom` pixels, in any way. */
type Sizing = 'pixels' | 'ratio' | 'custom' | 'any';

interface Family {
  readonly sizing: Sizing;
  /** Takes `num_outputs`. */
  readonly hasCount: boolean;
  readonly names: InputNames;
}

const flux: InputNames = { seed: 'seed', output_format: 'output_format' };
const fluxSchnell: InputNames = { ...flux, steps: 'num_inference_steps' };
const fluxDev: InputNames = { ...fluxSchnell, guidance_scale: 'guidance', image: 'image' };
const sdxl: InputNames = {
  negative_prompt: 'negative_prompt',
  seed: 'seed',
  steps: 'num_inference_steps',
  guidance_scale: 'guidance_scale',
  image: 'image',
  mask: 'mask',
  strength: 'prompt_strength',
};
const sd3: InputNames = {
  ...flux,
  negative_prompt: 'negative_prompt',
  steps: 'steps',
  guidance_scale: 'cfg',
  image: 'image',
  strength: 'prompt_strength',
};

const family = (sizing: Sizing, hasCount: boolean, names: InputNames): Family => ({
  sizing,
  hasCount,
  names,
});

/** The first that matches. */
const FAMILIES: readonly (readonly [models: RegExp, family: Family])[] = [
  [/\/flux-schnell$/, family('ratio', true, fluxSchnell)],
  [/\/flux-fill-dev$/, family('ratio', true, { ...fluxDev, mask: 'mask' })],
  [/\/flux-(krea-)?dev$/, family('ratio', true, { ...fluxDev, strength: 'prompt_strength' })],
  [/\/flux-1\.1-pro-ultra$/, family('ratio', false, { ...flux, image: 'image_prompt' })],
  [/\/flux-(1\.1-)?pro$/, family('custom', false, { ...flux, image: 'image_prompt' })],
  [/\/flux-kontext-/, family('ratio', false, { ...flux, image: 'input_image' })],
  [/^stability-ai\/sdxl$/, family('pixels', true, sdxl)],
  [/^stability-ai\/stable-diffusion-3/, family('ratio', false, sd3)],
];

const USUAL = family('any', true, { ...sdxl, output_format: 'output_format' });

/** Options that the request has fields for, or that decide what an image costs. */
const RESERVED = new Set([
  ...['prompt', 'aspect_ratio', 'width', 'height', 'resolution', 'megapixels', 'num_outputs'],
  ...Object.values(USUAL.names),
]);

/** The part of a target's model that names its family: no version, no kind. */
const nameOf = (model: string) => model.replace(/^deployment:/, '').replace(/:.*$/, '');

export function replicateInput(
  job: ProviderJob,
  urls: InputUrls,
): { readonly input: JsonObject; readonly warnings: readonly string[] } {
  const name = nameOf(job.model);
  const { sizing, hasCount, names } = FAMILIES.find(([models]) => models.test(name))?.[1] ?? USUAL;
  const asked = sizing === 'ratio' || sizing === 'custom' ? byRatio(job) : job;
  const format = job.outputFormat === 'jpeg' ? 'jpg' : job.outputFormat;
  const places = [...shapeOf(asked, sizing), ...namedPlaces(job, { names, urls, format })];
  const fields: JsonObject = {
    prompt: job.prompt,
    ...(hasCount ? { num_outputs: job.n } : {}),
    ...placed(places),
  };
  const reserved = new Set([...RESERVED, ...Object.values(names)]);
  const { body, ignored } = withOptions(fields, { options: job.options, reserved });
  const warnings = warningsOf('replicate', {
    fields: ignoredFields(asked, places),
    options: ignored,
  });
  return { input: body, warnings };
}

/** A size that was derived from a ratio says less than the ratio itself. */
const byRatio = (job: ProviderJob): ProviderJob =>
  job.aspectRatio === null ? job : { ...job, size: null };

function shapeOf({ size, aspectRatio }: ProviderJob, sizing: Sizing): Place<Json>[] {
  const ratio: Place<Json> = ['aspect_ratio', 'aspect_ratio', aspectRatio];
  const pixels: Place<Json>[] = size
    ? [
        ['size', 'width', size.width],
        ['size', 'height', size.height],
      ]
    : [];
  switch (sizing) {
    case 'ratio':
      return [ratio];
    case 'pixels':
      return pixels;
    case 'custom':
      return size ? [['size', 'aspect_ratio', 'custom'], ...pixels] : [ratio];
    case 'any':
      return size ? pixels : [ratio];
  }
}
