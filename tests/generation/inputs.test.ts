import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { createInputStore } from '../../src/generation/inputs';
import type { GenerationInput } from '../../src/generation/types';
import { imageIdOf } from '../../src/images/keys';
import { newId } from '../../src/platform/ids';
import { anna, boris, HOUR_MS, imagesOn, NOW, pngOf, storeImage } from '../images/support';
import { faults, guarded, resetFaults } from '../support/worker';

const png = pngOf(1_000);
const dataUrl = `data:image/png;base64,${Buffer.from(png).toString('base64')}`;
const prompt: GenerationInput = { prompt: 'a boat', n: 1 };

function inputsAt(now = NOW) {
  const asked: { url: string; signal?: AbortSignal }[] = [];
  const inputs = createInputStore({
    images: imagesOn(guarded(env).IMAGES),
    fetchUrl: async (input) => {
      asked.push(input);
      return input.url.endsWith('.png')
        ? { ok: true, bytes: png }
        : { ok: false, final: true, reason: 'The image’s URL answered 404.' };
    },
    now: () => now,
  });
  const keep = (fields: Partial<GenerationInput>, userId = anna) =>
    inputs.keep({ userId, input: { ...prompt, ...fields } });
  const load = (reference: string, userId = anna) =>
    inputs.load({ userId, reference, timeoutMs: 1_000 });
  return { asked, inputs, keep, load };
}

const faultOf = (path: string, message: string | RegExp) => ({
  code: 'invalid_request',
  details: { errors: [{ path, message: expect.stringMatching(message) }] },
});

beforeEach(resetFaults);

describe('an input image', () => {
  it('as a data URL becomes an upload, the same one for image and mask', async () => {
    const { keep, load } = inputsAt();
    const kept = await keep({ image: dataUrl, mask: dataUrl });
    const digest = await crypto.subtle.digest('SHA-256', png);
    const id = imageIdOf({ userId: anna, sha256: Buffer.from(digest).toString('hex') });
    expect(kept).toEqual({ ...prompt, image: id, mask: id });
    expect(await load(id)).toEqual({ ok: true, image: { bytes: png, mediaType: 'image/png' } });
  });

  it('as an id is taken from its owner while it is there', async () => {
    const { image } = await storeImage();
    const { keep } = inputsAt();
    expect((await keep({ image: image.id })).image).toBe(image.id);
    const missing = faultOf('image', /^there is no such image$/);
    await expect(keep({ image: image.id }, boris)).rejects.toMatchObject(missing);
    const late = inputsAt(image.expiresAt);
    await expect(late.keep({ image: image.id })).rejects.toMatchObject(missing);
    const unknown = imageIdOf({ requestId: newId('req', NOW), attempt: 1, index: 0 });
    await expect(keep({ mask: unknown })).rejects.toMatchObject(faultOf('mask', /no such image/));
  });

  it('that has expired is gone for a new request and there for one accepted before', async () => {
    const id = (await inputsAt().keep({ image: dataUrl })).image ?? '';
    const late = inputsAt(NOW + HOUR_MS);
    await expect(late.keep({ image: id })).rejects.toMatchObject(faultOf('image', /no such image/));
    expect(await late.load(id)).toMatchObject({ ok: true });
    await env.IMAGES.delete(`uploads/${anna}/${id.slice(-64)}`);
    expect(await late.load(id)).toEqual({
      ok: false,
      final: true,
      reason: 'The input image is gone.',
    });
  });

  it('of someone else is not loaded', async () => {
    const id = (await inputsAt().keep({ image: dataUrl })).image ?? '';
    expect(await inputsAt().load(id, boris)).toMatchObject({ ok: false, final: true });
  });

  it('by URL stays a URL, and is fetched with the time and signal of its attempt', async () => {
    const { keep, inputs, asked } = inputsAt();
    const url = 'https://example.com/a.png';
    expect((await keep({ image: url })).image).toBe(url);
    expect(asked).toEqual([]);
    const { signal } = new AbortController();
    await inputs.load({ userId: anna, reference: url, timeoutMs: 5, signal });
    expect(asked).toEqual([{ url, timeoutMs: 5, signal, maxBytes: 20 * 1024 * 1024 }]);
    expect(await inputsAt().load('https://example.com/none')).toMatchObject({ ok: false });
  });

  it.each([
    ['a path', './a.png', /must be an image id, a base64 data URL or an https URL/],
    ['a data URL of text', 'data:text/plain;base64,aGk=', /must be an image id/],
    ['no picture', 'data:image/png;base64,aGVsbG8=', /^it is of an unknown kind/],
    ['an empty one', 'data:;base64,', /^it is empty$/],
    ['cut short', dataUrl.slice(0, 400), /^it is cut short$/],
  ])('is refused when it is %s, and named', async (_, mask, message) => {
    await expect(inputsAt().keep({ mask })).rejects.toMatchObject(faultOf('mask', message));
  });

  it.each(['put', 'head'])('is unavailable while R2 cannot %s', async (method) => {
    const { image } = await storeImage();
    Object.assign(faults, { r2: 'fail', only: [method] });
    const reference = method === 'put' ? dataUrl : image.id;
    const kept = inputsAt().keep({ image: reference });
    await expect(kept).rejects.toMatchObject({ code: 'unavailable' });
  });
});
