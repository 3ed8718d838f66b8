/**
 * The body of a submission to Black Forest Labs, whose models differ in how they take a size and an
 * image. Source: the model pages of https://docs.bfl.ai/api-reference, November 2026.
 */
import type { Json, JsonObject } from '../../platform/json';
import { base64Of, withOptions } from './jobs';
import type { ProviderJob } from './provider';

interface Family {
  /** `image`: as large as the input image. */
  readonly sizedBy: 'pixels' | 'ratio' | 'image';
  /** The field of the input image: to be edited, or (`image_prompt`) to be inspired by. */
  readonly image: 'input_image' | 'image' | 'image_prompt';
  readonly hasMask: boolean;
  /** Takes `steps` and `guidance`. */
  readonly isTuned: boolean;
}

/** A name that none of the patterns knows is taken for a model after FLUX.2. */
const USUAL: Family = { sizedBy: 'pixels', image: 'input_image', hasMask: false, isTuned: false };

/** The first that matches. */
const FAMILIES: readonly (readonly [name: RegExp, differences: Partial<Family>])[] = [
  [/fill/, { sizedBy: 'image', image: 'image', hasMask: true, isTuned: true }],
  [/kontext/, { sizedBy: 'ratio' }],
  [/ultra/, { sizedBy: 'ratio', image: 'image_prompt' }],
  [/^flux-pro-1\.1/, { image: 'image_prompt' }],
  [/^flux-(pro|dev)/, { image: 'image_prompt', isTuned: true }],
  [/^flux-2-flex/, { isTuned: true }],
];

const familyOf = (model: string): Family => ({
  ...USUAL,
  ...FAMILIES.find(([name]) => name.test(model))?.[1],
});

/**
 * Names that decide price or transport, or that stand for a field of the request. More reference
 * images cost more megapixels than the price list reckons with.
 */
const RESERVED: ReadonlySet<string> = new Set([
  ...['prompt', 'width', 'height', 'aspect_ratio', 'seed', 'steps', 'guidance', 'output_format'],
  ...['image', 'mask', 'image_prompt', 'input_image', 'input_image_blob_path'],
  ...[2, 3, 4, 5, 6, 7, 8].map((number) => `input_image_${number}`),
  ...['webhook_url', 'webhook_secret'],
]);

export interface BflBody {
  readonly body: JsonObject;
  readonly ignored: { readonly fields: readonly string[]; readonly options: readonly string[] };
}

/**
 * `callbackUrl` goes without a `webhook_secret`: the signature would vouch for a body that nobody
 * trusts (a callback only ends the wait), and the URL carries a signature of its own.
 */
export function bodyFor(job: ProviderJob, callbackUrl: string | null): BflBody {
  const family = familyOf(job.model);
  const size = family.sizedBy === 'pixels' ? job.size : null;
  const format = job.outputFormat === 'webp' ? null : job.outputFormat;
  const fields = given({
    prompt: job.prompt,
    width: size?.width ?? null,
    height: size?.height ?? null,
    aspect_ratio: family.sizedBy === 'ratio' ? job.aspectRatio : null,
    seed: job.seed,
    steps: family.isTuned ? job.steps : null,
    guidance: family.isTuned ? job.guidanceScale : null,
    output_format: format,
    [family.image]: job.image && base64Of(job.image),
    mask: family.hasMask ? job.mask && base64Of(job.mask) : null,
    webhook_url: callbackUrl,
  });
  const { body, ignored } = withOptions(fields, { options: job.options, reserved: RESERVED });
  return { body, ignored: { fields: ignoredFields(job, family), options: ignored } };
}

function ignoredFields(job: ProviderJob, { sizedBy, hasMask, isTuned }: Family): string[] {
  // With pixels, a ratio comes along with the size that it stands for.
  const isRatioUsed = sizedBy === 'ratio' || (sizedBy === 'pixels' && job.size !== null);
  const ignored: readonly [field: string, isIgnored: boolean][] = [
    ['negative_prompt', job.negativePrompt !== null],
    ['size', job.size !== null && sizedBy !== 'pixels'],
    ['aspect_ratio', job.aspectRatio !== null && !isRatioUsed],
    ['steps', job.steps !== null && !isTuned],
    ['guidance_scale', job.guidanceScale !== null && !isTuned],
    ['output_format', job.outputFormat === 'webp'],
    ['mask', job.mask !== null && !hasMask],
    ['strength', job.strength !== null],
  ];
  return ignored.filter(([, isIgnored]) => isIgnored).map(([field]) => field);
}

const given = (fields: Readonly<Record<string, Json>>): JsonObject =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
