/** The words in which `models.ts` writes the catalogue down. */
import type { Model, SizeName, Sizing, Target, TargetLimits } from './catalog';
import type { Price } from './prices';
import type { ProviderName } from './providers/registry';
import { type AspectRatio, aspectRatios, MAX_PIXELS } from './types';

export const anySize: Sizing = { by: 'pixels', step: 1, min: 64, max: 2048, maxPixels: MAX_PIXELS };
export const listed = (...sizes: SizeName[]): Sizing => ({ by: 'list', sizes });

/** What holds unless a target says otherwise. */
export const usualLimits: TargetLimits = {
  sizing: anySize,
  maxImages: 1,
  maxPromptChars: null,
  maxSteps: null,
  formats: ['png', 'jpeg', 'webp'],
  inputImage: 'none',
  mask: false,
};

export type Facts = Partial<Omit<Target, 'provider' | 'model' | 'limits'>> & {
  readonly limits?: Partial<TargetLimits>;
};

export function targetOf(provider: ProviderName, model: string, facts: Facts = {}): Target {
  return {
    provider,
    model,
    price: [],
    repeatable: false,
    concurrency: null,
    timeoutMs: null,
    usualMs: 10_000,
    ...facts,
    limits: { ...usualLimits, ...facts.limits },
  };
}

type Shaped = Extract<Sizing, { by: 'ratio' }>;

export const workersAi = (name: string, facts: Facts): Target =>
  targetOf('workers-ai', `@cf/${name}`, facts);

export const model = (id: string, ...targets: Target[]): Model => ({ id, targets });

export const ratios = (...offered: AspectRatio[]): Shaped => ({
  by: 'ratio',
  ratios: offered.length > 0 ? offered : aspectRatios,
  maxPixels: null,
});
/** The provider sets the pixels, and makes no more than so many. */
export const upTo = (maxPixels: number, sizing = ratios()): Shaped => ({ ...sizing, maxPixels });
export const pixels = (step: number, min: number, max: number, maxPixels = MAX_PIXELS): Sizing => ({
  by: 'pixels',
  step,
  min,
  max,
  maxPixels,
});

/** What providers call one megapixel, whatever the ratio. */
export const ONE_MEGAPIXEL = 1_100_000;

export const perImage = (usd: number): Price => [{ per: 'image', usd }];
/** Of 1024×1024 pixels, begun ones in full: how fal and BFL count. */
export const perMegapixel = (usd: number): Price => [
  { per: 'megapixel', usd, round_up: true, pixels: 1024 * 1024 },
];
export const perStep = (usd: number, usual: number): Price => [{ per: 'step', usd, usual }];

export const photo: Partial<TargetLimits> = { formats: ['png', 'jpeg'] };
