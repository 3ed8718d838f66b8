/**
 * Together AI, through the AI SDK's adapter.
 * Source of the fields: https://docs.together.ai/reference/post-images-generations
 */
import { createTogetherAI } from '@ai-sdk/togetherai';
import { z } from 'zod';
import type { Problem } from './failures';
import { readProblem } from './openai-problem';
import { defineProvider, type Provider, type ProviderDeps, type ProviderJob } from './provider';
import { type Asked, createSdkProvider, given, unused } from './sdk';
import { parseJson } from './sdk-images';
import { type ApiConfig, apiSettings } from './settings';
import { createWire } from './wire';

/** Names that decide price, shape or transport of the answer. */
const RESERVED = new Set([
  'model',
  'prompt',
  'n',
  'width',
  'height',
  'steps',
  'image_url',
  'response_format',
]);

export const together = defineProvider({
  name: 'together',
  settings: apiSettings({
    key: 'TOGETHER_API_KEY',
    url: 'TOGETHER_BASE_URL',
    defaultUrl: 'https://api.together.xyz/v1',
  }),
  missing: 'TOGETHER_API_KEY is not set',
  create: createTogetherProvider,
});

export function createTogetherProvider(
  config: ApiConfig,
  deps: Pick<ProviderDeps, 'fetch' | 'openImage'>,
): Provider {
  const { apiKey, baseUrl } = config;
  return createSdkProvider({
    name: 'together',
    apiKey,
    wire: createWire(deps.fetch),
    reserved: RESERVED,
    openUrl: deps.openImage,
    model: (id, fetcher) =>
      createTogetherAI({ apiKey, baseURL: baseUrl, fetch: fetcher }).image(id),
    ask: askFor,
    readProblem: readTogetherProblem,
    readId,
  });
}

function askFor(job: ProviderJob): Asked {
  const isWebp = job.outputFormat === 'webp';
  const options = {
    steps: job.steps,
    guidance_scale: job.guidanceScale,
    negative_prompt: job.negativePrompt,
    aspect_ratio: job.size === null ? job.aspectRatio : null,
    output_format: isWebp ? null : job.outputFormat,
  };
  return {
    size: job.size && `${job.size.width}x${job.size.height}`,
    seed: job.seed,
    files: ['image'],
    providerOptions: { togetherai: given<string | number>(options) },
    ignored: unused({
      mask: job.mask,
      strength: job.strength,
      output_format: isWebp,
    }),
  };
}

/** The safety checker has no code of its own: it says so in words. */
function readTogetherProblem(body: string): Problem {
  const problem = readProblem(body);
  const { message, refusal } = problem;
  if (refusal || !/\bnsfw\b/i.test(message ?? '')) return problem;
  const isOutput = /\b(in|generated) (the )?(image|output)s?\b/i.test(message ?? '');
  return { ...problem, refusal: { stage: isOutput ? 'output' : 'input', categories: ['nsfw'] } };
}

const identified = z.object({ id: z.string().min(1).max(200) });

const readId = (body: string) => identified.safeParse(parseJson(body)).data?.id ?? null;
