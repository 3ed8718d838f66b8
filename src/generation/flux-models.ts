/** The models of Black Forest Labs, and who makes them. Prices as in `models.ts`. */
import type { Model, Target, TargetLimits } from './catalog';
import {
  listed,
  model,
  ONE_MEGAPIXEL,
  perImage,
  perMegapixel,
  perStep,
  photo,
  pixels,
  ratios,
  targetOf,
  upTo,
  workersAi,
} from './model-parts';
import type { Price } from './prices';

const bfl = (name: string, price: Price, limits: Partial<TargetLimits>, concurrency = 24): Target =>
  targetOf('bfl', name, {
    price,
    concurrency,
    usualMs: 12_000,
    limits: { ...photo, ...limits },
  });

const flux2 = (
  name: string,
  usd: { readonly image: number; readonly megapixel: number },
  limits: Partial<TargetLimits> = {},
): Model => {
  const price: Price = [{ per: 'image', usd: usd.image }, ...perMegapixel(usd.megapixel)];
  const sizing = pixels(16, 64, 2048);
  return model(name, bfl(name, price, { sizing, inputImage: 'optional', ...limits }));
};

export const fluxSchnell: readonly Target[] = [
  targetOf('fal', 'fal-ai/flux/schnell', {
    price: perMegapixel(0.003),
    usualMs: 2_000,
    limits: { ...photo, sizing: pixels(16, 256, 1536), maxImages: 4, maxSteps: 12 },
  }),
  targetOf('replicate', 'black-forest-labs/flux-schnell', {
    price: perImage(0.003),
    usualMs: 3_000,
    limits: { sizing: upTo(1024 * 1024), maxImages: 4, maxSteps: 4 },
  }),
  targetOf('together', 'black-forest-labs/FLUX.1-schnell', {
    price: [{ per: 'megapixel', usd: 0.0027 }],
    usualMs: 2_000,
    limits: { ...photo, sizing: pixels(16, 64, 1792), maxImages: 4, maxSteps: 4 },
  }),
  targetOf('deepinfra', 'black-forest-labs/FLUX-1-schnell', {
    price: perStep(0.0005, 1),
    usualMs: 2_000,
    limits: { ...photo, sizing: pixels(16, 128, 2048), maxImages: 4, maxSteps: 50 },
  }),
  targetOf('fireworks', 'accounts/fireworks/models/flux-1-schnell-fp8', {
    price: perStep(0.00035, 4),
    usualMs: 2_000,
    limits: { ...photo, sizing: ratios() },
  }),
  workersAi('black-forest-labs/flux-1-schnell', {
    price: [
      { per: 'tile', usd: 0.0000528 },
      { per: 'step', usd: 0.0001056, usual: 4 },
    ],
    usualMs: 3_000,
    limits: {
      sizing: listed('1024x1024'),
      maxPromptChars: 2_048,
      maxSteps: 8,
      formats: ['jpeg'],
    },
  }),
];

const kontextSizing = upTo(ONE_MEGAPIXEL);

export const fluxModels: readonly Model[] = [
  model('flux-schnell', ...fluxSchnell),
  model(
    'flux-dev',
    targetOf('fal', 'fal-ai/flux/dev', {
      price: perMegapixel(0.025),
      usualMs: 5_000,
      limits: { ...photo, sizing: pixels(16, 256, 1536), maxImages: 4, maxSteps: 50 },
    }),
    targetOf('replicate', 'black-forest-labs/flux-dev', {
      price: perImage(0.025),
      usualMs: 6_000,
      limits: { sizing: ratios(), maxImages: 4, maxSteps: 50, inputImage: 'optional' },
    }),
    targetOf('fireworks', 'accounts/fireworks/models/flux-1-dev-fp8', {
      price: perStep(0.0005, 28),
      usualMs: 5_000,
      limits: { ...photo, sizing: ratios() },
    }),
    targetOf('fal', 'fal-ai/flux/dev/image-to-image', {
      price: perMegapixel(0.03),
      usualMs: 6_000,
      limits: { ...photo, sizing: ratios(), maxImages: 4, inputImage: 'required' },
    }),
  ),
  model(
    'flux-1.1-pro',
    bfl('flux-pro-1.1', perImage(0.04), {
      sizing: pixels(32, 256, 1440, 2_073_600),
      inputImage: 'optional',
    }),
    targetOf('replicate', 'black-forest-labs/flux-1.1-pro', {
      price: perImage(0.04),
      usualMs: 6_000,
      limits: { sizing: pixels(32, 256, 1440) },
    }),
    targetOf('fal', 'fal-ai/flux-pro/v1.1', {
      price: perMegapixel(0.04),
      usualMs: 6_000,
      limits: { ...photo, sizing: pixels(32, 256, 1440), maxImages: 4 },
    }),
  ),
  model(
    'flux-1.1-pro-ultra',
    bfl('flux-pro-1.1-ultra', perImage(0.06), {
      // Of its sizes 2368×1792 is the largest.
      sizing: upTo(4_243_456),
      inputImage: 'optional',
    }),
  ),
  model(
    'flux-kontext-pro',
    bfl('flux-kontext-pro', perImage(0.04), { sizing: kontextSizing, inputImage: 'optional' }),
    targetOf('together', 'black-forest-labs/FLUX.1-kontext-pro', {
      price: perImage(0.04),
      usualMs: 8_000,
      limits: { ...photo, sizing: kontextSizing, inputImage: 'optional' },
    }),
    targetOf('replicate', 'black-forest-labs/flux-kontext-pro', {
      price: perImage(0.04),
      usualMs: 8_000,
      limits: { ...photo, sizing: kontextSizing, inputImage: 'required' },
    }),
    targetOf('fal', 'fal-ai/flux-pro/kontext', {
      price: perImage(0.04),
      usualMs: 8_000,
      limits: { ...photo, sizing: kontextSizing, maxImages: 4, inputImage: 'required' },
    }),
  ),
  model(
    'flux-kontext-max',
    bfl('flux-kontext-max', perImage(0.08), { sizing: kontextSizing, inputImage: 'optional' }, 6),
  ),
  model(
    'flux-fill-pro',
    bfl('flux-pro-1.0-fill', perImage(0.05), {
      // It keeps the size of the input image, whatever that is.
      sizing: { by: 'ratio', ratios: [], maxPixels: null },
      maxSteps: 50,
      inputImage: 'required',
      mask: true,
    }),
  ),
  flux2('flux-2-pro', { image: 0.015, megapixel: 0.015 }),
  flux2('flux-2-max', { image: 0.04, megapixel: 0.03 }),
  flux2('flux-2-flex', { image: 0, megapixel: 0.05 }, { maxSteps: 50 }),
  flux2('flux-2-klein-4b', { image: 0.013, megapixel: 0.001 }),
  flux2('flux-2-klein-9b', { image: 0.013, megapixel: 0.002 }),
];
