/** OpenAI's Images API, through the AI SDK's adapter. */
import { createOpenAI } from '@ai-sdk/openai';
import type { AspectRatio } from '../types';
import { openAiCostMicros } from './openai-prices';
import { readProblem } from './openai-problem';
import { streamed } from './openai-stream';
import { defineProvider, type Provider, type ProviderDeps, type ProviderJob } from './provider';
import { type Asked, createSdkProvider, unused } from './sdk';
import { parseJson } from './sdk-images';
import { type ApiConfig, apiSettings } from './settings';
import { createWire } from './wire';

/** Names that decide price, shape or transport of the answer. */
const RESERVED = new Set([
  'model',
  'prompt',
  'n',
  'size',
  'image',
  'image[]',
  'mask',
  'response_format',
  'stream',
  'partial_images',
]);

export const openai = defineProvider({
  name: 'openai',
  settings: apiSettings({
    key: 'OPENAI_API_KEY',
    url: 'OPENAI_BASE_URL',
    defaultUrl: 'https://api.openai.com/v1',
  }),
  missing: 'OPENAI_API_KEY is not set',
  create: createOpenAiProvider,
});

export function createOpenAiProvider(
  config: ApiConfig,
  deps: Pick<ProviderDeps, 'fetch' | 'openImage'>,
): Provider {
  const { apiKey, baseUrl } = config;
  return createSdkProvider({
    name: 'openai',
    apiKey,
    wire: createWire(deps.fetch),
    streaming: (wire, job, { preview }) => {
      const isWanted = preview && job.previews > 0 && isGptImage(job.model);
      return isWanted ? streamed(wire, { previews: job.previews, show: preview }) : wire;
    },
    showsPreviews: ({ model }) => isGptImage(model),
    reserved: RESERVED,
    openUrl: deps.openImage,
    model: (id, fetcher) => createOpenAI({ apiKey, baseURL: baseUrl, fetch: fetcher }).image(id),
    ask: askFor,
    readProblem,
    readRemarks: (body, _headers, { model }) => ({
      costMicros: openAiCostMicros(model, parseJson(body)),
    }),
  });
}

/** Those that make partial images: any other refuses to be asked for them. */
const isGptImage = (model: string) => /^(gpt|chatgpt)-image-/.test(model);

type Size = `${number}x${number}`;
type Sizes = Partial<Record<AspectRatio, Size>>;

const GPT_IMAGE_SIZES: Sizes = {
  '1:1': '1024x1024',
  '3:2': '1536x1024',
  '2:3': '1024x1536',
};
/** It takes any sides divisible by 16: these are exact, and no larger than 1024×1024. */
const GPT_IMAGE_2_SIZES: Sizes = {
  '1:1': '1024x1024',
  '4:3': '1152x864',
  '3:4': '864x1152',
  '3:2': '1248x832',
  '2:3': '832x1248',
  '5:4': '1120x896',
  '4:5': '896x1120',
  '16:9': '1280x720',
  '9:16': '720x1280',
  '21:9': '1456x624',
  '9:21': '624x1456',
};
const DALL_E_3_SIZES: Sizes = {
  '1:1': '1024x1024',
  '16:9': '1792x1024',
  '9:16': '1024x1792',
};

function sizesOf(model: string): Sizes {
  if (model.startsWith('gpt-image-2')) return GPT_IMAGE_2_SIZES;
  if (isGptImage(model)) return GPT_IMAGE_SIZES;
  return model === 'dall-e-3' ? DALL_E_3_SIZES : {};
}

/** The size an aspect ratio stands for with this model; null when it has none. */
export const openAiSizeFor = (model: string, aspectRatio: AspectRatio): Size | null =>
  sizesOf(model)[aspectRatio] ?? null;

function askFor(job: ProviderJob): Asked {
  const mapped = job.aspectRatio && openAiSizeFor(job.model, job.aspectRatio);
  const size: Size | null = job.size ? `${job.size.width}x${job.size.height}` : mapped;
  // DALL·E knows no output_format, and makes PNG.
  const hasFormats = !job.model.startsWith('dall-e-');
  const format = hasFormats ? job.outputFormat : null;
  return {
    size,
    files: ['image', 'mask'],
    providerOptions: format ? { openai: { outputFormat: format } } : {},
    ignored: unused({
      negative_prompt: job.negativePrompt,
      seed: job.seed,
      steps: job.steps,
      guidance_scale: job.guidanceScale,
      strength: job.strength,
      aspect_ratio: size === null && job.aspectRatio,
      output_format: !hasFormats && job.outputFormat !== 'png' && job.outputFormat,
    }),
  };
}
