// What no provider's file can show by itself: that the catalogue has models of it, and that the
// settings it reads are documented.
import { describe, expect, it } from 'vitest';
import { chaosModels } from '../../../src/generation/chaos-models';
import { builtInModels } from '../../../src/generation/models';
import * as all from '../../../src/generation/providers/all';

// No type argument: Vitest caches a transformed file unless it reads `import.meta.glob(` in it.
const documents: Record<string, string> = import.meta.glob(
  ['../../../README.md', '../../../.dev.vars.example', '../../../wrangler.toml'],
  { query: '?raw', import: 'default', eager: true, exhaustive: true },
);

function documentAt(name: string): string {
  const text = documents[`../../../${name}`];
  if (!text) throw new Error(`there is no ${name}`);
  return text;
}

const namesIn = (text: string, pattern: RegExp) =>
  new Set([...text.matchAll(pattern)].map(([, name]) => name));
const inExample = namesIn(documentAt('.dev.vars.example'), /^#?([A-Z][A-Z0-9_]*)=/gm);
const bindings = namesIn(documentAt('wrangler.toml'), /^binding = "([A-Z][A-Z0-9_]*)"$/gm);
const inReadme = namesIn(documentAt('README.md'), /`([\w-]+)`/g);

/** Which of Foreman's own settings a provider's may depend on. */
const shared = new Set(['ENVIRONMENT']);

/** The names that a definition looks for in an environment that has none of them. */
function settingsOf({ settings }: (typeof all)[keyof typeof all]): string[] {
  const names = new Set<string>();
  const note = (name: string | symbol) => {
    if (typeof name === 'string' && /^[A-Z][A-Z0-9_]*$/.test(name)) names.add(name);
  };
  const env = new Proxy<Record<string, string>>(
    {},
    {
      get: (_, name) => note(name),
      has: (_, name) => {
        note(name);
        return false;
      },
    },
  );
  settings.safeParse(env);
  return [...names].filter((name) => !shared.has(name));
}

const providers = Object.values(all).map((definition) => ({
  name: definition.name,
  missing: definition.missing,
  settings: settingsOf(definition),
}));
const modelled = new Set<string>(
  [...builtInModels, ...chaosModels].flatMap(({ targets }) =>
    targets.map(({ provider }) => provider),
  ),
);

describe.each(providers)('the provider $name', ({ name, missing, settings }) => {
  it('has a model in the catalogue', () => {
    expect(modelled).toContain(name);
  });

  it('is in the README', () => {
    expect(inReadme).toContain(name);
  });

  it('has each of its settings in .dev.vars.example, or as a binding in wrangler.toml', () => {
    expect(settings.filter((setting) => !inExample.has(setting) && !bindings.has(setting))).toEqual(
      [],
    );
  });

  it('has each of its settings in the README', () => {
    expect(settings.filter((setting) => !inReadme.has(setting))).toEqual([]);
  });

  it('names one of its settings when it says what is missing', () => {
    const isNamed = settings.some((setting) => new RegExp(`\\b${setting}\\b`).test(missing));
    expect(isNamed).toBe(settings.length > 0);
  });
});

it('the settings of providers are found by what they read', () => {
  const found = new Map(providers.map(({ name, settings }) => [name, settings]));
  expect(found.get('sketch')).toEqual([]);
  expect(found.get('openai')?.toSorted()).toEqual(['OPENAI_API_KEY', 'OPENAI_BASE_URL']);
  expect(found.get('workers-ai')).toEqual(['AI']);
});
