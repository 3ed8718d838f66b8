/**
 * DeepInfra, through the AI SDK's adapter: pictures from text by the API of each model, pictures
 * from pictures by its copy of OpenAI's.
 * Source of the fields: https://deepinfra.com/black-forest-labs/FLUX-1-schnell/api
 */
import { createDeepInfra } from '@ai-sdk/deepinfra';
import { z } from 'zod';
import type { Problem } from './failures';
import { readProblem } from './openai-problem';
import { defineProvider, type Provider, type ProviderDeps, type ProviderJob } from './provider';
import { type Asked, createSdkProvider, given, type Remarks, unused } from './sdk';
import { parseJson } from './sdk-images';
import { type ApiConfig, apiSettings } from './settings';
import { createWire } from './wire';

/** Names that decide price, shape or transport of the answer. */
const RESERVED = new Set([
  'model',
  'prompt',
  'n',
  'num_images',
  'num_inference_steps',
  'size',
  'width',
  'height',
  'image',
  'mask',
  'response_format',
  'webhook',
]);

export const deepinfra = defineProvider({
  name: 'deepinfra',
  settings: apiSettings({
    key: 'DEEPINFRA_API_KEY',
    url: 'DEEPINFRA_BASE_URL',
    defaultUrl: 'https://api.deepinfra.com/v1',
  }),
  missing: 'DEEPINFRA_API_KEY is not set',
  create: createDeepInfraProvider,
});

export function createDeepInfraProvider(
  config: ApiConfig,
  deps: Pick<ProviderDeps, 'fetch' | 'openImage'>,
): Provider {
  const { apiKey, baseUrl } = config;
  return createSdkProvider({
    name: 'deepinfra',
    apiKey,
    wire: createWire(deps.fetch),
    reserved: RESERVED,
    openUrl: deps.openImage,
    model: (id, fetcher) => createDeepInfra({ apiKey, baseURL: baseUrl, fetch: fetcher }).image(id),
    ask: (job) => (job.image ? askForEdit(job) : askFor(job)),
    readProblem: readDeepInfraProblem,
    readRemarks,
    readId: (body) => readInference(body).request_id ?? null,
  });
}

function askFor(job: ProviderJob): Asked {
  const options = {
    num_inference_steps: job.steps,
    guidance_scale: job.guidanceScale,
    negative_prompt: job.negativePrompt,
  };
  return {
    size: sizeOf(job),
    // Some models are told a size and others a ratio; never both.
    aspectRatio: job.size === null ? job.aspectRatio : null,
    seed: job.seed,
    providerOptions: { deepinfra: given<string | number>(options) },
    ignored: unused({ output_format: job.outputFormat }),
  };
}

/** OpenAI's form has none of what diffusion models are told besides. */
function askForEdit(job: ProviderJob): Asked {
  return {
    size: sizeOf(job),
    files: ['image', 'mask'],
    ignored: unused({
      negative_prompt: job.negativePrompt,
      seed: job.seed,
      steps: job.steps,
      guidance_scale: job.guidanceScale,
      strength: job.strength,
      aspect_ratio: job.size === null && job.aspectRatio,
      output_format: job.outputFormat,
    }),
  };
}

const sizeOf = ({ size }: ProviderJob) => size && (`${size.width}x${size.height}` as const);

/** Of the models' own API; OpenAI's says none of it. */
const inference = z.object({
  nsfw_content_detected: z.array(z.boolean()).nullish().catch(null),
  seed: z.int().nullish().catch(null),
  request_id: z.string().min(1).max(200).nullish().catch(null),
  inference_status: z
    .object({ cost: z.number().positive().nullish().catch(null) })
    .nullish()
    .catch(null),
});

const readInference = (body: string) => inference.safeParse(parseJson(body)).data ?? {};

function readRemarks(body: string): Remarks {
  const { seed, inference_status, nsfw_content_detected } = readInference(body);
  const usd = inference_status?.cost;
  return {
    seed: seed ?? null,
    costMicros: usd ? Math.ceil(usd * 1e6) : null,
    withheld: nsfw_content_detected ?? [],
  };
}

/** A picture that is held back may also be missing from the answer. */
function readDeepInfraProblem(body: string): Problem {
  const problem = readProblem(body);
  const flags = readInference(body).nsfw_content_detected ?? [];
  if (problem.refusal || !flags.includes(true)) return problem;
  return { ...problem, refusal: { stage: 'output', categories: ['nsfw'] } };
}
