import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { imageIdOf, objectKeyOf } from '../../src/images/keys';
import { deleteImageStatements, imageStatements, listObjectKeys } from '../../src/images/store';
import type { StoredImage } from '../../src/images/types';
import { newId, type RequestId } from '../../src/platform/ids';
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
  for (const bucket of [env.IMAGES, env.IMAGES_EU]) {
    const { objects } = await bucket.list();
    await bucket.delete(objects.map((object) => object.key));
  }
  await env.DB.batch([
    env.DB.prepare('DELETE FROM images'),
    env.DB.prepare('DELETE FROM requests'),
  ]);
});

async function index(requestId: RequestId, stored: readonly StoredImage[]) {
  const statements = imageStatements(env.DB, { userId: anna, requestId, images: stored });
  await env.DB.batch(statements);
}

async function rows(): Promise<string[]> {
  const { results } = await env.DB.prepare('SELECT id FROM images ORDER BY id').all<{
    id: string;
  }>();
  return results.map((row) => row.id);
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
  expect(await rows()).toEqual(fresh.stored.map((image) => image.id));
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
  expect(await rows()).toHaveLength(1);
  expect(await images.sweepExpired({ now: LATER })).toBe(1);
  expect(await rows()).toEqual([]);
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
    expect(await rows()).toEqual([]);
  });

  it('is swept while the other fails, with its rows, however many of the other’s are due', async () => {
    const [here, there] = [await storeImages(), await storeImages(inEurope())];
    const many = Array.from({ length: 1_001 }, () => {
      const id = imageIdOf({ requestId: newId('req', NOW), attempt: 1, index: 0 });
      return here.stored.map((image) => ({ ...image, id, expiresAt: NOW }));
    }).flat();
    await index(here.requestId, many);
    await index(there.requestId, there.stored);
    const broken = imagesOn(bucketWith({ delete: () => Promise.reject(new Error('down')) }));
    await expect(broken.sweepExpired({ now: LATER })).rejects.toThrow('down');
    expect(await listObjectKeys(env.IMAGES, here.requestId)).toHaveLength(1);
    expect(await listObjectKeys(env.IMAGES_EU, there.requestId)).toEqual([]);
    expect(await rows()).toEqual(many.map(({ id }) => id).sort());
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

it('one run is bounded and the next goes on', async () => {
  const requestId = newId('req', NOW);
  const { stored } = await storeImages();
  const many = Array.from({ length: 1_050 }, () => {
    const id = imageIdOf({ requestId: newId('req', NOW), attempt: 1, index: 0 });
    return stored.map((image) => ({ ...image, id }));
  }).flat();
  await index(requestId, many);
  await images.sweepExpired({ now: LATER });
  expect(await rows()).toHaveLength(50);
  await images.sweepExpired({ now: LATER });
  expect(await rows()).toEqual([]);
});

it('the index takes the same news twice', async () => {
  const { requestId, stored } = await storeImages({ images: [heldImage(), heldImage()] });
  await index(requestId, stored);
  await index(requestId, stored);
  expect(await rows()).toHaveLength(2);
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
  const tombstone = env.DB.prepare(
    `INSERT INTO requests (id, user_id, kind, status, model, created_at, updated_at, deadline_at,
       cost_micros, version, metadata, state)
     VALUES (?, ?, '', 'deleted', '', 0, 0, 0, 0, 5, '{}', '{}')`,
  ).bind(requestId, anna);
  await env.DB.batch([tombstone, ...deleteImageStatements(env.DB, { userId: anna, requestId })]);
  expect(await rows()).toEqual([]);
  await index(requestId, stored);
  expect(await rows()).toEqual([]);
});

it('the rows of a request are deleted for its own user only', async () => {
  const { requestId, stored } = await storeImages();
  await index(requestId, stored);
  await env.DB.batch(deleteImageStatements(env.DB, { userId: boris, requestId }));
  expect(await rows()).toHaveLength(1);
});
