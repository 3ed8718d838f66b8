import { evictDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Credential, TokenCredential } from '../../src/accounts/types';
import { fetchForeman } from '../../src/foreman/stub';
import { type WatchMessage, watchRequest } from '../../src/foreman/watch';
import { newId, type RequestId } from '../../src/platform/ids';
import { accepted, by, inForeman, newTenant, type Tenant } from '../support/foreman';
import { faults, resetFaults } from '../support/worker';

// Messages are lost here: a request changes only when a test changes it.
beforeEach(() => {
  Object.assign(faults, { generation: 'swallow', webhooks: 'swallow' });
});
afterEach(() => {
  resetFaults();
  vi.restoreAllMocks();
});

/** The statuses that a watcher is told of; `closed` once the foreman has ended it. */
async function watch({ userId }: Tenant, credential: Credential, id: RequestId) {
  const answer = await fetchForeman(env, userId, () => watchRequest({ credential, id }));
  const heard: string[] = [];
  answer.webSocket?.addEventListener('message', ({ data }) => {
    heard.push((JSON.parse(String(data)) as WatchMessage).state.status);
  });
  answer.webSocket?.addEventListener('close', () => {
    heard.push('closed');
  });
  answer.webSocket?.accept();
  return { status: answer.status, heard };
}

const tokenOf = ({ userId }: Tenant, fields: Partial<TokenCredential> = {}): TokenCredential => ({
  ...{ via: 'token', userId, from: by.from, issuer: 'https://login.test/', subject: 'ada' },
  ...{ scopes: ['requests:read'], expiresAt: Date.now() + 600_000 },
  ...fields,
});

const rotate = async ({ foreman, credential: { keyId: id } }: Tenant) => {
  const now = Date.now();
  const secret = { secretHash: 'cd'.repeat(32), macVersion: 1, expiresAt: null };
  const fresh = { createdAt: now, revokedAt: null, lastUsedAt: null };
  const successor = { id: newId('key', now), ...secret, ...fresh };
  await foreman.rotateKey({ rotation: { id, successor, overlapMs: 0, keepsExpiry: true }, by });
};

describe('a watcher', () => {
  it('hears of what changes, also from an object that slept meanwhile', async () => {
    const tenant = await newTenant();
    const id = await accepted(tenant);
    const { heard } = await watch(tenant, tenant.credential, id);
    await evictDurableObject(tenant.stub);
    await tenant.foreman.cancel({ credential: tenant.credential, id });
    await expect.poll(() => heard).toEqual(['queued', 'canceled']);
  });

  it.each([
    ['letters of other scripts', 'Ада 🎨'],
    ['as many of them as there may be', '艾'.repeat(255)],
    ['what headers and JSON escape', '"\\ %41'],
  ])('may be signed in with a subject of %s', async (_, subject) => {
    const tenant = await newTenant();
    const id = await accepted(tenant);
    const credential = tokenOf(tenant, { subject });
    for (const [, value] of watchRequest({ credential, id }).headers) {
      expect(value).toMatch(/^[\x20-\x7e]*$/);
    }
    const { heard } = await watch(tenant, credential, id);
    await tenant.foreman.cancel({ credential: tenant.credential, id });
    await expect.poll(() => heard).toEqual(['queued', 'canceled']);
  });

  it('of what is not there is told so', async () => {
    const tenant = await newTenant();
    expect(await watch(tenant, tenant.credential, newId('req', 0))).toMatchObject({ status: 404 });
  });
});

describe('a watcher whose credential has ended meanwhile', () => {
  const ends: Record<string, (tenant: Tenant) => Promise<void>> = {
    'key has expired': async (tenant) => {
      await inForeman(tenant, (sql) =>
        sql.exec("UPDATE api_keys SET state = json_set(state, '$.expiresAt', 1)").toArray(),
      );
    },
    'key was replaced at once': rotate,
  };

  it.each(Object.entries(ends))('is sent away, not told: its %s', async (_, end) => {
    const tenant = await newTenant();
    const id = await accepted(tenant);
    const other = tokenOf(tenant, { scopes: ['requests:read', 'requests:write'] });
    const [gone, stays] = [
      await watch(tenant, tenant.credential, id),
      await watch(tenant, other, id),
    ];
    await end(tenant);
    await tenant.foreman.cancel({ credential: other, id });
    await expect.poll(() => gone.heard).toEqual(['queued', 'closed']);
    await expect.poll(() => stays.heard).toEqual(['queued', 'canceled']);
  });

  it('is sent away, not told: its token has expired', async () => {
    const tenant = await newTenant();
    const id = await accepted(tenant);
    const token = tokenOf(tenant, { expiresAt: Date.now() + 60_000 });
    const { heard } = await watch(tenant, token, id);
    vi.spyOn(Date, 'now').mockReturnValue(token.expiresAt);
    await tenant.foreman.cancel({ credential: tenant.credential, id });
    await expect.poll(() => heard).toEqual(['queued', 'closed']);
  });
});
