// Smaller and otherwise encoded copies: what they look like, when they are made, and that they never
// outlive their image. What is decoded here was encoded by the codec of the Worker itself.
import { env } from 'cloudflare:workers';
import { imageSize } from 'image-size';
import { afterEach, describe, expect, it } from 'vitest';
import { objectKeyOf, variantKeyOf } from '../../src/images/keys';
import { listObjectKeys } from '../../src/images/store';
import {
  type Codec,
  CodecBusy,
  firstOf,
  NotConvertible,
  TooLargeToConvert,
} from '../../src/images/variants/codec';
import { variantWidths } from '../../src/images/variants/plan';
import { createTurns } from '../../src/images/variants/turns';
import { addressOf, askerOf, bytesOf, codeOf, decode, encode, keyOf, linkTo } from './serving';
import {
  anna,
  boris,
  bucketWith,
  contentOn,
  heldImage,
  images,
  NOW,
  quiet,
  settled,
  storeImage,
  wasmCodec,
} from './support';

afterEach(settled);

const key = keyOf(anna);
const red = [250, 20, 10, 255] as const;
const blue = [10, 20, 250, 255] as const;

/** The left half is red, the right half blue. */
const halves = (width: number, height: number, format: 'png' | 'jpeg' | 'webp' = 'png') =>
  encode({ width, height, format }, (x) => (x < width / 2 ? red : blue));
const picture = halves(200, 100);

const storePicture = (bytes: Uint8Array = picture) =>
  storeImage({ images: [{ bytes, seed: null }] });

/** The real codec, with every conversion counted. */
function counted(before: () => Promise<void> = async () => {}) {
  const conversions = { count: 0 };
  const codec: Codec = {
    async convert(conversion) {
      conversions.count += 1;
      await before();
      return wasmCodec.convert(conversion);
    },
  };
  return { codec, conversions };
}

const isAbout = (colour: readonly number[], wanted: readonly number[]) =>
  colour.every((value, channel) => Math.abs(value - (wanted[channel] ?? 0)) <= 6);

describe('a copy', () => {
  const from = ['png', 'jpeg', 'webp'] as const;
  const to = ['png', 'jpeg', 'webp'] as const;

  it.each(from.flatMap((own) => to.map((format) => [own, format] as const)))(
    'of %s in %s has the size and the colours asked for',
    async (own, format) => {
      const { image } = await storePicture(halves(200, 100, own));
      const url = `${addressOf(image.id)}?width=64&format=${format}`;
      const answer = await askerOf(contentOn())(url, { key });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toBe(`image/${format}`);
      const extension = format === 'jpeg' ? 'jpg' : format;
      expect(answer.headers.get('content-disposition')).toBe(
        `inline; filename="${image.id}.${extension}"`,
      );
      const bytes = await bytesOf(answer);
      expect(answer.headers.get('content-length')).toBe(String(bytes.length));
      expect(imageSize(bytes)).toMatchObject({ width: 64, height: 32 });
      const { colourAt } = decode(bytes);
      expect([isAbout(colourAt(8, 16), red), isAbout(colourAt(56, 16), blue)]).toEqual([
        true,
        true,
      ]);
    },
  );

  it('keeps the format when none is asked for, and the size when no width is', async () => {
    const { image } = await storePicture(halves(200, 100, 'webp'));
    const ask = askerOf(contentOn());
    const smaller = await bytesOf(await ask(`${addressOf(image.id)}?width=96`, { key }));
    expect(imageSize(smaller)).toMatchObject({ type: 'webp', width: 96, height: 48 });
    const other = await bytesOf(await ask(`${addressOf(image.id)}?format=png`, { key }));
    expect(imageSize(other)).toMatchObject({ type: 'png', width: 200, height: 100 });
  });

  it('is never larger, and is the image itself where nothing is to be changed', async () => {
    const { codec, conversions } = counted();
    const { image } = await storePicture();
    const ask = askerOf(contentOn({ codec }));
    for (const query of ['width=256', 'format=png', 'width=2048&format=png']) {
      const answer = await ask(`${addressOf(image.id)}?${query}`, { key });
      expect(await bytesOf(answer)).toEqual(picture);
    }
    expect(conversions.count).toBe(0);
    const wide = await ask(`${addressOf(image.id)}?width=2048&format=jpeg`, { key });
    expect(imageSize(await bytesOf(wide))).toMatchObject({ width: 200, height: 100 });
  });

  it('is never less than a pixel high', async () => {
    const { image } = await storePicture(halves(2_000, 3));
    const answer = await askerOf(contentOn())(`${addressOf(image.id)}?width=32`, { key });
    expect(imageSize(await bytesOf(answer))).toMatchObject({ width: 32, height: 1 });
  });

  it('has white where the image is transparent, if it is a JPEG, and edges without a fringe', async () => {
    // What is transparent is black, as encoders leave it.
    const holed = encode({ width: 64, height: 64 }, (x) => (x < 33 ? red : [0, 0, 0, 0]));
    const { image } = await storePicture(holed);
    const ask = askerOf(contentOn());
    const jpeg = decode(await bytesOf(await ask(`${addressOf(image.id)}?format=jpeg`, { key })));
    expect(isAbout(jpeg.colourAt(60, 30), [255, 255, 255, 255])).toBe(true);
    const png = decode(await bytesOf(await ask(`${addressOf(image.id)}?width=32`, { key })));
    expect(png.colourAt(16, 16)).toEqual([250, 20, 10, 128]);
    expect(png.colourAt(20, 16)[3]).toBe(0);
  });

  it('of a GIF is a PNG of its first picture', async () => {
    const gif = Buffer.from('R0lGODlhAQABAIAAAP8AAP///ywAAAAAAQABAAACAkQBADs=', 'base64');
    const { image } = await storePicture(new Uint8Array(gif));
    const answer = await askerOf(contentOn())(`${addressOf(image.id)}?format=png`, { key });
    expect(decode(await bytesOf(answer)).colourAt(0, 0)).toEqual([255, 0, 0, 255]);
    const own = await askerOf(contentOn())(`${addressOf(image.id)}?width=32`, { key });
    expect(own.headers.get('content-type')).toBe('image/gif');
    await own.body?.cancel();
  });

  it.each([
    'width=0',
    'width=33',
    'width=0256',
    'width=',
    'width=4096',
    'format=gif',
    'format=PNG',
  ])('with %s is refused with what there is, after who asks', async (query) => {
    const { image } = await storePicture();
    const ask = askerOf(contentOn());
    const answer = await ask(`${addressOf(image.id)}?${query}`, { key });
    expect(answer.status).toBe(422);
    const [path] = query.split('=');
    const there = path === 'width' ? variantWidths.join(', ') : 'png, jpeg, webp';
    expect(await answer.json()).toMatchObject({
      code: 'invalid_request',
      errors: [{ path, message: `must be one of ${there}` }],
    });
    expect((await ask(`${addressOf(image.id)}?${query}`)).status).toBe(401);
    const forged = `${linkTo(image.id, image.expiresAt)}x&${query}`;
    expect((await ask(forged)).status).toBe(404);
  });

  it('has an ETag of its own, the same before and after it is stored, for ranges and conditions', async () => {
    const { image } = await storePicture();
    const ask = askerOf(contentOn());
    const url = `${addressOf(image.id)}?width=64`;
    const original = await ask(addressOf(image.id), { key });
    await original.body?.cancel();
    const first = await ask(url, { key });
    const bytes = await bytesOf(first);
    const etag = first.headers.get('etag') ?? '';
    expect(etag).not.toBe(original.headers.get('etag'));
    await settled();
    const stored = await ask(url, { key });
    expect([stored.headers.get('etag'), await bytesOf(stored)]).toEqual([etag, bytes]);
    const known = { 'if-none-match': etag };
    expect((await ask(url, { key, headers: known })).status).toBe(304);
    const part = await ask(url, { key, headers: { range: 'bytes=4-9', 'if-range': etag } });
    expect([part.status, await bytesOf(part)]).toEqual([206, bytes.subarray(4, 10)]);
    const head = await ask(url, { key, method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe(String(bytes.length));
    const fresh = await ask(`${addressOf(image.id)}?width=96`, {
      key,
      headers: { range: 'bytes=0-3' },
    });
    expect([fresh.status, (await bytesOf(fresh)).length]).toEqual([206, 4]);
  });
});

describe('it is made', () => {
  it('once, for links as for keys, and lies beside its image', async () => {
    const { codec, conversions } = counted();
    const { image, requestId } = await storePicture();
    const ask = askerOf(contentOn({ codec }));
    const link = linkTo(image.id, image.expiresAt);
    const first = await bytesOf(await ask(`${addressOf(image.id)}?width=64&format=webp`, { key }));
    await settled();
    for (const query of ['', '&download']) {
      const answer = await ask(`${link}&width=64&format=webp${query}`);
      expect(answer.headers.get('cache-control')).toBe('public, max-age=60');
      expect(await bytesOf(answer)).toEqual(first);
    }
    expect(conversions.count).toBe(1);
    const object = objectKeyOf({ requestId, attempt: 1, index: 0 });
    expect(await listObjectKeys(env.IMAGES, requestId)).toEqual([object, `${object}@64.webp`]);
    expect((await env.IMAGES.head(`${object}@64.webp`))?.customMetadata).toMatchObject({
      user: anna,
      width: '64',
      height: '32',
      expires_at: String(image.expiresAt),
    });
  });

  it('for nobody but its owner, and for nobody once the image has expired', async () => {
    const { image } = await storePicture();
    const ask = askerOf(contentOn());
    const url = `${addressOf(image.id)}?width=64`;
    await bytesOf(await ask(url, { key }));
    await settled();
    expect((await ask(url, { key: keyOf(boris) })).status).toBe(404);
    expect((await ask(url, { key, now: image.expiresAt })).status).toBe(404);
  });

  it('though it cannot be put', async () => {
    const { image, requestId } = await storePicture();
    const put = () => Promise.reject(new Error('down'));
    const ask = askerOf(contentOn({ bucket: bucketWith({ put }) }));
    const answer = await ask(`${addressOf(image.id)}?width=64`, { key });
    expect(imageSize(await bytesOf(answer)).width).toBe(64);
    await settled();
    expect(await listObjectKeys(env.IMAGES, requestId)).toHaveLength(1);
  });
});

describe('with its image', () => {
  it('it goes when the image is deleted, and is not served before', async () => {
    const { image, requestId } = await storePicture();
    const place = { requestId, attempt: 1, index: 0 };
    const ask = askerOf(contentOn());
    const url = `${addressOf(image.id)}?width=64`;
    await bytesOf(await ask(url, { key }));
    await settled();
    await env.IMAGES.delete(objectKeyOf(place));
    expect(await env.IMAGES.head(variantKeyOf(place, '64.png'))).not.toBeNull();
    expect((await ask(url, { key })).status).toBe(404);
    expect((await ask(`${linkTo(image.id, image.expiresAt)}&width=64`)).status).toBe(404);
  });

  it('it is not left behind when the image is deleted while it is made', async () => {
    const { image, requestId } = await storePicture();
    const { codec } = counted(async () => {
      await images.removeAttempt({ requestId, attempt: 1, count: 1 });
    });
    const bytes = await bytesOfOriginal(requestId);
    const late: Codec = {
      convert: (conversion) =>
        codec.convert({ ...conversion, open: async () => new Blob([bytes]).stream() }),
    };
    const url = `${addressOf(image.id)}?width=64`;
    await bytesOf(await askerOf(contentOn({ codec: late }))(url, { key }));
    await settled();
    expect(await listObjectKeys(env.IMAGES, requestId)).toEqual([]);
  });

  const bytesOfOriginal = async (requestId: `req_${string}`) => {
    const object = await env.IMAGES.get(objectKeyOf({ requestId, attempt: 1, index: 0 }));
    return (await object?.bytes()) ?? new Uint8Array();
  };
});

describe('what cannot be converted', () => {
  it('is 422 when it is too large, and can be had as it is', async () => {
    const large = encode({ width: 2_200, height: 2_100 }, () => red);
    const { image } = await storePicture(large);
    const ask = askerOf(contentOn());
    const answer = await ask(`${addressOf(image.id)}?width=64`, { key });
    expect([answer.status, await codeOf(answer)]).toEqual([422, 'image_too_large_to_convert']);
    expect((await bytesOf(await ask(addressOf(image.id), { key }))).length).toBe(large.length);
  });

  it('is 422 when its pixels are broken, and spoils nothing for the next', async () => {
    const { image } = await storeImage({ images: [heldImage(1_000)] });
    const { image: sound } = await storePicture();
    const ask = askerOf(contentOn());
    for (let times = 0; times < 3; times += 1) {
      const answer = await ask(`${addressOf(image.id)}?width=32`, { key });
      expect([answer.status, await codeOf(answer)]).toEqual([422, 'image_not_convertible']);
      expect((await ask(`${addressOf(sound.id)}?width=${64 + 32 * times}`, { key })).status).toBe(
        200,
      );
    }
  });

  it('is 503 with Retry-After while too much is converted', async () => {
    const { image } = await storePicture();
    const codec: Codec = { convert: () => Promise.reject(new CodecBusy()) };
    const answer = await askerOf(contentOn({ codec }))(`${addressOf(image.id)}?width=64`, { key });
    expect([answer.status, await codeOf(answer)]).toEqual([503, 'unavailable']);
    expect(answer.headers.get('retry-after')).toBe('2');
  });
});

describe('two codecs', () => {
  const failing = (error: Error): Codec => ({ convert: () => Promise.reject(error) });
  const conversion = {
    from: { width: 200, height: 100, bytes: picture.length },
    to: { name: '64.png', format: 'png' as const, width: 64, height: 32 },
    open: async () => new Blob([picture]).stream(),
  };
  const down = new Error('down');

  it('convert by the second what the first fails at', async () => {
    const bytes = await firstOf(failing(down), wasmCodec, quiet).convert(conversion);
    expect(imageSize(bytes).width).toBe(64);
  });

  it('ask to come again with what is too large for the second', async () => {
    const both = firstOf(failing(down), failing(new TooLargeToConvert()), quiet);
    await expect(both.convert(conversion)).rejects.toThrow(CodecBusy);
    const neither = firstOf(failing(down), failing(new NotConvertible()), quiet);
    await expect(neither.convert(conversion)).rejects.toThrow(NotConvertible);
  });

  it('take what is too large for the first for too large', async () => {
    const codec = firstOf(failing(new TooLargeToConvert()), failing(down), quiet);
    await expect(codec.convert(conversion)).rejects.toThrow(TooLargeToConvert);
  });
});

describe('turns', () => {
  /** A clock that goes on while somebody waits. */
  function clocked() {
    const clock = { now: NOW };
    const sleep = async (ms: number) => {
      clock.now += ms;
      await new Promise((done) => setTimeout(done));
    };
    return { clock, turns: createTurns({ atOnce: 2, sleep, now: () => clock.now }) };
  }

  it('are taken two at once, and by others afterwards', async () => {
    const { turns } = clocked();
    const held = [0, 1, 2].map(() => Promise.withResolvers<void>());
    const begun: number[] = [];
    const done = held.map(({ promise }, index) =>
      turns.take(async () => {
        begun.push(index);
        await promise;
      }),
    );
    await new Promise((next) => setTimeout(next, 5));
    expect(begun).toEqual([0, 1]);
    held[1]?.resolve();
    held[2]?.resolve();
    await Promise.all([done[1], done[2]]);
    expect(begun).toEqual([0, 1, 2]);
    held[0]?.resolve();
    await done[0];
  });

  it('are waited for so long and no longer, and what never ends holds none for ever', async () => {
    const { clock, turns } = clocked();
    const never = () => new Promise<never>(() => {});
    void turns.take(never);
    void turns.take(never);
    const startedAt = clock.now;
    await expect(turns.take(async () => 'mine')).rejects.toThrow(CodecBusy);
    expect(clock.now - startedAt).toBe(5_000);
    clock.now = startedAt + 15_000;
    expect(await turns.take(async () => 'mine')).toBe('mine');
  });

  it('are given back by what fails', async () => {
    const { turns } = clocked();
    const failing = () => turns.take(() => Promise.reject(new Error('broken')));
    for (let times = 0; times < 5; times += 1) await expect(failing()).rejects.toThrow('broken');
  });
});
