/**
 * The settings that API keys are signed by: a numbered secret that signs, and the older ones, whose
 * keys are good as well. A fault names the setting and never quotes a value.
 */
import { z } from 'zod';
import { SettingsError } from '../../platform/config';
import type { KeySigning } from './text';

const VERSION = 'KEY_SIGNING_VERSION';
const OLD = 'KEY_SIGNING_SECRETS_OLD';
/** A key has seven bits for the version of its secret. */
const MAX_VERSION = 127;
const MIN_SECRET_CHARS = 32;
/** An old secret that opened something else besides would be one that cannot retire. */
const OTHER_SECRETS = [
  'ADMIN_TOKEN',
  'KEY_SIGNING_SECRET',
  'LINK_SIGNING_SECRET',
  'SIGNING_SECRET',
  'SIGNING_SECRET_PREVIOUS',
] as const;
const OLD_SHAPE =
  'must be a JSON object whose names are versions and whose values are the secrets of these, ' +
  `of ${MIN_SECRET_CHARS} characters or more`;

const text = z.string().catch('');
/** What is wrong with the secrets of the moment, `platform/config.ts` says. */
const varsSchema = z.object({
  ADMIN_TOKEN: text,
  KEY_SIGNING_SECRET: text,
  LINK_SIGNING_SECRET: text,
  SIGNING_SECRET: text,
  SIGNING_SECRET_PREVIOUS: text,
  [VERSION]: text,
  [OLD]: text,
});
type Vars = z.output<typeof varsSchema>;

const oldSchema = z.record(z.string(), z.string().min(MIN_SECRET_CHARS));

/** @throws SettingsError */
export function readKeySigning(env: object): KeySigning {
  const vars = varsSchema.parse(env);
  const newest = versionIn(vars[VERSION] || '1');
  if (newest === null) {
    throw new SettingsError([`${VERSION} must be a whole number from 1 to ${MAX_VERSION}`]);
  }
  const old = oldSecretsIn(vars[OLD] || '{}');
  const faults = old ? faultsOf(old, newest, vars) : [`${OLD} ${OLD_SHAPE}`];
  if (!old || faults.length > 0) throw new SettingsError(faults);
  return { newest, secrets: new Map([...old, [newest, vars.KEY_SIGNING_SECRET]]) };
}

/** Null for any fault of the shape. Its names are not told: a secret may stand where a version should. */
function oldSecretsIn(json: string): Map<number, string> | null {
  const parsed = oldSchema.safeParse(jsonIn(json));
  if (!parsed.success) return null;
  const secrets = new Map<number, string>();
  for (const [name, secret] of Object.entries(parsed.data)) {
    const version = versionIn(name);
    if (version === null) return null;
    secrets.set(version, secret);
  }
  return secrets;
}

function jsonIn(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}

function faultsOf(old: ReadonlyMap<number, string>, newest: number, vars: Vars): string[] {
  const seen = new Map<string, string>(OTHER_SECRETS.map((name) => [vars[name], name]));
  return [...old].flatMap(([version, secret]) => {
    const twin = seen.get(secret);
    seen.set(secret, `that of version ${version}`);
    return [
      ...(version < newest ? [] : [`${OLD} version ${version} must be below ${VERSION}`]),
      ...(twin ? [`${OLD} version ${version} must differ from ${twin}`] : []),
    ];
  });
}

/** In its one spelling, without leading zeros. */
function versionIn(text: string): number | null {
  const version = /^[1-9]\d{0,2}$/.test(text) ? Number(text) : Number.NaN;
  return version <= MAX_VERSION ? version : null;
}
