import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { getBeside } from '../../src/images/beside';
import { objectKeyOf } from '../../src/images/keys';
import {
  deleteImageStatements,
  imageStatements,
  listObjectKeys,
  type SweptBucket,
} from '../../src/images/store';
import { sweepAll } from '../../src/images/sweep';
import type { StoredImage } from '../../src/images/types';
import { newId, type RequestId } from '../../src/platform/ids';
import { clearBuckets, clearRows, imageOf, indexRequest, putRows, rowIds } from './rows';
import {
  anna,
  boris,
  bucketWith,
  HOUR_MS,
  heldImage,
  images,
  imagesOn,
  NOW,
  storeImages,
} from './support';

const LATER = NOW + HOUR_MS;

beforeEach(async () => {
  await clearBuckets();
  await clearRows();
});

/** As the projector does: the request, and its images behind it. */
async function index(requestId: RequestId, stored: readonly StoredImage[]) {
  await indexRequest({ id: requestId, images: stored });
  await env.DB.batch(statementsOf(requestId, stored));
}

function statementsOf(requestId: RequestId, images: readonly StoredImage[]) {
  const news = { userId: anna, requestId, version: 1, images, isRevised: false };
  return imageStatements(env.DB, news);
}

it('sweeps what is past its time and nothing else; a second run finds nothing', async () => {
  const old = await storeImages({ images: [heldImage(), heldImage()] });
  const fresh = await storeImages({ retentionMs: HOUR_MS + 1 });
  await index(old.requestId, old.stored);
  await index(fresh.requestId, fresh.stored);

  expect(await images.sweepExpired({ now: LATER - 1 })).toBe(0);
  expect(await images.sweepExpired({ now: LATER })).toBe(2);
  expect(await listObjectKeys(env.IMAGES, old.requestId)).toEqual([]);
  expect(await listObjectKeys(env.IMAGES, fresh.requestId)).toHaveLength(1);
  expect(await rowIds()).toEqual(fresh.stored.map((image) => image.id));
  expect(await images.sweepExpired({ now: LATER })).toBe(0);
});

it('sweeps objects that no row knows of: their process died before the settle', async () => {
  const orphan = await storeImages();
  const fresh = await storeImages({ retentionMs: HOUR_MS + 1 });
  expect(await images.sweepExpired({ now: LATER })).toBe(1);
  expect(await listObjectKeys(env.IMAGES, orphan.requestId)).toEqual([]);
  expect(await listObjectKeys(env.IMAGES, fresh.requestId)).toHaveLength(1);
});

it('keeps the rows of objects that R2 would not delete, for the next run', async () => {
  const { requestId, stored } = await storeImages();
  await index(requestId, stored);
  const broken = imagesOn(bucketWith({ delete: () => Promise.reject(new Error('down')) }));
  await expect(broken.sweepExpired({ now: LATER })).rejects.toThrow('down');
  expect(await rowIds()).toHaveLength(1);
  expect(await images.sweepExpired({ now: LATER })).toBe(1);
  expect(await rowIds()).toEqual([]);
});

describe('each of two buckets', () => {
  const european = { userId: newId('usr', NOW, 'e') };
  const inEurope = () => ({ ...european, requestId: newId('req', NOW, 'e') });

  it('is swept of what is past its time, with a row and without one', async () => {
    const [indexed, orphan] = [await storeImages(inEurope()), await storeImages(inEurope())];
    const fresh = await storeImages({ ...inEurope(), retentionMs: HOUR_MS + 1 });
    await storeImages();
    await index(indexed.requestId, indexed.stored);
    expect(await images.sweepExpired({ now: LATER })).toBe(3);
    for (const { requestId } of [indexed, orphan]) {
      expect(await listObjectKeys(env.IMAGES_EU, requestId)).toEqual([]);
    }
    expect(await listObjectKeys(env.IMAGES_EU, fresh.requestId)).toHaveLength(1);
    expect(await rowIds()).toEqual([]);
  });

  it('is swept while the other fails, with its rows, however many of the other’s are due', async () => {
    const [here, there] = [await storeImages(), await storeImages(inEurope())];
    const many = Array.from({ length: 501 }, () => imageOf());
    await index(here.requestId, here.stored);
    await putRows(many);
    await index(there.requestId, there.stored);
    const broken = imagesOn(bucketWith({ delete: () => Promise.reject(new Error('down')) }));
    await expect(broken.sweepExpired({ now: LATER })).rejects.toThrow('down');
    expect(await listObjectKeys(env.IMAGES, here.requestId)).toHaveLength(1);
    expect(await listObjectKeys(env.IMAGES_EU, there.requestId)).toEqual([]);
    expect(await rowIds()).toEqual([...many, ...here.stored].map(({ id }) => id).sort());
  });

  it('remembers for itself how far the sweep of its uploads has come', async () => {
    const late = { now: NOW + 27 * HOUR_MS };
    await env.IMAGES.put('sweeps/uploads', `uploads/${boris}/0`);
    await env.IMAGES_EU.put('sweeps/uploads', `uploads/${european.userId}/0`);
    const put = (bucket: R2Bucket, key: string) =>
      bucket.put(key, '', { customMetadata: { expires_at: String(NOW) } });
    await put(env.IMAGES, `uploads/${boris}/1`);
    await put(env.IMAGES_EU, `uploads/${european.userId}/1`);
    expect(await images.sweepExpired(late)).toBe(2);
    expect(await env.IMAGES.head('sweeps/uploads')).toBeNull();
    expect(await env.IMAGES_EU.head('sweeps/uploads')).toBeNull();
  });
});

it('one run gets through 10,000 images and the next goes on', async () => {
  await putRows(Array.from({ length: 10_050 }, () => imageOf()));
  expect(await images.sweepExpired({ now: LATER })).toBe(10_000);
  expect(await rowIds()).toHaveLength(50);
  expect(await images.sweepExpired({ now: LATER })).toBe(50);
});

it('one run looks for what lies beside images 1,000 times at the most', async () => {
  let looks = 0;
  const rows = Array.from({ length: 500 }, (_, n) => ({ id: `img_${n}`, key: `images/${n}` }));
  const bucket: SweptBucket = {
    getExpiredRows: async () => rows,
    async getBeside(asked) {
      const used = Math.min(300, asked.looks);
      looks += used;
      return { beside: [], complete: used, looks: used };
    },
    getExpired: async () => ({ keys: [], next: null }),
    getPosition: async () => null,
    setPosition: async () => {},
    deleteKeys: async () => {},
  };
  const swept = await sweepAll({ buckets: [bucket], deleteRows: async () => {} }, LATER);
  expect([looks, swept]).toEqual([1_000, 1_000]);
});

describe('what lies beside an image', () => {
  const put = (key: string, expiresAt: number) =>
    env.IMAGES.put(key, '', { customMetadata: { expires_at: String(expiresAt) } });

  it('goes with it, whatever it says of its own time, and leaves what is beside others', async () => {
    const old = await storeImages({ images: [heldImage(), heldImage()] });
    const fresh = await storeImages({
      requestId: old.requestId,
      attempt: 2,
      retentionMs: 2 * HOUR_MS,
    });
    await index(old.requestId, old.stored);
    const keyOf = (attempt: number, index: number) =>
      objectKeyOf({ requestId: old.requestId, attempt, index });
    for (const key of [keyOf(1, 0), keyOf(1, 1), keyOf(2, 0)]) {
      await put(`${key}@thumbnail`, NOW + 2 * HOUR_MS);
      await put(`${key}.part`, NOW + 2 * HOUR_MS);
    }
    expect(fresh.stored).toHaveLength(1);
    expect(await images.sweepExpired({ now: LATER })).toBe(2);
    expect(await listObjectKeys(env.IMAGES, old.requestId)).toEqual([
      keyOf(2, 0),
      `${keyOf(2, 0)}.part`,
      `${keyOf(2, 0)}@thumbnail`,
    ]);
  });

  it('is no image of its own, with no row and past its time', async () => {
    const { requestId } = await storeImages();
    const key = objectKeyOf({ requestId, attempt: 1, index: 0 });
    await put(`${key}@thumbnail`, LATER);
    expect(await images.sweepExpired({ now: LATER })).toBe(1);
    expect(await listObjectKeys(env.IMAGES, requestId)).toEqual([]);
  });

  it('is found in as few looks as it takes, and only as far as looks reach', async () => {
    const keys = ['1', '2', '4', '7'].map((name) => `images/req_0${name.repeat(26)}/1/0`);
    const beside = keys.flatMap((key) => [`${key}.part`, `${key}@a`, `${key}@b`]);
    for (const key of [...keys, ...beside]) await env.IMAGES.put(key, '');
    let lists = 0;
    const pages = {
      list: (options?: R2ListOptions) => {
        lists += 1;
        return env.IMAGES.list({ ...options, limit: 4 });
      },
    };
    const all = await getBeside(pages, { keys, looks: 100 });
    expect({ ...all, beside: all.beside.sort() }).toEqual({ beside, complete: 4, looks: lists });
    const some = await getBeside(pages, { keys, looks: 2 });
    expect(some).toMatchObject({ complete: 2, looks: 2 });
    expect(await getBeside(env.IMAGES, { keys, looks: 100 })).toMatchObject({
      complete: 4,
      looks: 1,
    });
  });
});

it('an image that outlasts those before it keeps no other from being swept', async () => {
  const many = Array.from(
    { length: 1_001 },
    (_, at) => `images/${newId('req', NOW - 2_000 + at)}/1/0`,
  );
  const metadata = { customMetadata: { expires_at: String(LATER + 1) } };
  await Promise.all(many.map((key) => env.IMAGES.put(key, '', metadata)));
  const orphan = await storeImages();
  expect(await images.sweepExpired({ now: LATER })).toBe(1);
  expect(await listObjectKeys(env.IMAGES, orphan.requestId)).toEqual([]);
});

it('the index takes the same news twice', async () => {
  const { requestId, stored } = await storeImages({ images: [heldImage(), heldImage()] });
  await index(requestId, stored);
  await index(requestId, stored);
  expect(await rowIds()).toHaveLength(2);
  const row = await env.DB.prepare('SELECT * FROM images WHERE id = ?').bind(stored[0]?.id).first();
  expect(row).toMatchObject({
    user_id: anna,
    request_id: requestId,
    object_key: objectKeyOf({ requestId, attempt: 1, index: 0 }),
    sha256: stored[0]?.sha256,
    seed: 7,
    expires_at: LATER,
  });
});

it('news of a request that come after its tombstone bring no row back', async () => {
  const { requestId, stored } = await storeImages();
  await index(requestId, stored);
  await indexRequest({ id: requestId, status: 'deleted' });
  await env.DB.batch(deleteImageStatements(env.DB, { userId: anna, requestId }));
  expect(await rowIds()).toEqual([]);
  await env.DB.batch(statementsOf(requestId, stored));
  expect(await rowIds()).toEqual([]);
});

it('the rows of a request are deleted for its own user only', async () => {
  const { requestId, stored } = await storeImages();
  await index(requestId, stored);
  await env.DB.batch(deleteImageStatements(env.DB, { userId: boris, requestId }));
  expect(await rowIds()).toHaveLength(1);
});
