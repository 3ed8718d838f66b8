/**
 * `MODEL_CATALOG`: the operator's own models, as JSON in a setting. A model with a known id takes the
 * known one's place; `remove` takes models away.
 */
import { z } from 'zod';
import {
  AUTO,
  MAX_CALL_MS,
  type Model,
  nameOf,
  type SizeName,
  type Sizing,
  type Target,
} from './catalog';
import { anySize, targetOf, usualLimits } from './model-parts';
import { type ProviderName, providerNames } from './providers/registry';
import { aspectRatios, MAX_PIXELS, outputFormats } from './types';

const usd = z.number().min(0).max(1_000);
const factor = z.number().min(0).max(100);

const imagePrice = z.strictObject({ usd, by_quality: z.record(z.string(), usd).optional() });
const pixelCount = z.int().min(1_000).max(100_000_000);

const priceSchema = z.array(
  z.discriminatedUnion('per', [
    imagePrice.extend({
      per: z.literal('image'),
      by_size: z.record(z.string(), factor).optional(),
      sizes: z.record(z.string(), imagePrice).optional(),
      up_to_pixels: pixelCount.optional(),
    }),
    z.strictObject({
      per: z.literal('megapixel'),
      usd,
      round_up: z.boolean().optional(),
      pixels: pixelCount.optional(),
    }),
    z.strictObject({ per: z.literal('tile'), usd }),
    z.strictObject({ per: z.literal('tile_step'), usd, usual: z.int().min(1).max(200) }),
    z.strictObject({ per: z.literal('step'), usd, usual: z.int().min(1).max(200) }),
    z.strictObject({ per: z.literal('preview'), usd }),
  ]),
);

const MIN_SIDE = 64;
const MAX_SIDE = 2048;
const side = z.int().min(MIN_SIDE).max(MAX_SIDE);
const sizeName = z
  .string()
  .regex(/^\d{2,4}x\d{2,4}$/, 'must be like 1024x768')
  .transform((size) => size as SizeName);

/** One of three kinds: only these sizes, only these ratios (and the most that they make), or bounds. */
const sizingSchema = z
  .strictObject({
    sizes: z.array(sizeName).min(1).optional(),
    aspect_ratios: z.array(z.enum(aspectRatios)).min(1).optional(),
    step: z.int().min(1).max(256).optional(),
    min: side.optional(),
    max: side.optional(),
    max_pixels: z.int().min(4096).max(100_000_000).optional(),
  })
  .superRefine((sizing, context) => {
    const fault = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    const kind = (['sizes', 'aspect_ratios'] as const).find((name) => sizing[name] !== undefined);
    for (const name of Object.keys(sizing)) {
      const isBound = name === 'max_pixels' && kind === 'aspect_ratios';
      if (kind !== undefined && name !== kind && !isBound) fault(name, `does not go with ${kind}`);
    }
    if (kind === undefined && (sizing.max_pixels ?? 0) > MAX_PIXELS) {
      fault('max_pixels', `must be at most ${MAX_PIXELS}`);
    }
    const { min = MIN_SIDE, max = MAX_SIDE } = sizing;
    if (min > max) fault('min', 'must not be above max');
  });

const rawTarget = z.strictObject({
  provider: z.enum(providerNames),
  model: z.string().min(1).max(200),
  price: priceSchema.default([]),
  sizing: sizingSchema.optional(),
  max_images: z.int().min(1).max(8).default(1),
  max_prompt_chars: z.int().min(1).max(4_000).optional(),
  max_steps: z.int().min(1).max(200).optional(),
  formats: z
    .array(z.enum(outputFormats))
    .min(1)
    .default([...usualLimits.formats]),
  input_image: z.enum(['none', 'optional', 'required']).default('none'),
  mask: z.boolean().default(false),
  repeatable: z.boolean().default(false).describe('A lost call costs nothing'),
  concurrency: z.int().min(1).max(10_000).optional(),
  timeout_seconds: z.int().min(1).max(86_400).optional(),
  usual_seconds: z.number().min(0).max(3_600).default(10),
});
/** Whose calls end with a job that outlives them; those of any other end within the longest call. */
const jobProviders: readonly ProviderName[] = ['bfl', 'comfyui', 'fal', 'replicate'];
const MAX_CALL_SECONDS = MAX_CALL_MS / 1000;

const targetSchema = rawTarget.superRefine(checkTimeout).transform(toTarget);

const modelId = z.string().regex(/^[\w.:/-]{1,100}$/, 'must be letters, digits and . : / _ -');

const catalogSchema = z
  .strictObject({
    models: z
      .array(z.strictObject({ id: modelId, targets: z.array(targetSchema).min(1).max(16) }))
      .default([]),
    remove: z.array(modelId).default([]),
  })
  .superRefine(checkTwins);
export type OwnModels = z.output<typeof catalogSchema>;

export const modelCatalogSetting = z
  .string()
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'must be JSON' });
      return z.NEVER;
    }
  })
  .pipe(catalogSchema);

function checkTimeout(target: z.output<typeof rawTarget>, context: z.RefinementCtx): void {
  const { provider, timeout_seconds: seconds = 0 } = target;
  if (seconds <= MAX_CALL_SECONDS || jobProviders.includes(provider)) return;
  context.addIssue({
    code: 'custom',
    path: ['timeout_seconds'],
    message: `must be at most ${MAX_CALL_SECONDS}: ${provider} has no jobs`,
  });
}

/** A model is known by its id and a target by its name, so each is described in one way. */
function checkTwins({ models }: { models: Model[] }, context: z.RefinementCtx): void {
  const fault = (path: (string | number)[], message: string) =>
    context.addIssue({ code: 'custom', path: ['models', ...path], message });
  const ids = new Set<string>();
  const described = new Map<string, string>();
  for (const [index, { id, targets }] of models.entries()) {
    if (ids.has(id)) fault([index, 'id'], 'must differ from the ids of the other models');
    ids.add(id);
    for (const [place, target] of targets.entries()) {
      const description = JSON.stringify(target);
      const earlier = described.get(nameOf(target)) ?? description;
      if (earlier !== description) fault([index, 'targets', place], 'is another target elsewhere');
      described.set(nameOf(target), earlier);
    }
  }
}

/** What the operator says of a target holds in every model that has it. */
export function withOwnModels(known: readonly Model[], own: OwnModels): Model[] {
  const replaced = new Set([...own.models.map(({ id }) => id), ...own.remove]);
  const ownTargets = new Map(
    own.models.flatMap(({ targets }) => targets.map((target) => [nameOf(target), target] as const)),
  );
  const kept = known
    .filter(({ id }) => !replaced.has(id))
    .map(({ id, targets }) => ({
      id,
      targets: targets.map((target) => ownTargets.get(nameOf(target)) ?? target),
    }));
  const models = [...kept, ...own.models];
  // `auto` goes first wherever it comes from: it is what a request without a model gets.
  return models.sort((a, b) => Number(b.id === AUTO) - Number(a.id === AUTO));
}

function toTarget(raw: z.output<typeof rawTarget>): Target {
  return targetOf(raw.provider, raw.model, {
    price: raw.price,
    repeatable: raw.repeatable,
    concurrency: raw.concurrency ?? null,
    timeoutMs: raw.timeout_seconds === undefined ? null : raw.timeout_seconds * 1000,
    usualMs: raw.usual_seconds * 1000,
    limits: {
      sizing: raw.sizing ? toSizing(raw.sizing) : anySize,
      maxImages: raw.max_images,
      maxPromptChars: raw.max_prompt_chars ?? null,
      maxSteps: raw.max_steps ?? null,
      formats: raw.formats,
      inputImage: raw.input_image,
      mask: raw.mask,
    },
  });
}

function toSizing(sizing: z.output<typeof sizingSchema>): Sizing {
  const { sizes, aspect_ratios: ratios, max_pixels: maxPixels } = sizing;
  if (sizes) return { by: 'list', sizes };
  if (ratios) return { by: 'ratio', ratios, maxPixels: maxPixels ?? null };
  const { step = 1, min = MIN_SIDE, max = MAX_SIDE } = sizing;
  return { by: 'pixels', step, min, max, maxPixels: maxPixels ?? MAX_PIXELS };
}
