import { env } from 'cloudflare:workers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createKeyStore, type KeyPageKey, keyStatements } from '../../../src/accounts/keys/store';
import { type Account, DEFAULT_LIMITS, type KeyRecord } from '../../../src/accounts/types';
import { newId } from '../../../src/platform/ids';

const now = Date.UTC(2026, 10, 21);
const store = createKeyStore(env.DB);

const account: Account = {
  userId: newId('usr', now),
  name: 'Acme',
  externalId: null,
  region: null,
  status: 'active',
  limits: DEFAULT_LIMITS,
  createdAt: now,
  version: 1,
};
const keyWith = (fields: Partial<KeyRecord> = {}): KeyRecord => ({
  id: newId('key', now),
  name: 'ci',
  scopes: ['requests:read'],
  secretHash: 'ab',
  macVersion: 1,
  createdAt: now,
  expiresAt: null,
  revokedAt: null,
  lastUsedAt: null,
  replaces: null,
  ...fields,
});
const project = (keys: KeyRecord[]) => env.DB.batch(keyStatements(env.DB, { account, keys }));
const keyRow = (key: KeyRecord) =>
  env.DB.prepare('SELECT * FROM api_keys WHERE id = ?').bind(key.id).first();

describe('the index of keys', () => {
  it('holds all keys of a report, without their hashes', async () => {
    const keys = ['one', 'two " \' ; --'].map((name) => keyWith({ name, expiresAt: now + 5 }));
    await project(keys);
    for (const key of keys) {
      expect(await keyRow(key)).toEqual({
        id: key.id,
        user_id: account.userId,
        name: key.name,
        scopes: '["requests:read"]',
        mac_version: 1,
        created_at: now,
        expires_at: now + 5,
        revoked_at: null,
        last_used_at: null,
        replaces: null,
      });
    }
  });

  it('writes nothing for what it knows', async () => {
    const key = keyWith({ lastUsedAt: now, expiresAt: now + 9 });
    await project([key]);
    const [again] = await project([{ ...key, lastUsedAt: now - 1, expiresAt: null }]);
    expect(again?.meta.changes).toBe(0);
  });

  it('ends the same in whatever order the reports come, and however often', async () => {
    // A key's life as its foreman would report it: used, to expire, used again, revoked.
    const facts: Partial<KeyRecord>[] = [
      {},
      { lastUsedAt: now + 1 },
      { lastUsedAt: now + 1, expiresAt: now + 900 },
      { lastUsedAt: now + 300, expiresAt: now + 400 },
      { lastUsedAt: now + 300, expiresAt: now + 400, revokedAt: now + 350 },
    ];
    const order = fc.shuffledSubarray([...facts.keys(), ...facts.keys()], { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(order, async (indexes) => {
        const key = keyWith();
        for (const index of indexes) await project([{ ...key, ...facts[index] }]);
        const newest = facts[Math.max(...indexes)];
        expect(await keyRow(key)).toMatchObject({
          last_used_at: newest?.lastUsedAt ?? null,
          expires_at: newest?.expiresAt ?? null,
          revoked_at: newest?.revokedAt ?? null,
        });
      }),
      { numRuns: 20 },
    );
  });
});

describe('the list of active keys', () => {
  const versions = [7, 7, 7, 9, 9, 8];
  const active = versions.map((macVersion, index) =>
    keyWith({
      macVersion,
      createdAt: now + (index % 2),
      lastUsedAt: now,
      replaces: newId('key', 1),
    }),
  );
  const ended = [
    keyWith({ macVersion: 8, revokedAt: now }),
    keyWith({ macVersion: 8, expiresAt: now + 10 }),
  ];
  const idsOf = async (macVersion: number | null, limit: number) => {
    const seen: string[] = [];
    let after: KeyPageKey | null = { macVersion: 6, createdAt: 0, id: 'key_' };
    for (;;) {
      const page = await store.getActivePage({ limit, after, macVersion, now: now + 10 });
      seen.push(...page.map(({ id }) => id));
      after = page.at(-1) ?? null;
      if (!after) return seen;
    }
  };
  const sorted = (keys: readonly KeyRecord[]) =>
    [...keys]
      .sort(
        (a, b) =>
          a.macVersion - b.macVersion || a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1),
      )
      .map(({ id }) => id);

  it('has each once, those of the oldest version first, and none that has ended', async () => {
    await project([...active, ...ended]);
    expect(await idsOf(null, 2)).toEqual(sorted(active));
    expect(await idsOf(null, 100)).toEqual(sorted(active));
  });

  it('of one version has those of this version only', async () => {
    for (const version of [7, 8, 9, 10]) {
      const own = active.filter(({ macVersion }) => macVersion === version);
      expect(await idsOf(version, 1)).toEqual(sorted(own));
    }
  });

  it('says everything of a key but its hash', async () => {
    const query = { limit: 100, after: null, macVersion: 8, now };
    const { secretHash: _, ...key } = active[5] ?? keyWith();
    const listed = await store.getActivePage(query);
    expect(listed.find(({ id }) => id === key.id)).toEqual({ ...key, userId: account.userId });
  });

  it('is read along its index', async () => {
    const { results } = await env.DB.prepare(
      `EXPLAIN QUERY PLAN SELECT id FROM api_keys WHERE revoked_at IS NULL
         AND (mac_version, created_at, id) > (1, 0, '') ORDER BY mac_version, created_at, id LIMIT 5`,
    ).all<{ detail: string }>();
    const plan = results.map(({ detail }) => detail).join('\n');
    expect(plan).toContain('api_keys_by_mac_version');
    expect(plan).not.toContain('TEMP B-TREE');
  });
});
