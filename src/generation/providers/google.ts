/**
 * Google's Gemini API, through the AI SDK's adapter: image models behind `generateContent`. (Imagen
 * and its `predict` were shut down in August 2026.)
 */
import { createGoogle } from '@ai-sdk/google';
import type { AspectRatio } from '../types';
import { modelNotSupported } from './failures';
import { readProblem, readRequestId } from './google-problem';
import { defineProvider, type Provider, type ProviderDeps, type ProviderJob } from './provider';
import { ratioFor } from './ratio';
import { type Asked, createSdkProvider, unused } from './sdk';
import { type ApiConfig, apiSettings } from './settings';
import { createWire } from './wire';

/** Names that decide price, shape or transport of the answer. */
const RESERVED = new Set([
  'contents',
  'generationConfig.candidateCount',
  'generationConfig.responseModalities',
  'generationConfig.responseMimeType',
  'generationConfig.responseSchema',
  'generationConfig.responseJsonSchema',
  'generationConfig.imageConfig.aspectRatio',
  // 2K and 4K have prices of their own.
  'generationConfig.imageConfig.imageSize',
  'generationConfig.seed',
  // Batch, flex and priority have prices of their own, and so has grounding in a search.
  'serviceTier',
  'tools',
]);

/** What every one of the image models makes. Source: ai.google.dev/gemini-api/docs/image-generation. */
const RATIOS = [
  '1:1',
  '2:3',
  '3:2',
  '3:4',
  '4:3',
  '4:5',
  '5:4',
  '9:16',
  '16:9',
  '21:9',
] as const satisfies readonly AspectRatio[];

export const google = defineProvider({
  name: 'google',
  settings: apiSettings({
    key: 'GOOGLE_API_KEY',
    url: 'GOOGLE_BASE_URL',
    defaultUrl: 'https://generativelanguage.googleapis.com/v1beta',
  }),
  missing: 'GOOGLE_API_KEY is not set',
  create: createGoogleProvider,
});

export function createGoogleProvider(
  config: ApiConfig,
  deps: Pick<ProviderDeps, 'fetch' | 'openImage'>,
): Provider {
  const { apiKey, baseUrl } = config;
  const provider = createSdkProvider({
    name: 'google',
    apiKey,
    wire: createWire(deps.fetch),
    reserved: RESERVED,
    openUrl: deps.openImage,
    model: (id, fetcher) => createGoogle({ apiKey, baseURL: baseUrl, fetch: fetcher }).image(id),
    ask: askFor,
    readProblem,
    readId: readRequestId,
  });
  return {
    name: provider.name,
    generate: async (job, context) =>
      job.model.startsWith('gemini-')
        ? provider.generate(job, context)
        : modelNotSupported('google makes images with models of the name gemini-… only'),
  };
}

function askFor(job: ProviderJob): Asked {
  const aspectRatio = ratioFor(job, RATIOS);
  return {
    aspectRatio,
    seed: job.seed,
    files: ['image'],
    ignored: unused({
      negative_prompt: job.negativePrompt,
      size: aspectRatio === null && job.size,
      aspect_ratio: aspectRatio === null && job.size === null && job.aspectRatio,
      steps: job.steps,
      guidance_scale: job.guidanceScale,
      output_format: job.outputFormat,
      mask: job.mask,
      strength: job.strength,
    }),
  };
}
