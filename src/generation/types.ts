/** What a client asks a generation for, and what a generation stores as its output. */
import { z } from 'zod';
import type { StoredImage } from '../images/types';

const MIN_SIDE = 64;
const MAX_SIDE = 2048;
export const MAX_PIXELS = 4_194_304;

/** `W:H` in small whole numbers; the size is derived from it when no width and height are given. */
export const aspectRatios = [
  '1:1',
  '4:3',
  '3:4',
  '3:2',
  '2:3',
  '5:4',
  '4:5',
  '16:9',
  '9:16',
  '21:9',
  '9:21',
] as const;
export type AspectRatio = (typeof aspectRatios)[number];

export const outputFormats = ['png', 'jpeg', 'webp'] as const;
export type OutputFormat = (typeof outputFormats)[number];

/** A request's row, its news and its webhook hold the whole input. */
const MAX_OPTION_CHARS = 16_384;
const MAX_OPTION_PROVIDERS = 16;

/** OpenAI's own bound, and more than anybody looks at. */
const MAX_PREVIEWS = 3;

const side = z.int().min(MIN_SIDE).max(MAX_SIDE);
const promptText = z
  .string()
  .min(1)
  .max(4000)
  .refine((text) => text.trim() !== '', 'must not be blank');
const imageReference = z
  .string()
  .min(1)
  .max(1_048_576)
  .describe('An image id, a data URL, or an https URL');

export const generationInputSchema = z.strictObject({
  prompt: promptText,
  negative_prompt: z.string().max(1000).optional(),
  n: z.int().min(1).max(8).default(1),
  width: side.optional(),
  height: side.optional(),
  aspect_ratio: z.enum(aspectRatios).optional(),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .optional(),
  steps: z.int().min(1).max(200).optional(),
  guidance_scale: z.number().min(1).max(20).optional(),
  output_format: z.enum(outputFormats).optional(),
  image: imageReference.optional(),
  mask: imageReference.optional(),
  strength: z.number().min(0).max(1).optional(),
  provider_options: z
    .record(z.string().max(64), z.record(z.string().max(64), z.unknown()))
    .refine((options) => Object.keys(options).length <= MAX_OPTION_PROVIDERS, {
      message: `must have at most ${MAX_OPTION_PROVIDERS} members`,
    })
    // As written, not as read: numbers and escapes grow.
    .refine((options) => JSON.stringify(options).length <= MAX_OPTION_CHARS, {
      message: `must be at most ${MAX_OPTION_CHARS} characters of JSON`,
    })
    .optional()
    .describe('Options passed on as they are, by provider: `{"openai": {"quality": "high"}}`'),
  fallback_models: z.array(z.string().min(1).max(100)).max(8).optional(),
  fallback_on_refusal: z
    .boolean()
    .optional()
    .describe('Whether another provider may be asked what one has refused'),
  previews: z
    .int()
    .min(0)
    .max(MAX_PREVIEWS)
    .optional()
    .describe(
      'How many interim pictures to show to who listens while the image is made; they are kept ' +
        'nowhere, few providers give any, and some charge for them',
    ),
});

/** What a request stores: what was asked, and what a style made of it at that time. */
export type GenerationInput = z.output<typeof generationInputSchema> & {
  readonly style?: string | undefined;
  readonly styled?: StyledPrompt | undefined;
};

/** Of several images, nobody could tell which one it is that a preview shows. */
export const previewsOf = ({ n, previews = 0 }: GenerationInput): number =>
  n === 1 ? previews : 0;

export interface StyledPrompt {
  readonly prompt: string;
  readonly negative_prompt?: string | undefined;
}

/** The rules that need more than one field. */
export function checkGenerationInput(input: GenerationInput): { path: string; message: string }[] {
  const faults: { path: string; message: string }[] = [];
  const fault = (path: string, message: string) => faults.push({ path, message });
  if ((input.width === undefined) !== (input.height === undefined)) {
    fault(input.width === undefined ? 'width' : 'height', 'width and height go together');
  }
  if (input.width !== undefined && input.height !== undefined) {
    if (input.width * input.height > MAX_PIXELS) {
      fault('width', `width × height must be at most ${MAX_PIXELS} pixels`);
    }
    if (input.aspect_ratio !== undefined) {
      fault('aspect_ratio', 'give either width and height or aspect_ratio');
    }
  }
  if (input.mask !== undefined && input.image === undefined) fault('mask', 'needs image');
  if (input.strength !== undefined && input.image === undefined) fault('strength', 'needs image');
  return faults;
}

export type GenerationOutput = {
  readonly images: readonly StoredImage[];
  /** How many there were beside these; absent while none has been deleted. */
  readonly deleted?: number;
};
