import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fetchForeman } from '../../src/foreman/stub';
import { watchRequest } from '../../src/foreman/watch';
import type { RequestId } from '../../src/platform/ids';
import { MAX_PREVIEW_BYTES, type Preview } from '../../src/requests/types';
import { watchSocket } from '../../src/requests/watcher';
import { accepted, by, newTenant, type Tenant } from '../support/foreman';
import { success } from '../support/states';
import { faults, resetFaults } from '../support/worker';

// Messages are lost here: a request is claimed and settled by its test alone.
beforeEach(() => {
  Object.assign(faults, { generation: 'swallow', webhooks: 'swallow', events: 'swallow' });
});
afterEach(() => {
  resetFaults();
  vi.restoreAllMocks();
});

async function claimed(tenant: Tenant) {
  const request = await accepted(tenant);
  const answer = await tenant.foreman.claim({ request, release: 1, token: 't', verdicts: {} });
  expect(answer.verdict).toBe('run');
  return request;
}

/** One that holds a line as the service does: what it was shown, and how the request stands. */
async function listen({ userId, credential }: Tenant, id: RequestId, previews = true) {
  const asked = { credential, id, previews };
  const answer = await fetchForeman(env, userId, () => watchRequest(asked));
  if (!answer.webSocket) throw new Error(`expected a socket: ${answer.status}`);
  const shown: Preview[] = [];
  const watch = watchSocket(
    answer.webSocket,
    () => {},
    (preview) => shown.push(preview),
  );
  const statusOf = (next: Awaited<ReturnType<typeof watch.next>>) =>
    next === null || next === 'timeout' ? next : next.state.status;
  return { shown, next: async () => statusOf(await watch.next(5_000)) };
}

const picture = (index: number, bytes = new Uint8Array([index, 0, 255])): Preview => ({
  ...{ attempt: 1, index, mediaType: 'image/webp', bytes },
});

/** All that is stored, and when the object wakes by itself. */
const storedIn = ({ stub }: Tenant) =>
  runInDurableObject(stub, async (_, { storage }) => {
    const tables = storage.sql
      .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'")
      .toArray();
    const rows = tables
      .filter(({ name }) => !name.startsWith('_cf'))
      .map(({ name }) => [name, storage.sql.exec(`SELECT * FROM "${name}"`).toArray()]);
    return { rows, alarm: await storage.getAlarm() };
  });

describe('a preview', () => {
  it('is shown as it came to all who asked for it, before the end, and is stored nowhere', async () => {
    const tenant = await newTenant();
    const { foreman } = tenant;
    const request = await claimed(tenant);
    const other = await accepted(tenant);
    const looking = [await listen(tenant, request), await listen(tenant, request)];
    const [unasked, elsewhere] = [
      await listen(tenant, request, false),
      await listen(tenant, other),
    ];
    for (const { next } of [...looking, unasked]) expect(await next()).toBe('running');
    const before = await storedIn(tenant);
    for (const index of [0, 1]) await foreman.preview({ request, token: 't', ...picture(index) });
    expect(await storedIn(tenant)).toEqual(before);
    const of = { request, token: 't', attempt: 1, nextToken: null, verdicts: {} };
    await foreman.settle({ ...of, result: success });
    for (const { next, shown } of looking) {
      expect(await next()).toBe('succeeded');
      expect(shown).toEqual([picture(0), picture(1)]);
    }
    expect([await unasked.next(), unasked.shown]).toEqual(['succeeded', []]);
    expect([await elsewhere.next(), elsewhere.shown]).toEqual(['queued', []]);
  });

  it('is shown by an object that slept, and held its lease as ever', async () => {
    const tenant = await newTenant();
    const request = await claimed(tenant);
    const { shown } = await listen(tenant, request);
    await evictDurableObject(tenant.stub);
    await tenant.foreman.preview({ request, token: 't', ...picture(0) });
    await expect.poll(() => shown).toEqual([picture(0)]);
  });

  it('may be as large as any, and no larger', async () => {
    const tenant = await newTenant();
    const request = await claimed(tenant);
    const { shown } = await listen(tenant, request);
    const preview = (index: number, size: number) => {
      const bytes = new Uint8Array(size).fill(index);
      return tenant.foreman.preview({ request, token: 't', ...picture(index, bytes) });
    };
    await preview(1, MAX_PREVIEW_BYTES + 1);
    await preview(2, MAX_PREVIEW_BYTES);
    await expect.poll(() => shown.length).toBe(1);
    expect(shown[0]?.index).toBe(2);
    expect(shown[0]?.bytes.byteLength).toBe(MAX_PREVIEW_BYTES);
  });

  it('is nobody’s when its attempt is not the one under way', async () => {
    const tenant = await newTenant();
    const { foreman } = tenant;
    const request = await claimed(tenant);
    const { shown, next } = await listen(tenant, request);
    expect(await next()).toBe('running');
    await foreman.preview({ request, token: 'another', ...picture(0) });
    const of = { request, token: 't', attempt: 1, nextToken: null, verdicts: {} };
    await foreman.settle({ ...of, result: success });
    await foreman.preview({ request, token: 't', ...picture(1) });
    expect(await next()).toBe('succeeded');
    // Whatever was sent before this is there once this is.
    const later = await claimed(tenant);
    const other = await listen(tenant, later);
    await foreman.preview({ request: later, token: 't', ...picture(2) });
    await expect.poll(() => other.shown).toHaveLength(1);
    expect(shown).toEqual([]);
  });

  it('is not for one whose credential has ended meanwhile, who is sent away', async () => {
    const tenant = await newTenant();
    const { foreman, credential } = tenant;
    const request = await claimed(tenant);
    const { shown, next } = await listen(tenant, request);
    expect(await next()).toBe('running');
    await foreman.revokeKey({ id: credential.keyId, by });
    await foreman.preview({ request, token: 't', ...picture(0) });
    expect(await next()).toBeNull();
    expect(shown).toEqual([]);
  });
});
