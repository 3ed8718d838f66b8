import { describe, expect, it } from 'vitest';
import type { ProviderJob } from '../../../src/generation/providers/provider';
import { createTogetherProvider, together } from '../../../src/generation/providers/together';
import { contextWith, jobWith } from '../../support/provider-jobs';
import { type Script, scriptedFetch } from '../../support/scripted-fetch';

const CONFIG = { apiKey: 'tgp_v1_0123456789abcdef', baseUrl: 'https://together.test/v1' };
const GENERATIONS = 'POST https://together.test/v1/images/generations';
const MODEL = 'black-forest-labs/FLUX.1-schnell';

const picture = new Uint8Array([137, 80, 78, 71, 1, 2, 3]);
const base64 = btoa(String.fromCharCode(...picture));
const image = { bytes: new Uint8Array([1, 2, 3]), mediaType: 'image/png' };

const good = () =>
  Response.json({ id: 'oFuwv7Y-1', model: MODEL, data: [{ index: 0, b64_json: base64 }] });
const failing = (status: number, error: object) => () =>
  Response.json({ id: 'oFuwv7Y-1', error }, { status });

async function generate(script: Script, job: Partial<ProviderJob> = {}) {
  const scripted = scriptedFetch({ [GENERATIONS]: script });
  const opened: string[] = [];
  const provider = createTogetherProvider(CONFIG, {
    fetch: scripted.fetch,
    openImage: async (url) => {
      opened.push(url);
      return { body: new Blob([picture]).stream(), length: null };
    },
  });
  const answer = await provider.generate(jobWith({ model: MODEL, ...job }), contextWith());
  expect(scripted.unlisted).toEqual([]);
  return { answer, call: scripted.calls[0], calls: scripted.calls.length, opened };
}

describe('what is sent to Together', () => {
  const base = { model: MODEL, prompt: 'a lighthouse at dusk', response_format: 'base64' };
  const bodies: [name: string, job: Partial<ProviderJob>, body: object, ignored: string[]][] = [
    ['a bare prompt', {}, base, []],
    [
      'a size, a count and a seed of 0',
      { size: { width: 1024, height: 768 }, n: 2, seed: 0 },
      { ...base, width: 1024, height: 768, n: 2, seed: 0 },
      [],
    ],
    [
      'what diffusion models are told',
      { steps: 4, guidanceScale: 3.5, negativePrompt: 'fog' },
      { ...base, steps: 4, guidance_scale: 3.5, negative_prompt: 'fog' },
      [],
    ],
    [
      'an aspect ratio when there is no size',
      { aspectRatio: '16:9' },
      { ...base, aspect_ratio: '16:9' },
      [],
    ],
    [
      'the size alone when the ratio was turned into one',
      { aspectRatio: '16:9', size: { width: 1280, height: 720 } },
      { ...base, width: 1280, height: 720 },
      [],
    ],
    ['an output format it makes', { outputFormat: 'png' }, { ...base, output_format: 'png' }, []],
    ['no output format it does not make', { outputFormat: 'webp' }, base, ['output_format']],
    [
      'an input image as a data URL, and neither mask nor strength',
      { image, mask: image, strength: 0.5 },
      { ...base, image_url: 'data:image/png;base64,AQID' },
      ['mask', 'strength'],
    ],
    [
      "the client's options, as they are",
      { options: { disable_safety_checker: true, image_loras: [{ path: 'x', scale: 1 }] } },
      { ...base, disable_safety_checker: true, image_loras: [{ path: 'x', scale: 1 }] },
      [],
    ],
    [
      'none of the options that decide what is paid for',
      { options: { n: 4, width: 2048, steps: 50, response_format: 'url' } },
      base,
      ['n', 'width', 'steps', 'response_format'].map((name) => `provider_options.together.${name}`),
    ],
  ];
  it.each(bodies)('is %s', async (_name, job, body, ignored) => {
    const { answer, call } = await generate(good, job);
    expect(call?.json()).toEqual(body);
    expect(answer).toMatchObject({
      outcome: 'succeeded',
      warnings: ignored.map((field) => `together ignores ${field}`),
    });
  });

  it('carries the key and the correlation id', async () => {
    const { call } = await generate(good);
    expect(call?.headers.get('authorization')).toBe(`Bearer ${CONFIG.apiKey}`);
    expect(call?.headers.get('x-correlation-id')).toBe('corr-1');
  });
});

describe('an answer of Together', () => {
  it('succeeds with its bytes and its id', async () => {
    expect((await generate(good)).answer).toEqual({
      outcome: 'succeeded',
      images: [{ bytes: picture, seed: null }],
      costMicros: null,
      providerRequestId: 'oFuwv7Y-1',
      warnings: [],
    });
  });

  it('may name URLs, which are opened when they are wanted, without the key', async () => {
    const url = 'https://cdn.test/a.png';
    const { answer, opened, calls } = await generate(() => Response.json({ data: [{ url }] }));
    if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
    const [first] = answer.images;
    expect(opened).toEqual([]);
    if (first && 'open' in first) await first.open(new AbortController().signal);
    expect(opened).toEqual([url]);
    expect(calls).toBe(1);
  });

  const nsfw = (stage: string) => ({
    outcome: 'refused',
    error: { details: { moderation: { stage, categories: ['nsfw'], provider: 'together' } } },
    possiblyBilled: stage === 'output',
    providerRequestId: 'oFuwv7Y-1',
  });
  const rejected = (kind: string) => ({ outcome: 'rejected', error: { details: { kind } } });
  const ends: [name: string, script: Script, expected: object][] = [
    [
      'a refused prompt',
      failing(422, { message: 'NSFW prompt for image generation.' }),
      nsfw('input'),
    ],
    [
      'a refused picture',
      failing(422, { message: 'NSFW content detected in image.' }),
      nsfw('output'),
    ],
    ['a bad key', failing(401, { message: 'No.', code: 'invalid_api_key' }), rejected('auth')],
    ['no credit', failing(402, { message: 'Credit limit exceeded' }), rejected('payment')],
    ['no such model', failing(404, { message: 'No.' }), rejected('not_found')],
    ['a bad parameter', failing(400, { message: 'steps must be 1 to 4' }), rejected('parameter')],
    ['a rate limit', failing(429, { message: 'Slow down' }), { outcome: 'throttled' }],
    ['a fault', failing(500, { message: 'Oops' }), { outcome: 'failed', possiblyBilled: false }],
    ['an overload', failing(503, { type: 'overloaded_error' }), { outcome: 'throttled' }],
    ['a gateway that gave up', failing(504, {}), { outcome: 'unknown', possiblyBilled: true }],
    [
      'no images',
      () => Response.json({ id: 'oFuwv7Y-1', data: [] }),
      { outcome: 'failed', error: { code: 'invalid_output' }, providerRequestId: 'oFuwv7Y-1' },
    ],
  ];
  it.each(ends)('with %s has one outcome', async (_name, script, expected) => {
    expect((await generate(script)).answer).toMatchObject(expected);
  });
});

describe('the settings of Together', () => {
  const cases: [name: string, env: object, expected: object | null][] = [
    ['off without a key', {}, null],
    [
      'at its public address with one',
      { TOGETHER_API_KEY: 'k' },
      { apiKey: 'k', baseUrl: 'https://api.together.xyz/v1' },
    ],
    [
      'elsewhere when told',
      { TOGETHER_API_KEY: 'k', TOGETHER_BASE_URL: 'http://localhost:1/v1/' },
      { apiKey: 'k', baseUrl: 'http://localhost:1/v1' },
    ],
  ];
  it.each(cases)('turn it %s', (_name, env, expected) => {
    expect(together.settings.parse(env)).toEqual(expected);
  });
});
