/**
 * Any server with OpenAI's Images API: LocalAI, LiteLLM, vLLM-Omni, SGLang… They agree on the
 * request, and less on the answer.
 */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { readProblem } from './openai-problem';
import {
  defineProvider,
  type OpenImage,
  type Provider,
  type ProviderDeps,
  type ProviderJob,
} from './provider';
import { type Asked, createSdkProvider, given, unused } from './sdk';
import { type ServerConfig, serverSettings } from './settings';
import { createWire, type Wire } from './wire';

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

export const compatible = defineProvider({
  name: 'compatible',
  settings: serverSettings({ url: 'COMPATIBLE_BASE_URL', key: 'COMPATIBLE_API_KEY' }),
  missing: 'COMPATIBLE_BASE_URL is not set',
  create: createCompatibleProvider,
});

export function createCompatibleProvider(
  config: ServerConfig,
  deps: Pick<ProviderDeps, 'fetch' | 'openImage'>,
): Provider {
  const { apiKey, baseUrl } = config;
  const wire = createWire(deps.fetch);
  const { origin } = new URL(baseUrl);
  return createSdkProvider({
    name: 'compatible',
    apiKey,
    wire,
    reserved: RESERVED,
    // Images on the server itself may need its key; nobody else is to see it.
    openUrl: (url, signal) =>
      new URL(url).origin === origin
        ? openOwn(url, { wire, apiKey, signal })
        : deps.openImage(url, signal),
    model: (id, fetcher) =>
      createOpenAICompatible({
        name: 'compatible',
        baseURL: baseUrl,
        ...(apiKey === null ? {} : { apiKey }),
        fetch: fetcher,
      }).imageModel(id),
    ask: askFor,
    readProblem,
  });
}

/** @throws Error when the server has no such image. */
async function openOwn(
  url: string,
  of: { readonly wire: Wire; readonly apiKey: string | null; readonly signal: AbortSignal },
): Promise<OpenImage> {
  const headers = new Headers(of.apiKey === null ? [] : [['Authorization', `Bearer ${of.apiKey}`]]);
  const response = await of.wire({ method: 'GET', url, headers, signal: of.signal });
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    throw new Error(`the server answered with status ${response.status}`);
  }
  const length = response.headers.get('content-length');
  return { body: response.body, length: length === null ? null : Number(length) };
}

/** Behind a gateway they have its prefix: `openai/gpt-image-1`. OpenAI refuses fields it lacks. */
const GPT_IMAGE = /(^|\/)(gpt|chatgpt)-image-/;
const DALL_E = /(^|\/)dall-e-/;

function askFor(job: ProviderJob): Asked {
  const isGptImage = GPT_IMAGE.test(job.model);
  const isDallE = DALL_E.test(job.model);
  const isOpenAi = isGptImage || isDallE;
  // The names that servers of diffusion models have added to OpenAI's.
  const added = {
    negative_prompt: job.negativePrompt,
    seed: job.seed,
    num_inference_steps: job.steps,
    guidance_scale: job.guidanceScale,
  };
  const options = {
    response_format: isGptImage ? null : 'b64_json',
    output_format: isDallE ? null : job.outputFormat,
    ...(isOpenAi ? {} : added),
  };
  return {
    size: job.size && `${job.size.width}x${job.size.height}`,
    files: ['image', 'mask'],
    providerOptions: { compatible: given<string | number>(options) },
    ignored: unused({
      ...(isOpenAi
        ? {
            negative_prompt: job.negativePrompt,
            seed: job.seed,
            steps: job.steps,
            guidance_scale: job.guidanceScale,
          }
        : {}),
      strength: job.strength,
      aspect_ratio: job.size === null && job.aspectRatio,
      output_format: isDallE && job.outputFormat !== 'png' && job.outputFormat,
    }),
  };
}
