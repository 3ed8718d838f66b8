import { describe, expect, it } from 'vitest';
import {
  automatic1111,
  createAutomatic1111Provider,
} from '../../../src/generation/providers/automatic1111';
import type { ProviderJob } from '../../../src/generation/providers/provider';
import { png } from '../../support/fakes/png';
import { contextWith, jobWith } from '../../support/provider-jobs';
import { type Script, scriptedFetch } from '../../support/scripted-fetch';

const BASE_URL = 'http://gpu.test:7860';
const LOGIN = 'foreman:correct-horse-battery';
const TXT2IMG = `${BASE_URL}/sdapi/v1/txt2img`;
const IMG2IMG = `${BASE_URL}/sdapi/v1/img2img`;

const picture = new Uint8Array([137, 80, 78, 71, 1, 2, 3]);
const base64 = btoa(String.fromCharCode(...picture));

const pngOf = (width: number, height: number) => ({
  bytes: new Uint8Array(png(width, height)),
  mediaType: 'image/png',
});

const json = (body: unknown, status = 200, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers });
const made = (info: object, images = [base64]) => json({ images, info: JSON.stringify(info) });
const good = () => made({ all_seeds: [42], sd_model_name: 'sd_xl_base_1.0' });

async function generate(
  script: Script,
  job: Partial<ProviderJob> = {},
  apiKey: string | null = null,
) {
  const scripted = scriptedFetch({ [`POST ${TXT2IMG}`]: script, [`POST ${IMG2IMG}`]: script });
  const provider = createAutomatic1111Provider(
    { baseUrl: BASE_URL, apiKey },
    { fetch: scripted.fetch, openImage: () => Promise.reject(new Error('no URL is expected')) },
  );
  const outcome = await provider.generate(jobWith({ model: 'default', ...job }), contextWith());
  expect(scripted.unlisted).toEqual([]);
  const [call] = scripted.calls;
  if (!call) throw new Error('nothing was sent');
  return { outcome, call };
}

describe('what is sent', () => {
  const prompt = 'a lighthouse at dusk';
  const size = { width: 512, height: 768 };
  const bodies: [name: string, job: Partial<ProviderJob>, url: string, body: object][] = [
    ['a bare prompt, to what is loaded', {}, TXT2IMG, { prompt, batch_size: 1 }],
    [
      'a checkpoint by its name',
      { model: 'sd_xl_base_1.0' },
      TXT2IMG,
      { prompt, batch_size: 1, override_settings: { sd_model_checkpoint: 'sd_xl_base_1.0' } },
    ],
    [
      'all that a text can be told',
      { n: 4, size, negativePrompt: 'fog', seed: 0, steps: 20, guidanceScale: 7.5 },
      TXT2IMG,
      {
        prompt,
        batch_size: 4,
        negative_prompt: 'fog',
        ...size,
        seed: 0,
        steps: 20,
        cfg_scale: 7.5,
      },
    ],
    [
      "the client's options",
      { options: { sampler_name: 'Euler a', alwayson_scripts: { ADetailer: { args: [1] } } } },
      TXT2IMG,
      {
        prompt,
        batch_size: 1,
        sampler_name: 'Euler a',
        alwayson_scripts: { ADetailer: { args: [1] } },
      },
    ],
    [
      'an image, with its strength',
      { image: { bytes: new Uint8Array([1, 2, 3]), mediaType: 'image/png' }, strength: 0.6, size },
      IMG2IMG,
      { prompt, batch_size: 1, ...size, init_images: ['AQID'], denoising_strength: 0.6 },
    ],
    [
      'a mask, with the defaults of the web UI',
      {
        image: { bytes: new Uint8Array([1, 2, 3]), mediaType: 'image/png' },
        mask: { bytes: new Uint8Array([4, 5]), mediaType: 'image/png' },
      },
      IMG2IMG,
      {
        prompt,
        batch_size: 1,
        init_images: ['AQID'],
        mask: 'BAU=',
        inpainting_fill: 1,
        inpaint_full_res: false,
      },
    ],
    [
      'a mask, with the options of the client over the defaults',
      {
        image: { bytes: new Uint8Array([1, 2, 3]), mediaType: 'image/png' },
        mask: { bytes: new Uint8Array([4, 5]), mediaType: 'image/png' },
        options: { inpainting_fill: 2, mask_blur: 8 },
      },
      IMG2IMG,
      {
        prompt,
        batch_size: 1,
        init_images: ['AQID'],
        mask: 'BAU=',
        inpainting_fill: 2,
        inpaint_full_res: false,
        mask_blur: 8,
      },
    ],
  ];
  it.each(bodies)('sends %s', async (_name, job, url, body) => {
    const { call } = await generate(good, job);
    expect(`${call.method} ${call.url}`).toBe(`POST ${url}`);
    expect(call.json()).toEqual(body);
    expect(call.headers.get('content-type')).toBe('application/json');
    expect(call.headers.get('authorization')).toBeNull();
  });

  const sizes: [of: string, image: ReturnType<typeof pngOf>, width: number, height: number][] = [
    ['its own size', pngOf(640, 960), 640, 960],
    ['its own size in steps of 8', pngOf(641, 1003), 640, 1000],
    ['no more than 2048 pixels a side', pngOf(4096, 1024), 2048, 512],
    ['no less than 64 pixels a side', pngOf(4000, 20), 2048, 64],
  ];
  it.each(sizes)(
    'an image without a size asked for keeps %s',
    async (_of, image, width, height) => {
      const { call } = await generate(good, { image });
      expect(call.json()).toMatchObject({ width, height });
    },
  );

  it('a login goes as basic authentication', async () => {
    const { call } = await generate(good, {}, LOGIN);
    expect(call.headers.get('authorization')).toBe(`Basic ${btoa(LOGIN)}`);
  });
});

describe('what the API has no place for', () => {
  const ignored: [name: string, job: Partial<ProviderJob>, warnings: string[]][] = [
    ['a format', { outputFormat: 'webp' }, ['automatic1111 ignores output_format']],
    ['PNG, which is made anyway', { outputFormat: 'png' }, []],
    ['a ratio without a size', { aspectRatio: '3:2' }, ['automatic1111 ignores aspect_ratio']],
    [
      'a mask and a strength without an image',
      { mask: pngOf(64, 64), strength: 0.5 },
      ['automatic1111 ignores mask', 'automatic1111 ignores strength'],
    ],
    [
      'options that reach into the server or have a field of their own',
      { options: { override_settings: { outdir_samples: '/' }, n_iter: 100, script_name: 'x' } },
      [
        'automatic1111 ignores provider_options.automatic1111.override_settings',
        'automatic1111 ignores provider_options.automatic1111.n_iter',
        'automatic1111 ignores provider_options.automatic1111.script_name',
      ],
    ],
  ];
  it.each(ignored)('%s is answered with the right warnings', async (_name, job, warnings) => {
    const { outcome, call } = await generate(good, job);
    expect(outcome).toMatchObject({ outcome: 'succeeded', warnings });
    expect(Object.keys(Object(call.json())).sort()).toEqual(['batch_size', 'prompt']);
  });
});

describe('what the answer means', () => {
  it('pictures come with the seed of each', async () => {
    const { outcome } = await generate(() => made({ all_seeds: [42, 43] }, [base64, base64]), {
      n: 2,
    });
    expect(outcome).toEqual({
      outcome: 'succeeded',
      images: [
        { bytes: picture, seed: 42 },
        { bytes: picture, seed: 43 },
      ],
      costMicros: null,
      providerRequestId: null,
      warnings: [],
    });
  });

  it('a contact sheet in front and pictures of extensions behind are left out', async () => {
    const { outcome } = await generate(
      () =>
        made({ all_seeds: [1, 2], index_of_first_image: 1 }, ['c2hlZXQ=', base64, base64, 'eA==']),
      { n: 2 },
    );
    expect(outcome).toMatchObject({
      images: [
        { bytes: picture, seed: 1 },
        { bytes: picture, seed: 2 },
      ],
    });
  });

  it.each([['no info'], ['{"all_seeds": "lots"}'], ['']])(
    'info that says nothing (%s) is no fault',
    async (info) => {
      const { outcome } = await generate(() => json({ images: [base64], info }));
      expect(outcome).toMatchObject({ images: [{ bytes: picture, seed: null }], warnings: [] });
    },
  );

  const checkpoints: [asked: string, used: string, warnings: string[]][] = [
    ['sd_xl_base_1.0', 'sd_xl_base_1.0', []],
    ['sdxl/sd_xl_base_1.0.safetensors [31e35c80fc]', 'sd_xl_base_1.0', []],
    ['31e35c80fc', 'sd_xl_base_1.0', []],
    ['default', 'anything', []],
    ['no-such-model', 'sd_xl_base_1.0', ['automatic1111 used the checkpoint sd_xl_base_1.0']],
  ];
  it.each(checkpoints)('asked for %s, a server that used %s', async (model, used, warnings) => {
    const info = { all_seeds: [1], sd_model_name: used, sd_model_hash: '31e35c80fc' };
    expect((await generate(() => made(info), { model })).outcome).toMatchObject({ warnings });
  });

  const detail = (status: number, value: unknown) => () => json({ detail: value }, status);
  const rejected = (kind: string, message: string) => ({
    outcome: 'rejected',
    error: { message, details: { kind } },
    possiblyBilled: false,
  });
  const failures: [name: string, script: Script, expected: object][] = [
    [
      '401',
      detail(401, 'Incorrect username or password'),
      rejected('auth', 'Incorrect username or password'),
    ],
    ['404, when the API is off', detail(404, 'Not Found'), rejected('not_found', 'Not Found')],
    [
      '404, for a name it lacks',
      () =>
        json({ error: 'HTTPException', detail: 'Sampler not found', body: '', errors: '' }, 404),
      rejected('not_found', 'Sampler not found'),
    ],
    [
      '422, without what was sent',
      detail(422, [
        {
          type: 'int_type',
          loc: ['body', 'steps'],
          msg: 'should be an integer',
          input: 'a secret',
        },
      ]),
      rejected('parameter', 'body.steps: should be an integer'),
    ],
    [
      '500',
      () =>
        json(
          { error: 'OutOfMemoryError', detail: '', body: '', errors: 'CUDA out of memory.' },
          500,
        ),
      { outcome: 'failed', error: { code: 'OutOfMemoryError', message: 'CUDA out of memory.' } },
    ],
    [
      '503 with a wait',
      () => new Response('Service Unavailable', { status: 503, headers: { 'retry-after': '3' } }),
      { outcome: 'throttled', retryAfterMs: 3_000 },
    ],
    ['503', () => new Response('', { status: 503 }), { outcome: 'failed' }],
    ['504', () => new Response('', { status: 504 }), { outcome: 'unknown' }],
    [
      'an answer without pictures',
      () => made({}, []),
      { outcome: 'failed', error: { code: 'invalid_output' } },
    ],
    [
      'a page in place of JSON',
      () => new Response('<html></html>'),
      { outcome: 'failed', error: { code: 'invalid_output' } },
    ],
  ];
  it.each(failures)('%s ends as the table of outcomes says', async (_name, script, expected) => {
    expect((await generate(script)).outcome).toMatchObject(expected);
  });

  it('neither the password nor the prompt is repeated', async () => {
    const text = 'correct-horse-battery drew a lighthouse at dusk';
    const { outcome } = await generate(detail(500, text), {}, LOGIN);
    expect(outcome).toMatchObject({ error: { message: '[key] drew [prompt]' } });
  });
});

describe('settings', () => {
  it('an address turns it on, with or without a login', () => {
    const parse = automatic1111.settings.parse.bind(automatic1111.settings);
    expect(parse({})).toBeNull();
    expect(parse({ AUTOMATIC1111_AUTH: LOGIN })).toBeNull();
    expect(parse({ AUTOMATIC1111_BASE_URL: `${BASE_URL}/` })).toEqual({
      baseUrl: BASE_URL,
      apiKey: null,
    });
    expect(parse({ AUTOMATIC1111_BASE_URL: BASE_URL, AUTOMATIC1111_AUTH: LOGIN })).toEqual({
      baseUrl: BASE_URL,
      apiKey: LOGIN,
    });
  });

  it('a login without a colon is refused, and not quoted', () => {
    const parsed = automatic1111.settings.safeParse({
      AUTOMATIC1111_BASE_URL: BASE_URL,
      AUTOMATIC1111_AUTH: 'hunter2',
    });
    expect(parsed.error?.issues).toMatchObject([
      { path: ['AUTOMATIC1111_AUTH'], message: 'must be like user:password' },
    ]);
  });
});
