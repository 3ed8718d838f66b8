/** The providers of `all.ts`, each with its settings: on, or off for a reason. */
import { faultLines } from '../../platform/config';
import * as all from './all';
import type { Provider, ProviderDefinition, ProviderDeps } from './provider';

export type ProviderName = (typeof all)[keyof typeof all]['name'];

interface Registered {
  readonly name: ProviderName;
  /** Why it is off; null when it is on. */
  readonly off: string | null;
  create(deps: ProviderDeps): Provider | null;
}

/** Each definition is checked where it is declared; here they only differ in their configuration. */
const definitions = Object.values(all) as readonly ProviderDefinition<ProviderName, unknown>[];

export const providerNames: readonly ProviderName[] = definitions.map(({ name }) => name);

export type ProviderSettings = ReadonlyMap<ProviderName, Registered>;

export function readProviderSettings(env: object): {
  readonly providers: ProviderSettings;
  /** One line per faulty setting. */
  readonly faults: readonly string[];
} {
  const faults: string[] = [];
  const registered = definitions.map((definition): Registered => {
    const { name, missing } = definition;
    const settings = definition.settings.safeParse(env);
    if (!settings.success) {
      faults.push(...faultLines(settings.error));
      return { name, off: missing, create: () => null };
    }
    const config = settings.data;
    if (config === null) return { name, off: missing, create: () => null };
    return { name, off: null, create: (deps) => definition.create(config, deps) };
  });
  return { providers: new Map(registered.map((provider) => [provider.name, provider])), faults };
}

export function createProviders(
  settings: ProviderSettings,
  deps: Omit<ProviderDeps, 'fetch'>,
): (name: string) => Provider | null {
  const send: typeof fetch = (input, init) => fetch(input, init);
  const providers = new Map<string, Provider | null>();
  for (const [name, { create }] of settings) providers.set(name, create({ ...deps, fetch: send }));
  return (name) => providers.get(name) ?? null;
}
