/** Catalogues for pure tests: models of a few targets, with every provider on or off as told. */
import {
  type AutoPolicy,
  type Catalog,
  createCatalog,
  type Model,
  type Target,
} from '../../src/generation/catalog';
import type { ProviderName, ProviderSettings } from '../../src/generation/providers/registry';
import type { GenerationInput } from '../../src/generation/types';

export const modelOf = (id: string, ...targets: Target[]): Model => ({ id, targets });

export function catalogOf(
  models: readonly Model[],
  facts: {
    readonly autoPolicy?: AutoPolicy;
    readonly off?: Partial<Record<ProviderName, string>>;
  } = {},
): Catalog {
  const { autoPolicy = 'order', off = {} } = facts;
  const names = models.flatMap(({ targets }) => targets.map(({ provider }) => provider));
  const providers: ProviderSettings = new Map(
    names.map((name) => [name, { name, off: off[name] ?? null, create: () => null }]),
  );
  return createCatalog({ models, autoPolicy, providers });
}

export const inputOf = (overrides: Partial<GenerationInput> = {}): GenerationInput => ({
  prompt: 'a boat',
  n: 1,
  ...overrides,
});
