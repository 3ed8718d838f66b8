/**
 * The catalogue: what clients may ask for, and which targets can make it, in order of preference.
 * Prices are micro-dollars per image.
 */
import type { Settings } from '../platform/config';
import type { OutputFormat } from './types';

export type ProviderName = 'sketch' | 'openai' | 'chaos';

export interface Target {
  readonly provider: ProviderName;
  /** The provider's own name of the model. */
  readonly model: string;
  readonly priceMicros: number;
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

const openai = (model: string, dollars: number, limits: Partial<TargetLimits> = {}): Target => ({
  provider: 'openai',
  model,
  priceMicros: Math.round(dollars * 1e6),
  repeatable: false,
  limits: { ...openaiLimits, ...limits },
});

const embedded = (provider: 'sketch' | 'chaos', model: string): Target => ({
  provider,
  model,
  priceMicros: 0,
  // Chaos plays a provider whose lost calls count.
  repeatable: provider === 'sketch',
  limits: { sizes: null, maxImages: 8, formats: ['png'], inputImage: false, mask: false },
});

const sketch: Model = { id: 'sketch', targets: [embedded('sketch', 'sketch')] };

const openaiModels: readonly Model[] = [
  { id: 'gpt-image-1', targets: [openai('gpt-image-1', 0.042)] },
  { id: 'gpt-image-1-mini', targets: [openai('gpt-image-1-mini', 0.011)] },
  { id: 'gpt-image-1.5', targets: [openai('gpt-image-1.5', 0.034)] },
  { id: 'gpt-image-2', targets: [openai('gpt-image-2', 0.053)] },
  {
    id: 'dall-e-3',
    targets: [
      openai('dall-e-3', 0.04, {
        sizes: ['1024x1024', '1792x1024', '1024x1792'],
        maxImages: 1,
        formats: ['png'],
        inputImage: false,
        mask: false,
      }),
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
