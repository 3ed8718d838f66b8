/**
 * The models that Foreman knows by itself, each with its targets in order of preference. Prices are
 * US dollars from the providers' price pages of November 2026.
 */
import { AUTO, type Model, type Sizing, type TargetLimits } from './catalog';
import { fluxModels, fluxSchnell } from './flux-models';
import {
  listed,
  model,
  ONE_MEGAPIXEL,
  perImage,
  perStep,
  photo,
  pixels,
  ratios,
  targetOf,
  upTo,
  workersAi,
} from './model-parts';
import { type OpenAiModel, openAiPrices } from './providers/openai-prices';

const gptImage = (
  name: OpenAiModel,
  sizing: Sizing = listed('1024x1024', '1536x1024', '1024x1536'),
) =>
  targetOf('openai', name, {
    price: openAiPrices[name],
    usualMs: 25_000,
    limits: { sizing, maxImages: 8, inputImage: 'optional', mask: true },
  });

const sketch = targetOf('sketch', 'sketch', {
  repeatable: true,
  usualMs: 300,
  limits: { maxImages: 8, formats: ['png'] },
});

const openaiModels: readonly Model[] = [
  model('gpt-image-1', gptImage('gpt-image-1')),
  model('gpt-image-1-mini', gptImage('gpt-image-1-mini')),
  model('gpt-image-1.5', gptImage('gpt-image-1.5')),
  model('gpt-image-2', gptImage('gpt-image-2', pixels(16, 256, 2048))),
  model(
    'dall-e-3',
    targetOf('openai', 'dall-e-3', {
      price: openAiPrices['dall-e-3'],
      usualMs: 15_000,
      limits: { sizing: listed('1024x1024', '1792x1024', '1024x1792'), formats: ['png'] },
    }),
  ),
];

/** The dearer sizes, 2K and 4K, are not to be had by `provider_options`. */
const gemini = (name: string, usd: number, usualMs: number, maxPixels: number | null = null) =>
  model(
    name,
    targetOf('google', name, {
      price: perImage(usd),
      usualMs,
      limits: {
        ...photo,
        sizing: {
          ...ratios('1:1', '2:3', '3:2', '3:4', '4:3', '4:5', '5:4', '9:16', '16:9', '21:9'),
          maxPixels,
        },
        inputImage: 'optional',
      },
    }),
  );

const grok = (name: string, usd: number) =>
  model(
    name,
    targetOf('xai', name, {
      price: perImage(usd),
      usualMs: 9_000,
      limits: {
        sizing: ratios('1:1', '3:4', '4:3', '9:16', '16:9', '2:3', '3:2'),
        maxImages: 8,
        formats: ['jpeg'],
        inputImage: 'optional',
      },
    }),
  );

const stableRatios = ratios('21:9', '16:9', '3:2', '5:4', '1:1', '4:5', '2:3', '9:16', '9:21');

const stable = (name: string, usd: number, limits: Partial<TargetLimits> = {}) =>
  targetOf('stability', name, {
    price: perImage(usd),
    usualMs: 8_000,
    limits: { sizing: upTo(ONE_MEGAPIXEL, stableRatios), ...limits },
  });

const sd3: Partial<TargetLimits> = { ...photo, inputImage: 'optional' };

const stabilityModels: readonly Model[] = [
  model('stable-image-core', stable('core', 0.03, { sizing: upTo(1_600_000, stableRatios) })),
  model('stable-image-ultra', stable('ultra', 0.08, { inputImage: 'optional' })),
  model('sd3.5-large', stable('sd3.5-large', 0.065, sd3)),
  model('sd3.5-large-turbo', stable('sd3.5-large-turbo', 0.04, sd3)),
  model('sd3.5-medium', stable('sd3.5-medium', 0.035, sd3)),
  // It keeps the size of the input image.
  model(
    'stable-image-inpaint',
    stable('inpaint', 0.05, { sizing: stableRatios, inputImage: 'required', mask: true }),
  ),
];

const workersAiModels: readonly Model[] = [
  model(
    'flux-2-dev',
    workersAi('black-forest-labs/flux-2-dev', {
      price: [{ per: 'tile_step', usd: 0.00041, usual: 25 }],
      usualMs: 20_000,
      limits: { sizing: pixels(16, 256, 1920), inputImage: 'optional', maxSteps: 50 },
    }),
  ),
  model(
    'sdxl-lightning',
    workersAi('bytedance/stable-diffusion-xl-lightning', {
      limits: { sizing: pixels(8, 256, 2048), maxSteps: 20 },
    }),
  ),
  model(
    'dreamshaper',
    workersAi('lykon/dreamshaper-8-lcm', {
      limits: { sizing: pixels(8, 256, 2048), maxSteps: 20 },
    }),
  ),
  model(
    'sd-1.5-img2img',
    workersAi('runwayml/stable-diffusion-v1-5-img2img', {
      limits: { sizing: pixels(8, 256, 2048), maxSteps: 20, inputImage: 'required' },
    }),
  ),
  model(
    'sd-1.5-inpainting',
    workersAi('runwayml/stable-diffusion-v1-5-inpainting', {
      limits: { sizing: pixels(8, 256, 2048), maxSteps: 20, inputImage: 'required', mask: true },
    }),
  ),
];

const sdxlSizes = listed(
  '1024x1024',
  '1152x896',
  '896x1152',
  '1216x832',
  '832x1216',
  '1344x768',
  '768x1344',
);

const sdxl = model(
  'sdxl',
  targetOf('fal', 'fal-ai/fast-sdxl', {
    price: perImage(0.0025),
    usualMs: 3_000,
    limits: { ...photo, sizing: pixels(8, 256, 1536), maxImages: 8 },
  }),
  targetOf('fireworks', 'accounts/fireworks/models/stable-diffusion-xl-1024-v1-0', {
    price: perStep(0.00013, 30),
    usualMs: 3_000,
    limits: { ...photo, sizing: sdxlSizes },
  }),
  targetOf(
    'replicate',
    'stability-ai/sdxl:7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc',
    {
      price: perImage(0.005),
      limits: {
        sizing: pixels(8, 256, 1536),
        maxImages: 4,
        formats: ['png'],
        inputImage: 'optional',
        mask: true,
      },
    },
  ),
  workersAi('stabilityai/stable-diffusion-xl-base-1.0', {
    limits: { sizing: pixels(8, 256, 2048), maxSteps: 20 },
  }),
);

/** On servers of the operator's own, where a lost call costs nothing but time. */
const ownServers: readonly Model[] = [
  model(
    'compatible',
    targetOf('compatible', 'default', {
      repeatable: true,
      limits: { maxImages: 8, inputImage: 'optional', mask: true },
    }),
  ),
  model(
    'comfyui-sdxl',
    targetOf('comfyui', 'sd_xl_base_1.0.safetensors', {
      repeatable: true,
      usualMs: 20_000,
      limits: {
        sizing: pixels(8, 64, 2048),
        maxImages: 8,
        formats: ['png'],
        inputImage: 'optional',
        mask: true,
      },
    }),
  ),
  model(
    'automatic1111',
    targetOf('automatic1111', 'default', {
      repeatable: true,
      concurrency: 1,
      timeoutMs: 240_000,
      usualMs: 15_000,
      limits: {
        sizing: pixels(8, 64, 2048),
        maxImages: 8,
        maxSteps: 150,
        formats: ['png'],
        inputImage: 'optional',
        mask: true,
      },
    }),
  ),
  model(
    'kserve',
    targetOf('kserve', 'stable-diffusion', {
      repeatable: true,
      timeoutMs: 240_000,
      usualMs: 15_000,
      limits: { sizing: pixels(8, 64, 2048), inputImage: 'optional' },
    }),
  ),
];

/** Ranked by `AUTO_POLICY`; the embedded provider comes last under each. */
const auto = model(AUTO, gptImage('gpt-image-1'), ...fluxSchnell, sketch);

export const builtInModels: readonly Model[] = [
  auto,
  ...openaiModels,
  gemini('gemini-nano-banana-2.1', 0.0336, 20_000),
  gemini('gemini-3-pro-image', 0.134, 30_000, ONE_MEGAPIXEL),
  gemini('gemini-3.1-flash-lite-image', 0.034, 5_000),
  gemini('gemini-2.5-flash-image', 0.039, 10_000, ONE_MEGAPIXEL),
  grok('grok-imagine-image', 0.02),
  grok('grok-imagine-image-quality', 0.05),
  ...fluxModels,
  sdxl,
  ...stabilityModels,
  ...workersAiModels,
  ...ownServers,
  model('sketch', sketch),
];
