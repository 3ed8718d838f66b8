// The settings of the local server. The environment wins over .dev.vars, which wins over the vars of
// wrangler.toml. A setting is documented by its line in .dev.vars.example; of the environment, only
// documented names are read.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';

export type LocalSettings = Record<string, string>;

export const repositoryDir = fileURLToPath(new URL('../..', import.meta.url));

const EXAMPLE = join(repositoryDir, '.dev.vars.example');
const DEV_VARS = join(repositoryDir, '.dev.vars');
const OWNER_ONLY = 0o600;
const DOCUMENTED = /^#?([A-Z][A-Z0-9_]*)=/gm;
const LEFT_EMPTY = /^([A-Z][A-Z0-9_]*)=[ \t]*$/gm;

/** .dev.vars, made when missing, with the environment's documented settings over it. */
export function readLocalSettings(environment: NodeJS.ProcessEnv = process.env): LocalSettings {
  if (!existsSync(DEV_VARS)) {
    writeFileSync(DEV_VARS, withRandomSecrets(readFileSync(EXAMPLE, 'utf8')), { mode: OWNER_ONLY });
  }
  return {
    ...defined(parseEnv(readFileSync(DEV_VARS, 'utf8'))),
    ...documentedSettings(environment),
  };
}

/** Random secrets that nothing keeps, with the environment's documented settings over them. */
export function throwAwaySettings(environment: NodeJS.ProcessEnv = process.env): LocalSettings {
  return {
    ...defined(parseEnv(withRandomSecrets(readFileSync(EXAMPLE, 'utf8')))),
    ...documentedSettings(environment),
  };
}

function documentedSettings(environment: NodeJS.ProcessEnv): LocalSettings {
  const names = Array.from(readFileSync(EXAMPLE, 'utf8').matchAll(DOCUMENTED), ([, name]) => name);
  return defined(Object.fromEntries(names.map((name = '') => [name, environment[name]])));
}

function withRandomSecrets(example: string): string {
  return example.replace(
    LEFT_EMPTY,
    (_, name) => `${name}=${randomBytes(32).toString('base64url')}`,
  );
}

function defined(values: Record<string, string | undefined>): LocalSettings {
  const entries = Object.entries(values);
  return Object.fromEntries(
    entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
