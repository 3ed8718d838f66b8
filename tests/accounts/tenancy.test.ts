import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { confirmNews, getNews, loadAccount, loadUsage, saveUsage } from '../../src/accounts/limits';
import * as tenancy from '../../src/accounts/tenancy';
import { type Credential, DEFAULT_LIMITS, type KeyRecord } from '../../src/accounts/types';
import { newId } from '../../src/platform/ids';

const now = Date.UTC(2026, 10, 21);
const userId = newId('usr', now);
const hash = 'ab'.repeat(32);
const newAccount: tenancy.NewAccount = {
  userId,
  name: 'Acme',
  limits: DEFAULT_LIMITS,
  webhookSecret: 'whsec_first',
  createdAt: now,
};
const newKey = (changes: Partial<KeyRecord> = {}): KeyRecord => ({
  id: newId('key', now),
  name: 'ci',
  scopes: ['requests:read'],
  secretHash: hash,
  macVersion: 1,
  createdAt: now,
  revokedAt: null,
  ...changes,
});
const credentialOf = (key: KeyRecord): Credential => ({ userId, keyId: key.id, secretHash: hash });

type Rows = { sql: SqlStorage; now: number };

/** The tables of a real foreman that nobody has used yet. */
function inForeman(check: (rows: Rows) => void): Promise<void> {
  const stub = env.FOREMAN.get(env.FOREMAN.newUniqueId());
  return runInDurableObject(stub, (_, state) => {
    state.storage.transactionSync(() => check({ sql: state.storage.sql, now }));
  });
}

const inAccount = (check: (rows: Rows) => void) =>
  inForeman((rows) => {
    tenancy.createAccount(rows, newAccount);
    check(rows);
  });

describe('an account', () => {
  it('is kept with its secret, shown without it, and starts with a full bucket', () =>
    inForeman((rows) => {
      const { webhookSecret, ...shown } = { ...newAccount, version: 1 };
      expect(tenancy.createAccount(rows, newAccount)).toEqual(shown);
      expect(tenancy.getAccount(rows)).toEqual(shown);
      expect(loadAccount(rows.sql)).toEqual({ ...shown, webhookSecret });
      expect(loadUsage(rows.sql)).toMatchObject({ tokens: 100, refilledAt: now, unitsToday: 0 });
    }));

  it('that is created again stays as it is', () =>
    inAccount((rows) => {
      tenancy.changeLimits(rows, { burst: 5 });
      const again = tenancy.createAccount(rows, { ...newAccount, webhookSecret: 'whsec_second' });
      expect(again).toMatchObject({ limits: { burst: 5 }, version: 2 });
      expect(loadAccount(rows.sql)?.webhookSecret).toBe('whsec_first');
    }));

  it('changes only the limits that are named', () =>
    inAccount((rows) => {
      const changed = tenancy.changeLimits(rows, { monthly_budget_usd: 3, max_running: 0 });
      expect(changed?.limits).toEqual({ ...DEFAULT_LIMITS, monthly_budget_usd: 3, max_running: 0 });
    }));

  it('that does not exist is not made by asking for it', () =>
    inForeman((rows) => {
      const key = newKey();
      expect(tenancy.getAccount(rows)).toBeNull();
      expect(tenancy.changeLimits(rows, { burst: 1 })).toBeNull();
      expect(tenancy.addKey(rows, key)).toBeNull();
      expect(tenancy.revokeKey(rows, key.id)).toBeNull();
      expect(tenancy.listKeys(rows)).toBeNull();
      expect(tenancy.checkCredential(rows.sql, credentialOf(key), null).ok).toBe(false);
      expect(getNews(rows.sql)).toBeNull();
    }));
});

describe('a key', () => {
  it('is active from its creation to its revocation, which happens once', () =>
    inAccount((rows) => {
      const key = newKey();
      tenancy.addKey(rows, key);
      expect(tenancy.checkCredential(rows.sql, credentialOf(key), 'requests:read')).toEqual({
        ok: true,
        scopes: ['requests:read'],
        name: 'ci',
      });
      expect(tenancy.revokeKey({ ...rows, now: now + 1 }, key.id)?.revokedAt).toBe(now + 1);
      expect(tenancy.revokeKey({ ...rows, now: now + 2 }, key.id)?.revokedAt).toBe(now + 1);
      const refused = { ok: false, code: 'unauthorized' };
      expect(tenancy.checkCredential(rows.sql, credentialOf(key), null)).toEqual(refused);
      expect(tenancy.listKeys(rows)).toEqual([{ ...key, revokedAt: now + 1 }]);
    }));

  it('that is added again, after its revocation too, stays as it is', () =>
    inAccount((rows) => {
      const key = newKey();
      tenancy.addKey(rows, key);
      tenancy.revokeKey(rows, key.id);
      expect(tenancy.addKey(rows, key)?.revokedAt).toBe(now);
    }));

  it.each([
    ['another secret', { secretHash: 'cd'.repeat(32) }],
    ['a cut hash', { secretHash: hash.slice(2) }],
    ['no hash', { secretHash: '' }],
    ['another id', { keyId: newId('key', now) }],
  ])('with %s is unauthorized', (_, changes) =>
    inAccount((rows) => {
      const key = newKey();
      tenancy.addKey(rows, key);
      const credential = { ...credentialOf(key), ...changes };
      expect(tenancy.checkCredential(rows.sql, credential, null)).toEqual({
        ok: false,
        code: 'unauthorized',
      });
    }),
  );

  it('without the scope is forbidden', () =>
    inAccount((rows) => {
      const key = newKey();
      tenancy.addKey(rows, key);
      expect(tenancy.checkCredential(rows.sql, credentialOf(key), 'requests:write')).toEqual({
        ok: false,
        code: 'forbidden',
      });
    }));
});

describe('what a key may know of its account', () => {
  it('is the limits and their use today and this month', () =>
    inAccount((rows) => {
      const key = newKey();
      tenancy.addKey(rows, key);
      const usage = loadUsage(rows.sql);
      if (!usage) throw new Error('an account has usage');
      saveUsage(rows.sql, { ...usage, unitsToday: 4, spentMicros: 9, reservedMicros: 2 });
      const input = { credential: credentialOf(key), running: 1, waiting: 2 };
      expect(tenancy.describe(rows, input)).toEqual({
        account: tenancy.getAccount(rows),
        key: { id: key.id, name: 'ci', scopes: ['requests:read'] },
        usage: { running: 1, waiting: 2, unitsToday: 4, spentMicros: 9, reservedMicros: 2 },
      });
      const nextMonth = { ...rows, now: Date.UTC(2026, 11, 1) };
      expect(tenancy.describe(nextMonth, input)?.usage).toMatchObject({
        unitsToday: 0,
        spentMicros: 0,
      });
    }));

  it('is nothing without the scope to read', () =>
    inAccount((rows) => {
      const key = newKey({ scopes: ['requests:write'] });
      tenancy.addKey(rows, key);
      const input = { credential: credentialOf(key), running: 0, waiting: 0 };
      expect(tenancy.describe(rows, input)).toBeNull();
    }));
});

describe('news for D1', () => {
  it('is the account and the keys that changed, without secrets of webhooks', () =>
    inAccount((rows) => {
      const [first, second] = [newKey(), newKey()];
      tenancy.addKey(rows, first);
      const account = tenancy.getAccount(rows);
      expect(getNews(rows.sql)).toEqual({ account, keys: [first] });
      confirmNews(rows.sql, account?.version ?? 0);
      expect(getNews(rows.sql)).toBeNull();
      tenancy.addKey(rows, second);
      expect(getNews(rows.sql)?.keys).toEqual([second]);
      expect(JSON.stringify(getNews(rows.sql))).not.toContain('whsec_');
    }));

  it('of a change between pull and confirmation is not lost', () =>
    inAccount((rows) => {
      const key = newKey();
      tenancy.addKey(rows, key);
      const pulled = getNews(rows.sql);
      tenancy.revokeKey(rows, key.id);
      confirmNews(rows.sql, pulled?.account.version ?? 0);
      expect(getNews(rows.sql)?.keys).toEqual([{ ...key, revokedAt: now }]);
    }));

  it('is not confirmed by an old confirmation, nor by one of a version that never was', () =>
    inAccount((rows) => {
      const key = newKey();
      tenancy.addKey(rows, key);
      confirmNews(rows.sql, 99);
      expect(getNews(rows.sql)?.account.version).toBe(2);
      confirmNews(rows.sql, 2);
      confirmNews(rows.sql, 1);
      expect(getNews(rows.sql)).toBeNull();
    }));

  it('comes not from a change that changed nothing', () =>
    inAccount((rows) => {
      const key = newKey();
      tenancy.addKey(rows, key);
      tenancy.revokeKey(rows, key.id);
      confirmNews(rows.sql, 3);
      tenancy.addKey(rows, key);
      tenancy.revokeKey(rows, key.id);
      tenancy.createAccount(rows, newAccount);
      expect(getNews(rows.sql)).toBeNull();
    }));
});
