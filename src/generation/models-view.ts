/** The catalogue as clients see it. */
import { z } from '@hono/zod-openapi';
import type { Catalog, Model, Sizing, Target } from './catalog';
import { priceMicros, USUAL_SIZE } from './prices';

const usd = z.number();
const imagePrice = z.object({ usd, by_quality: z.record(z.string(), usd).optional() });

const priceSchema = z
  .object({
    per_image_usd: usd.describe(
      'At 1024x1024 with nothing else asked: the most that the provider may then charge by its list',
    ),
    parts: z
      .array(
        imagePrice.extend({
          per: z.enum(['image', 'megapixel', 'tile', 'tile_step', 'step', 'preview']),
          by_size: z.record(z.string(), z.number()).optional().describe('Factors, on top'),
          sizes: z.record(z.string(), imagePrice).optional().describe('Sizes of their own prices'),
          up_to_pixels: z.int().optional().describe('A larger image costs more in proportion'),
          round_up: z.boolean().optional().describe('A begun megapixel counts as a whole one'),
          pixels: z.int().optional().describe('Of a megapixel, where they are not 1,000,000'),
          usual: z.int().optional().describe('Steps that are made when none are asked for'),
        }),
      )
      .describe('They add up; empty: free of charge'),
  })
  .openapi('Price');

const targetSchema = z.object({
  provider: z.string(),
  model: z.string(),
  available: z.boolean(),
  unavailable_reason: z.string().nullable(),
  price: priceSchema,
});

const sizesSchema = z.object({
  sizes: z.array(z.string()).nullable().describe('The only ones; null: see the bounds'),
  aspect_ratios: z.array(z.string()).nullable().describe('The only ones; null: any'),
  min_side: z.int().nullable(),
  max_side: z.int().nullable(),
  step: z.int().nullable(),
  max_pixels: z.int().nullable().describe('With aspect_ratios null: nobody knows'),
});

export const modelSchema = z
  .object({
    id: z.string(),
    available: z.boolean(),
    unavailable_reason: z.string().nullable(),
    capabilities: z.object({
      input_image: z.enum(['none', 'optional', 'required']),
      mask: z.boolean(),
      output_formats: z.array(z.string()),
    }),
    limits: z.object({
      max_images: z.int(),
      max_prompt_chars: z.int().nullable(),
      max_steps: z.int().nullable(),
      sizing: z.array(sizesSchema).describe('One for each way in which a target is told the size'),
    }),
    targets: z.array(targetSchema.extend({ limits: z.object({ sizing: sizesSchema }) })),
  })
  .openapi('Model');
export type ModelView = z.output<typeof modelSchema>;

/** What the model can do is what the most able of its targets can. */
export function presentModel(model: Model, catalog: Catalog): ModelView {
  const targets = model.targets.map((target) => presentTarget(target, catalog));
  const available = targets.some((target) => target.available);
  const limits = model.targets.map((target) => target.limits);
  const most = (values: readonly (number | null)[]) =>
    values.includes(null) ? null : Math.max(...values.map(Number));
  const reasons = targets.map((target) => `${target.provider}: ${target.unavailable_reason}`);
  const inputs = new Set(limits.map((limit) => limit.inputImage));
  const sizing = new Map(
    limits.map((limit) => [JSON.stringify(limit.sizing), presentSizing(limit.sizing)]),
  );
  return {
    id: model.id,
    available,
    unavailable_reason: available ? null : [...new Set(reasons)].join('; '),
    capabilities: {
      input_image: inputs.size === 1 ? ([...inputs][0] ?? 'none') : 'optional',
      mask: limits.some((limit) => limit.mask),
      output_formats: [...new Set(limits.flatMap((limit) => limit.formats))],
    },
    limits: {
      max_images: Math.max(...limits.map((limit) => limit.maxImages)),
      max_prompt_chars: most(limits.map((limit) => limit.maxPromptChars)),
      max_steps: most(limits.map((limit) => limit.maxSteps)),
      sizing: [...sizing.values()],
    },
    targets,
  };
}

function presentTarget(target: Target, catalog: Catalog): ModelView['targets'][number] {
  const reason = catalog.unavailable(target);
  const usual = { size: USUAL_SIZE, quality: null, steps: null };
  return {
    provider: target.provider,
    model: target.model,
    available: reason === null,
    unavailable_reason: reason,
    price: {
      per_image_usd: priceMicros(target.price, usual) / 1e6,
      parts: target.price.map((part) => ({ ...part })),
    },
    limits: { sizing: presentSizing(target.limits.sizing) },
  };
}

function presentSizing(sizing: Sizing): z.output<typeof sizesSchema> {
  const none = {
    sizes: null,
    aspect_ratios: null,
    min_side: null,
    max_side: null,
    step: null,
    max_pixels: null,
  };
  switch (sizing.by) {
    case 'list':
      return { ...none, sizes: [...sizing.sizes] };
    case 'ratio':
      return { ...none, aspect_ratios: [...sizing.ratios], max_pixels: sizing.maxPixels };
    case 'pixels': {
      const { min: min_side, max: max_side, step, maxPixels: max_pixels } = sizing;
      return { ...none, min_side, max_side, step, max_pixels };
    }
  }
}
