import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { AuditEvent } from '../../../src/accounts/audit/event';
import { getAudit } from '../../../src/accounts/audit/rows';
import * as keyRing from '../../../src/accounts/keys/ring';
import {
  confirmNews,
  findKey,
  getNews,
  loadAccount,
  saveAccount,
} from '../../../src/accounts/limits';
import type { Account, KeyId, KeyRecord } from '../../../src/accounts/types';
import { newId } from '../../../src/platform/ids';
import { by, inForeman, newTenant, stateOf, submitTo, type Tenant } from '../../support/foreman';
import { faults } from '../../support/worker';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** A morning, so that some hours are still the same day. */
const morning = Date.UTC(2030, 0, 7, 8);

// The projector would take the news away that the tests look at; what is submitted need not be made.
beforeAll(() => {
  Object.assign(faults, { events: 'swallow', generation: 'swallow' });
});

const successorAt = (createdAt: number): keyRing.Rotation['successor'] => ({
  id: newId('key', createdAt),
  secretHash: 'cd'.repeat(32),
  macVersion: 2,
  createdAt,
  expiresAt: null,
  revokedAt: null,
  lastUsedAt: null,
});

/** What `work` leaves behind: the key, the account's version, what is on record and news of keys. */
const kept = (tenant: Tenant, work: (sql: SqlStorage) => unknown = () => {}) =>
  inForeman(tenant, (sql) => {
    work(sql);
    return {
      key: findKey(sql, tenant.credential.keyId) as KeyRecord,
      version: loadAccount(sql)?.version ?? 0,
      audit: getAudit(sql, 100),
      news: getNews(sql)?.keys.map(({ id }) => id) ?? [],
    };
  });
const ofAction = (events: readonly AuditEvent[], action: string) =>
  events.filter((event) => event.action === action);

const use = (tenant: Tenant, now: number) =>
  kept(tenant, (sql) => {
    if (keyRing.isUseNoted({ sql, now }, tenant.credential)) return;
    keyRing.noteUse({ sql, now }, tenant.credential);
  });
const check = (tenant: Tenant, now: number, keyId: KeyId = tenant.credential.keyId, hash = 'ab') =>
  inForeman(tenant, (sql) => {
    const credential = { ...tenant.credential, keyId, secretHash: hash.repeat(32) };
    const answer = keyRing.checkCredential({ sql, now }, credential, 'requests:read');
    return answer.ok ? 'ok' : answer.code;
  });
const rotate = (
  tenant: Tenant,
  now: number,
  input: Partial<keyRing.Rotation> = {},
): Promise<keyRing.RotateAnswer | null> =>
  inForeman(tenant, (sql) => {
    const { keyId: id } = tenant.credential;
    const usual = { overlapMs: DAY_MS, keepsExpiry: true };
    const rotation = { id, successor: successorAt(now), ...usual, ...input };
    return keyRing.rotateKey({ sql, now }, rotation, by);
  });

describe('the use of a key', () => {
  it('for the first time is put on record with where it came from, and told to D1', async () => {
    const tenant = await newTenant();
    const before = await kept(tenant, (sql) => confirmNews(sql, 2));
    expect(before).toMatchObject({ key: { lastUsedAt: null }, version: 2, news: [] });

    const used = await use(tenant, morning);
    const { keyId } = tenant.credential;
    expect(used).toMatchObject({ key: { lastUsedAt: morning }, version: 3, news: [keyId] });
    expect(ofAction(used.audit, 'key.first_used')).toMatchObject([
      { actor: { type: 'key', id: keyId }, target: keyId, userId: tenant.userId, ...by.from },
    ]);
  });

  it('is written once in ten minutes, and told to D1 once a day', async () => {
    const tenant = await newTenant();
    await use(tenant, morning);
    const confirm = (sql: SqlStorage) => confirmNews(sql, loadAccount(sql)?.version ?? 0);
    await kept(tenant, confirm);
    const midnight = morning + 16 * 3_600_000;
    const steps: [now: number, lastUsedAt: number, version: number][] = [
      [morning + 10 * MINUTE_MS - 1, morning, 3],
      [morning + 10 * MINUTE_MS, morning + 10 * MINUTE_MS, 3],
      [morning - DAY_MS, morning + 10 * MINUTE_MS, 3],
      [midnight - 5 * MINUTE_MS, midnight - 5 * MINUTE_MS, 3],
      // A new day, and the last note is not ten minutes old.
      [midnight + MINUTE_MS, midnight - 5 * MINUTE_MS, 3],
      [midnight + 5 * MINUTE_MS, midnight + 5 * MINUTE_MS, 4],
      [midnight + 5 * MINUTE_MS, midnight + 5 * MINUTE_MS, 4],
      [midnight + 3 * DAY_MS, midnight + 3 * DAY_MS, 5],
    ];
    for (const [now, lastUsedAt, version] of steps) {
      const { news, ...used } = await use(tenant, now);
      expect(used).toMatchObject({ key: { lastUsedAt }, version });
      expect(news).toHaveLength(version > 4 ? 1 : version - 3);
      expect(ofAction(used.audit, 'key.first_used')).toHaveLength(1);
    }
  });

  it('is noted by whatever the key opens, and by nothing that it does not', async () => {
    const tenant = await newTenant();
    const { foreman, credential } = tenant;
    await foreman.authorize({ ...credential, secretHash: 'cd'.repeat(32) });
    await foreman.me({ credential: { ...credential, keyId: newId('key', 0) } });
    expect((await kept(tenant)).key.lastUsedAt).toBeNull();

    await foreman.authorize(credential);
    const { key, version } = await kept(tenant);
    expect(Math.abs((key.lastUsedAt ?? 0) - Date.now())).toBeLessThan(MINUTE_MS);
    await Promise.all([
      foreman.me({ credential }),
      submitTo(tenant),
      foreman.authorize(credential),
    ]);
    expect(await kept(tenant)).toMatchObject({ key, version });
  });

  it('that cannot be written down does not keep the key from reading', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const tenant = await newTenant();
    const blocked = `CREATE TRIGGER full BEFORE UPDATE ON api_keys BEGIN SELECT raise(ABORT, 'full'); END`;
    await inForeman(tenant, (sql) => sql.exec(blocked) && null);
    const { version } = await kept(tenant);
    const me = await tenant.foreman.me(tenant);
    expect(me).toMatchObject({ account: { userId: tenant.userId } });
    const answer = await submitTo(tenant);
    if (answer.outcome !== 'accepted') throw new Error(answer.outcome);
    expect((await stateOf(tenant, answer.state.id)).id).toBe(answer.state.id);

    const unnoted = await kept(tenant);
    expect(unnoted).toMatchObject({ key: { lastUsedAt: null }, version });
    expect(ofAction(unnoted.audit, 'key.first_used')).toEqual([]);
    expect(warn.mock.calls.join()).toContain('foreman.use_not_noted');
    warn.mockRestore();
  });
});

describe('a key that expires', () => {
  it('is good until then and refused from then on', async () => {
    const tenant = await newTenant();
    const id = newId('key', 1);
    const record: KeyRecord = {
      ...{ ...successorAt(morning), id, expiresAt: morning + 1_000 },
      ...{ name: 'short', scopes: ['requests:read'], replaces: null },
    };
    await tenant.foreman.addKey({ key: record, by });
    expect(await check(tenant, morning + 999, id, 'cd')).toBe('ok');
    expect(await check(tenant, morning + 1_000, id, 'cd')).toBe('unauthorized');
  });
});

describe('the rotation of a key', () => {
  it('makes one of the same name and scopes, and both are good until the overlap is over', async () => {
    const tenant = await newTenant();
    const answer = await rotate(tenant, morning);
    if (answer?.outcome !== 'rotated') throw new Error('expected a new key');
    const { key: old, audit, news } = await kept(tenant);
    const { name, scopes } = old;
    expect(answer.key).toMatchObject({ name, scopes, replaces: old.id, expiresAt: null });
    expect(old.expiresAt).toBe(morning + DAY_MS);
    expect(news).toEqual([old.id, answer.key.id].sort());
    expect(ofAction(audit, 'key.rotated')).toMatchObject([
      { target: old.id, details: { replaced_by: answer.key.id }, actor: by.actor },
    ]);
    const checks = (now: number) =>
      Promise.all([check(tenant, now), check(tenant, now, answer.key.id, 'cd')]);
    expect(await checks(morning + DAY_MS - 1)).toEqual(['ok', 'ok']);
    expect(await checks(morning + DAY_MS)).toEqual(['unauthorized', 'ok']);
  });

  it.each([
    ['ends at once without an overlap', 0, null, 0],
    ['ends with the overlap', 5_000, 9_000, 5_000],
    ['ends when it would have without one', 9_000, 5_000, 5_000],
  ])('leaves the old key, which %s', async (_, overlapMs, life, expected) => {
    const tenant = await newTenant();
    const first = { ...successorAt(morning), expiresAt: life === null ? null : morning + life };
    await rotate(tenant, morning, { successor: first, keepsExpiry: false });
    await rotate(tenant, morning, { id: first.id, overlapMs });
    const left = await inForeman(tenant, (sql) => findKey(sql, first.id)?.expiresAt);
    expect(left).toBe(morning + expected);
  });

  it('called again finds its work done, also when the old key has ended since', async () => {
    const tenant = await newTenant();
    const successor = successorAt(morning);
    const made = await rotate(tenant, morning, { successor, overlapMs: 0 });
    const before = await kept(tenant);
    expect(await rotate(tenant, morning + 5, { successor, overlapMs: 0 })).toEqual(made);
    expect(await kept(tenant)).toEqual(before);
  });

  it('is refused for a key that has ended or has a successor, and changes nothing', async () => {
    const tenant = await newTenant();
    const successor = successorAt(morning);
    await rotate(tenant, morning, { successor });
    const before = await kept(tenant);
    expect(await rotate(tenant, morning + 1)).toEqual({ outcome: 'replaced', by: successor.id });
    expect(await rotate(tenant, morning + DAY_MS)).toEqual({ outcome: 'expired' });
    expect(await kept(tenant)).toEqual(before);
    await tenant.foreman.revokeKey({ id: successor.id, by });
    expect(await rotate(tenant, morning, { id: successor.id })).toEqual({ outcome: 'revoked' });
    expect(await rotate(tenant, morning, { id: newId('key', 0) })).toBeNull();
  });
});

it('an account that is going for good gets no more keys, and has none left to revoke', async () => {
  const tenant = await newTenant();
  const status: Account['status'] = 'deleting';
  await inForeman(tenant, (sql) => {
    const account = loadAccount(sql);
    if (account) saveAccount(sql, { ...account, status });
  });
  const before = await tenant.foreman.listKeys();
  expect(before).toHaveLength(1);
  expect(await rotate(tenant, morning)).toEqual({ outcome: 'deleting' });
  const key = { ...successorAt(morning), name: 'late', scopes: [], replaces: null };
  expect(await tenant.foreman.addKey({ key, by })).toEqual({ outcome: 'deleting' });
  const [known] = before ?? [];
  expect(known && (await tenant.foreman.revokeKey({ id: known.id, by }))).toEqual(known);
  expect(await tenant.foreman.listKeys()).toEqual(before);
});
