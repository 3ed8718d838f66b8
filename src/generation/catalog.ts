/**
 * The catalogue: what clients may ask for, and which targets can make it, in order of preference.
 * The models themselves are in `models.ts`; the operator's own come from `MODEL_CATALOG`.
 */
import type { TargetName } from '../requests/types';
import type { Price } from './prices';
import type { ProviderName, ProviderSettings } from './providers/registry';
import type { AspectRatio, OutputFormat } from './types';

export interface Target {
  readonly provider: ProviderName;
  /** The provider's own name of the model. */
  readonly model: string;
  /** Of one image; empty: free of charge. */
  readonly price: Price;
  readonly limits: TargetLimits;
  /** A call whose end is unknown may be made again at no cost. */
  readonly repeatable: boolean;
  /** How many calls the provider lets an account have at once; null when it does not say. */
  readonly concurrency: number | null;
  /** How long an attempt may take, a job at the provider included; null: the settings say. */
  readonly timeoutMs: number | null;
  /** What one call takes as a rule, until enough of them have been measured. */
  readonly usualMs: number;
}

/** What a target cannot do at all; a request that needs it passes the target over. */
export interface TargetLimits {
  readonly sizing: Sizing;
  readonly maxImages: number;
  readonly maxPromptChars: number | null;
  readonly maxSteps: number | null;
  readonly formats: readonly OutputFormat[];
  readonly inputImage: 'none' | 'optional' | 'required';
  readonly mask: boolean;
}

export type SizeName = `${number}x${number}`;

/** How a target is told the size of its images. */
export type Sizing =
  /** Any size whose sides are multiples of `step` and within bounds. */
  | {
      readonly by: 'pixels';
      readonly step: number;
      readonly min: number;
      readonly max: number;
      readonly maxPixels: number;
    }
  | { readonly by: 'list'; readonly sizes: readonly SizeName[] }
  /** The provider sets the pixels itself: at most so many, or null when it does not say. */
  | {
      readonly by: 'ratio';
      readonly ratios: readonly AspectRatio[];
      readonly maxPixels: number | null;
    };

export interface Model {
  readonly id: string;
  readonly targets: readonly Target[];
}

export const autoPolicies = ['order', 'cost', 'speed'] as const;
/** How `auto` ranks its targets: as listed, cheapest first, or quickest first. */
export type AutoPolicy = (typeof autoPolicies)[number];

export interface Catalog {
  readonly models: readonly Model[];
  readonly autoPolicy: AutoPolicy;
  find(id: string): Model | null;
  target(of: { readonly provider: string; readonly model: string }): Target | null;
  named(name: TargetName): Target | null;
  /** Every target once. */
  targets(): readonly Target[];
  /** Why a target cannot be used now, whatever the request; null when it can. */
  unavailable(target: Target): string | null;
}

export const AUTO = 'auto';

/** An attempt that starts in the 8th minute of an invocation must end well before its 15th. */
export const MAX_CALL_MS = 240_000;

export function createCatalog(input: {
  readonly models: readonly Model[];
  readonly autoPolicy: AutoPolicy;
  readonly providers: ProviderSettings;
}): Catalog {
  const { models, autoPolicy, providers } = input;
  const byId = new Map(models.map((model) => [model.id, model]));
  const byName = new Map<TargetName, Target>();
  for (const target of models.flatMap(({ targets }) => targets)) {
    if (!byName.has(nameOf(target))) byName.set(nameOf(target), target);
  }
  return {
    models,
    autoPolicy,
    find: (id) => byId.get(id) ?? null,
    target: (of) => byName.get(nameOf(of)) ?? null,
    named: (name) => byName.get(name) ?? null,
    targets: () => [...byName.values()],
    unavailable: ({ provider }) => providers.get(provider)?.off ?? null,
  };
}

export const nameOf = (target: { readonly provider: string; readonly model: string }): TargetName =>
  `${target.provider}/${target.model}`;

/** The embedded provider fails only with Foreman itself: its targets have no breaker. */
export const hasBreaker = (target: Pick<Target, 'provider'>) => target.provider !== 'sketch';
