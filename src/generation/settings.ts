/** What the operator says of generations: providers, the catalogue, and how `auto` chooses. */
import { z } from 'zod';
import { faultLines, SettingsError } from '../platform/config';
import { autoPolicies, type Catalog, createCatalog } from './catalog';
import { chaosModels } from './chaos-models';
import { modelCatalogSetting, withOwnModels } from './model-catalog';
import { builtInModels } from './models';
import { type ProviderSettings, readProviderSettings } from './providers/registry';
import { optional } from './providers/settings';

const settingsSchema = z.object({
  AUTO_POLICY: optional(
    z.enum(autoPolicies, { error: `must be one of ${autoPolicies.join(', ')}` }),
  ),
  MODEL_CATALOG: optional(modelCatalogSetting),
});

export interface GenerationSettings {
  readonly providers: ProviderSettings;
  readonly catalog: Catalog;
}

/** @throws SettingsError */
export function readGenerationSettings(env: object): GenerationSettings {
  const { providers, faults } = readProviderSettings(env);
  const parsed = settingsSchema.safeParse(env);
  const lines = [...faults, ...(parsed.success ? [] : faultLines(parsed.error))];
  if (!parsed.success || lines.length > 0) throw new SettingsError(lines);
  const { AUTO_POLICY: autoPolicy = 'order', MODEL_CATALOG: own } = parsed.data;
  const hasChaos = providers.get('chaos')?.off === null;
  const known = hasChaos ? [...builtInModels, ...chaosModels] : builtInModels;
  const models = own ? withOwnModels(known, own) : known;
  return { providers, catalog: createCatalog({ models, autoPolicy, providers }) };
}
