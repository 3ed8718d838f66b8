import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { imageIdOf, objectKeyOf, uploadPartKeyOf } from '../../src/images/keys';
import { MAX_IMAGE_BYTES } from '../../src/images/types';
import { MAX_UNSIZED_UPLOAD_BYTES } from '../../src/images/uploads';
import { newId } from '../../src/platform/ids';
import { deletedKeys, faults, guarded, resetFaults } from '../support/worker';
import { anna, bodyOf, boris, HOUR_MS, images, imagesOn, NOW, pngOf, sized } from './support';

const MB = 1024 * 1024;
const DAY_MS = 24 * HOUR_MS;
const sha256Of = async (bytes: Uint8Array) =>
  Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex');
const uploadKeys = async () => {
  const { objects } = await env.IMAGES.list({ prefix: 'uploads/' });
  return objects.map(({ key }) => key);
};
const keep = (
  bytes: Uint8Array,
  input: { userId?: typeof anna; now?: number; service?: typeof images } = {},
) =>
  (input.service ?? images).keepUpload({
    userId: input.userId ?? anna,
    image: sized(bytes),
    now: input.now ?? NOW,
  });
const kept = async (...input: Parameters<typeof keep>) => {
  const upload = await keep(...input);
  if (upload.outcome !== 'kept') throw new Error(upload.reason);
  return upload;
};

beforeEach(async () => {
  resetFaults();
  const { objects } = await env.IMAGES.list();
  await env.IMAGES.delete(objects.map(({ key }) => key));
});

describe('an upload', () => {
  const small = pngOf(1_000);
  const large = pngOf(3 * MB, 1);
  it.each([
    ['held in memory', { bytes: small }, small],
    ['small', sized(small), small],
    ['large', sized(large), large],
    ['of unknown length', { body: bodyOf(large).body, length: null }, large],
    ['of 20 MB', sized(pngOf(MAX_IMAGE_BYTES)), pngOf(MAX_IMAGE_BYTES)],
  ])('is kept under its hash and nothing else is: %s', async (_, image, bytes) => {
    const upload = await images.keepUpload({ userId: anna, image, now: NOW });
    if (upload.outcome !== 'kept') throw new Error(upload.reason);
    const sha256 = await sha256Of(bytes);
    const place = { userId: anna, sha256 };
    expect(upload.isNew).toBe(true);
    expect(upload.image).toMatchObject({
      id: imageIdOf(place),
      requestId: null,
      seed: null,
      sha256,
      bytes: bytes.length,
      createdAt: NOW,
      expiresAt: NOW + HOUR_MS,
    });
    expect(await uploadKeys()).toEqual([objectKeyOf(place)]);
    const read = await images.readBytes({ userId: anna, id: upload.image.id });
    expect(await sha256Of(read ?? new Uint8Array())).toBe(sha256);
  });

  it('of the same bytes again is the same image, kept for longer', async () => {
    const first = await kept(small);
    const again = await kept(small, { now: NOW + 1_000 });
    expect(again).toEqual({
      outcome: 'kept',
      isNew: false,
      image: { ...first.image, expiresAt: NOW + 1_000 + HOUR_MS },
    });
    const late = NOW + 2 * HOUR_MS;
    expect(await kept(small, { now: late })).toMatchObject({
      isNew: true,
      image: { id: first.image.id, createdAt: late },
    });
  });

  it('of two users is two images, each its owner’s only', async () => {
    const [hers, his] = [await kept(small), await kept(small, { userId: boris })];
    expect(hers.image.id).not.toBe(his.image.id);
    expect(his.isNew).toBe(true);
    const id = hers.image.id;
    expect(await images.exists({ userId: anna, id, now: NOW })).toBe(true);
    expect(await images.exists({ userId: boris, id, now: NOW })).toBe(false);
    expect(await images.readBytes({ userId: boris, id })).toBeNull();
    const asking = { id, viewer: boris, now: NOW };
    await expect(images.describe(asking)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('past its time is there for no new request, but still for one that was accepted', async () => {
    const { id, expiresAt: now } = (await kept(small)).image;
    expect(await images.exists({ userId: anna, id, now: now - 1 })).toBe(true);
    expect(await images.exists({ userId: anna, id, now })).toBe(false);
    const asking = { id, viewer: anna, now };
    await expect(images.describe(asking)).rejects.toMatchObject({ code: 'not_found' });
    expect(await images.readBytes({ userId: anna, id })).toHaveLength(small.length);
  });

  it.each(['img_', 'nothing', 'img_0_0', imageIdOf({ userId: anna, sha256: '0'.repeat(64) })])(
    'that never was is not there: %s',
    async (id) => {
      expect(await images.exists({ userId: anna, id, now: NOW })).toBe(false);
      expect(await images.readBytes({ userId: anna, id })).toBeNull();
    },
  );
});

describe('of an upload that is refused nothing is kept', () => {
  const large = pngOf(3 * MB);
  const invalid: [string, Uint8Array, RegExp][] = [
    ['no image', new TextEncoder().encode('{"a":1}'), /^it is JSON/],
    ['a large one cut short', large.slice(0, -1), /^it is cut short$/],
    ['nothing', new Uint8Array(), /^it is empty$/],
  ];
  it.each(invalid)('%s is invalid', async (_, bytes, reason) => {
    expect(await keep(bytes)).toEqual({
      outcome: 'invalid',
      reason: expect.stringMatching(reason),
    });
    expect(await uploadKeys()).toEqual([]);
  });

  const unsized = (bytes: number) => ({ body: bodyOf(pngOf(bytes)).body, length: null });
  it.each([
    ['more than 20 MB', sized(pngOf(MAX_IMAGE_BYTES + 1)), 'payload_too_large'],
    ['too much of unknown length', unsized(MAX_UNSIZED_UPLOAD_BYTES + 1), 'payload_too_large'],
    ['a body that breaks off', sized(large, { breaksAt: 2 * MB }), 'invalid_request'],
    [
      'a small body that breaks off',
      sized(pngOf(900), { chunk: 100, breaksAt: 500 }),
      'invalid_request',
    ],
  ])('%s is an error', async (_, image, code) => {
    const keeping = images.keepUpload({ userId: anna, image, now: NOW });
    await expect(keeping).rejects.toMatchObject({ code });
    expect(await uploadKeys()).toEqual([]);
  });

  it.each([
    ['put', pngOf(500)],
    ['put', large],
    ['get', large],
    ['head', large],
  ])('R2 failing to %s is unavailable', async (method, bytes) => {
    Object.assign(faults, { r2: 'fail', only: [method] });
    const service = imagesOn(guarded(env).IMAGES);
    await expect(keep(bytes, { service })).rejects.toMatchObject({
      code: 'unavailable',
      details: { retryAfterMs: 5_000 },
    });
    resetFaults();
    expect(await uploadKeys()).toEqual([]);
  });
});

describe('the sweep of uploads', () => {
  const END = NOW + HOUR_MS;

  it('leaves an expired upload for as long as an accepted request may need it', async () => {
    const old = await kept(pngOf(100));
    const renewed = await kept(pngOf(200));
    await kept(pngOf(200), { now: NOW + 1 });
    expect(await images.sweepExpired({ now: END + DAY_MS })).toBe(0);
    expect(await images.sweepExpired({ now: END + DAY_MS + HOUR_MS })).toBe(1);
    expect(await images.readBytes({ userId: anna, id: old.image.id })).toBeNull();
    expect(await images.readBytes({ userId: anna, id: renewed.image.id })).toHaveLength(200);
  });

  it('takes a part that its process left behind', async () => {
    Object.assign(faults, { r2: 'fail', only: ['delete'] });
    const service = imagesOn(guarded(env).IMAGES);
    await kept(pngOf(3 * MB), { service });
    resetFaults();
    expect(await uploadKeys()).toHaveLength(2);
    expect(await images.sweepExpired({ now: NOW + DAY_MS + HOUR_MS })).toBe(1);
    expect(await uploadKeys()).toEqual([expect.stringMatching(/[0-9a-f]{64}$/)]);
  });

  it('is bounded, goes on where it stopped and begins anew at the end', async () => {
    const put = (index: number, expiresAt: number) =>
      env.IMAGES.put(uploadPartKeyOf(newId('usr', NOW + index), 'x'), '', {
        customMetadata: { expires_at: String(expiresAt) },
      });
    const lists: number[] = [];
    const paged = new Proxy(guarded(env).IMAGES, {
      get: (bucket, name) =>
        name === 'list'
          ? (options: R2ListOptions) => {
              if (options.prefix === 'uploads/') lists.push(1);
              return bucket.list({ ...options, limit: 2 });
            }
          : Reflect.get(bucket, name),
    });
    const service = imagesOn(paged);
    for (let index = 0; index < 24; index += 1) await put(index, NOW + DAY_MS * 100);
    await put(24, NOW);
    const late = { now: NOW + 2 * DAY_MS };
    expect(await service.sweepExpired(late)).toBe(0);
    expect(lists).toHaveLength(10);
    expect(await service.sweepExpired(late)).toBe(1);
    expect(await uploadKeys()).toHaveLength(24);
    expect(deletedKeys).toContain('sweeps/uploads');
    await put(0, NOW);
    expect(await service.sweepExpired(late)).toBe(1);
  });
});
