import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import migration from '../../migrations/0008_extend_images.sql?raw';
import { createImageIndex } from '../../src/images/index-store';
import { imageIdOf, objectKeyOf } from '../../src/images/keys';
import { createImageList, type ImageList, imageListQuerySchema } from '../../src/images/listing';
import { imageStatements } from '../../src/images/store';
import type { StoredImage } from '../../src/images/types';
import { newId, type RequestId, type UserId } from '../../src/platform/ids';
import { settle } from '../../src/requests/lifecycle';
import { upsertStatement } from '../../src/requests/store';
import type { RequestState } from '../../src/requests/types';
import { running, success } from '../support/states';
import { faults, guarded, resetFaults } from '../support/worker';
import { HOUR_MS, images, maker, NOW, pngOf } from './support';

const bindings = guarded(env);
const list = createImageList(createImageIndex({ db: bindings.DB, buckets: bindings }));

type Query = Record<string, string | undefined>;
const page = (userId: UserId, query: Query = {}, now = NOW) =>
  list.list({ userId, query: imageListQuerySchema.parse(query), now });

/** Every page of a list, page after page. */
async function pages(userId: UserId, query: Query): Promise<string[][]> {
  const found: string[][] = [];
  let cursor: string | undefined;
  do {
    const { images: items, nextCursor }: Awaited<ReturnType<ImageList['list']>> = await page(
      userId,
      { ...query, cursor },
    );
    found.push(items.map(({ id }) => id));
    cursor = nextCursor ?? undefined;
  } while (cursor !== undefined && found.length < 20);
  return found;
}

const imageOf = (requestId: RequestId, index: number, fields: Partial<StoredImage> = {}) => ({
  id: imageIdOf({ requestId, attempt: 1, index }),
  width: 64,
  height: 48,
  mediaType: 'image/png',
  bytes: 100,
  sha256: 'ab'.repeat(32),
  seed: null,
  ...maker,
  createdAt: NOW,
  expiresAt: NOW + HOUR_MS,
  ...fields,
});

async function index(userId: UserId, requestId: RequestId, stored: readonly StoredImage[]) {
  const news = { userId, requestId, version: 3, images: stored, isRevised: false };
  await env.DB.batch(imageStatements(env.DB, news));
}

/** Seven images of three requests; those of one request are of the same millisecond. */
async function gallery() {
  const userId = newId('usr', NOW);
  const ids: string[] = [];
  const requestIds: RequestId[] = [];
  for (const [n, count] of [3, 3, 1].entries()) {
    const requestId = newId('req', NOW - n * 1_000);
    const fields = {
      createdAt: NOW - n * 1_000,
      mediaType: n === 1 ? 'image/webp' : 'image/png',
      model: n === 2 ? 'flux-schnell' : 'auto',
    };
    const stored = Array.from({ length: count }, (_, i) => imageOf(requestId, i, fields));
    await index(userId, requestId, stored);
    ids.push(...stored.map(({ id }) => id).reverse());
    requestIds.push(requestId);
  }
  return { userId, ids, requestIds };
}

describe('the list of what requests made', () => {
  it.each(['1', '2', '3', '7', '100'])(
    'has each image once, %s a page, either way',
    async (limit) => {
      const { userId, ids } = await gallery();
      const newest = await pages(userId, { limit });
      expect(newest.flat()).toEqual(ids);
      expect(newest.every((each) => each.length <= Number(limit))).toBe(true);
      const oldest = await pages(userId, { limit, sort_direction: 'asc' });
      expect(oldest.flat()).toEqual(ids.toReversed());
    },
  );

  it('is filtered by request, model, type and time, alone and together', async () => {
    const { userId, ids, requestIds } = await gallery();
    const found = async (query: Query) => (await page(userId, query)).images.map(({ id }) => id);
    const time = (ms: number) => new Date(ms).toISOString();
    expect(await found({ request_id: requestIds[1] })).toEqual(ids.slice(3, 6));
    expect(await found({ model: 'flux-schnell' })).toEqual(ids.slice(6));
    expect(await found({ media_type: 'image/webp' })).toEqual(ids.slice(3, 6));
    expect(await found({ created_after: time(NOW - 1_000) })).toEqual(ids.slice(0, 3));
    expect(await found({ created_before: time(NOW - 1_000) })).toEqual(ids.slice(6));
    expect(await found({ media_type: 'image/png', model: 'auto' })).toEqual(ids.slice(0, 3));
    expect(await found({ request_id: newId('req', NOW) })).toEqual([]);
  });

  it('has nothing of anybody else, whatever is asked for', async () => {
    const { requestIds, ids, userId } = await gallery();
    const other = newId('usr', NOW);
    expect((await page(other)).images).toEqual([]);
    expect((await page(other, { request_id: requestIds[0] })).images).toEqual([]);
    const { nextCursor } = await page(userId, { limit: '1' });
    expect((await page(other, { cursor: nextCursor ?? '' })).images).toEqual([]);
    expect(ids).toHaveLength(7);
  });

  it('has nothing that is past its time, though it is still there', async () => {
    const { userId } = await gallery();
    expect((await page(userId, {}, NOW + HOUR_MS - 1)).images).toHaveLength(7);
    expect((await page(userId, {}, NOW + HOUR_MS)).images).toEqual([]);
  });

  it.each([
    ['a cursor of another order', { sort_direction: 'asc' }],
    ['a cursor of uploads', { source: 'upload' }],
  ])('refuses %s', async (_, query) => {
    const { userId } = await gallery();
    const { nextCursor } = await page(userId, { limit: '1' });
    await expect(page(userId, { ...query, cursor: nextCursor ?? '' })).rejects.toMatchObject({
      code: 'invalid_request',
      details: { errors: [{ path: 'cursor' }] },
    });
  });

  it.each([
    ['request_id', 'req_1'],
    ['media_type', 'text/html'],
    ['created_after', 'yesterday'],
    ['colour', 'red'],
  ])('takes no %s like %s', (name, value) => {
    expect(imageListQuerySchema.safeParse({ [name]: value }).success).toBe(false);
  });

  it('answers that it is away, and when to ask again, while D1 is down', async () => {
    faults.d1 = 'fail';
    const asked = page(newId('usr', NOW));
    await expect(asked).rejects.toMatchObject({
      code: 'unavailable',
      details: { retryAfterMs: 5_000 },
    });
    resetFaults();
  });
});

describe('the list of uploads', () => {
  async function uploads(count: number) {
    const userId = newId('usr', NOW);
    const kept = await Promise.all(
      Array.from({ length: count }, (_, n) => {
        const bytes = pngOf(100 + n, n);
        const image = { body: new Blob([bytes]).stream(), length: bytes.length };
        return images.keepUpload({ userId, image, now: NOW + n });
      }),
    );
    const all = kept.flatMap((one) => (one.outcome === 'kept' ? [one.image] : []));
    return { userId, ids: all.map(({ id }) => id).sort() };
  }

  it('has each once, and neither parts of some nor copies of them', async () => {
    const { userId, ids } = await uploads(5);
    const prefix = `uploads/${userId}/`;
    await env.IMAGES.put(`${prefix}${crypto.randomUUID()}.part`, 'on its way');
    for (const id of ids) {
      const sha256 = id.slice(-64);
      await env.IMAGES.put(`${objectKeyOf({ userId, sha256 })}@w64.webp`, 'smaller');
    }
    for (const limit of ['1', '2', '5']) {
      expect((await pages(userId, { source: 'upload', limit })).flat()).toEqual(ids);
    }
    const [first] = (await page(userId, { source: 'upload' })).images;
    expect(first).toMatchObject({ model: null, provider: null, providerModel: null, width: 64 });
    expect((await page(newId('usr', NOW), { source: 'upload' })).images).toEqual([]);
    const after = { source: 'upload', created_after: new Date(NOW + 2).toISOString() };
    expect((await page(userId, after)).images).toHaveLength(2);
    expect((await page(userId, { source: 'upload' }, NOW + HOUR_MS + 10)).images).toEqual([]);
  });

  it.each(['sort_direction', 'request_id', 'model'])('knows no %s', async (name) => {
    const values: Query = { sort_direction: 'asc', request_id: newId('req', NOW), model: 'auto' };
    await expect(
      page(newId('usr', NOW), { source: 'upload', [name]: values[name] }),
    ).rejects.toMatchObject({ code: 'invalid_request', details: { errors: [{ path: name }] } });
  });
});

describe('images of earlier versions', () => {
  const old = ({ model, provider, providerModel, ...image }: StoredImage) => image;

  it('that D1 has are told what made them by their requests', async () => {
    const userId = newId('usr', NOW);
    const id = newId('req', NOW);
    const stored = imageOf(id, 0, { id: imageIdOf({ requestId: id, attempt: 1, index: 0 }) });
    const started = running('token-1', { id, userId, model: 'auto' });
    const result = { ...success, output: { images: [old(stored)] } };
    const state = settle(
      started,
      {
        token: 'token-1',
        result,
        nextToken: null,
        decide: () => ({ next: 'check', targets: [], sole: false }),
      },
      NOW,
    ) as RequestState;
    await upsertStatement(env.DB, state).run();
    await index(userId, id, [{ ...stored, model: null, provider: null, providerModel: null }]);
    for (const statement of migration.slice(migration.indexOf('UPDATE images')).split(/;\s*$/m)) {
      if (statement.trim() !== '') await env.DB.prepare(statement).run();
    }
    expect((await page(userId)).images).toMatchObject([
      { id: stored.id, model: 'auto', provider: 'openai', providerModel: 'gpt-image-1' },
    ]);
  });

  it('that R2 has are served without it', async () => {
    const userId = newId('usr', NOW);
    const place = { requestId: newId('req', NOW), attempt: 1, index: 0 };
    await env.IMAGES.put(objectKeyOf(place), pngOf(100), {
      httpMetadata: { contentType: 'image/png' },
      customMetadata: { user: userId, sha256: 'ab'.repeat(32), width: '64', height: '48' },
    });
    const facts = await images.describe({ id: imageIdOf(place), viewer: userId, now: NOW });
    expect(facts).toMatchObject({ model: null, provider: null, providerModel: null });
  });
});
