// What links open comes through the cache of the place: what it answers, for how long, and without
// whom.
import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { objectKeyOf } from '../../src/images/keys';
import type { SharedCacheDeps } from '../../src/images/shared-cache';
import { newId } from '../../src/platform/ids';

import { advance, http, newClient, useWorld } from '../journeys/support';
import { faults } from '../support/worker';
import { addressOf, askerOf, bytesOf, keyOf, linkTo } from './serving';
import {
  anna,
  bodyOf,
  bucketWith,
  contentOn,
  HOUR_MS,
  heldImage,
  images,
  NOW,
  settled,
  storeImage,
} from './support';

afterEach(settled);

/** The real bucket, with every read counted. */
function counted() {
  const reads = { count: 0 };
  const bucket = bucketWith({
    get: ((...input: Parameters<R2Bucket['get']>) => {
      reads.count += 1;
      return env.IMAGES.get(...input);
    }) as R2Bucket['get'],
    head: (key) => {
      reads.count += 1;
      return env.IMAGES.head(key);
    },
  });
  return { bucket, reads };
}

const entryOf = (id: string, variant = 'full.same') =>
  caches.default.match(`https://images.foreman.internal/${id}/${variant}`);

const noCache: SharedCacheDeps['cache'] = {
  match: async () => undefined,
  put: async (_, answer) => answer.body?.cancel(),
  delete: async () => false,
};

async function warm(input: Parameters<typeof storeImage>[0] = {}) {
  const { image, requestId } = await storeImage(input);
  const { bucket, reads } = counted();
  const content = contentOn({ bucket });
  const ask = askerOf(content);
  const link = linkTo(image.id, image.expiresAt);
  expect(await bytesOf(await ask(link))).toEqual(heldImage().bytes);
  await settled();
  reads.count = 0;
  return { image, requestId, content, ask, link, reads };
}

describe('a cached answer', () => {
  const cases: [string, { method?: string; headers?: Record<string, string>; query?: string }][] = [
    ['whole', {}],
    ['to HEAD', { method: 'HEAD' }],
    ['to HEAD with a range', { method: 'HEAD', headers: { range: 'bytes=0-9' } }],
    ['to a range', { headers: { range: 'bytes=10-19' } }],
    ['to the end of it', { headers: { range: 'bytes=-5' } }],
    ['to a range that goes on', { headers: { range: 'bytes=95-' } }],
    ['to a range beyond the end', { headers: { range: 'bytes=100-' } }],
    ['to several ranges', { headers: { range: 'bytes=0-9,20-29' } }],
    ['to a range of another version', { headers: { range: 'bytes=0-9', 'if-range': '"other"' } }],
    ['to who has it', { headers: { 'if-none-match': '*' } }],
    ['to who has another version', { headers: { 'if-none-match': '"other"' } }],
    ['to who has it since', { headers: { 'if-modified-since': new Date(NOW).toUTCString() } }],
    ['to be saved', { query: '&download=a.png' }],
  ];

  it.each(cases)('%s is the one that R2 would give', async (_, { query = '', ...input }) => {
    const { ask, link, image, reads } = await warm();
    const uncached = await askerOf(contentOn({ cache: noCache }))(`${link}${query}`, input);
    const cached = await ask(`${link}${query}`, input);
    expect(cached.status).toBe(uncached.status);
    const headersOf = ({ headers }: Response) =>
      Object.fromEntries([...headers].filter(([name]) => name !== 'x-correlation-id'));
    expect(headersOf(cached)).toEqual(headersOf(uncached));
    if (cached.status !== 416) expect(await bytesOf(cached)).toEqual(await bytesOf(uncached));
    expect(reads.count).toBe(0);
    expect(image.bytes).toBe(100);
  });
});

describe('how long', () => {
  it('an entry is served for 60 s since R2 was read, by whatever link, and told to be for the rest', async () => {
    const { ask, image, reads } = await warm();
    const other = linkTo(image.id, NOW + HOUR_MS / 2);
    const late = await ask(other, { now: NOW + 59_500 });
    expect([late.status, reads.count]).toEqual([200, 0]);
    expect(late.headers.get('cache-control')).toBe('public, max-age=0');
    expect((await ask(other, { now: NOW + 45_000 })).headers.get('cache-control')).toBe(
      'public, max-age=15',
    );
    const beyond = await ask(other, { now: NOW + 60_000 });
    expect([beyond.status, reads.count]).toEqual([200, 1]);
    expect(beyond.headers.get('cache-control')).toBe('public, max-age=60');
  });

  it('the cache itself is told no more than that, nor more than the image has left', async () => {
    const { image } = await warm();
    expect((await entryOf(image.id))?.headers.get('cache-control')).toBe('public, max-age=60');
    const short = await warm({ retentionMs: 20_999 });
    expect((await entryOf(short.image.id))?.headers.get('cache-control')).toBe(
      'public, max-age=20',
    );
    expect((await short.ask(short.link, { now: NOW + 20_999 })).status).toBe(410);
    const longer = linkTo(short.image.id, NOW + HOUR_MS);
    expect((await short.ask(longer, { now: NOW + 20_999 })).status).toBe(404);
  });

  it('a link tells its own end, whatever the entry has', async () => {
    const { ask, image, reads } = await warm();
    const answer = await ask(linkTo(image.id, NOW + 10_500));
    expect(answer.headers.get('cache-control')).toBe('public, max-age=10');
    expect(reads.count).toBe(0);
  });

  it('a deleted image is opened no more than those 60 s, and not at all here once it is forgotten', async () => {
    const { ask, link, content, requestId } = await warm();
    await images.removeAttempt({ requestId, attempt: 1, count: 1 });
    expect((await ask(link)).status).toBe(200);
    expect((await ask(link, { now: NOW + 60_000 })).status).toBe(404);
    await content.forgetCached({ requestId, attempt: 1, index: 0 });
    expect((await ask(link)).status).toBe(404);
  });
});

describe('what is kept', () => {
  it.each([
    [1_048_576, 1],
    [1_048_577, 2],
  ])(
    'of %s bytes takes %s reads, as no large image is held for a slow client',
    async (length, n) => {
      const { image } = await storeImage({ images: [heldImage(length)] });
      const { bucket, reads } = counted();
      const answer = await askerOf(contentOn({ bucket }))(linkTo(image.id, image.expiresAt));
      await settled();
      expect(reads.count).toBe(n);
      const kept = await entryOf(image.id);
      const sent = heldImage(length).bytes;
      for (const one of [kept, answer]) {
        expect(one && Buffer.compare(await bytesOf(one), sent)).toBe(0);
      }
    },
  );
});

describe('what is not kept', () => {
  it('that there is no image', async () => {
    const { image, requestId } = await storeImage();
    const object = await env.IMAGES.get(objectKeyOf({ requestId, attempt: 1, index: 0 }));
    await images.removeAttempt({ requestId, attempt: 1, count: 1 });
    const ask = askerOf(contentOn());
    const link = linkTo(image.id, image.expiresAt);
    expect((await ask(link)).status).toBe(404);
    await settled();
    await object?.body.cancel();
    await storeImage({ requestId });
    expect((await ask(link)).status).toBe(200);
  });

  it.each([
    ['a part', { headers: { range: 'bytes=0-9' } }],
    ['a head', { method: 'HEAD' }],
    ['what the client has', { headers: { 'if-none-match': '*' } }],
    ['what came by key', { key: keyOf(anna) }],
  ])('%s', async (_, input) => {
    const { image } = await storeImage();
    const isByKey = 'key' in input;
    const url = isByKey ? addressOf(image.id) : linkTo(image.id, image.expiresAt);
    const answer = await askerOf(contentOn())(url, input);
    expect(answer.status).toBeLessThan(400);
    await answer.body?.cancel();
    await settled();
    expect(await entryOf(image.id)).toBeUndefined();
  });

  it('bytes that broke off', async () => {
    const { image } = await storeImage();
    const get = (async (key: string) => {
      const object = await env.IMAGES.get(key);
      if (!object) return null;
      const { body } = bodyOf(await object.bytes(), { chunk: 20, breaksAt: 60 });
      return new Proxy(object, {
        get: (of, name) => (name === 'body' ? body : Reflect.get(of, name, of)),
      });
    }) as R2Bucket['get'];
    const answer = await askerOf(contentOn({ bucket: bucketWith({ get }) }))(
      linkTo(image.id, image.expiresAt),
    );
    await expect(answer.bytes()).rejects.toThrow();
    await settled();
    expect(await entryOf(image.id)).toBeUndefined();
  });

  it('what has to stay in the European Union', async () => {
    const { image } = await storeImage({
      userId: newId('usr', NOW, 'e'),
      requestId: newId('req', NOW, 'e'),
    });
    const answer = await askerOf(contentOn())(linkTo(image.id, image.expiresAt));
    expect(await bytesOf(answer)).toEqual(heldImage().bytes);
    await settled();
    expect(await entryOf(image.id)).toBeUndefined();
  });
});

describe('a cache that', () => {
  const never = () => new Promise<never>(() => {});
  const broken = () => Promise.reject(new Error('the cache is broken'));
  const thrown = () => {
    throw new Error('the cache is broken');
  };
  it.each<[string, Partial<SharedCacheDeps['cache']>]>([
    ['throws when it is read', { match: thrown }],
    ['fails when it is read', { match: broken }],
    ['hangs when it is read', { match: never }],
    ['throws when it is written', { put: thrown }],
    ['fails when it is written', { put: broken }],
    ['hangs when it is written', { put: never }],
    ['holds something else', { match: async () => new Response('something else') }],
    ['holds nothing', { match: async () => new Response(null, { headers: { age: '1' } }) }],
  ])('%s fails nobody', async (_, fault) => {
    const { image } = await storeImage();
    const hangs = Object.values(fault).includes(never);
    const cache = { ...noCache, ...fault };
    const ask = askerOf(contentOn({ cache, ...(hangs ? { sleep: async () => {} } : {}) }));
    const link = linkTo(image.id, image.expiresAt);
    expect(await bytesOf(await ask(link))).toEqual(heldImage().bytes);
    const part = await ask(link, { headers: { range: 'bytes=90-' } });
    expect([part.status, (await part.bytes()).length]).toEqual([206, 10]);
  });

  it('has lost the part that is asked for has it from R2', async () => {
    const { image, link } = await warm();
    const match: Cache['match'] = async (request, options) =>
      new Request(request as Request).headers.has('range')
        ? undefined
        : caches.default.match(request, options);
    const { bucket, reads } = counted();
    const ask = askerOf(contentOn({ bucket, cache: { ...noCache, match } }));
    const answer = await ask(link, { headers: { range: 'bytes=90-' } });
    expect([answer.status, reads.count]).toEqual([206, 1]);
    expect(await bytesOf(answer)).toEqual(heldImage().bytes.subarray(90));
    expect(image.bytes).toBe(100);
  });
});

describe('the Worker', () => {
  useWorld();

  it('opens a link without the foreman and D1, and for a minute without R2', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    const [image] = (await client.reached(id, 'succeeded')).images;
    if (!image) throw new Error('expected an image');
    const open = async (query = '') => {
      const answer = await http('GET', `${image.signed_url}${query}`);
      return [answer.status, (await answer.bytes()).length];
    };
    Object.assign(faults, { foreman: 'hang', d1: 'hang' });
    expect(await open()).toEqual([200, image.bytes]);
    const [, thumbnail] = await open('&width=32&format=jpeg');
    await vi.waitFor(async () => expect(await entryOf(image.id)).toBeDefined());
    await vi.waitFor(async () => expect(await entryOf(image.id, '32.jpeg')).toBeDefined());
    Object.assign(faults, { foreman: 'fail', d1: 'fail', r2: 'hang' });
    expect(await open()).toEqual([200, image.bytes]);
    expect(await open('&width=32&format=jpeg')).toEqual([200, thumbnail]);
    faults.r2 = 'fail';
    advance(60_000);
    expect((await open())[0]).toBe(503);
  });
});
