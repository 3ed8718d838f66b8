import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { manifestOf, manifestSchema } from '../../src/generation/manifest';
import type { StoredImage } from '../../src/images/types';
import * as lifecycle from '../../src/requests/lifecycle';
import type { RequestSpec, RequestState } from '../../src/requests/types';
import { failure, NOW, running, specOf, success, tryTarget } from '../support/states';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const body = specOf().id.slice('req_'.length);
const imageId = `img_${body}_2_0` as const;
const other = `img_${body}_2_1` as const;

const imageOf = (id: StoredImage['id']): StoredImage => ({
  id,
  width: 1024,
  height: 768,
  mediaType: 'image/png',
  bytes: 4_321,
  sha256: 'a'.repeat(64),
  seed: 7,
  model: 'gpt-image-1',
  provider: 'openai',
  providerModel: 'gpt-image-1',
  createdAt: NOW + 900,
  expiresAt: NOW + 86_400_000,
});

/** Failed once, then made two images. */
function made(input: object, overrides: Partial<RequestSpec> = {}): RequestState {
  const output = { images: [imageOf(imageId), imageOf(other)] };
  const begun = running('token-1', { ...overrides, input: { n: 2, ...input } as never });
  const facts = { decide: tryTarget, nextToken: 'token-2' };
  const again = lifecycle.settle(
    begun,
    { ...facts, token: 'token-1', result: failure('failed') },
    NOW + 500,
  );
  const result = { ...success, output: output as never };
  return lifecycle.settle(again, { ...facts, token: 'token-2', result }, NOW + 1_000);
}

const full = {
  prompt: 'a red sunset',
  negative_prompt: 'people',
  styled: { prompt: 'a red sunset, in ink', negative_prompt: 'people, photo' },
  style: 'ink',
  width: 1024,
  height: 768,
  seed: 5,
  steps: 30,
  guidance_scale: 7.5,
  strength: 0.4,
  output_format: 'png',
  provider_options: { openai: { quality: 'high', background: 'auto' }, fal: { loras: [] } },
  image: `img_0${'c'.repeat(26)}_${'d'.repeat(64)}`,
  mask: 'https://files.example/mask.png?token=secret',
};

describe('a manifest', () => {
  it('says of an image what its request has on record of the attempt that made it', () => {
    const manifest = manifestOf(made(full), imageId);
    expect(manifest).toEqual({
      version: 1,
      image: {
        id: imageId,
        sha256: 'a'.repeat(64),
        bytes: 4_321,
        width: 1024,
        height: 768,
        media_type: 'image/png',
      },
      created_at: new Date(NOW + 900).toISOString(),
      request_id: specOf().id,
      requested_at: new Date(NOW).toISOString(),
      model: 'gpt-image-1',
      provider: 'openai',
      provider_model: 'gpt-image-1',
      provider_request_id: 'provider-1',
      attempt: 2,
      seed: 7,
      prompt_sha256: sha256('a red sunset, in ink'),
      negative_prompt_sha256: sha256('people, photo'),
      parameters: {
        style: 'ink',
        width: 1024,
        height: 768,
        aspect_ratio: null,
        seed: 5,
        steps: 30,
        guidance_scale: 7.5,
        strength: 0.4,
        output_format: 'png',
        provider_options_sha256: sha256('{"background":"auto","quality":"high"}'),
      },
      inputs: { image: { sha256: 'd'.repeat(64) }, mask: { url_sha256: sha256(full.mask) } },
      cost_usd: 0.042,
      images_made: 2,
    });
    expect(manifestSchema.parse(manifest)).toEqual(manifest);
  });

  it('says null of what was not asked for, and hashes the prompt as it was written', () => {
    const manifest = manifestOf(made({ prompt: 'ein Füchslein 🦊' }), other);
    expect(manifest).toMatchObject({
      image: { id: other },
      prompt_sha256: sha256('ein Füchslein 🦊'),
      negative_prompt_sha256: null,
      inputs: { image: null, mask: null },
    });
    expect(new Set(Object.values(manifest?.parameters ?? {}))).toEqual(new Set([null]));
  });

  it('names an input that Foreman has made by its id', () => {
    const input = { prompt: 'a boat', image: `img_0${'e'.repeat(26)}_1_0` };
    expect(manifestOf(made(input), imageId)?.inputs.image).toEqual({ image_id: input.image });
  });

  it('is the same text every time', () => {
    const text = () => JSON.stringify(manifestOf(made(full), imageId));
    expect(text()).toBe(text());
    const options = { openai: { background: 'auto', quality: 'high' } };
    const reordered = made({ ...full, provider_options: options });
    expect(JSON.stringify(manifestOf(reordered, imageId))).toBe(text());
  });

  it.each<[string, RequestState, string]>([
    ['an image that the request has not', made(full), `img_${body}_2_7`],
    ['an image of another attempt', made(full), `img_${body}_1_0`],
    ['an image of another request', made(full), `img_0${'z'.repeat(26)}_2_0`],
    ['a request that runs', running(), imageId],
    ['a request that was canceled', lifecycle.cancel(running(), NOW), imageId],
    [
      'an equal request, which has not made it',
      { ...made(full), id: `req_0${'z'.repeat(26)}`, attempts: [] },
      imageId,
    ],
  ])('is not made for %s', (_, state, id) => {
    expect(manifestOf(state, id)).toBeNull();
  });

  it('never has a word of a prompt, of an option, of an address or of who asked', () => {
    const word = fc.string({ minLength: 8, maxLength: 40, unit: 'grapheme' });
    fc.assert(
      fc.property(word, word, word, fc.boolean(), (prompt, negative, option, isStyled) => {
        const [said, unsaid, told] = [`§${prompt}`, `§${negative}`, `§${option}`];
        const state = made(
          {
            ...full,
            prompt: said,
            negative_prompt: unsaid,
            styled: isStyled ? { prompt: `${said}!`, negative_prompt: unsaid } : undefined,
            provider_options: { openai: { [told]: told } },
          },
          { metadata: { [told]: told } },
        );
        const text = JSON.stringify(manifestOf(state, imageId));
        expect(text).not.toContain('§');
        expect(text).not.toContain('secret');
        expect(text).not.toContain(state.userId.slice(4));
        expect(text).not.toContain('c'.repeat(26));
      }),
      { numRuns: 100 },
    );
  });
});
