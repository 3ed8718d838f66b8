/** What the operator says of generations: providers, the catalogue, and how `auto` chooses. */
import { z } from 'zod';
import { faultLines, SettingsError } from '../platform/config';
import { AUTO, autoPolicies, type Catalog, createCatalog, type Model } from './catalog';
import { chaosModels } from './chaos-models';
import { modelCatalogSetting, type OwnModels, withOwnModels } from './model-catalog';
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
  const hasChaos = providers.get('chaos')?.off === null;
  const known = hasChaos ? [...builtInModels, ...chaosModels] : builtInModels;
  const lines = parsed.success
    ? [...faults, ...removalFaults(known, parsed.data.MODEL_CATALOG)]
    : [...faults, ...faultLines(parsed.error)];
  if (!parsed.success || lines.length > 0) throw new SettingsError(lines);
  const { AUTO_POLICY: autoPolicy = 'order', MODEL_CATALOG: own } = parsed.data;
  const models = own ? withOwnModels(known, own) : known;
  return { providers, catalog: createCatalog({ models, autoPolicy, providers }) };
}

/** A slip of the pen would leave a model on offer that the operator wants gone. */
function removalFaults(known: readonly Model[], own: OwnModels | undefined): string[] {
  const ids = new Set(known.map(({ id }) => id));
  return (own?.remove ?? []).flatMap((id, index) => {
    const setting = `MODEL_CATALOG.remove.${index}`;
    if (id === AUTO) return [`${setting} names ${AUTO}, which can be replaced but not removed`];
    return ids.has(id) ? [] : [`${setting} names no model that there is`];
  });
}
