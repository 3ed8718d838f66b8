// Lets Node read the sources of the Worker as they are: they are written for a bundler, and their
// relative imports have no extension.
import { registerHooks } from 'node:module';

registerHooks({
  resolve(specifier, context, next) {
    const isSource = context.parentURL?.includes('/src/') && specifier.startsWith('.');
    return next(isSource && !specifier.endsWith('.ts') ? `${specifier}.ts` : specifier, context);
  },
});

/** By its address: the Worker's sources are checked with the types of its own runtime. */
const SETTINGS = new URL('../../src/settings.ts', import.meta.url).href;

/** @throws Error naming every faulty setting. */
export async function checkSettings(settings: object): Promise<void> {
  const { readSettings } = (await import(SETTINGS)) as { readSettings(env: object): unknown };
  readSettings(settings);
}
