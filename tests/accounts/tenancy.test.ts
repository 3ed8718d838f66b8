import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { getAudit } from '../../src/accounts/audit/rows';
import * as keyRing from '../../src/accounts/keys/ring';
import { confirmNews, getNews, loadAccount, loadUsage, saveUsage } from '../../src/accounts/limits';
import { describe as describeMe } from '../../src/accounts/me/view';
import * as tenancy from '../../src/accounts/tenancy';
import { type Credential, DEFAULT_LIMITS, type KeyRecord } from '../../src/accounts/types';
import { newId } from '../../src/platform/ids';
import { by } from '../support/foreman';

const now = Date.UTC(2026, 10, 21);
const userId = newId('usr', now);
const hash = 'ab'.repeat(32);
const newAccount: tenancy.NewAccount = {
  userId,
  name: 'Acme',
  externalId: null,
  region: null,
  status: 'active',
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
  expiresAt: null,
  revokedAt: null,
  lastUsedAt: null,
  replaces: null,
  ...changes,
});
const credentialOf = (key: KeyRecord): Credential => ({
  via: 'key',
  userId,
  from: by.from,
  keyId: key.id,
  secretHash: hash,
});

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
    tenancy.createAccount(rows, newAccount, by);
    check(rows);
  });

describe('an account', () => {
  it('is kept with its secret, shown without it, and starts with a full bucket', () =>
    inForeman((rows) => {
      const { webhookSecret, ...shown } = { ...newAccount, version: 1 };
      expect(tenancy.createAccount(rows, newAccount, by)).toEqual({ account: shown, made: true });
      expect(tenancy.getAccount(rows)).toEqual(shown);
      expect(loadAccount(rows.sql)).toEqual({
        ...{ ...shown, webhookSecret },
        webhookSecretRotation: null,
      });
      expect(loadUsage(rows.sql)).toMatchObject({ tokens: 100, refilledAt: now, unitsToday: 0 });
    }));

  it('that is created again stays as it is', () =>
    inAccount((rows) => {
      tenancy.changeAccount(rows, { limits: { burst: 5 } }, by);
      const account = { limits: { burst: 5 }, version: 2 };
      const another = { ...newAccount, webhookSecret: 'whsec_second' };
      expect(tenancy.createAccount(rows, another, by)).toMatchObject({ account, made: false });
      // The same call, whose answer got lost.
      expect(tenancy.createAccount(rows, newAccount, by)).toMatchObject({ account, made: true });
      expect(loadAccount(rows.sql)?.webhookSecret).toBe('whsec_first');
    }));

  it('changes only the limits that are named', () =>
    inAccount((rows) => {
      const changed = tenancy.changeAccount(
        rows,
        { limits: { monthly_budget_usd: 3, max_running: 0 } },
        by,
      );
      expect(changed?.limits).toEqual({ ...DEFAULT_LIMITS, monthly_budget_usd: 3, max_running: 0 });
    }));

  it('is suspended and resumed, each time once', () =>
    inAccount((rows) => {
      for (const status of ['suspended', 'suspended', 'active', 'active'] as const) {
        expect(tenancy.changeStatus(rows, status, by)?.status).toBe(status);
      }
      expect(loadAccount(rows.sql)).toMatchObject({ ...newAccount, version: 3 });
      const actions = getAudit(rows.sql, 10).map(({ action }) => action);
      expect(actions.sort()).toEqual(['user.created', 'user.resumed', 'user.suspended']);
    }));

  it('that is being deleted is neither suspended, resumed nor changed, and gets no key', () =>
    inForeman((rows) => {
      const leaving = { ...newAccount, status: 'deleting' as const };
      tenancy.createAccount(rows, leaving, by);
      for (const status of ['suspended', 'active'] as const) {
        expect(tenancy.changeStatus(rows, status, by)?.status).toBe('deleting');
      }
      const changes = { name: 'Acme 2', limits: { burst: 5 } };
      expect(tenancy.changeAccount(rows, changes, by)).toMatchObject({ name: 'Acme', version: 1 });
      expect(keyRing.addKey(rows, newKey(), by)).toEqual({ outcome: 'deleting' });
      expect(loadAccount(rows.sql)).toMatchObject(leaving);
      expect(getAudit(rows.sql, 10)).toHaveLength(1);
    }));

  it('has on record which limits were changed, from what, to what and by whom', () =>
    inAccount((rows) => {
      const limits = { burst: 5, max_running: DEFAULT_LIMITS.max_running };
      tenancy.changeAccount(rows, { name: 'Acme 2', limits }, by);
      tenancy.changeAccount(rows, { name: 'Acme 2', limits }, by);
      const [change, ...more] = getAudit(rows.sql, 10).filter(
        ({ action }) => action === 'user.changed',
      );
      expect(more).toEqual([]);
      expect(change).toMatchObject({ userId, actor: by.actor, ...by.from });
      expect(change?.details).toEqual({
        name: 'changed',
        burst: { from: 100, to: 5 },
      });
    }));

  it('leaves no name on record, which outlives whoever has it', () =>
    inForeman((rows) => {
      const named = { ...newAccount, name: 'Ada', externalId: 'https://issuer.test|ada' };
      tenancy.createAccount(rows, named, by);
      tenancy.changeAccount(rows, { name: 'Ada Lovelace' }, by);
      const events = getAudit(rows.sql, 10);
      expect(events).toHaveLength(2);
      expect(JSON.stringify(events)).not.toMatch(/ada/i);
    }));

  it('that does not exist is not made by asking for it', () =>
    inForeman((rows) => {
      const key = newKey();
      expect(tenancy.getAccount(rows)).toBeNull();
      expect(tenancy.changeAccount(rows, { limits: { burst: 1 } }, by)).toBeNull();
      expect(tenancy.changeStatus(rows, 'suspended', by)).toBeNull();
      expect(keyRing.addKey(rows, key, by)).toBeNull();
      expect(keyRing.revokeKey(rows, key.id, by)).toBeNull();
      expect(keyRing.listKeys(rows)).toBeNull();
      expect(keyRing.checkCredential(rows, credentialOf(key), null).ok).toBe(false);
      expect(getNews(rows.sql)).toBeNull();
    }));
});

describe('a key', () => {
  it('is active from its creation to its revocation, which happens once', () =>
    inAccount((rows) => {
      const key = newKey();
      keyRing.addKey(rows, key, by);
      expect(keyRing.checkCredential(rows, credentialOf(key), 'requests:read')).toEqual({
        ok: true,
        scopes: ['requests:read'],
        name: 'ci',
        until: null,
      });
      expect(keyRing.revokeKey({ ...rows, now: now + 1 }, key.id, by)?.revokedAt).toBe(now + 1);
      expect(keyRing.revokeKey({ ...rows, now: now + 2 }, key.id, by)?.revokedAt).toBe(now + 1);
      const refused = { ok: false, code: 'unauthorized' };
      expect(keyRing.checkCredential(rows, credentialOf(key), null)).toEqual(refused);
      expect(keyRing.listKeys(rows)).toEqual([{ ...key, revokedAt: now + 1 }]);
    }));

  it('that is added again, after its revocation too, stays as it is', () =>
    inAccount((rows) => {
      const key = newKey();
      keyRing.addKey(rows, key, by);
      keyRing.revokeKey(rows, key.id, by);
      expect(keyRing.addKey(rows, key, by)).toMatchObject({ revokedAt: now });
    }));

  it.each([
    ['another secret', { secretHash: 'cd'.repeat(32) }],
    ['a cut hash', { secretHash: hash.slice(2) }],
    ['no hash', { secretHash: '' }],
    ['another id', { keyId: newId('key', now) }],
  ])('with %s is unauthorized', (_, changes) =>
    inAccount((rows) => {
      const key = newKey();
      keyRing.addKey(rows, key, by);
      const credential = { ...credentialOf(key), ...changes };
      expect(keyRing.checkCredential(rows, credential, null)).toEqual({
        ok: false,
        code: 'unauthorized',
      });
    }),
  );

  it('opens nothing while its account is suspended, and the same as before when it is resumed', () =>
    inAccount((rows) => {
      const key = newKey();
      keyRing.addKey(rows, key, by);
      const check = (asked: Credential) => keyRing.checkCredential(rows, asked, 'requests:read');
      const before = check(credentialOf(key));
      tenancy.changeStatus(rows, 'suspended', by);
      expect(check(credentialOf(key))).toEqual({ ok: false, code: 'account_suspended' });
      // Whoever holds no key learns nothing of the account.
      const stranger = { ...credentialOf(key), secretHash: 'cd'.repeat(32) } as Credential;
      expect(check(stranger)).toEqual({ ok: false, code: 'unauthorized' });
      tenancy.changeStatus(rows, 'active', by);
      expect(check(credentialOf(key))).toEqual(before);
    }));

  it('without the scope is forbidden', () =>
    inAccount((rows) => {
      const key = newKey();
      keyRing.addKey(rows, key, by);
      expect(keyRing.checkCredential(rows, credentialOf(key), 'requests:write')).toEqual({
        ok: false,
        code: 'forbidden',
      });
    }));
});

describe('what a key may know of its account', () => {
  it('is the limits and their use today and this month', () =>
    inAccount((rows) => {
      const key = newKey();
      keyRing.addKey(rows, key, by);
      const usage = loadUsage(rows.sql);
      if (!usage) throw new Error('an account has usage');
      saveUsage(rows.sql, { ...usage, unitsToday: 4, spentMicros: 9, reservedMicros: 2 });
      const grant = { name: 'ci', scopes: ['requests:read'], until: null } as const;
      const input = { credential: credentialOf(key), grant, running: 1, waiting: 2 };
      expect(describeMe(rows, input)).toMatchObject({
        account: { userId, name: 'Acme', limits: DEFAULT_LIMITS },
        key: { id: key.id, name: 'ci', scopes: ['requests:read'] },
        usage: { running: 1, waiting: 2, unitsToday: 4, spentMicros: 9, reservedMicros: 2 },
      });
      const nextMonth = { ...rows, now: Date.UTC(2026, 11, 1) };
      expect(describeMe(nextMonth, input)?.usage).toMatchObject({
        unitsToday: 0,
        spentMicros: 0,
      });
    }));
});

describe('news for D1', () => {
  it('is the account and the keys that changed, without secrets of webhooks', () =>
    inAccount((rows) => {
      const [first, second] = [newKey(), newKey()];
      keyRing.addKey(rows, first, by);
      const account = tenancy.getAccount(rows);
      expect(getNews(rows.sql)).toEqual({ account, keys: [first] });
      confirmNews(rows.sql, account?.version ?? 0);
      expect(getNews(rows.sql)).toBeNull();
      keyRing.addKey(rows, second, by);
      expect(getNews(rows.sql)?.keys).toEqual([second]);
      expect(JSON.stringify(getNews(rows.sql))).not.toContain('whsec_');
    }));

  it('of a change between pull and confirmation is not lost', () =>
    inAccount((rows) => {
      const key = newKey();
      keyRing.addKey(rows, key, by);
      const pulled = getNews(rows.sql);
      keyRing.revokeKey(rows, key.id, by);
      confirmNews(rows.sql, pulled?.account.version ?? 0);
      expect(getNews(rows.sql)?.keys).toEqual([{ ...key, revokedAt: now }]);
    }));

  it('is not confirmed by an old confirmation, nor by one of a version that never was', () =>
    inAccount((rows) => {
      const key = newKey();
      keyRing.addKey(rows, key, by);
      confirmNews(rows.sql, 99);
      expect(getNews(rows.sql)?.account.version).toBe(2);
      confirmNews(rows.sql, 2);
      confirmNews(rows.sql, 1);
      expect(getNews(rows.sql)).toBeNull();
    }));

  it('comes not from a change that changed nothing', () =>
    inAccount((rows) => {
      const key = newKey();
      keyRing.addKey(rows, key, by);
      keyRing.revokeKey(rows, key.id, by);
      confirmNews(rows.sql, 3);
      keyRing.addKey(rows, key, by);
      keyRing.revokeKey(rows, key.id, by);
      tenancy.createAccount(rows, newAccount, by);
      expect(getNews(rows.sql)).toBeNull();
    }));
});
