/** Everything the operator may say, read once per isolate. A fault stops the start. */
import { readDefaultLimits } from './accounts/default-limits';
import { readKeySigning } from './accounts/keys/signing';
import { readSignInSettings } from './accounts/sign-in/settings';
import { readGenerationSettings } from './generation/settings';
import { parseSettings, SettingsError } from './platform/config';

/** @throws SettingsError naming every faulty setting. */
export function readSettings(env: object) {
  const lines: string[] = [];
  const read = <T>(part: () => T): T | null => {
    try {
      return part();
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      lines.push(...error.lines);
      return null;
    }
  };
  const settings = read(() => parseSettings(env));
  const generation = read(() => readGenerationSettings(env));
  const keySigning = read(() => readKeySigning(env));
  const signIn = read(() => readSignInSettings(env));
  // With a catalogue that cannot be read, its own faults say enough.
  const knowsModel = (id: string) => !generation || generation.catalog.find(id) !== null;
  const defaultLimits = read(() => readDefaultLimits(env, knowsModel));
  if (!settings || !generation || !keySigning || !signIn || !defaultLimits)
    throw new SettingsError(lines);
  return { settings, generation, keySigning, signIn, defaultLimits };
}
