/**
 * The catalogue: what clients may ask for, and which targets can make it, in order of preference.
 * Prices are micro-dollars per image, from the providers' price pages of November 2026.
 */
import type { Settings } from '../platform/config';
import type { OutputFormat } from './types';

export type ProviderName = 'sketch' | 'openai' | 'chaos';

export interface Target {
  readonly provider: ProviderName;
  /** The provider's own name of the model. */
  readonly model: string;
  readonly priceMicros: number;
  /** What `provider_options.<provider>.quality` makes of the price; else `priceMicros` holds. */
  readonly qualityPriceMicros: Readonly<Record<string, number>>;
  /** A call whose end is unknown may be made again at no cost. */
  readonly repeatable: boolean;
  readonly limits: TargetLimits;
}

/** What a target cannot do at all; a request that needs it passes the target over. */
export interface TargetLimits {
  /** Null: any size a request may have. */
  readonly sizes: readonly `${number}x${number}`[] | null;
  readonly maxImages: number;
  readonly formats: readonly OutputFormat[];
  readonly inputImage: boolean;
  readonly mask: boolean;
}

export interface Model {
  readonly id: string;
  readonly targets: readonly Target[];
}

const openaiLimits: TargetLimits = {
  sizes: ['1024x1024', '1536x1024', '1024x1536'],
  maxImages: 8,
  formats: ['png', 'jpeg', 'webp'],
  inputImage: true,
  mask: true,
};

/** `dollars` by quality; the first is what a request without a quality is held against. */
const openai = (
  model: string,
  dollars: Readonly<Record<string, number>>,
  limits: Partial<TargetLimits> = {},
): Target => {
  const prices = Object.entries(dollars).map(
    ([name, usd]) => [name, Math.round(usd * 1e6)] as const,
  );
  return {
    provider: 'openai',
    model,
    priceMicros: prices[0]?.[1] ?? 0,
    qualityPriceMicros: Object.fromEntries(prices),
    repeatable: false,
    limits: { ...openaiLimits, ...limits },
  };
};

const embedded = (provider: 'sketch' | 'chaos', model: string): Target => ({
  provider,
  model,
  priceMicros: 0,
  qualityPriceMicros: {},
  // Chaos plays a provider whose lost calls count.
  repeatable: provider === 'sketch',
  limits: { sizes: null, maxImages: 8, formats: ['png'], inputImage: false, mask: false },
});

const sketch: Model = { id: 'sketch', targets: [embedded('sketch', 'sketch')] };

const openaiModels: readonly Model[] = [
  {
    id: 'gpt-image-1',
    targets: [openai('gpt-image-1', { medium: 0.042, low: 0.011, high: 0.167 })],
  },
  {
    id: 'gpt-image-1-mini',
    targets: [openai('gpt-image-1-mini', { medium: 0.011, low: 0.005, high: 0.036 })],
  },
  {
    id: 'gpt-image-1.5',
    targets: [openai('gpt-image-1.5', { medium: 0.034, low: 0.009, high: 0.133 })],
  },
  {
    id: 'gpt-image-2',
    targets: [openai('gpt-image-2', { medium: 0.053, low: 0.014, high: 0.21 })],
  },
  {
    id: 'dall-e-3',
    targets: [
      openai(
        'dall-e-3',
        { standard: 0.04, hd: 0.08 },
        {
          sizes: ['1024x1024', '1792x1024', '1024x1792'],
          maxImages: 1,
          formats: ['png'],
          inputImage: false,
          mask: false,
        },
      ),
    ],
  },
];

const chaosModels: readonly Model[] = [
  'accept-then-drop',
  '5xx-after-accept',
  'throttle',
  'slow',
  'refuse-input',
  'refuse-output',
  'corrupt-image',
  ...Array.from({ length: 9 }, (_, index) => `flaky-${index + 1}`),
].map((name) => ({ id: `chaos-${name}`, targets: [embedded('chaos', `chaos-${name}`)] }));

/** `auto` is the first paid model, with the embedded one as the last resort. */
const auto: Model = {
  id: 'auto',
  targets: [...(openaiModels[0]?.targets ?? []), ...sketch.targets],
};

export interface Catalog {
  readonly models: readonly Model[];
  find(id: string): Model | null;
  target(name: { readonly provider: string; readonly model: string }): Target | null;
  /** Why a target cannot be used now, whatever the request; null when it can. */
  unavailable(target: Target): string | null;
}

export function createCatalog(settings: Pick<Settings, 'openai' | 'chaosModels'>): Catalog {
  const models = [auto, ...openaiModels, sketch, ...(settings.chaosModels ? chaosModels : [])];
  const byId = new Map(models.map((model) => [model.id, model]));
  return {
    models,
    find: (id) => byId.get(id) ?? null,
    target: ({ provider, model }) =>
      models
        .flatMap(({ targets }) => targets)
        .find((target) => target.provider === provider && target.model === model) ?? null,
    unavailable: (target) =>
      target.provider === 'openai' && !settings.openai ? 'OPENAI_API_KEY is not set' : null,
  };
}

/** Micro-dollars for one image of this target with the client's options for its provider. */
export function pricePerImage(target: Target, options: { readonly quality?: unknown }): number {
  const { quality } = options;
  const prices = new Map(Object.entries(target.qualityPriceMicros));
  return (typeof quality === 'string' && prices.get(quality)) || target.priceMicros;
}
