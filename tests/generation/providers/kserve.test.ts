import { describe, expect, it } from 'vitest';
import { createKserveProvider, kserve } from '../../../src/generation/providers/kserve';
import type { ProviderJob } from '../../../src/generation/providers/provider';
import { contextWith, jobWith } from '../../support/provider-jobs';
import { type Script, scriptedFetch } from '../../support/scripted-fetch';

const BASE_URL = 'https://models.test/serving';
const V1 = `${BASE_URL}/v1/models/sd`;
const V2 = `${BASE_URL}/v2/models/sd`;
const calls = {
  v1: { predict: `POST ${V1}:predict`, ready: `GET ${V1}` },
  v2: { predict: `POST ${V2}/infer`, ready: `GET ${V2}/ready` },
};
type Protocol = keyof typeof calls;

const picture = new Uint8Array([137, 80, 78, 71, 1, 2, 3]);
const base64 = btoa(String.fromCharCode(...picture));
const file = { bytes: new Uint8Array([1, 2, 3]), mediaType: 'image/png' };

const json = (body: unknown, status = 200, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers });
const good: Record<Protocol, Script> = {
  v1: () => json({ predictions: [{ image: { format: 'PNG', b64: base64 } }] }),
  v2: () => json({ outputs: [{ name: 'image', datatype: 'BYTES', shape: [1], data: [base64] }] }),
};

interface Asked {
  readonly job?: Partial<ProviderJob>;
  readonly predict?: Script;
  readonly ready?: Script;
  readonly apiKey?: string;
}

async function generate(protocol: Protocol, asked: Asked = {}) {
  const { predict = good[protocol], ready, apiKey = null } = asked;
  const scripted = scriptedFetch({
    [calls[protocol].predict]: predict,
    ...(ready ? { [calls[protocol].ready]: ready } : {}),
  });
  const provider = createKserveProvider(
    { baseUrl: BASE_URL, apiKey, protocol },
    {
      fetch: scripted.fetch,
      openImage: async (url) => ({
        body: new Response(url).body ?? new ReadableStream(),
        length: 0,
      }),
    },
  );
  const outcome = await provider.generate(jobWith({ model: 'sd', ...asked.job }), contextWith());
  expect(scripted.unlisted).toEqual([]);
  const [call, ...others] = scripted.calls;
  if (!call) throw new Error('nothing was sent');
  return { outcome, call, others };
}

const prompt = 'a lighthouse at dusk';
const everything: Partial<ProviderJob> = {
  n: 2,
  size: { width: 768, height: 512 },
  negativePrompt: 'fog',
  seed: 4_294_967_295,
  steps: 25,
  guidanceScale: 7,
};

describe('what is sent by V1', () => {
  const instances: [name: string, job: Partial<ProviderJob>, instance: object][] = [
    ['a bare prompt', {}, { prompt }],
    [
      'all that a text can be told',
      everything,
      {
        prompt,
        num_images: 2,
        negative_prompt: 'fog',
        width: 768,
        height: 512,
        num_inference_steps: 25,
        guidance_scale: 7,
        seed: 4_294_967_295,
      },
    ],
    [
      'an image, a mask and a strength',
      { image: file, mask: file, strength: 0.6 },
      { prompt, image: 'AQID', mask_image: 'AQID', strength: 0.6 },
    ],
    [
      "the client's options",
      { options: { scheduler: 'Euler a', lora: { scale: 0.5 } } },
      { prompt, scheduler: 'Euler a', lora: { scale: 0.5 } },
    ],
  ];
  it.each(instances)('%s is one instance', async (_name, job, instance) => {
    const { outcome, call } = await generate('v1', { job });
    expect(`${call.method} ${call.url}`).toBe(calls.v1.predict);
    expect(call.json()).toEqual({ instances: [instance] });
    expect(call.headers.get('content-type')).toBe('application/json');
    expect(call.headers.get('authorization')).toBeNull();
    expect(outcome).toMatchObject({ outcome: 'succeeded', warnings: [] });
  });
});

describe('what is sent by V2', () => {
  const tensor = (name: string, datatype: string, value: unknown) => ({
    name,
    shape: [1],
    datatype,
    data: [value],
  });
  const tensors: [name: string, job: Partial<ProviderJob>, inputs: object[]][] = [
    ['a bare prompt', {}, [tensor('prompt', 'BYTES', prompt)]],
    [
      'all that a text can be told',
      everything,
      [
        tensor('prompt', 'BYTES', prompt),
        tensor('num_images', 'INT32', 2),
        tensor('negative_prompt', 'BYTES', 'fog'),
        tensor('width', 'INT32', 768),
        tensor('height', 'INT32', 512),
        tensor('num_inference_steps', 'INT32', 25),
        tensor('guidance_scale', 'FP32', 7),
        tensor('seed', 'INT64', 4_294_967_295),
      ],
    ],
    [
      'an image and a strength',
      { image: file, strength: 1 },
      [
        tensor('prompt', 'BYTES', prompt),
        tensor('image', 'BYTES', 'AQID'),
        tensor('strength', 'FP32', 1),
      ],
    ],
    [
      "the client's options, by their types",
      { options: { scheduler: 'Euler a', tiling: true, clip_skip: 2, eta: 0.5 } },
      [
        tensor('scheduler', 'BYTES', 'Euler a'),
        tensor('tiling', 'BOOL', true),
        tensor('clip_skip', 'INT32', 2),
        tensor('eta', 'FP32', 0.5),
        tensor('prompt', 'BYTES', prompt),
      ],
    ],
  ];
  it.each(tensors)('%s is one tensor each', async (_name, job, inputs) => {
    const { outcome, call } = await generate('v2', { job });
    expect(`${call.method} ${call.url}`).toBe(calls.v2.predict);
    expect(call.json()).toEqual({ inputs });
    expect(outcome).toMatchObject({ outcome: 'succeeded', warnings: [] });
  });

  it('an option that no tensor of one element can hold is ignored with a warning', async () => {
    const { outcome, call } = await generate('v2', { job: { options: { lora: { scale: 1 } } } });
    expect(call.json()).toEqual({ inputs: [tensor('prompt', 'BYTES', prompt)] });
    expect(outcome).toMatchObject({ warnings: ['kserve ignores provider_options.kserve.lora'] });
  });
});

describe('in both protocols', () => {
  const protocols: Protocol[] = ['v1', 'v2'];
  it.each(protocols)('a key goes as a bearer token (%s)', async (protocol) => {
    const { call } = await generate(protocol, { apiKey: 'kserve-key-0123456789' });
    expect(call.headers.get('authorization')).toBe('Bearer kserve-key-0123456789');
  });

  it.each(protocols)('what has no place is ignored with a warning (%s)', async (protocol) => {
    const job: Partial<ProviderJob> = {
      aspectRatio: '3:2',
      outputFormat: 'webp',
      mask: file,
      strength: 0.5,
      options: { seed: 3, num_images_per_prompt: 50 },
    };
    expect((await generate(protocol, { job })).outcome).toMatchObject({
      warnings: [
        'kserve ignores aspect_ratio',
        'kserve ignores output_format',
        'kserve ignores mask',
        'kserve ignores strength',
        'kserve ignores provider_options.kserve.seed',
        'kserve ignores provider_options.kserve.num_images_per_prompt',
      ],
    });
  });

  it('a model’s name with a slash is one piece of the path', async () => {
    const scripted = scriptedFetch({ [`POST ${BASE_URL}/v1/models/team%2Fsd:predict`]: good.v1 });
    const provider = createKserveProvider(
      { baseUrl: BASE_URL, apiKey: null, protocol: 'v1' },
      { fetch: scripted.fetch, openImage: () => Promise.reject(new Error('unexpected')) },
    );
    const outcome = await provider.generate(jobWith({ model: 'team/sd' }), contextWith());
    expect(outcome).toMatchObject({ outcome: 'succeeded' });
  });
});

describe('where the pictures are', () => {
  const bytes = (seed: number | null = null) => ({ bytes: picture, seed });
  const v1: [name: string, predictions: unknown, images: object[]][] = [
    ['image.b64', [{ image: { format: 'PNG', b64: base64 } }], [bytes()]],
    ['image_data, with a seed', [{ image_data: base64, seed: 7 }], [bytes(7)]],
    ['image', [{ image: base64 }], [bytes()]],
    ['images, with a seed for all', [{ images: [base64, base64], seed: 7 }], [bytes(7), bytes(7)]],
    [
      'a list of predictions',
      [{ image: { b64: base64 } }, { image_data: base64 }],
      [bytes(), bytes()],
    ],
    ['the predictions themselves', [base64, base64], [bytes(), bytes()]],
    ['a list of lists', [[base64], [base64]], [bytes(), bytes()]],
    ['one prediction without a list', { b64_json: base64 }, [bytes()]],
    ['a data URL', [`data:image/png;base64,${base64}`], [bytes()]],
  ];
  it.each(v1)('V1: %s is found', async (_name, predictions, images) => {
    const predict = () => json({ predictions });
    const { outcome } = await generate('v1', { predict, job: { n: 2 } });
    expect(outcome).toMatchObject({ outcome: 'succeeded', images });
  });

  const out = (name: string, datatype: string, data: unknown[]) => ({ name, datatype, data });
  const v2: [name: string, outputs: object[], images: object[]][] = [
    ['the only output', [out('result', 'BYTES', [base64])], [bytes()]],
    [
      'the output with an image in its name',
      [out('revised_prompt', 'BYTES', ['x']), out('generated_image', 'BYTES', [base64])],
      [bytes()],
    ],
    [
      'rows, with a seed each',
      [out('images', 'BYTES', [[base64], [base64]]), out('seeds', 'INT64', [7, 8])],
      [bytes(7), bytes(8)],
    ],
  ];
  it.each(v2)('V2: %s is found', async (_name, outputs, images) => {
    const predict = () => json({ outputs });
    const { outcome } = await generate('v2', { predict, job: { n: 2 } });
    expect(outcome).toMatchObject({ outcome: 'succeeded', images });
  });

  it('a picture by URL is opened when it is stored', async () => {
    const url = 'https://cdn.test/1.png';
    const { outcome } = await generate('v1', { predict: () => json({ predictions: [url] }) });
    if (outcome.outcome !== 'succeeded') throw new Error(JSON.stringify(outcome));
    const [image] = outcome.images;
    if (!image || 'bytes' in image) throw new Error('it should be opened later');
    const { body } = await image.open(new AbortController().signal);
    expect(await new Response(body).text()).toBe(url);
  });

  it('more pictures than were asked for are left', async () => {
    const predict = () => json({ predictions: [base64, base64, base64] });
    const { outcome } = await generate('v1', { predict });
    expect(outcome).toMatchObject({ images: [{ bytes: picture }] });
  });

  const pictureless: [protocol: Protocol, body: unknown][] = [
    ['v1', { predictions: [] }],
    ['v1', { predictions: [{ label: 'cat' }] }],
    ['v1', { predictions: ['error: out of memory'] }],
    ['v1', {}],
    ['v2', { outputs: [] }],
    ['v2', { outputs: [{ name: 'image', datatype: 'UINT8', shape: [2], data: [1, 2] }] }],
    ['v2', {}],
  ];
  it.each(pictureless)('%s: %j is no success', async (protocol, body) => {
    const { outcome } = await generate(protocol, { predict: () => json(body) });
    expect(outcome).toMatchObject({ outcome: 'failed', error: { code: 'invalid_output' } });
  });
});

describe('what a failure means', () => {
  const notReady = () => json({ error: 'Model with name sd is not ready.' }, 503);
  const notFound = () => json({ error: 'Model with name sd does not exist.' }, 404);
  const bare = (status: number) => () => new Response('', { status });
  const throttled = { outcome: 'throttled', error: { code: 'model_not_ready' } };
  const unknownModel = {
    outcome: 'rejected',
    error: { code: 'model_not_found', details: { kind: 'not_found' } },
  };
  const checked: [
    name: string,
    protocol: Protocol,
    predict: Script,
    ready: Script,
    expected: object,
  ][] = [
    ['a model that is loading', 'v1', notReady, notReady, { ...throttled, retryAfterMs: 5_000 }],
    ['a model that is loading', 'v2', notReady, notReady, { ...throttled, retryAfterMs: 5_000 }],
    [
      'a model that says that it is not ready',
      'v1',
      bare(503),
      () => json({ name: 'sd', ready: false }),
      { ...throttled, retryAfterMs: 5_000 },
    ],
    [
      'a model that is not routed to yet',
      'v2',
      bare(404),
      () => json({ name: 'sd', ready: false }),
      { ...throttled, retryAfterMs: 5_000 },
    ],
    [
      'a model that says how long it takes',
      'v1',
      notReady,
      () => json({}, 503, { 'retry-after': '30' }),
      { ...throttled, retryAfterMs: 30_000 },
    ],
    ['a model that does not exist', 'v1', notFound, notFound, unknownModel],
    ['a model that does not exist', 'v2', notFound, notFound, unknownModel],
    ['a gateway’s 503 for a model that does not exist', 'v1', bare(503), notFound, unknownModel],
    [
      'a 503 of a model that is ready',
      'v1',
      bare(503),
      () => json({ name: 'sd', ready: true }),
      { outcome: 'failed', error: { code: 'server_error' } },
    ],
    [
      'a 503 of a model that is ready, by its status alone',
      'v2',
      bare(503),
      bare(200),
      { outcome: 'failed', error: { code: 'server_error' } },
    ],
    [
      'a 404 of a model that is ready',
      'v1',
      bare(404),
      () => json({ name: 'sd', ready: 'True' }),
      { outcome: 'rejected', error: { code: 'http_404' } },
    ],
    [
      'a 404 and a readiness nobody answers for',
      'v2',
      bare(404),
      bare(400),
      { outcome: 'rejected' },
    ],
    [
      'a 503 and a readiness that cannot be asked',
      'v1',
      bare(503),
      () => Promise.reject(new Error('refused')),
      { outcome: 'failed' },
    ],
  ];
  it.each(checked)(
    '%s (%s) is told by its readiness',
    async (_name, protocol, predict, ready, expected) => {
      const { outcome, others } = await generate(protocol, {
        predict,
        ready,
        apiKey: 'kserve-key',
      });
      expect(outcome).toMatchObject({ ...expected, possiblyBilled: false });
      expect(others.map(({ method, url }) => `${method} ${url}`)).toEqual([calls[protocol].ready]);
      expect(others[0]?.headers.get('authorization')).toBe('Bearer kserve-key');
    },
  );

  const failures: [name: string, script: Script, expected: object][] = [
    [
      '400',
      () => json({ error: 'invalid payload' }, 400),
      {
        outcome: 'rejected',
        error: { message: 'invalid payload', details: { kind: 'parameter' } },
      },
    ],
    [
      '401',
      () => new Response('Jwt is missing', { status: 401 }),
      { outcome: 'rejected', error: { message: 'Jwt is missing', details: { kind: 'auth' } } },
    ],
    [
      '403',
      () => new Response('RBAC: access denied', { status: 403 }),
      { outcome: 'rejected', error: { message: 'RBAC: access denied', details: { kind: 'auth' } } },
    ],
    [
      '429',
      () => json({}, 429, { 'retry-after': '2' }),
      { outcome: 'throttled', retryAfterMs: 2_000 },
    ],
    [
      '500',
      () => json({ error: 'RuntimeError : out of memory' }, 500),
      {
        outcome: 'failed',
        error: { code: 'server_error', message: 'RuntimeError : out of memory' },
      },
    ],
    ['504', () => new Response('', { status: 504 }), { outcome: 'unknown' }],
  ];
  it.each(failures)('%s is told without another question', async (_name, predict, expected) => {
    const { outcome, others } = await generate('v1', { predict });
    expect(outcome).toMatchObject(expected);
    expect(others).toEqual([]);
  });
});

describe('settings', () => {
  const parse = kserve.settings.parse.bind(kserve.settings);
  it('an address turns it on; V1 is the usual protocol', () => {
    expect(parse({})).toBeNull();
    expect(parse({ KSERVE_BASE_URL: `${BASE_URL}/` })).toEqual({
      baseUrl: BASE_URL,
      apiKey: null,
      protocol: 'v1',
    });
    expect(
      parse({ KSERVE_BASE_URL: BASE_URL, KSERVE_API_KEY: 'k', KSERVE_PROTOCOL: 'v2' }),
    ).toEqual({ baseUrl: BASE_URL, apiKey: 'k', protocol: 'v2' });
  });

  it('a protocol that there is not is refused', () => {
    const parsed = kserve.settings.safeParse({
      KSERVE_BASE_URL: BASE_URL,
      KSERVE_PROTOCOL: 'grpc',
    });
    expect(parsed.error?.issues).toMatchObject([
      { path: ['KSERVE_PROTOCOL'], message: 'must be v1 or v2' },
    ]);
  });
});
