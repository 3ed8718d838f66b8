import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { InvalidImage, passOn, SourceFault, streamTo } from '../../src/images/arrival';
import { objectKeyOf, partKeyOf } from '../../src/images/keys';
import { listObjectKeys } from '../../src/images/store';
import { type ImageSource, MAX_IMAGE_BYTES, type OpenImage } from '../../src/images/types';
import { newId, type RequestId } from '../../src/platform/ids';
import { deletedKeys, faulted, faults, guarded, resetFaults } from '../support/worker';
import {
  anna,
  bodyOf,
  bucketWith,
  HOUR_MS,
  heldImage,
  images,
  imagesOn,
  maker,
  NOW,
  openImage,
  pngOf,
  sized,
  storeImages,
} from './support';

const MB = 1024 * 1024;
const large = pngOf(5 * MB, 1);
const never = new AbortController().signal;
const sha256Of = async (bytes: Uint8Array) =>
  Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex');

function storing(images_: readonly ImageSource[], bucket: R2Bucket = env.IMAGES) {
  const waits: number[] = [];
  const requestId = newId('req', NOW);
  const service = imagesOn(bucket, async (ms) => {
    waits.push(ms);
  });
  /** As a consumer does: what was stored of an attempt that failed is removed once it is settled. */
  const store = async (signal: AbortSignal = never) => {
    const attempt = { requestId, attempt: 1 };
    const facts = { userId: anna, maker, images: images_, retentionMs: HOUR_MS, now: NOW, signal };
    const result = await service.store({ ...attempt, ...facts });
    if (result.outcome === 'stored') return result;
    await service.removeAttempt({ ...attempt, count: Math.max(1, images_.length) });
    return result;
  };
  return { store, waits, requestId };
}
const keysOf = (requestId: RequestId) => listObjectKeys(env.IMAGES, requestId);

beforeEach(resetFaults);

describe('an image that is opened', () => {
  const unsized = (bytes: Uint8Array): OpenImage => ({ body: bodyOf(bytes).body, length: null });
  const ways: [string, Uint8Array, (bytes: Uint8Array) => OpenImage][] = [
    ['small, of known length', pngOf(1_000, 2), sized],
    ['large, of known length', large, sized],
    ['small, of unknown length', pngOf(1_000, 3), unsized],
    ['large, of unknown length', pngOf(3 * MB, 3), unsized],
    ['of 20 MB', pngOf(MAX_IMAGE_BYTES, 4), sized],
    ['of 20 MB and of unknown length', pngOf(MAX_IMAGE_BYTES, 4), unsized],
  ];
  it.each(ways)('is stored whole, with its hash and size: %s', async (_, bytes, open) => {
    const { store, requestId } = storing([openImage([() => open(bytes)])]);
    const result = await store();
    if (result.outcome !== 'stored') throw new Error(result.outcome);
    const sha256 = await sha256Of(bytes);
    expect(result.images).toMatchObject([
      { width: 64, height: 48, mediaType: 'image/png', bytes: bytes.length, sha256, seed: 7 },
    ]);
    const key = objectKeyOf({ requestId, attempt: 1, index: 0 });
    expect(await keysOf(requestId)).toEqual([key]);
    const object = await env.IMAGES.get(key);
    expect(await sha256Of((await object?.bytes()) ?? new Uint8Array())).toBe(sha256);
    expect(object?.customMetadata).toMatchObject({ user: anna, sha256, width: '64', height: '48' });
    const id = result.images[0]?.id ?? '';
    expect(await images.describe({ id, viewer: anna, now: NOW })).toMatchObject({ sha256 });
  });

  it('comes together with images that are held, in order', async () => {
    const mixed = [openImage([() => sized(large)], 1), heldImage(80, 2), heldImage(90, 3)];
    const result = await storing(mixed).store();
    if (result.outcome !== 'stored') throw new Error(result.outcome);
    expect(result.images.map(({ seed, bytes }) => [seed, bytes])).toEqual([
      [1, large.length],
      [2, 80],
      [3, 90],
    ]);
  });
});

describe('what is no image', () => {
  const cutAt = (bytes: Uint8Array, end: number) => bytes.slice(0, end);
  const page = new TextEncoder().encode(`<!doctype html>${'x'.repeat(3 * MB)}`);
  const cases: [string, OpenImage, RegExp][] = [
    ['cut short, large', sized(cutAt(large, large.length - 1)), /^it is cut short$/],
    ['cut short, small', sized(cutAt(pngOf(500), 400)), /^it is cut short$/],
    ['a page, large', sized(page), /^it is an HTML page/],
    ['empty', sized(new Uint8Array()), /^it is empty$/],
    ['too large and says so', sized(pngOf(MAX_IMAGE_BYTES + 1)), /more than 20971520 bytes/],
    [
      'too large and does not say so',
      { ...sized(pngOf(MAX_IMAGE_BYTES + 1)), length: null },
      /more than 20971520 bytes/,
    ],
  ];
  it.each(cases)(
    'is told as that, is asked for once and leaves nothing: %s',
    async (_, open, why) => {
      const source = openImage([() => open]);
      const { store, requestId, waits } = storing([heldImage(), source], guarded(env).IMAGES);
      const result = await store();
      expect(result).toEqual({ outcome: 'invalid', reason: expect.stringMatching(why) });
      expect([source.opens, waits]).toEqual([1, []]);
      expect(await keysOf(requestId)).toEqual([]);
      expect(deletedKeys).toContain(partKeyOf({ requestId, attempt: 1, index: 1 }));
    },
  );

  it('is no image at all when there are none', async () => {
    expect(await storing([]).store()).toEqual({ outcome: 'invalid', reason: 'there is no image' });
  });

  it('never completes a part, so that a removal that fails leaves nothing either', async () => {
    const short = openImage([() => sized(cutAt(large, large.length - 1))]);
    const bucket = bucketWith({ delete: () => Promise.reject(new Error('down')) });
    const { store, requestId } = storing([short], bucket);
    expect(await store()).toMatchObject({ outcome: 'invalid' });
    expect(await keysOf(requestId)).toEqual([]);
  });
});

describe('a source that fails', () => {
  const refused = () => {
    throw new Error('The image’s URL answered 404.');
  };
  const breaks = () => sized(large, { breaksAt: 2 * MB });
  const shorter = () => ({ body: bodyOf(pngOf(3 * MB)).body, length: 3 * MB + 1 });
  const longer = () => ({ body: bodyOf(pngOf(3 * MB)).body, length: 3 * MB - 1 });

  it.each([
    ['cannot be opened', refused, 'The image’s URL answered 404.'],
    ['breaks off half-way', breaks, 'The connection failed.'],
    ['ends before its length', shorter, 'The image was cut off.'],
    ['goes on beyond its length', longer, 'The image has no end.'],
  ])('and %s is tried three times and told as such', async (_, answer, reason) => {
    const source = openImage([answer]);
    const { store, requestId, waits } = storing([source]);
    expect(await store()).toEqual({ outcome: 'unavailable', reason });
    expect(source.opens).toBe(3);
    expect(waits).toEqual([1_000, 4_000]);
    expect(await keysOf(requestId)).toEqual([]);
  });

  it('and mends is stored', async () => {
    const source = openImage([refused, breaks, () => sized(large)]);
    const { store, requestId } = storing([source]);
    expect(await store()).toMatchObject({ outcome: 'stored' });
    expect(await keysOf(requestId)).toHaveLength(1);
  });

  it('takes the other images of its attempt with it', async () => {
    const { store, requestId } = storing([heldImage(), openImage([refused]), heldImage()]);
    expect(await store()).toMatchObject({ outcome: 'unavailable' });
    expect(await keysOf(requestId)).toEqual([]);
  });

  it('is left alone when the lease ends, though it never answers', async () => {
    const lease = new AbortController();
    const { store } = storing([
      {
        seed: null,
        open: () => {
          lease.abort();
          return new Promise(() => {});
        },
      },
    ]);
    expect(await store(lease.signal)).toEqual({ outcome: 'given_up' });
  });

  it('has its body cancelled when the lease ends in the middle of it', async () => {
    const lease = new AbortController();
    const { body, state } = bodyOf(large);
    const watched = body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          if (state.given > 2 * MB) lease.abort();
          controller.enqueue(chunk);
        },
      }),
    );
    const source = openImage([() => ({ body: watched, length: large.length })]);
    const { store, requestId } = storing([source]);
    expect(await store(lease.signal)).toEqual({ outcome: 'given_up' });
    await expect.poll(() => state.cancelled).toBe(true);
    expect(await keysOf(requestId)).toEqual([]);
  });
});

describe('while R2 fails', () => {
  it('a large image is opened anew and put again', async () => {
    Object.assign(faults, { r2: 'fail', only: ['put'], times: 3 });
    const source = openImage([() => sized(large)]);
    const { store, waits, requestId } = storing([source], guarded(env).IMAGES);
    expect(await store()).toMatchObject({ outcome: 'stored' });
    expect(waits).toEqual([200, 400, 800]);
    expect(source.opens).toBe(4);
    expect(faulted.r2).toBe(3);
    expect(await keysOf(requestId)).toHaveLength(1);
  });

  it('what has arrived is not asked for again', async () => {
    Object.assign(faults, { r2: 'fail', only: ['get'], times: 2 });
    const source = openImage([() => sized(large)]);
    const { store, waits } = storing([source], guarded(env).IMAGES);
    expect(await store()).toMatchObject({ outcome: 'stored' });
    expect([source.opens, waits]).toEqual([1, [200, 400]]);

    Object.assign(faults, { r2: 'fail', only: ['put'], times: 2 });
    const small = openImage([() => sized(pngOf(1_000))]);
    expect(await storing([small], guarded(env).IMAGES).store()).toMatchObject({
      outcome: 'stored',
    });
    expect(small.opens).toBe(1);
  });

  it('a part that is gone is asked for again', async () => {
    let gets = 0;
    const bucket = bucketWith({
      get: (async (key: string) => {
        gets += 1;
        return gets === 1 ? null : env.IMAGES.get(key);
      }) as R2Bucket['get'],
    });
    const source = openImage([() => sized(large)]);
    expect(await storing([source], bucket).store()).toMatchObject({ outcome: 'stored' });
    expect(source.opens).toBe(2);
  });

  it('it is given up in the end, with nothing left', async () => {
    Object.assign(faults, { r2: 'fail', only: ['get'] });
    const { store, requestId, waits } = storing(
      [openImage([() => sized(large)])],
      guarded(env).IMAGES,
    );
    expect(await store()).toEqual({ outcome: 'given_up' });
    expect(waits).toHaveLength(22);
    expect(await keysOf(requestId)).toEqual([]);
  });

  it('a part that cannot be deleted goes with its request, its attempt or its time', async () => {
    Object.assign(faults, { r2: 'fail', only: ['delete'] });
    const { store, requestId } = storing([openImage([() => sized(large)])], guarded(env).IMAGES);
    expect(await store()).toMatchObject({ outcome: 'stored' });
    resetFaults();
    const place = { requestId, attempt: 1, index: 0 };
    expect(await keysOf(requestId)).toEqual([objectKeyOf(place), partKeyOf(place)]);
    const part = await env.IMAGES.head(partKeyOf(place));
    expect(part?.customMetadata).toEqual({ expires_at: String(NOW + HOUR_MS) });
    await images.removeAttempt({ requestId, attempt: 1, count: 1 });
    expect(await keysOf(requestId)).toEqual([]);
  });

  it('a part of a dead process is swept with the images of its time', async () => {
    const { requestId } = await storeImages();
    const part = partKeyOf({ requestId, attempt: 1, index: 1 });
    await env.IMAGES.put(part, 'half', { customMetadata: { expires_at: String(NOW + HOUR_MS) } });
    await images.sweepExpired({ now: NOW + HOUR_MS });
    expect(await keysOf(requestId)).toEqual([]);
  });
});

describe('memory', () => {
  it('no more than two chunks are read ahead of what the sink has taken', async () => {
    const chunk = 4_096;
    const { body, state } = bodyOf(large, { chunk });
    let taken = 0;
    let ahead = 0;
    const slow = async (bytes: Uint8Array) => {
      await Promise.resolve();
      ahead = Math.max(ahead, state.given - taken);
      taken += bytes.length;
    };
    await passOn({ body, length: large.length }, slow, never);
    expect(taken).toBe(large.length);
    expect(ahead).toBe(2 * chunk);
  });

  it('a sink that stands still stops the source', async () => {
    const { body, state } = bodyOf(large, { chunk: 1_000 });
    const gate = Promise.withResolvers<void>();
    const passed = passOn({ body, length: large.length }, () => gate.promise, never);
    await new Promise((resolve) => setTimeout(resolve));
    expect(state.given).toBe(2_000);
    gate.resolve();
    await passed;
  });

  it('R2 sets the pace of a stream that goes through it', async () => {
    const { body, state } = bodyOf(large, { chunk: 1_000 });
    const gate = Promise.withResolvers<void>();
    const put = async (readable: ReadableStream) => {
      await gate.promise;
      return env.IMAGES.put(`images/test/${crypto.randomUUID()}`, readable);
    };
    const stored = streamTo({ body, length: large.length }, put, never);
    await new Promise((resolve) => setTimeout(resolve));
    expect(state.given).toBe(2_000);
    gate.resolve();
    expect((await stored).bytes).toBe(large.length);
  });

  it('what fails is not read on', async () => {
    const { body, state } = bodyOf(large, { chunk: 1_000 });
    const sink = () => Promise.reject(new Error('full'));
    await expect(passOn({ body, length: null }, sink, never)).rejects.toThrow('full');
    expect(state).toEqual({ given: 2_000, cancelled: true });
    const page = bodyOf(new TextEncoder().encode(`{${' '.repeat(5_000)}`), { chunk: 1_000 });
    const read = passOn({ body: page.body, length: null }, async () => {}, never);
    await expect(read).rejects.toThrow(InvalidImage);
    expect(page.state).toEqual({ given: 1_000, cancelled: true });
    const broken = bodyOf(large, { breaksAt: 65_536 });
    const halted = passOn({ body: broken.body, length: null }, async () => {}, never);
    await expect(halted).rejects.toThrow(SourceFault);
  });
});
