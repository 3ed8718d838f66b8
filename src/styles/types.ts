/** Named prompt templates that the operator defines and clients choose by name. */
import { z } from 'zod';

/** Where the client's prompt goes. */
export const PLACEHOLDER = '{prompt}';

const MAX_TEMPLATE_CHARS = 2_000;
const MAX_NEGATIVE_CHARS = 1_000;
const MAX_PIXELS = 4_194_304;
const STYLE_ID = /^[a-z0-9][a-z0-9-]{0,62}$/;

const text = z.string().refine((value) => value.isWellFormed(), 'must be well-formed text');
const side = z.int().min(64).max(2048);

/** Fields of a generation, by its names and bounds; what they mean is the generation's business. */
export const styleDefaultsSchema = z
  .strictObject({
    model: z.string().min(1).max(100),
    width: side,
    height: side,
    aspect_ratio: z.enum([
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
    ]),
    steps: z.int().min(1).max(200),
    guidance_scale: z.number().min(1).max(20),
    output_format: z.enum(['png', 'jpeg', 'webp']),
    strength: z.number().min(0).max(1),
  })
  .partial()
  .superRefine(checkSize);
export type StyleDefaults = z.output<typeof styleDefaultsSchema>;

const templateSchema = text
  .max(MAX_TEMPLATE_CHARS)
  .refine(
    (template) => template.split(PLACEHOLDER).length === 2,
    `must contain ${PLACEHOLDER} exactly once`,
  );

/** All of a style that the operator writes. */
export const styleFieldsSchema = z.strictObject({
  description: text.max(500).default(''),
  prompt_template: templateSchema,
  negative_prompt: text.min(1).max(MAX_NEGATIVE_CHARS).nullable().default(null),
  defaults: styleDefaultsSchema.default({}),
});

export const styleIdSchema = z
  .string()
  .regex(STYLE_ID, 'must be 1 to 63 of a-z, 0-9 and -, and not begin with -');
export const newStyleSchema = styleFieldsSchema.extend({ id: styleIdSchema });

export const isStyleId = (text: string) => STYLE_ID.test(text);

export interface StyleContent {
  readonly description: string;
  readonly promptTemplate: string;
  /** Appended to the client's own; null when the style has none. */
  readonly negativePrompt: string | null;
  /** Used where the client leaves the field out. */
  readonly defaults: StyleDefaults;
}

export interface Style extends StyleContent {
  readonly id: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

interface Size {
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  readonly aspect_ratio?: string | undefined;
}

function checkSize({ width, height, aspect_ratio }: Size, context: z.RefinementCtx): void {
  const fault = (path: string, message: string) =>
    context.addIssue({ code: 'custom', path: [path], message });
  if (width === undefined && height === undefined) return;
  if (width === undefined || height === undefined) {
    fault(width === undefined ? 'width' : 'height', 'width and height go together');
  } else if (width * height > MAX_PIXELS) {
    fault('width', `width × height must be at most ${MAX_PIXELS} pixels`);
  }
  if (aspect_ratio !== undefined) {
    fault('aspect_ratio', 'give either width and height or aspect_ratio');
  }
}
