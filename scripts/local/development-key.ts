// A ready-made API key for the developer, made through the admin API like any other and kept in the
// state folder, so that a restart prints the same one.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const NAME = 'development';
const OWNER_ONLY = 0o600;

export async function developmentKey(options: {
  origin: string;
  adminToken: string;
  stateDir: string;
}): Promise<string> {
  const path = join(options.stateDir, 'development-key');
  const kept = await readFile(path, 'utf8').catch(() => null);
  if (kept !== null && (await stillWorks(options.origin, kept))) return kept;
  const key = await makeKey(options);
  await writeFile(path, key, { mode: OWNER_ONLY });
  return key;
}

async function stillWorks(origin: string, key: string): Promise<boolean> {
  const response = await fetch(`${origin}/v1/me`, { headers: { authorization: `Bearer ${key}` } });
  await response.body?.cancel();
  return response.status === 200;
}

async function makeKey(options: { origin: string; adminToken: string }): Promise<string> {
  const user = await post({ ...options, path: '/v1/admin/users' });
  const created = await post({ ...options, path: `/v1/admin/users/${field(user, 'id')}/keys` });
  return field(created, 'key');
}

async function post(options: {
  origin: string;
  adminToken: string;
  path: string;
}): Promise<unknown> {
  const response = await fetch(`${options.origin}${options.path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${options.adminToken}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ name: NAME }),
  });
  const text = await response.text();
  if (response.status === 201) return JSON.parse(text);
  throw new Error(`POST ${options.path} answered ${response.status}: ${text.slice(0, 500)}`);
}

function field(body: unknown, name: string): string {
  const value: unknown = Object(body)[name];
  if (typeof value !== 'string') throw new Error(`The admin API answered without ${name}`);
  return value;
}
