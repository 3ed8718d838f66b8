/**
 * Fireworks' image endpoints, through the AI SDK's adapter. There are two families: `workflows`
 * (FLUX) is told a ratio, `image_generation` (SDXL and its kin) a size in pixels.
 */
import { createFireworks } from '@ai-sdk/fireworks';
import type { AspectRatio } from '../types';
import { modelNotSupported, noProblem, type Problem } from './failures';
import { readProblem as readOpenAiProblem } from './openai-problem';
import { defineProvider, type Provider, type ProviderDeps, type ProviderJob } from './provider';
import { ratioFor } from './ratio';
import { type Asked, createSdkProvider, given, type Remarks, unused } from './sdk';
import { type ApiConfig, apiSettings } from './settings';
import { createWire } from './wire';

/** Names that decide price, shape or transport of the answer. */
const RESERVED = new Set([
  'prompt',
  'samples',
  'width',
  'height',
  'aspect_ratio',
  'input_image',
  'output_format',
  'webhook_url',
  'webhook_secret',
  // What is charged for.
  'steps',
  'num_inference_steps',
]);

/** The models of `image_generation` that the SDK knows; it calls any other as a workflow. */
const PIXEL_MODELS = new Set([
  'accounts/fireworks/models/playground-v2-5-1024px-aesthetic',
  'accounts/fireworks/models/japanese-stable-diffusion-xl',
  'accounts/fireworks/models/playground-v2-1024px-aesthetic',
  'accounts/fireworks/models/stable-diffusion-xl-1024-v1-0',
  'accounts/fireworks/models/SSD-1B',
]);

/** These are jobs, which the SDK would wait for within one call: a lost call would lose them. */
const JOB_MODELS = /\/flux-kontext-(?:pro|max)$/;

/** Source: docs.fireworks.ai, "Generate an image with FLUX.1 [schnell] FP8". */
const RATIOS = [
  '1:1',
  '21:9',
  '16:9',
  '3:2',
  '5:4',
  '4:5',
  '2:3',
  '9:16',
  '9:21',
  '4:3',
  '3:4',
] as const satisfies readonly AspectRatio[];

export const fireworks = defineProvider({
  name: 'fireworks',
  settings: apiSettings({
    key: 'FIREWORKS_API_KEY',
    url: 'FIREWORKS_BASE_URL',
    defaultUrl: 'https://api.fireworks.ai/inference/v1',
  }),
  missing: 'FIREWORKS_API_KEY is not set',
  create: createFireworksProvider,
});

export function createFireworksProvider(
  config: ApiConfig,
  deps: Pick<ProviderDeps, 'fetch' | 'openImage'>,
): Provider {
  const { apiKey, baseUrl } = config;
  const provider = createSdkProvider({
    name: 'fireworks',
    apiKey,
    wire: createWire(deps.fetch),
    reserved: RESERVED,
    openUrl: deps.openImage,
    model: (id, fetcher) => createFireworks({ apiKey, baseURL: baseUrl, fetch: fetcher }).image(id),
    ask: (job) => ({
      ...(PIXEL_MODELS.has(job.model) ? askInPixels(job) : askByRatio(job)),
      seed: job.seed,
      // The format stands in a header alone; without one the server may answer in JSON.
      headers: { Accept: job.outputFormat === 'jpeg' ? 'image/jpeg' : 'image/png' },
    }),
    readProblem,
    readRemarks,
  });
  return {
    name: provider.name,
    generate: async (job, context) =>
      JOB_MODELS.test(job.model)
        ? modelNotSupported('fireworks runs this model as a job, which is not supported')
        : provider.generate(job, context),
  };
}

function askByRatio(job: ProviderJob): Asked {
  const aspectRatio = ratioFor(job, RATIOS);
  const options = { num_inference_steps: job.steps, guidance_scale: job.guidanceScale };
  return {
    aspectRatio,
    providerOptions: { fireworks: given<number>(options) },
    ignored: unused({
      negative_prompt: job.negativePrompt,
      size: aspectRatio === null && job.size,
      aspect_ratio: aspectRatio === null && job.size === null && job.aspectRatio,
      ...unusedByBoth(job),
    }),
  };
}

function askInPixels(job: ProviderJob): Asked {
  const options = {
    negative_prompt: job.negativePrompt,
    // The SDK's own `size` would go out as strings.
    width: job.size?.width ?? null,
    height: job.size?.height ?? null,
    steps: job.steps,
    cfg_scale: job.guidanceScale,
  };
  return {
    providerOptions: { fireworks: given<string | number>(options) },
    ignored: unused({
      aspect_ratio: job.size === null && job.aspectRatio,
      ...unusedByBoth(job),
    }),
  };
}

const unusedByBoth = (job: ProviderJob) => ({
  // 0 asks for a random one.
  seed: job.seed === 0,
  output_format: job.outputFormat === 'webp',
  image: job.image,
  mask: job.mask,
  strength: job.strength,
});

/** The body is the picture, so all else stands in headers. */
function readRemarks(_body: string, headers: Headers): Remarks {
  const seed = headers.get('seed') ?? '';
  return {
    seed: /^\d{1,10}$/.test(seed) ? Number(seed) : null,
    problem: isFiltered(headers) ? filtered : null,
  };
}

const isFiltered = (headers: Headers) => headers.get('finish-reason') === 'CONTENT_FILTERED';

const filtered: Problem = {
  ...noProblem,
  message: 'fireworks filtered the image it made',
  code: 'CONTENT_FILTERED',
  refusal: { stage: 'output', categories: [] },
};

/** A suspended account (412) is one that has not paid, or may spend no more. */
const PAYMENT = /spending limit|past invoices|past due|insufficient (?:funds|credits|balance)/i;

function readProblem(body: string, headers: Headers): Problem {
  if (isFiltered(headers)) return filtered;
  const problem = readOpenAiProblem(body);
  return { ...problem, isPayment: problem.isPayment || PAYMENT.test(problem.message ?? '') };
}
