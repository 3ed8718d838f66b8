/**
 * What is attested of an image: how it was made, as its request has it on record. No prompt stands
 * in it, only its hash, so that whoever has the prompt can compare. Pure.
 */
import { createHash } from 'node:crypto';
import { z } from '@hono/zod-openapi';
import { IMAGE_ID_PATTERN } from '../images/types';
import { canonicalJson, type JsonObject } from '../platform/json';
import type { EndedAttempt, RequestState } from '../requests/types';
import { inputOf, promptsOf } from './decide';
import { imagesOf, madeBy } from './present';
import { aspectRatios, type GenerationInput, outputFormats } from './types';

/** Of the manifest's own form: what changes the meaning of a member changes it. */
const VERSION = 1;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const inputImageSchema = z
  .union([
    z.object({ sha256: sha256.describe('Of an upload: its bytes') }),
    z.object({ image_id: z.string().describe('Of an image that Foreman made') }),
    z.object({
      url_sha256: sha256.describe('Of a URL: its characters; the bytes are on no record'),
    }),
  ])
  .nullable();

export const manifestSchema = z
  .object({
    version: z.literal(VERSION),
    image: z.object({
      id: z.string(),
      sha256,
      bytes: z.int(),
      width: z.int(),
      height: z.int(),
      media_type: z.string(),
    }),
    created_at: z.iso.datetime().describe('When the image was stored'),
    request_id: z.string(),
    requested_at: z.iso.datetime(),
    model: z.string().describe('As it was asked for'),
    provider: z.string(),
    provider_model: z.string(),
    provider_request_id: z
      .string()
      .nullable()
      .optional()
      .describe('Null where the provider tells none; left out behind a signed link'),
    attempt: z.int().describe('Which attempt of the request made it'),
    seed: z.int().nullable().describe('Of this image; null where the provider tells none'),
    prompt_sha256: sha256.describe('Of the prompt in UTF-8 as it was sent, a style applied'),
    negative_prompt_sha256: sha256
      .nullable()
      .describe('The same of the negative prompt; some providers take none, as `warnings` tell'),
    parameters: z
      .object({
        style: z.string().nullable(),
        width: z.int().nullable(),
        height: z.int().nullable(),
        aspect_ratio: z.enum(aspectRatios).nullable(),
        seed: z.int().nullable(),
        steps: z.int().nullable(),
        guidance_scale: z.number().nullable(),
        strength: z.number().nullable(),
        output_format: z.enum(outputFormats).nullable(),
        provider_options_sha256: sha256
          .nullable()
          .describe(
            'Of the options of this provider, as JSON with sorted names and no white space',
          ),
      })
      .describe('As they were asked for; the request’s `warnings` tell what had no effect'),
    inputs: z.object({ image: inputImageSchema, mask: inputImageSchema }),
    cost_usd: z.number().optional().describe('Of the attempt; left out behind a signed link'),
    images_made: z.int().describe('How many images the attempt made for its cost'),
  })
  .openapi('Manifest');
export type Manifest = z.output<typeof manifestSchema>;

/**
 * Null when the request has not made the image. The same record gives the same text as JSON: the
 * order of the members is fixed.
 */
export function manifestOf(state: RequestState, imageId: string): Manifest | null {
  const image = imagesOf(state).find(({ id }) => id === imageId);
  const attempt = attemptOf(state, imageId);
  if (!image || !attempt) return null;
  const input = inputOf(state);
  const { prompt, negative_prompt: negativePrompt } = promptsOf(input);
  return {
    version: VERSION,
    image: {
      id: image.id,
      sha256: image.sha256,
      bytes: image.bytes,
      width: image.width,
      height: image.height,
      media_type: image.mediaType,
    },
    created_at: new Date(image.createdAt).toISOString(),
    request_id: state.id,
    requested_at: new Date(state.createdAt).toISOString(),
    model: state.model,
    provider: attempt.provider,
    provider_model: attempt.model,
    provider_request_id: attempt.providerRequestId,
    attempt: attempt.number,
    seed: image.seed,
    prompt_sha256: hashOf(prompt),
    negative_prompt_sha256: negativePrompt === undefined ? null : hashOf(negativePrompt),
    parameters: parametersOf(input, attempt),
    inputs: { image: inputImageOf(input.image), mask: inputImageOf(input.mask) },
    cost_usd: attempt.costMicros / 1e6,
    images_made: madeBy(state),
  };
}

/** What everybody may read who is shown the image: what it cost its owner is between the two of us. */
export function withoutBill(manifest: Manifest): Manifest {
  const { cost_usd: _, provider_request_id: __, ...told } = manifest;
  return told;
}

/** An image's id has the number of its attempt; of an equal request's image, another request has it. */
function attemptOf(state: RequestState, imageId: string): EndedAttempt | null {
  const [, body, number] = IMAGE_ID_PATTERN.exec(imageId) ?? [];
  if (state.id !== `req_${body}`) return null;
  return state.attempts.find((attempt) => attempt.number === Number(number)) ?? null;
}

function parametersOf(input: GenerationInput, { provider }: EndedAttempt): Manifest['parameters'] {
  // They came in as JSON, which is all that a JSON object is.
  const options = input.provider_options?.[provider] as JsonObject | undefined;
  return {
    style: input.style ?? null,
    width: input.width ?? null,
    height: input.height ?? null,
    aspect_ratio: input.aspect_ratio ?? null,
    seed: input.seed ?? null,
    steps: input.steps ?? null,
    guidance_scale: input.guidance_scale ?? null,
    strength: input.strength ?? null,
    output_format: input.output_format ?? null,
    provider_options_sha256: options === undefined ? null : hashOf(canonicalJson(options)),
  };
}

/** An upload's id names its owner, which is nobody's business; a URL may hold a credential. */
function inputImageOf(reference: string | undefined): Manifest['inputs']['image'] {
  if (reference === undefined) return null;
  if (!reference.startsWith('img_')) return { url_sha256: hashOf(reference) };
  if (IMAGE_ID_PATTERN.test(reference)) return { image_id: reference };
  return { sha256: reference.slice(reference.lastIndexOf('_') + 1) };
}

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');
