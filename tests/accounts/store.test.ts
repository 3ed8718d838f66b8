import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { accountStatements, createAccountStore } from '../../src/accounts/store';
import { type Account, DEFAULT_LIMITS, type KeyRecord } from '../../src/accounts/types';
import { newId } from '../../src/platform/ids';

const now = Date.UTC(2026, 10, 21);
const store = createAccountStore(env.DB);

const accountAt = (createdAt: number): Account => ({
  userId: newId('usr', createdAt),
  name: 'Acme',
  externalId: null,
  region: null,
  status: 'active',
  limits: DEFAULT_LIMITS,
  createdAt,
  version: 1,
});
const keyNamed = (name: string): KeyRecord => ({
  id: newId('key', now),
  name,
  scopes: ['requests:read'],
  secretHash: 'ab',
  macVersion: 1,
  createdAt: now,
  expiresAt: null,
  revokedAt: null,
  lastUsedAt: null,
  replaces: null,
});
const project = (account: Account, keys: KeyRecord[] = []) =>
  env.DB.batch(accountStatements(env.DB, { account, keys }));
const readUser = async (account: Account) => {
  const after = { createdAt: account.createdAt + 1, id: account.userId };
  return (await store.getUserPage({ limit: 1, after }))[0];
};
const keyRow = (key: KeyRecord) =>
  env.DB.prepare('SELECT * FROM api_keys WHERE id = ?').bind(key.id).first();

describe('the index of users', () => {
  it('gives back what the foreman reported, also when it is reported twice', async () => {
    const account = accountAt(now - 1_000);
    await project(account);
    await project(account);
    expect(await readUser(account)).toEqual(account);
  });

  it('keeps the newest version when reports come out of order', async () => {
    const account = accountAt(now - 2_000);
    const newer = { ...account, limits: { ...DEFAULT_LIMITS, burst: 7 }, version: 3 };
    await project(newer);
    await project({ ...account, version: 2 });
    expect(await readUser(account)).toEqual(newer);
  });

  it('pages newest first, through users of the same millisecond too, each once', async () => {
    const accounts = [now, now, now, now + 1, now + 1].map(accountAt);
    for (const account of accounts) await project(account);
    const seen: string[] = [];
    let after: { createdAt: number; id: Account['userId'] } | null = null;
    for (;;) {
      const page: Account[] = await store.getUserPage({ limit: 2, after });
      const last = page.at(-1);
      if (!last) break;
      seen.push(...page.map((account) => account.userId));
      after = { createdAt: last.createdAt, id: last.userId };
    }
    const expected = accounts
      .sort((a, b) => b.createdAt - a.createdAt || (a.userId < b.userId ? 1 : -1))
      .map((account) => account.userId);
    expect(seen.slice(0, 5)).toEqual(expected);
    expect(new Set(seen).size).toBe(seen.length);
  });
});

describe('the index of keys', () => {
  it('holds all keys of a report, without their hashes', async () => {
    const account = accountAt(now - 3_000);
    const keys = ['one', 'two " \' ; --'].map(keyNamed);
    await project(account, keys);
    for (const key of keys) {
      expect(await keyRow(key)).toEqual({
        id: key.id,
        user_id: account.userId,
        name: key.name,
        scopes: '["requests:read"]',
        mac_version: 1,
        created_at: now,
        revoked_at: null,
      });
    }
  });

  it('never takes a revocation back', async () => {
    const account = accountAt(now - 4_000);
    const key = keyNamed('ci');
    await project(account, [key]);
    await project(account, [{ ...key, revokedAt: now + 5 }]);
    await project(account, [key]);
    expect(await keyRow(key)).toMatchObject({ revoked_at: now + 5 });
  });
});
