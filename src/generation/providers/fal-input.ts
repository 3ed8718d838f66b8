/**
 * The body of a submission to fal. Each endpoint has a schema of its own; the table knows the
 * families of the catalogue, and any other endpoint is asked by the names most of them use. Source:
 * the API tabs of the models' pages, https://fal.ai/models.
 */
import type { Json, JsonObject } from '../../platform/json';
import { ignoredFields, type Place, placed } from './direct';
import { dataUrlOf, warningsOf, withOptions } from './jobs';
import { type InputNames, namedPlaces } from './named-inputs';
import type { ProviderJob } from './provider';

/** How a family is told the size: `image_size`, `aspect_ratio`, or by its input image alone. */
type Sizing = 'size' | 'ratio' | 'image';

interface Family {
  readonly sizing: Sizing;
  readonly names: InputNames;
}

const fluxPro: InputNames = { seed: 'seed', output_format: 'output_format' };
const flux: InputNames = {
  ...fluxPro,
  steps: 'num_inference_steps',
  guidance_scale: 'guidance_scale',
};
const edits: InputNames = { image: 'image_url', strength: 'strength' };
const sdxl: InputNames = {
  negative_prompt: 'negative_prompt',
  seed: 'seed',
  steps: 'num_inference_steps',
  guidance_scale: 'guidance_scale',
  output_format: 'format',
};

const family = (sizing: Sizing, names: InputNames): Family => ({ sizing, names });

/** The first that matches. */
const FAMILIES: readonly (readonly [models: RegExp, family: Family])[] = [
  [/^fal-ai\/flux-pro\/(v1\.1-ultra|kontext)/, family('ratio', { ...fluxPro, image: 'image_url' })],
  [/^fal-ai\/flux-pro\b/, family('size', fluxPro)],
  [/^fal-ai\/flux(-1)?\/\w+\/image-to-image$/, family('image', { ...flux, ...edits })],
  [/^fal-ai\/flux(-1)?\/\w+$/, family('size', flux)],
  [/^fal-ai\/fast-sdxl\/inpainting$/, family('size', { ...sdxl, ...edits, mask: 'mask_url' })],
  [/^fal-ai\/fast-sdxl\/image-to-image$/, family('size', { ...sdxl, ...edits })],
  [/^fal-ai\/fast-sdxl$/, family('size', sdxl)],
];

const USUAL = family('size', {
  ...flux,
  ...edits,
  negative_prompt: 'negative_prompt',
  mask: 'mask_url',
});

/** Options that the request has fields for, or that decide price or how the answer comes. */
const RESERVED = new Set([
  ...['prompt', 'image_size', 'aspect_ratio', 'width', 'height', 'resolution', 'num_images'],
  ...['image_urls', 'sync_mode'],
  ...Object.values(USUAL.names),
]);

export interface FalInput {
  readonly body: JsonObject;
  readonly warnings: readonly string[];
}

export function falInput(job: ProviderJob): FalInput {
  const { sizing, names } = FAMILIES.find(([models]) => models.test(job.model))?.[1] ?? USUAL;
  // A size that was derived from a ratio says less than the ratio itself.
  const asked = sizing === 'ratio' && job.aspectRatio !== null ? { ...job, size: null } : job;
  const urls = { image: job.image && dataUrlOf(job.image), mask: job.mask && dataUrlOf(job.mask) };
  // No endpoint of the table makes WebP.
  const format = job.outputFormat === 'webp' ? null : job.outputFormat;
  const places = [...shapeOf(asked, sizing), ...namedPlaces(job, { names, urls, format })];
  const fields: JsonObject = { prompt: job.prompt, num_images: job.n, ...placed(places) };
  const reserved = new Set([...RESERVED, ...Object.values(names)]);
  const { body, ignored } = withOptions(fields, { options: job.options, reserved });
  const warnings = warningsOf('fal', { fields: ignoredFields(asked, places), options: ignored });
  return { body, warnings };
}

/** The presets that are exactly of a ratio. */
const PRESETS: Readonly<Record<string, string>> = {
  '1:1': 'square_hd',
  '4:3': 'landscape_4_3',
  '3:4': 'portrait_4_3',
  '16:9': 'landscape_16_9',
  '9:16': 'portrait_16_9',
};

function shapeOf({ size, aspectRatio }: ProviderJob, sizing: Sizing): Place<Json>[] {
  if (sizing === 'image') return [];
  if (sizing === 'ratio') return [['aspect_ratio', 'aspect_ratio', aspectRatio]];
  if (size) return [['size', 'image_size', { ...size }]];
  const preset = aspectRatio === null ? null : (PRESETS[aspectRatio] ?? null);
  return [['aspect_ratio', 'image_size', preset]];
}
