import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createImageForemen } from '../../src/foreman/outputs';
import { foremanFor } from '../../src/foreman/stub';
import { objectKeyOf } from '../../src/images/keys';
import { createOrphanStore } from '../../src/images/orphan-store';
import { type Foremen, findOrphans } from '../../src/images/orphans';
import { newId, type RequestId, type UserId } from '../../src/platform/ids';
import { createLogger } from '../../src/platform/log';
import { accepted, newTenant, type Tenant } from '../support/foreman';
import { outputOf, succeed } from '../support/reuse';
import { faults, guarded, resetFaults } from '../support/worker';
import { clearBuckets, clearRows, imageOf, indexRequest, putRows, rowIds } from './rows';
import { HOUR_MS } from './support';

const NOW = Date.now();
const OLD = NOW - 49 * HOUR_MS;
const LATER = NOW + 24 * HOUR_MS;
const nothing = { orphans: 0, restored: 0, lost: 0 };

let tenant: Tenant;
const lines: string[] = [];
const log = createLogger((line) => lines.push(line));
const foremen = createImageForemen((userId) => foremanFor(guarded(env), userId));

beforeEach(async () => {
  resetFaults();
  faults.generation = 'swallow';
  lines.length = 0;
  await clearBuckets();
  await clearRows();
  tenant = await newTenant();
});
afterEach(resetFaults);

function search(told: Foremen = foremen) {
  const store = createOrphanStore({ buckets: guarded(env), db: guarded(env).DB });
  return findOrphans({ store, foremen: told, log }, NOW);
}

const oldId = (at = OLD): RequestId => newId('req', at);
const keyOf = (requestId: RequestId, index = 0, attempt = 1) =>
  objectKeyOf({ requestId, attempt, index });

/** As a generation stores it, with a thumbnail and what is left of its way here. */
async function putImage(
  requestId: RequestId,
  of: { userId?: UserId | null; expiresAt?: number; bucket?: R2Bucket } = {},
): Promise<void> {
  const { userId = tenant.userId, expiresAt = LATER, bucket = env.IMAGES } = of;
  const customMetadata: Record<string, string> = { expires_at: String(expiresAt) };
  if (userId) customMetadata.user = userId;
  const key = keyOf(requestId);
  for (const suffix of ['', '.part', '@thumbnail']) {
    await bucket.put(`${key}${suffix}`, 'bytes', { customMetadata });
  }
}

async function keysOf(requestId: RequestId, bucket = env.IMAGES): Promise<string[]> {
  const prefix = `images/${requestId}/1/`;
  const { objects } = await bucket.list({ prefix });
  return objects.map(({ key }) => key.slice(prefix.length));
}

const rowOf = (requestId: RequestId, expiresAt = LATER) => imageOf(requestId, expiresAt);
const known = (id: RequestId, userId = tenant.userId) => ({ id, userId });

describe('an image without a row', () => {
  it('has it back when D1 knows that its request has it, and goes on as before', async () => {
    const id = oldId();
    await putImage(id);
    await indexRequest({ ...known(id), images: [rowOf(id)] });
    expect(await search()).toEqual({ ...nothing, restored: 1 });
    expect(await rowIds()).toEqual([rowOf(id).id]);
    expect(await keysOf(id)).toEqual(['0', '0@thumbnail']);
    const row = await env.DB.prepare('SELECT * FROM images').first();
    expect(row).toMatchObject({
      user_id: tenant.userId,
      request_id: id,
      object_key: keyOf(id),
      expires_at: LATER,
      model: 'auto',
    });
    expect(await search()).toEqual(nothing);
  });

  it('does not have it back when it is deleted while D1 is asked', async () => {
    const id = oldId();
    await putImage(id);
    await indexRequest({ ...known(id), images: [rowOf(id)] });
    const store = createOrphanStore({ buckets: env, db: env.DB });
    const getRequests: typeof store.getRequests = async (ids) => {
      await env.IMAGES.delete(keyOf(id));
      return store.getRequests(ids);
    };
    const found = await findOrphans({ store: { ...store, getRequests }, foremen, log }, NOW);
    expect([found, await rowIds()]).toEqual([nothing, []]);
  });

  it('has it back when its foreman knows, however long D1 has known of neither', async () => {
    const id = await accepted(tenant, { id: oldId() });
    await succeed(tenant, id);
    const [image] = outputOf(id).images as { id: string }[];
    await vi.waitFor(async () => expect(await rowIds()).toEqual([image?.id]));
    await clearRows();
    await putImage(id);
    expect(await search()).toEqual({ ...nothing, restored: 1 });
    await vi.waitFor(async () => expect(await rowIds()).toEqual([image?.id]));
    expect(await search()).toEqual(nothing);
  });

  const orphans: Record<string, (id: RequestId) => Promise<unknown>> = {
    'D1 has a tombstone': (id) => indexRequest({ ...known(id), status: 'deleted' }),
    'D1 has a request that failed': (id) => indexRequest({ ...known(id), status: 'failed' }),
    'D1 has an output without it': (id) => indexRequest(known(id)),
    'D1 is behind a foreman that ended it': async (id) => {
      faults.events = 'swallow';
      await accepted(tenant, { id });
      await tenant.foreman.cancel({ credential: tenant.credential, id });
      await indexRequest({ ...known(id), status: 'running' });
    },
    'D1 does not know what the foreman has deleted': async (id) => {
      Object.assign(faults, { events: 'swallow', r2: 'fail', only: ['list'] });
      await accepted(tenant, { id });
      await tenant.foreman.remove({ credential: tenant.credential, id, archived: null });
      faults.r2 = null;
    },
    'neither knows of such a request': async () => {},
  };
  it.each(Object.keys(orphans))('is deleted, with all beside it, where %s', async (name) => {
    const [id, fresh] = [oldId(), oldId(NOW - 47 * HOUR_MS)];
    await orphans[name]?.(id);
    await putImage(id);
    await putImage(fresh);
    expect(await search()).toEqual({ ...nothing, orphans: 1 });
    expect(await keysOf(id)).toEqual([]);
    expect(await keysOf(fresh)).toHaveLength(3);
    expect(lines.join()).toContain('image.orphan_deleted');
  });

  const doubtful: Record<string, (id: RequestId) => Promise<unknown>> = {
    'its foreman has the request live': (id) => accepted(tenant, { id }),
    'D1 shows it live and its foreman does not have it': (id) =>
      indexRequest({ ...known(id), status: 'queued' }),
  };
  it.each(Object.keys(doubtful))('is left where %s', async (name) => {
    const id = oldId();
    await doubtful[name]?.(id);
    await putImage(id);
    expect(await search()).toEqual(nothing);
    expect(await keysOf(id)).toContain('0');
  });

  it('is left where nobody can be asked, and to the sweep where it is past its time', async () => {
    const [nobodys, expired] = [oldId(), oldId()];
    await putImage(nobodys, { userId: null });
    await putImage(expired, { expiresAt: NOW });
    expect(await search()).toEqual(nothing);
    expect(await keysOf(nobodys)).toContain('0');
    expect(await keysOf(expired)).toContain('0');
  });

  it('is left when its request leaves for D1 in the middle of the question', async () => {
    const id = oldId();
    await putImage(id);
    const moving: Foremen = {
      ...foremen,
      async held() {
        await indexRequest({ ...known(id), images: [rowOf(id)] });
        return { status: 'absent', images: [] };
      },
    };
    expect(await search(moving)).toEqual({ ...nothing, restored: 1 });
    expect(await rowIds()).toEqual([rowOf(id).id]);
  });

  it('is left when so many are unknown that it must be D1 that is wrong', async () => {
    const ids = Array.from({ length: 51 }, () => oldId());
    await Promise.all(ids.map((id) => env.IMAGES.put(keyOf(id), '', metadata())));
    await expect(search()).rejects.toThrow('nobody knows the requests of 51 images');
    expect((await env.IMAGES.list()).objects).toHaveLength(51);
  });
});

const metadata = () => ({
  customMetadata: { user: tenant.userId, expires_at: String(LATER) },
});

describe('a row without its image', () => {
  it('goes, and is told as lost', async () => {
    const [lost, kept] = [oldId(), oldId()];
    await indexRequest({ ...known(lost), images: [rowOf(lost)] });
    await putImage(kept);
    await putRows([rowOf(lost), rowOf(kept)], tenant.userId);
    expect(await search()).toEqual({ ...nothing, lost: 1 });
    expect(await rowIds()).toEqual([rowOf(kept).id]);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      {
        level: 'error',
        event: 'image.lost',
        image_id: rowOf(lost).id,
        request_id: lost,
        user_id: tenant.userId,
      },
    ]);
  });

  it('goes in silence where nothing is left of its request', async () => {
    await putRows([rowOf(oldId())], tenant.userId);
    expect(await search()).toEqual(nothing);
    expect(await rowIds()).toEqual([]);
    expect(lines).toEqual([]);
  });

  it('stays while D1 has yet to hear that its request is deleted', async () => {
    const id = await accepted(tenant, { id: oldId() });
    await succeed(tenant, id);
    await vi.waitFor(async () => expect(await rowIds()).toHaveLength(1));
    faults.events = 'swallow';
    await tenant.foreman.remove({ credential: tenant.credential, id, archived: null });
    expect(await search()).toEqual(nothing);
    expect(await rowIds()).toHaveLength(1);
  });

  it('stays when it is young, or past its time and the sweep’s', async () => {
    const rows = [rowOf(oldId(NOW - 47 * HOUR_MS)), rowOf(oldId(), NOW)];
    await putRows(rows, tenant.userId);
    expect(await search()).toEqual(nothing);
    expect(await rowIds()).toHaveLength(2);
  });
});

describe('a variant', () => {
  it('goes when its image is not there, and stays when that lies before the place to go on', async () => {
    const [gone, there] = [oldId(), oldId()];
    await env.IMAGES.put(`${keyOf(gone)}@thumbnail`, '', metadata());
    await putImage(there);
    await putRows([rowOf(there)], tenant.userId);
    await search();
    expect(await keysOf(gone)).toEqual([]);
    await env.IMAGES.put('sweeps/orphans', keyOf(there));
    expect(await search()).toEqual(nothing);
    expect(await keysOf(there)).toEqual(['0', '0@thumbnail']);
  });
});

describe('an outage', () => {
  it.each(['d1', 'foreman', 'r2'] as const)(
    'of %s deletes nothing and is waited for',
    async (part) => {
      const [orphan, lost] = [oldId(), oldId()];
      await putImage(orphan);
      await indexRequest({ ...known(lost), images: [rowOf(lost)] });
      await putRows([rowOf(lost)], tenant.userId);
      faults[part] = 'fail';
      await expect(search()).rejects.toThrow();
      faults[part] = null;
      expect(await keysOf(orphan)).toContain('0');
      expect(await rowIds()).toHaveLength(1);
      expect(await env.IMAGES.head('sweeps/orphans')).toBeNull();
      expect(await search()).toEqual({ orphans: 1, restored: 0, lost: 1 });
    },
  );

  it('of one bucket keeps the other from nothing', async () => {
    const userId = newId('usr', OLD, 'e');
    const id = newId('req', OLD, 'e');
    await putImage(id, { userId, bucket: env.IMAGES_EU });
    await indexRequest({ id, userId, status: 'deleted' });
    const store = createOrphanStore({
      buckets: {
        ...env,
        IMAGES: new Proxy(env.IMAGES, {
          get: () => () => Promise.reject(new Error('down')),
        }),
      },
      db: env.DB,
    });
    await expect(findOrphans({ store, foremen, log }, NOW)).rejects.toThrow('down');
    expect(await keysOf(id, env.IMAGES_EU)).toEqual([]);
  });
});

it('a run judges so many, and the next goes on behind the last of them', async () => {
  const id = oldId();
  await indexRequest({ ...known(id), status: 'deleted' });
  const places = Array.from({ length: 65 }, (_, at) => keyOf(id, at % 10, 1 + Math.floor(at / 10)));
  await Promise.all(places.map((key) => env.IMAGES.put(key, '', metadata())));
  expect(await search()).toEqual({ ...nothing, orphans: 60 });
  expect(await (await env.IMAGES.get('sweeps/orphans'))?.text()).toBe(`${keyOf(id, 9, 6)}A`);
  expect(await search()).toEqual({ ...nothing, orphans: 5 });
  expect(await env.IMAGES.head('sweeps/orphans')).toBeNull();
});

it('a key that is not made here is left alone', async () => {
  const keys = ['images/req_0/1/0', `images/${oldId()}/0/0`, `images/${oldId()}/manifest`];
  for (const key of keys) await env.IMAGES.put(key, '', metadata());
  expect(await search()).toEqual(nothing);
  expect((await env.IMAGES.list()).objects).toHaveLength(keys.length);
});
