import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { objectKeyOf } from '../../src/images/keys';
import { deleteObjects, listObjectKeys } from '../../src/images/store';
import { newId } from '../../src/platform/ids';
import {
  anna,
  boris,
  bucketWith,
  HOUR_MS,
  heldImage,
  images,
  imagesOn,
  maker,
  NOW,
  storeImage,
  storeImages,
} from './support';

const asked = { ifNoneMatch: null, ifModifiedSince: null, range: null, ifRange: null };
const open = (id: string, viewer: typeof anna | null, now = NOW) =>
  images.open({ id, viewer, asked, headOnly: false, now });

describe('a stored image', () => {
  it('comes back byte by byte, with what was found out about it', async () => {
    const { image, requestId } = await storeImage();
    expect(image).toMatchObject({
      width: 64,
      height: 48,
      mediaType: 'image/png',
      bytes: 100,
      seed: 7,
      ...maker,
      createdAt: NOW,
      expiresAt: NOW + HOUR_MS,
    });
    const opened = await open(image.id, anna);
    expect(opened.facts).toMatchObject({ ...image, requestId, userId: anna });
    if (opened.answer !== 'whole') throw new Error(opened.answer);
    const bytes = new Uint8Array(await new Response(opened.body).arrayBuffer());
    expect(bytes).toEqual(heldImage().bytes);
    const digest = await crypto.subtle.digest('SHA-256', bytes);
    expect(image.sha256).toBe(Buffer.from(digest).toString('hex'));
  });

  it('lies where its id says, and an attempt keeps its images in order', async () => {
    const three = [heldImage(80), heldImage(90, null), heldImage(100)];
    const { requestId, stored } = await storeImages({ images: three, attempt: 2 });
    expect(stored.map((image) => [image.bytes, image.seed])).toEqual([
      [80, 7],
      [90, null],
      [100, 7],
    ]);
    const keys = [0, 1, 2].map((index) => objectKeyOf({ requestId, attempt: 2, index }));
    expect(await listObjectKeys(env.IMAGES, requestId)).toEqual(keys);
    const described = await images.describe({ id: stored[1]?.id ?? '', viewer: anna, now: NOW });
    expect(described.seed).toBeNull();
  });

  it('is found by its owner and behind a verified link, by nobody else', async () => {
    const { image } = await storeImage();
    await expect(open(image.id, boris)).rejects.toMatchObject({ code: 'not_found' });
    const asking = { id: image.id, viewer: boris, now: NOW };
    await expect(images.describe(asking)).rejects.toMatchObject({ code: 'not_found' });
    expect((await open(image.id, null)).facts.id).toBe(image.id);
  });

  it('is not found from the millisecond it expires in', async () => {
    const { image } = await storeImage();
    expect((await open(image.id, anna, image.expiresAt - 1)).answer).toBe('whole');
    for (const viewer of [anna, null]) {
      await expect(open(image.id, viewer, image.expiresAt)).rejects.toMatchObject({
        code: 'not_found',
      });
    }
  });

  it('gives up its images beyond the tenth, for which an id has no room', async () => {
    const many = Array.from({ length: 11 }, () => heldImage(60));
    expect((await storeImages({ images: many })).stored).toHaveLength(10);
  });
});

describe('while R2 fails', () => {
  const attempt = {
    attempt: 1,
    userId: anna,
    maker,
    images: [heldImage()],
    retentionMs: HOUR_MS,
    now: NOW,
    signal: new AbortController().signal,
  };

  function failing(times: number) {
    const waits: number[] = [];
    let failures = 0;
    const bucket = bucketWith({
      put: (async (key: string, value: Uint8Array, options?: R2PutOptions) => {
        if (failures < times) {
          failures += 1;
          throw new Error('put: we encountered an internal error (10001)');
        }
        return env.IMAGES.put(key, value, options);
      }) as R2Bucket['put'],
    });
    const service = imagesOn(bucket, async (ms) => {
      waits.push(ms);
    });
    return { service, waits };
  }

  it('a put is tried again, later each time, until it works', async () => {
    const { service, waits } = failing(3);
    const requestId = newId('req', NOW);
    const stored = await service.store({ ...attempt, requestId });
    expect(waits).toEqual([200, 400, 800]);
    if (stored.outcome !== 'stored') throw new Error(stored.outcome);
    expect((await open(stored.images[0]?.id ?? '', anna)).answer).toBe('whole');
  });

  it('a put is given up after about eight minutes', async () => {
    const { service, waits } = failing(Number.POSITIVE_INFINITY);
    expect(await service.store({ ...attempt, requestId: newId('req', NOW) })).toEqual({
      outcome: 'given_up',
    });
    const total = waits.reduce((sum, ms) => sum + ms, 0);
    expect(total).toBeGreaterThan(420_000);
    expect(total).toBeLessThan(500_000);
  });

  it('the end of the lease ends the tries, in the middle of a wait too', async () => {
    const lease = new AbortController();
    const { bucket } = { bucket: bucketWith({ put: () => Promise.reject(new Error('down')) }) };
    const service = imagesOn(bucket, () => {
      lease.abort();
      return new Promise(() => {});
    });
    const stored = service.store({
      ...attempt,
      requestId: newId('req', NOW),
      signal: lease.signal,
    });
    expect(await stored).toEqual({ outcome: 'given_up' });
  });

  it('a put that hangs ends with the lease', async () => {
    const lease = new AbortController();
    const service = imagesOn(
      bucketWith({
        put: () => {
          lease.abort();
          return new Promise(() => {});
        },
      }),
    );
    const input = { ...attempt, requestId: newId('req', NOW), signal: lease.signal };
    expect(await service.store(input)).toEqual({ outcome: 'given_up' });
  });

  it('an attempt that could store only some of its images is given up, and removed by its caller', async () => {
    const requestId = newId('req', NOW);
    const lost = objectKeyOf({ requestId, attempt: 1, index: 1 });
    const service = imagesOn(
      bucketWith({
        put: (async (key: string, value: Uint8Array, options?: R2PutOptions) => {
          if (key === lost) throw new Error('down');
          return env.IMAGES.put(key, value, options);
        }) as R2Bucket['put'],
      }),
      async () => {},
    );
    const two = [heldImage(), heldImage()];
    expect(await service.store({ ...attempt, requestId, images: two })).toEqual({
      outcome: 'given_up',
    });
    await service.removeAttempt({ requestId, attempt: 1, count: 2 });
    expect(await listObjectKeys(env.IMAGES, requestId)).toEqual([]);
  });

  it('reading says unavailable, not that there is nothing', async () => {
    const { image } = await storeImage();
    const down = () => Promise.reject(new Error('down'));
    const service = imagesOn(bucketWith({ get: down, head: down }));
    const asking = { id: image.id, viewer: anna, now: NOW };
    await expect(service.describe(asking)).rejects.toMatchObject({ code: 'unavailable' });
    const opening = service.open({ ...asking, asked, headOnly: false });
    await expect(opening).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('removing an attempt throws nothing', async () => {
    const { requestId } = await storeImages();
    const service = imagesOn(bucketWith({ delete: () => Promise.reject(new Error('down')) }));
    await service.removeAttempt({ requestId, attempt: 1, count: 1 });
    expect(await listObjectKeys(env.IMAGES, requestId)).toHaveLength(1);
  });
});

describe('removing', () => {
  it('a stale attempt leaves the images of the current one', async () => {
    const requestId = newId('req', NOW);
    await storeImages({ requestId, attempt: 1, images: [heldImage(), heldImage()] });
    const current = await storeImage({ requestId, attempt: 2 });
    await images.removeAttempt({ requestId, attempt: 1, count: 2 });
    await images.removeAttempt({ requestId, attempt: 1, count: 2 });
    const key = objectKeyOf({ requestId, attempt: 2, index: 0 });
    expect(await listObjectKeys(env.IMAGES, requestId)).toEqual([key]);
    expect((await open(current.image.id, anna)).answer).toBe('whole');
  });

  it('a request removes every object of it, and of no other', async () => {
    const mine = await storeImages({ images: [heldImage(), heldImage()] });
    await storeImages({ requestId: mine.requestId, attempt: 10 });
    const other = await storeImages();
    await deleteObjects(env.IMAGES, await listObjectKeys(env.IMAGES, mine.requestId));
    expect(await listObjectKeys(env.IMAGES, mine.requestId)).toEqual([]);
    expect(await listObjectKeys(env.IMAGES, other.requestId)).toHaveLength(1);
  });

  it('no keys asks R2 for nothing', async () => {
    await deleteObjects({ delete: () => Promise.reject(new Error('called')) }, []);
  });

  it('keys go in calls of a thousand at most', async () => {
    const calls: number[] = [];
    const bucket = {
      delete: async (keys: string | string[]) => {
        calls.push(keys.length);
        await env.IMAGES.delete(keys);
      },
    };
    await deleteObjects(
      bucket,
      Array.from({ length: 2_001 }, (_, index) => `images/none/${index}`),
    );
    expect(calls).toEqual([1_000, 1_000, 1]);
  });
});
