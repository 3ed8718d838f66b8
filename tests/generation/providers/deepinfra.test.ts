import { describe, expect, it } from 'vitest';
import { createDeepInfraProvider, deepinfra } from '../../../src/generation/providers/deepinfra';
import type { ProviderJob } from '../../../src/generation/providers/provider';
import { contextWith, jobWith } from '../../support/provider-jobs';
import { type Script, scriptedFetch } from '../../support/scripted-fetch';

const CONFIG = { apiKey: 'di-0123456789abcdef', baseUrl: 'https://deepinfra.test/v1' };
const MODEL = 'black-forest-labs/FLUX-1-schnell';
const INFERENCE = `POST https://deepinfra.test/v1/inference/${MODEL}`;
const EDITS = 'POST https://deepinfra.test/v1/openai/images/edits';

const picture = new Uint8Array([137, 80, 78, 71, 1, 2, 3]);
const base64 = btoa(String.fromCharCode(...picture));
const dataUrl = `data:image/png;base64,${base64}`;
const image = { bytes: new Uint8Array([1, 2, 3]), mediaType: 'image/png' };

const answered = (fields: object = {}) =>
  Response.json({
    images: [dataUrl],
    nsfw_content_detected: [false],
    seed: 42,
    request_id: 'RfMWDr1NXC',
    inference_status: { status: 'succeeded', runtime_ms: 300, cost: 0.00046395 },
    ...fields,
  });
const good = () => answered();
const edited = () => Response.json({ created: 1, data: [{ b64_json: base64 }] });
const failing = (status: number, body: unknown) => () => Response.json(body, { status });

async function generate(script: Script, job: Partial<ProviderJob> = {}) {
  const scripted = scriptedFetch({ [INFERENCE]: script, [EDITS]: script });
  const provider = createDeepInfraProvider(CONFIG, {
    fetch: scripted.fetch,
    openImage: async (url) => {
      throw new Error(`nobody is to open ${url}`);
    },
  });
  const answer = await provider.generate(jobWith({ model: MODEL, ...job }), contextWith());
  expect(scripted.unlisted).toEqual([]);
  expect(scripted.calls).toHaveLength(1);
  return { answer, call: scripted.calls[0] };
}

const warnings = (...ignored: string[]) => ({
  outcome: 'succeeded',
  warnings: ignored.map((field) => `deepinfra ignores ${field}`),
});

describe('what is sent to DeepInfra', () => {
  const base = { prompt: 'a lighthouse at dusk', num_images: 1 };
  const bodies: [name: string, job: Partial<ProviderJob>, body: object, ignored: string[]][] = [
    ['a bare prompt', {}, base, []],
    [
      'a size and a seed of 0',
      { size: { width: 1024, height: 768 }, seed: 0 },
      { ...base, width: '1024', height: '768', seed: 0 },
      [],
    ],
    [
      'what diffusion models are told',
      { steps: 4, guidanceScale: 3.5, negativePrompt: 'fog' },
      { ...base, num_inference_steps: 4, guidance_scale: 3.5, negative_prompt: 'fog' },
      [],
    ],
    [
      'an aspect ratio when there is no size',
      { aspectRatio: '16:9' },
      { ...base, aspect_ratio: '16:9' },
      [],
    ],
    ['no output format', { outputFormat: 'jpeg' }, base, ['output_format']],
    ["the client's options, as they are", { options: { sync: [1] } }, { ...base, sync: [1] }, []],
    [
      'none of the options that decide what is paid for or who is told',
      { options: { num_images: 4, num_inference_steps: 50, webhook: 'https://evil.test' } },
      base,
      ['num_images', 'num_inference_steps', 'webhook'].map(
        (name) => `provider_options.deepinfra.${name}`,
      ),
    ],
  ];
  it.each(bodies)('is %s', async (_name, job, body, ignored) => {
    const { answer, call } = await generate(good, job);
    expect(`${call?.method} ${call?.url}`).toBe(INFERENCE);
    expect(call?.json()).toEqual(body);
    expect(answer).toMatchObject(warnings(...ignored));
  });

  it('carries the key and the correlation id', async () => {
    const { call } = await generate(good);
    expect(call?.headers.get('authorization')).toBe(`Bearer ${CONFIG.apiKey}`);
    expect(call?.headers.get('x-correlation-id')).toBe('corr-1');
  });

  it('is a form for an input image with its mask', async () => {
    const { answer, call } = await generate(edited, {
      image,
      mask: { ...image, bytes: new Uint8Array([4, 5]) },
      size: { width: 512, height: 512 },
      seed: 1,
      steps: 20,
      strength: 0.5,
      negativePrompt: 'fog',
      options: { quality: 'high' },
    });
    expect(`${call?.method} ${call?.url}`).toBe(EDITS);
    const entries = [...((await call?.form())?.entries() ?? [])];
    const fields = entries.map(([name, value]) => [
      name,
      typeof value === 'string' ? value : value.size,
    ]);
    expect(Object.fromEntries(fields)).toEqual({
      model: MODEL,
      prompt: 'a lighthouse at dusk',
      image: 3,
      mask: 2,
      n: '1',
      size: '512x512',
      quality: 'high',
    });
    expect(answer).toMatchObject(warnings('negative_prompt', 'seed', 'steps', 'strength'));
  });
});

describe('an answer of DeepInfra', () => {
  it('succeeds with its bytes, its seed, its id and what it cost', async () => {
    expect((await generate(good)).answer).toEqual({
      outcome: 'succeeded',
      images: [{ bytes: picture, seed: 42 }],
      costMicros: 464,
      providerRequestId: 'RfMWDr1NXC',
      warnings: [],
    });
  });

  it('leaves the cost to the price list when it names none', async () => {
    const { answer } = await generate(() => answered({ inference_status: { cost: 0 } }));
    expect(answer).toMatchObject({ outcome: 'succeeded', costMicros: null });
  });

  it('is understood with nothing but images', async () => {
    const { answer } = await generate(() => Response.json({ images: [base64] }));
    expect(answer).toMatchObject({
      outcome: 'succeeded',
      images: [{ bytes: picture, seed: null }],
      providerRequestId: null,
    });
  });

  it('delivers what was not held back', async () => {
    const script = () =>
      answered({ images: [dataUrl, dataUrl], nsfw_content_detected: [true, false] });
    const { answer } = await generate(script, { n: 2 });
    expect(answer).toMatchObject({ outcome: 'succeeded', images: [{ bytes: picture }] });
  });

  const held = {
    outcome: 'refused',
    error: { details: { moderation: { stage: 'output', provider: 'deepinfra' } } },
    possiblyBilled: true,
    providerRequestId: 'RfMWDr1NXC',
  };
  const rejected = (kind: string, message: string) => ({
    outcome: 'rejected',
    error: { message, details: { kind } },
  });
  const ends: [name: string, script: Script, expected: object][] = [
    ['a flagged picture', () => answered({ nsfw_content_detected: [true] }), held],
    ['a blank one', () => answered({ images: [''], nsfw_content_detected: [true] }), held],
    [
      'a bad key',
      failing(401, { detail: { error: 'Invalid token' } }),
      rejected('auth', 'Invalid token'),
    ],
    ['no balance', failing(402, { detail: { error: 'Top up' } }), rejected('payment', 'Top up')],
    [
      'no such model',
      failing(404, { detail: { error: 'Model is not available' } }),
      rejected('not_found', 'Model is not available'),
    ],
    [
      'a parameter that fails validation',
      failing(422, { detail: [{ loc: ['body', 'width'], msg: 'too small', type: 'value_error' }] }),
      rejected('parameter', 'too small'),
    ],
    ['a rate limit', failing(429, { detail: { error: 'busy' } }), { outcome: 'throttled' }],
    ['a fault', failing(500, { detail: { error: 'oops' } }), { outcome: 'failed' }],
    ['no images', () => answered({ images: [] }), { error: { code: 'invalid_output' } }],
    ['no JSON', () => new Response('<html>'), { error: { code: 'invalid_output' } }],
  ];
  it.each(ends)('with %s has one outcome', async (_name, script, expected) => {
    expect((await generate(script)).answer).toMatchObject(expected);
  });
});

describe('the settings of DeepInfra', () => {
  const cases: [name: string, env: object, expected: object | null][] = [
    ['off without a key', {}, null],
    [
      'at its public address with one',
      { DEEPINFRA_API_KEY: 'k' },
      { apiKey: 'k', baseUrl: 'https://api.deepinfra.com/v1' },
    ],
  ];
  it.each(cases)('turn it %s', (_name, env, expected) => {
    expect(deepinfra.settings.parse(env)).toEqual(expected);
  });
});
