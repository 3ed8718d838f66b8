import { describe, expect, it } from 'vitest';
import type { ProviderJob } from '../../../src/generation/providers/provider';
import { createStabilityProvider, stability } from '../../../src/generation/providers/stability';
import { contextWith, jobWith } from '../../support/provider-jobs';
import { type Script, scriptedFetch } from '../../support/scripted-fetch';

const API_KEY = 'sk-AbCdEfGhIjKlMnOpQrStUvWx0123456789';
const BASE_URL = 'https://stability.test';
const PATHS = ['generate/core', 'generate/ultra', 'generate/sd3', 'edit/inpaint'] as const;
const urlOf = (path: (typeof PATHS)[number]) => `${BASE_URL}/v2beta/stable-image/${path}`;

const picture = new Uint8Array([137, 80, 78, 71, 1, 2, 3]);
const base64 = btoa(String.fromCharCode(...picture));
const file = { bytes: new Uint8Array([1, 2, 3]), mediaType: 'image/webp' };
const mask = { bytes: new Uint8Array([4, 5]), mediaType: 'image/png' };

const answer = (body: unknown, status = 200, headers: Record<string, string> = {}) =>
  new Response(typeof body === 'string' ? body : JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json; type=image/png', ...headers },
  });
const good = () =>
  answer({ image: base64, finish_reason: 'SUCCESS', seed: 7 }, 200, { 'x-request-id': 'req-1' });
const refusal = (name: string, message: string, status: number) => () =>
  answer({ id: 'a1b2c3', name, errors: [message] }, status);

async function generate(script: Script, job: Partial<ProviderJob> = {}) {
  const scripted = scriptedFetch(
    Object.fromEntries(PATHS.map((path) => [`POST ${urlOf(path)}`, script])),
  );
  const provider = createStabilityProvider(
    { apiKey: API_KEY, baseUrl: BASE_URL },
    { fetch: scripted.fetch, openImage: () => Promise.reject(new Error('no URL is expected')) },
  );
  const outcome = await provider.generate(
    jobWith({ model: 'sd3.5-large', ...job }),
    contextWith({ traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }),
  );
  expect(scripted.unlisted).toEqual([]);
  const [call] = scripted.calls;
  if (!call) throw new Error('nothing was sent');
  return { outcome, call };
}

async function fieldsOf(form: FormData) {
  const entries = [...form].map(async ([name, value]) => [
    name,
    value instanceof File
      ? { type: value.type, bytes: [...new Uint8Array(await value.arrayBuffer())] }
      : value,
  ]);
  return Object.fromEntries(await Promise.all(entries));
}

describe('what is sent', () => {
  const prompt = 'a lighthouse at dusk';
  const image = { type: 'image/webp', bytes: [1, 2, 3] };
  const forms: [name: string, job: Partial<ProviderJob>, path: string, fields: object][] = [
    ['a bare prompt, to sd3', {}, 'generate/sd3', { prompt, model: 'sd3.5-large' }],
    ['a bare prompt, to core', { model: 'core' }, 'generate/core', { prompt }],
    ['a bare prompt, to ultra', { model: 'ultra' }, 'generate/ultra', { prompt }],
    [
      'all that a text can be told',
      {
        model: 'sd3.5-medium',
        negativePrompt: 'fog',
        seed: 42,
        aspectRatio: '16:9',
        outputFormat: 'jpeg',
        guidanceScale: 4.5,
      },
      'generate/sd3',
      {
        prompt,
        model: 'sd3.5-medium',
        negative_prompt: 'fog',
        seed: '42',
        aspect_ratio: '16:9',
        output_format: 'jpeg',
        cfg_scale: '4.5',
      },
    ],
    [
      'an image, to sd3',
      { image: file, strength: 0.8 },
      'generate/sd3',
      { prompt, model: 'sd3.5-large', mode: 'image-to-image', strength: '0.8', image },
    ],
    [
      'an image without the strength that the API demands',
      { model: 'ultra', image: file },
      'generate/ultra',
      { prompt, strength: '0.5', image },
    ],
    [
      'an image and a mask, to inpaint',
      { model: 'inpaint', image: file, mask, outputFormat: 'webp' },
      'edit/inpaint',
      { prompt, output_format: 'webp', image, mask: { type: 'image/png', bytes: [4, 5] } },
    ],
    [
      "the client's options",
      { model: 'core', options: { style_preset: 'line-art', new_thing: { deep: [1] } } },
      'generate/core',
      { prompt, style_preset: 'line-art', new_thing: '{"deep":[1]}' },
    ],
  ];
  it.each(forms)('sends %s', async (_name, job, path, fields) => {
    const { outcome, call } = await generate(good, job);
    expect(call.method).toBe('POST');
    expect(call.url).toBe(`${BASE_URL}/v2beta/stable-image/${path}`);
    expect(await fieldsOf(await call.form())).toEqual(fields);
    expect(outcome).toMatchObject({ outcome: 'succeeded', warnings: [] });
  });

  it('the key, the trace and the wish for JSON go in headers', async () => {
    const { call } = await generate(good);
    expect(Object.fromEntries(call.headers)).toMatchObject({
      accept: 'application/json',
      authorization: `Bearer ${API_KEY}`,
      'x-correlation-id': 'corr-1',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      'content-type': expect.stringMatching(/^multipart\/form-data; ?boundary=/),
    });
  });
});

describe('what the API has no place for', () => {
  const ignored: [name: string, job: Partial<ProviderJob>, warnings: string[]][] = [
    [
      'pixels and steps',
      { size: { width: 512, height: 512 }, steps: 30 },
      ['stability ignores size', 'stability ignores steps'],
    ],
    ['a ratio that is not in its list', { aspectRatio: '4:3' }, ['stability ignores aspect_ratio']],
    [
      'a ratio beside an image, which has its own',
      { aspectRatio: '16:9', image: file, strength: 0.5 },
      ['stability ignores aspect_ratio'],
    ],
    ['seed 0, which stands for any', { seed: 0 }, ['stability ignores seed']],
    ['a seed beyond its range', { seed: 4_294_967_295 }, ['stability ignores seed']],
    ['webp from sd3', { outputFormat: 'webp' }, ['stability ignores output_format']],
    [
      'an image and its strength for core',
      { model: 'core', image: file, strength: 0.5 },
      ['stability ignores image', 'stability ignores strength'],
    ],
    [
      'a mask for anything but inpaint',
      { model: 'ultra', image: file, strength: 0.5, mask },
      ['stability ignores mask'],
    ],
    [
      'guidance and strength for inpaint',
      { model: 'inpaint', image: file, mask, strength: 0.5, guidanceScale: 7 },
      ['stability ignores guidance_scale', 'stability ignores strength'],
    ],
    [
      'options with a field of their own',
      { options: { model: 'sd3.5-large-turbo', seed: 3 } },
      [
        'stability ignores provider_options.stability.model',
        'stability ignores provider_options.stability.seed',
      ],
    ],
  ];
  it.each(ignored)('%s: a warning says so', async (_name, job, warnings) => {
    const { outcome, call } = await generate(good, job);
    expect(outcome).toMatchObject({ outcome: 'succeeded', warnings });
    const sent = await call.form();
    for (const name of ['width', 'height', 'steps', 'seed']) expect(sent.has(name)).toBe(false);
  });
});

describe('what the answer means', () => {
  it('a picture comes with its seed', async () => {
    const { outcome } = await generate(good);
    expect(outcome).toEqual({
      outcome: 'succeeded',
      images: [{ bytes: picture, seed: 7 }],
      costMicros: null,
      providerRequestId: 'req-1',
      warnings: [],
    });
  });

  it('a filtered picture is a refusal of the output, and may be billed', async () => {
    const filtered = { image: base64, finish_reason: 'CONTENT_FILTERED', seed: 7 };
    const { outcome } = await generate(() => answer(filtered, 200, { 'x-request-id': 'req-1' }));
    expect(outcome).toEqual({
      outcome: 'refused',
      error: {
        code: 'CONTENT_FILTERED',
        message: 'stability refused the image it made',
        details: {
          moderation: {
            stage: 'output',
            categories: [],
            provider: 'stability',
            provider_code: 'CONTENT_FILTERED',
            account_level: false,
          },
        },
      },
      retryAfterMs: null,
      providerRequestId: 'req-1',
      possiblyBilled: true,
    });
  });

  it('a flagged request is a refusal of the input, and costs nothing', async () => {
    const { outcome } = await generate(refusal('content_moderation', 'It was flagged.', 403));
    expect(outcome).toEqual({
      outcome: 'refused',
      error: {
        code: 'content_moderation',
        message: 'It was flagged.',
        details: {
          status: 403,
          moderation: {
            stage: 'input',
            categories: [],
            provider: 'stability',
            provider_code: 'content_moderation',
            account_level: false,
          },
        },
      },
      retryAfterMs: null,
      providerRequestId: 'a1b2c3',
      possiblyBilled: false,
    });
  });

  const rejected = (code: string, kind: string) => ({
    outcome: 'rejected',
    error: { code, details: { kind } },
    possiblyBilled: false,
  });
  const failures: [name: string, script: Script, expected: object][] = [
    [
      '400',
      refusal('bad_request', 'seed: is too large', 400),
      rejected('bad_request', 'parameter'),
    ],
    ['401', refusal('unauthorized', 'No.', 401), rejected('unauthorized', 'auth')],
    ['402', refusal('payment_required', 'No.', 402), rejected('payment_required', 'payment')],
    ['another 403', refusal('forbidden', 'No.', 403), rejected('forbidden', 'auth')],
    ['404', refusal('not_found', 'No.', 404), rejected('not_found', 'not_found')],
    ['413', refusal('payload_too_large', 'No.', 413), rejected('payload_too_large', 'parameter')],
    ['422', refusal('invalid_language', 'No.', 422), rejected('invalid_language', 'parameter')],
    [
      '429, which shuts out for a minute',
      refusal('rate_limit_exceeded', 'No.', 429),
      { outcome: 'throttled', retryAfterMs: 60_000 },
    ],
    [
      '429 with a wait of its own',
      () => answer({}, 429, { 'retry-after': '4' }),
      { outcome: 'throttled', retryAfterMs: 4_000 },
    ],
    [
      '500',
      refusal('internal_error', 'No.', 500),
      { outcome: 'failed', error: { code: 'internal_error' } },
    ],
    ['504', () => answer('', 504), { outcome: 'unknown', possiblyBilled: true }],
    [
      'an answer without a picture',
      () => answer({ image: '', finish_reason: 'SUCCESS' }),
      { outcome: 'failed', error: { code: 'invalid_output' }, possiblyBilled: true },
    ],
    [
      'a picture that is no base64',
      () => answer({ image: '§§§', finish_reason: 'SUCCESS' }),
      { outcome: 'failed', error: { code: 'invalid_output' } },
    ],
    [
      'a page in place of JSON',
      () => answer('<html></html>'),
      { outcome: 'failed', error: { code: 'invalid_output' } },
    ],
  ];
  it.each(failures)('%s ends as the table of outcomes says', async (_name, script, expected) => {
    expect((await generate(script)).outcome).toMatchObject(expected);
  });

  it('an answer larger than any picture is cut off, and no success', async () => {
    const chunk = new Uint8Array(1024 * 1024).fill(32);
    const endless = () => new ReadableStream({ pull: (stream) => stream.enqueue(chunk) });
    expect((await generate(() => new Response(endless()))).outcome).toMatchObject({
      outcome: 'failed',
      error: {
        code: 'invalid_output',
        message: 'stability answered with more than images can take',
      },
      possiblyBilled: true,
    });
  });

  const brokenOff = () =>
    new ReadableStream({ pull: (stream) => stream.error(new Error('the connection was lost')) });
  it('an error whose body breaks off is told by its status', async () => {
    const script = () => new Response(brokenOff(), { status: 402 });
    expect((await generate(script)).outcome).toMatchObject(rejected('http_402', 'payment'));
  });

  it('a success whose body breaks off is unknown', async () => {
    expect((await generate(() => new Response(brokenOff()))).outcome).toMatchObject({
      outcome: 'unknown',
      error: { code: 'connection_lost' },
      possiblyBilled: true,
    });
  });

  it('neither the key nor the prompt is repeated', async () => {
    const script = refusal('unauthorized', `${API_KEY} may not draw a lighthouse at dusk`, 401);
    const { outcome } = await generate(script);
    expect(outcome).toMatchObject({ error: { message: '[key] may not draw [prompt]' } });
  });
});

describe('settings', () => {
  it('a key turns it on, at the usual address or another', () => {
    expect(stability.settings.parse({ STABILITY_API_KEY: 'k' })).toEqual({
      apiKey: 'k',
      baseUrl: 'https://api.stability.ai',
    });
    expect(
      stability.settings.parse({ STABILITY_API_KEY: 'k', STABILITY_BASE_URL: `${BASE_URL}/` }),
    ).toEqual({ apiKey: 'k', baseUrl: BASE_URL });
    expect(stability.settings.parse({})).toBeNull();
  });
});
