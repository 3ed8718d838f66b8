/**
 * Every parameter of OpenAI's image calls, and what becomes of it here: one row each. A parameter
 * that is in no row is refused by name, so nothing that a client says is passed over in silence.
 * Pure.
 */
import { z } from '@hono/zod-openapi';
import { outputFormats } from '../generation/types';
import type { JsonObject } from '../platform/json';

export const endpoints = ['generations', 'edits'] as const;
export type Endpoint = (typeof endpoints)[number];

/** What one parameter comes to. */
export interface Part {
  /** Fields of the submission. */
  readonly fields?: JsonObject;
  /** Of `provider_options.openai`. */
  readonly option?: string | number;
  readonly metadata?: string;
  /** Becomes the submission's field of the same name, once it is stored. */
  readonly file?: File;
  /** Says what is sent back, and how. */
  readonly answer?: AnswerPart;
}

export interface AnswerPart {
  readonly responseFormat?: ResponseFormat;
  readonly isStreamed?: boolean;
  readonly partialImages?: number;
}

export const responseFormats = ['url', 'b64_json'] as const;
export type ResponseFormat = (typeof responseFormats)[number];

export interface Parameter {
  readonly of: readonly Endpoint[];
  readonly takes: z.ZodType;
  /** A form has nothing but text. What it is not fit to be stays text, and is refused as that. */
  readonly fromText: (text: string) => unknown;
  readonly isRequired: boolean;
  readonly becomes: Becomes;
}

/** `value` is what `takes` let through. */
type Becomes = (value: never) => Part;

interface Kind<Value> {
  readonly takes: z.ZodType<Value>;
  readonly fromText?: (text: string) => unknown;
}

const row =
  (...of: readonly Endpoint[]) =>
  <Value>(kind: Kind<Value>, becomes: (value: Value) => Part, isRequired = false): Parameter => ({
    of,
    takes: kind.takes,
    fromText: kind.fromText ?? ((given) => given),
    isRequired,
    becomes,
  });
const both = row('generations', 'edits');
const generations = row('generations');
const edits = row('edits');

const text = (max: number): Kind<string> => {
  const error = `must be text of 1 to ${max} characters`;
  return { takes: z.string(error).min(1, error).max(max, error) };
};
/** Empty counts as left out, as it does with OpenAI. */
const identifier: Kind<string> = {
  takes: z.string('must be text').max(512, 'must be text of at most 512 characters'),
};
const oneOf = <Value extends string>(...values: readonly Value[]): Kind<Value> => ({
  takes: z.enum(values, `must be one of ${values.join(', ')}`),
});
const whole = (min: number, max: number): Kind<number> => {
  const error = `must be a whole number from ${min} to ${max}`;
  return {
    takes: z.int(error).min(min, error).max(max, error),
    fromText: (given) => (/^-?\d{1,9}$/.test(given) ? Number(given) : given),
  };
};
const flag: Kind<boolean> = {
  takes: z.boolean('must be true or false'),
  fromText: (given) => (/^(true|false)$/.test(given) ? given === 'true' : given),
};
const file: Kind<File> = {
  takes: z
    .custom<File>((value) => value instanceof File, 'must be a file')
    .meta({ type: 'string', format: 'binary' }),
};
const size: Kind<string> = {
  takes: z
    .string()
    .regex(/^(auto|[1-9]\d{1,3}x[1-9]\d{1,3})$/, 'must be auto, or WIDTHxHEIGHT as in 1024x1024'),
};
/** @param why a clause: `is not made here`. */
const none = (why: string): Kind<never> => ({ takes: z.never(why) });

const field = (name: string) => (value: string | number) => ({ fields: { [name]: value } });
/** What OpenAI would do without being told is not worth telling. */
const option = (value: string | number) => (value === 'auto' ? {} : { option: value });
const metadata = (value: string) => (value === '' ? {} : { metadata: value });
const upload = (value: File) => ({ file: value });
const sides = (value: string): Part => {
  if (value === 'auto') return {};
  const [width, height] = value.split('x').map(Number);
  return { fields: { width: width ?? 0, height: height ?? 0 } };
};
const nothing = () => ({});

const NO_SVG = 'is for SVG, which is not made here';
const NO_GIF = 'is for animations, which are not made here';

// biome-ignore format: a table reads row by row
export const parameters: Readonly<Record<string, Parameter>> = {
  prompt:             both(text(4_000), field('prompt'), true),
  model:              both(text(100), field('model')),
  n:                  both(whole(1, 8), field('n')),
  size:               both(size, sides),
  output_format:      both(oneOf(...outputFormats), field('output_format')),
  image:              edits(file, upload, true),
  mask:               edits(file, upload),
  user:               both(identifier, metadata),
  safety_identifier:  both(identifier, metadata),
  quality:            both(oneOf('auto', 'low', 'medium', 'high', 'xhigh', 'max', 'standard', 'hd'), option),
  background:         both(oneOf('auto', 'transparent', 'opaque'), option),
  complexity:         both(oneOf('low', 'medium', 'high'), option),
  output_compression: both(whole(0, 100), option),
  moderation:         generations(oneOf('auto', 'low'), option),
  style:              generations(oneOf('vivid', 'natural'), option),
  input_fidelity:     edits(oneOf('high', 'low'), option),
  response_format:    both(oneOf(...responseFormats), (value) => ({ answer: { responseFormat: value } })),
  stream:             both(flag, (value) => ({ answer: { isStreamed: value } })),
  partial_images:     both(whole(0, 3), (value) => ({ answer: { partialImages: value } })),
  markup:             edits(none('is not supported: draw what is meant into the image, or give a mask'), nothing),
  svg:                both(none(NO_SVG), nothing),
  frame_count:        both(none(NO_GIF), nothing),
  frame_duration_ms:  both(none(NO_GIF), nothing),
};

export const parametersOf = (endpoint: Endpoint): readonly (readonly [string, Parameter])[] =>
  Object.entries(parameters).filter(([, { of }]) => of.includes(endpoint));
