import { describe, expect, it } from 'vitest';
import { comfyui, createComfyUiProvider } from '../../../src/generation/providers/comfyui';
import type { PollContext, ProviderJob } from '../../../src/generation/providers/provider';
import type { JsonObject } from '../../../src/platform/json';
import { contextWith, jobWith, pollContextWith } from '../../support/provider-jobs';
import { type Script, scriptedFetch } from '../../support/scripted-fetch';

const BASE_URL = 'http://comfy.test:8188';
const API_KEY = 'comfy-key-0123456789';
const MODEL = 'sd_xl_base_1.0.safetensors';
const ID = '3f9c0d0e-0000-4000-8000-000000000001';
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const picture = { bytes: new Uint8Array([1, 2, 3]), mediaType: 'image/png' };
const mask = { bytes: new Uint8Array([4, 5, 6]), mediaType: 'image/jpeg' };

const json = (body: unknown, status = 200, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers });

function providerOf(
  scripts: Record<string, Script>,
  apiKey: string | null = null,
  allowsWorkflows = true,
) {
  const scripted = scriptedFetch(
    Object.fromEntries(
      Object.entries(scripts).map(([route, script]) => [
        route.replace(' ', ` ${BASE_URL}`),
        script,
      ]),
    ),
  );
  const provider = createComfyUiProvider(
    { apiKey, baseUrl: BASE_URL, allowsWorkflows },
    { fetch: scripted.fetch, now: () => 1_700_000_000_000 },
  );
  return { provider, scripted };
}

interface Submission {
  prompt: Record<string, { class_type: string; inputs: JsonObject }>;
  prompt_id: string;
  client_id: string;
}

async function submit(
  job: Partial<ProviderJob>,
  of: { script?: Script; apiKey?: string; allowsWorkflows?: boolean } = {},
) {
  const echo: Script = (call) => {
    const { prompt_id } = JSON.parse(call.text());
    return json({ prompt_id, number: 1, node_errors: {} });
  };
  const uploads = ['picture.png', 'mask.png'];
  const upload: Script = () => json({ name: uploads.shift(), subfolder: 'foreman', type: 'input' });
  const { provider, scripted } = providerOf(
    { 'POST /prompt': of.script ?? echo, 'POST /upload/image': upload },
    of.apiKey,
    of.allowsWorkflows,
  );
  const answer = await provider.generate(jobWith({ model: MODEL, ...job }), contextWith());
  expect(scripted.unlisted).toEqual([]);
  const call = scripted.calls.find(({ url }) => url.endsWith('/prompt'));
  const sent: Submission | null = call ? JSON.parse(call.text()) : null;
  return { answer, call, sent, calls: scripted.calls };
}

/** What each class of node was told. */
const inputsOf = (sent: Submission | null, id: string) => sent?.prompt[id]?.inputs;

describe('the built-in workflow', () => {
  it('makes an image from text, with what suits SDXL where the request says nothing', async () => {
    const { call, sent } = await submit({ seed: 7 });
    expect(`${call?.method} ${call?.url}`).toBe(`POST ${BASE_URL}/prompt`);
    expect(sent).toEqual({
      prompt_id: expect.stringMatching(UUID),
      client_id: 'comfyui',
      prompt: {
        checkpoint: { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: MODEL } },
        positive: {
          class_type: 'CLIPTextEncode',
          inputs: { text: 'a lighthouse at dusk', clip: ['checkpoint', 1] },
        },
        negative: { class_type: 'CLIPTextEncode', inputs: { text: '', clip: ['checkpoint', 1] } },
        empty: {
          class_type: 'EmptyLatentImage',
          inputs: { width: 1024, height: 1024, batch_size: 1 },
        },
        sampler: {
          class_type: 'KSampler',
          inputs: {
            model: ['checkpoint', 0],
            positive: ['positive', 0],
            negative: ['negative', 0],
            latent_image: ['empty', 0],
            seed: 7,
            steps: 20,
            cfg: 7,
            sampler_name: 'euler',
            scheduler: 'normal',
            denoise: 1,
          },
        },
        decode: {
          class_type: 'VAEDecode',
          inputs: { samples: ['sampler', 0], vae: ['checkpoint', 2] },
        },
        save: {
          class_type: 'SaveImage',
          inputs: { images: ['decode', 0], filename_prefix: `foreman/${sent?.prompt_id}/image` },
        },
      },
    });
  });

  const told: [name: string, job: Partial<ProviderJob>, node: string, inputs: object][] = [
    ['a negative prompt', { negativePrompt: 'fog' }, 'negative', { text: 'fog' }],
    ['a size', { size: { width: 832, height: 1216 } }, 'empty', { width: 832, height: 1216 }],
    ['a count', { n: 4 }, 'empty', { batch_size: 4 }],
    ['steps', { steps: 35 }, 'sampler', { steps: 35 }],
    ['a guidance scale', { guidanceScale: 3.5 }, 'sampler', { cfg: 3.5 }],
    ['a seed of 0', { seed: 0 }, 'sampler', { seed: 0 }],
    [
      'a sampler and a scheduler',
      { options: { sampler_name: 'dpmpp_2m', scheduler: 'karras' } },
      'sampler',
      { sampler_name: 'dpmpp_2m', scheduler: 'karras' },
    ],
    ['an image', { image: picture }, 'image', { image: 'foreman/picture.png' }],
    ['an image, of which most stays', { image: picture }, 'sampler', { denoise: 0.75 }],
    ['a strength', { image: picture, strength: 0.3 }, 'sampler', { denoise: 0.3 }],
    ['a strength of 0', { image: picture, strength: 0 }, 'sampler', { denoise: 0 }],
    [
      'an image and a size, which crops',
      { image: picture, size: { width: 64, height: 128 } },
      'scaled',
      { image: ['image', 0], width: 64, height: 128, crop: 'center' },
    ],
    [
      'an image, a mask and a size, which stretches both alike',
      { image: picture, mask, size: { width: 64, height: 128 } },
      'scaled',
      { crop: 'disabled' },
    ],
    [
      'an image without a size, which stays as it is',
      { image: picture },
      'encoded',
      { pixels: ['image', 0] },
    ],
    ['two of an image', { image: picture, n: 2 }, 'batch', { samples: ['encoded', 0], amount: 2 }],
    [
      'a mask, whose white is repainted',
      { image: picture, mask },
      'mask',
      { image: 'foreman/mask.png', channel: 'red' },
    ],
    [
      'a mask, whose transparency is repainted',
      { image: picture, mask, options: { mask_channel: 'alpha' } },
      'mask',
      { channel: 'alpha' },
    ],
    [
      'a mask on two images',
      { image: picture, mask, n: 2 },
      'masked',
      { samples: ['batch', 0], mask: ['mask', 0] },
    ],
    ['a mask, under which all is new', { image: picture, mask }, 'sampler', { denoise: 1 }],
    [
      'a mask, where the sampler begins',
      { image: picture, mask },
      'sampler',
      { latent_image: ['masked', 0] },
    ],
  ];
  it.each(told)('is told of %s', async (_name, job, node, inputs) => {
    const { answer, sent } = await submit(job);
    expect(answer).toMatchObject({ outcome: 'accepted', warnings: [] });
    expect(inputsOf(sent, node)).toMatchObject(inputs);
  });

  it('has a seed where the request has none, and says which', async () => {
    const { answer, sent } = await submit({});
    const seed = inputsOf(sent, 'sampler')?.seed;
    expect(seed).toEqual(expect.any(Number));
    expect(answer).toMatchObject({ handle: { seed } });
  });

  const ignored: [job: Partial<ProviderJob>, fields: string[]][] = [
    [{ aspectRatio: '1:1' }, ['aspect_ratio']],
    [{ aspectRatio: '1:1', size: { width: 64, height: 64 } }, []],
    [{ outputFormat: 'webp' }, ['output_format']],
    [{ outputFormat: 'png' }, []],
    [
      { options: { number: -1, front: true, scheduler: 4 } },
      ['number', 'front', 'scheduler'].map((name) => `provider_options.comfyui.${name}`),
    ],
  ];
  it.each(ignored)('%o is warned of where it has no effect', async (job, fields) => {
    const { answer, sent } = await submit(job);
    expect(answer).toMatchObject({ warnings: fields.map((field) => `comfyui ignores ${field}`) });
    expect(Object.keys(sent ?? {})).toEqual(['prompt', 'prompt_id', 'client_id']);
    expect(inputsOf(sent, 'sampler')).toMatchObject({ scheduler: 'normal' });
  });
});

describe("the client's own workflow", () => {
  it('is not run on a server whose operator does not allow it, and the client is told', async () => {
    const options = { workflow: { '1': { class_type: 'Any', inputs: {} } } };
    const { answer, sent } = await submit({ options }, { allowsWorkflows: false });
    expect(sent?.prompt).not.toEqual(options.workflow);
    const warnings = ['comfyui ignores provider_options.comfyui.workflow'];
    expect(answer).toMatchObject({ outcome: 'accepted', warnings });
  });

  const workflowOf = (inputs: JsonObject) => ({ '5': { class_type: 'Any', inputs, _meta: {} } });
  const filled: [name: string, value: JsonObject, job: Partial<ProviderJob>, expected: object][] = [
    ['a number alone stays a number', { a: '{{seed}}' }, { seed: 7 }, { a: 7 }],
    ['a number in a text is written out', { a: 's-{{seed}}.png' }, { seed: 7 }, { a: 's-7.png' }],
    ['0 is a value', { a: '{{ seed }}' }, { seed: 0 }, { a: 0 }],
    [
      'all that is deep inside is filled',
      { a: [{ b: '{{width}}x{{height}}' }, '{{n}}'] },
      { size: { width: 64, height: 128 }, n: 2 },
      { a: [{ b: '64x128' }, 2] },
    ],
    [
      'what the request leaves open is as in the built-in workflow',
      { a: '{{steps}}', b: '{{guidance_scale}}', c: '{{width}}', d: '{{negative_prompt}}' },
      {},
      { a: 20, b: 7, c: 1024, d: '' },
    ],
    ['the model is the checkpoint', { a: '{{model}}' }, {}, { a: MODEL }],
    [
      'a prompt is not filled again',
      { a: '{{prompt}}, {{seed}}' },
      { prompt: 'say {{model}}', seed: 1 },
      { a: 'say {{model}}, 1' },
    ],
    ['braces of a node stay', { a: '{{day|night}} {{wild}}' }, {}, { a: '{{day|night}} {{wild}}' }],
    [
      'files are named as they were uploaded',
      { a: '{{image}}', b: '{{mask}}', s: '{{strength}}' },
      { image: picture, mask },
      { a: 'foreman/picture.png', b: 'foreman/mask.png', s: 1 },
    ],
    [
      'links and flags stay',
      { a: ['4', 1], b: true, c: null },
      {},
      { a: ['4', 1], b: true, c: null },
    ],
  ];
  it.each(filled)('%s', async (_name, inputs, job, expected) => {
    const { sent } = await submit({ ...job, options: { workflow: workflowOf(inputs) } });
    expect(sent?.prompt).toEqual(workflowOf(expected as JsonObject));
  });

  it('warns of every field that has no placeholder', async () => {
    const { answer, calls } = await submit({
      negativePrompt: 'fog',
      n: 2,
      size: { width: 64, height: 64 },
      seed: 1,
      steps: 2,
      guidanceScale: 3,
      outputFormat: 'jpeg',
      image: picture,
      mask,
      strength: 0.5,
      options: { workflow: workflowOf({ a: 1 }), scheduler: 'karras' },
    });
    const fields = [
      ...['prompt', 'negative_prompt', 'n', 'size', 'seed', 'steps', 'guidance_scale'],
      ...['output_format', 'image', 'mask', 'strength', 'provider_options.comfyui.scheduler'],
    ];
    expect(answer).toMatchObject({
      handle: { seed: null },
      warnings: fields.map((field) => `comfyui ignores ${field}`),
    });
    expect(calls).toHaveLength(1);
  });

  it('an aspect ratio has its effect by the size that it stands for', async () => {
    const job = { aspectRatio: '1:1' as const, size: { width: 64, height: 64 } };
    const sized = { workflow: workflowOf({ p: '{{prompt}}', a: '{{width}}' }) };
    expect((await submit({ ...job, options: sized })).answer).toMatchObject({ warnings: [] });
    const other = { workflow: workflowOf({ p: '{{prompt}}' }) };
    expect((await submit({ ...job, options: other })).answer).toMatchObject({
      warnings: ['comfyui ignores aspect_ratio'],
    });
  });

  const unusable: [name: string, workflow: JsonObject[string], job: Partial<ProviderJob>][] = [
    ["the editor's own format", { nodes: [], links: [] }, {}],
    ['nothing', {}, {}],
    ['a list', [{ class_type: 'A', inputs: {} }], {}],
    ['a text', '{}', {}],
    ['a node without inputs', { a: { class_type: 'A' } }, {}],
    ['an image that the request has not', workflowOf({ a: '{{image}}' }), {}],
    ['a mask that the request has not', workflowOf({ a: '{{mask}}' }), { image: picture }],
  ];
  it.each(unusable)('with %s is rejected before anything is sent', async (_name, workflow, job) => {
    const { answer, calls } = await submit({ ...job, options: { workflow } });
    expect(answer).toMatchObject({
      outcome: 'rejected',
      error: { code: 'invalid_workflow', details: { kind: 'parameter' } },
      possiblyBilled: false,
    });
    expect(calls).toEqual([]);
  });
});

describe('an input image', () => {
  it('is uploaded as a form, named by its content', async () => {
    const { calls } = await submit({ image: picture, mask });
    expect(calls.map(({ method, url }) => `${method} ${url}`)).toEqual([
      `POST ${BASE_URL}/upload/image`,
      `POST ${BASE_URL}/upload/image`,
      `POST ${BASE_URL}/prompt`,
    ]);
    const form = await calls[0]?.form();
    expect(form?.get('type')).toBe('input');
    expect(form?.get('subfolder')).toBe('foreman');
    const file = form?.get('image');
    if (!(file instanceof File)) throw new Error('no file');
    expect(file.name).toBe('039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81.png');
    expect(file.type).toBe('image/png');
    expect(new Uint8Array(await file.arrayBuffer())).toEqual(picture.bytes);
    const second = (await calls[1]?.form())?.get('image');
    expect(second).toMatchObject({ name: expect.stringMatching(/^[0-9a-f]{64}\.jpg$/) });
  });

  const faults: [name: string, script: Script, expected: object][] = [
    ['a proxy that gave up', () => json({}, 504), { outcome: 'not_sent' }],
    ['an answer that is no JSON', () => new Response('<html>'), { outcome: 'not_sent' }],
    ['a refused key', () => json({}, 401), { outcome: 'rejected' }],
    ['a full disk', () => json({}, 500), { outcome: 'failed' }],
    [
      'a lost connection',
      () => {
        throw new TypeError('Network connection lost.');
      },
      { outcome: 'not_sent' },
    ],
  ];
  it.each(faults)(
    '%s ends the call before any job is asked for',
    async (_name, script, expected) => {
      const { provider, scripted } = providerOf({ 'POST /upload/image': script });
      const answer = await provider.generate(jobWith({ image: picture }), contextWith());
      expect(answer).toMatchObject({ ...expected, possiblyBilled: false });
      expect(scripted.calls).toHaveLength(1);
      expect(scripted.unlisted).toEqual([]);
    },
  );
});

describe('the headers', () => {
  it('carry the correlation id, and no key where there is none', async () => {
    const { calls } = await submit({ image: picture });
    for (const { headers } of calls) {
      expect(headers.get('x-correlation-id')).toBe('corr-1');
      expect(headers.has('authorization')).toBe(false);
    }
  });

  it('carry the key for the proxy in front on every call', async () => {
    const { calls } = await submit({ image: picture }, { apiKey: API_KEY });
    expect(calls.map(({ headers }) => headers.get('authorization'))).toEqual([
      `Bearer ${API_KEY}`,
      `Bearer ${API_KEY}`,
    ]);
  });
});

describe('the end of a submission', () => {
  it("the handle holds the server's id and the seed", async () => {
    const script = () => json({ prompt_id: 'its-own', number: 3, node_errors: {} });
    const { answer } = await submit({ seed: 7 }, { script });
    expect(answer).toEqual({
      outcome: 'accepted',
      handle: { prompt_id: 'its-own', seed: 7 },
      checkAfterMs: 500,
      providerRequestId: 'its-own',
      warnings: [],
    });
  });

  it('a part of the workflow that is left out is warned of', async () => {
    const script = () => json({ prompt_id: ID, node_errors: { '12': { errors: [] } } });
    expect((await submit({}, { script })).answer).toMatchObject({
      outcome: 'accepted',
      warnings: ['comfyui leaves out what depends on node 12 of the workflow'],
    });
  });

  const unknown: [name: string, script: Script][] = [
    ['a gateway timeout', () => json({}, 504)],
    ['a success that is no JSON', () => new Response('<html>')],
    ['a success without an id', () => json({ number: 1 })],
  ];
  it.each(unknown)(
    '%s may have made the job, which is looked up by its id',
    async (_name, script) => {
      const { answer, sent } = await submit({ seed: 7 }, { script });
      expect(answer).toMatchObject({
        outcome: 'accepted',
        handle: { prompt_id: sent?.prompt_id, seed: 7 },
      });
    },
  );

  const nodeFault = {
    error: {
      type: 'prompt_outputs_failed_validation',
      message: 'Prompt outputs failed validation',
    },
    node_errors: {
      checkpoint: {
        errors: [
          { type: 'value_not_in_list', message: 'Value not in list', details: "ckpt_name: 'x'" },
        ],
      },
    },
  };
  const ends: [name: string, script: Script, expected: object][] = [
    [
      'a fault of a node, in its own words',
      () => json(nodeFault, 400),
      {
        outcome: 'rejected',
        error: {
          code: 'value_not_in_list',
          message: "Value not in list: ckpt_name: 'x'",
          details: { kind: 'parameter' },
        },
      },
    ],
    [
      'a fault of the whole',
      () => json({ error: { type: 'prompt_no_outputs', message: 'Prompt has no outputs' } }, 400),
      {
        outcome: 'rejected',
        error: { code: 'prompt_no_outputs', message: 'Prompt has no outputs' },
      },
    ],
    [
      'a fault in a sentence, with the prompt in it',
      () => json({ error: 'cannot draw a lighthouse at dusk' }, 400),
      { outcome: 'rejected', error: { message: 'cannot draw [prompt]' } },
    ],
    ['a page of a proxy', () => new Response('<html>', { status: 403 }), { outcome: 'rejected' }],
    [
      'a proxy that throttles',
      () => json({}, 429, { 'retry-after': '4' }),
      { outcome: 'throttled', retryAfterMs: 4_000 },
    ],
    ['a crash', () => json({}, 500), { outcome: 'failed', possiblyBilled: false }],
    ['a proxy that reaches nobody', () => json({}, 521), { outcome: 'not_sent' }],
  ];
  it.each(ends)('%s', async (_name, script, expected) => {
    expect((await submit({}, { script })).answer).toMatchObject(expected);
  });
});

const emptyQueue = { queue_running: [], queue_pending: [] };
const handle = { prompt_id: ID, seed: 7 };

async function poll(
  queue: Script,
  history: Script = () => json({}),
  context: Partial<PollContext> = {},
) {
  const { provider, scripted } = providerOf(
    { 'GET /queue': queue, [`GET /history/${ID}`]: history },
    API_KEY,
  );
  const answer = await provider.jobs?.poll(handle, pollContextWith(context));
  expect(scripted.unlisted).toEqual([]);
  return { answer, calls: scripted.calls };
}

describe('a poll', () => {
  const entry = (number: number, id: string) => [number, id, {}, { client_id: 'x' }, ['9']];
  const places: [name: string, queue: object, expected: object][] = [
    [
      'running',
      { queue_running: [entry(4, ID)], queue_pending: [entry(5, 'b')] },
      { queuePosition: null, isQueued: false },
    ],
    [
      'next',
      { queue_running: [entry(1, 'a')], queue_pending: [entry(2, ID), entry(3, 'b')] },
      { queuePosition: 1, isQueued: true },
    ],
    [
      'third by its number, wherever it is listed',
      { queue_running: [], queue_pending: [entry(9, ID), entry(-2, 'b'), entry(8.5, 'c')] },
      { queuePosition: 3, isQueued: true },
    ],
  ];
  it.each(places)('of a job that is %s asks the queue alone', async (_name, queue, expected) => {
    const { answer, calls } = await poll(() => json(queue));
    expect(answer).toEqual({ outcome: 'pending', checkAfterMs: 500, ...expected });
    expect(calls.map(({ method, url }) => `${method} ${url}`)).toEqual([`GET ${BASE_URL}/queue`]);
    expect(calls[0]?.headers.get('authorization')).toBe(`Bearer ${API_KEY}`);
  });

  const waits: [waitedMs: number, checkAfterMs: number][] = [
    [0, 500],
    [8_000, 2_000],
    [100_000, 5_000],
  ];
  it.each(waits)(
    'after %d ms asks again in %d ms, for nobody calls back',
    async (waitedMs, checkAfterMs) => {
      const queue = { queue_running: [entry(1, ID)], queue_pending: [] };
      const context = { waitedMs, expectsCallback: true };
      expect((await poll(() => json(queue), undefined, context)).answer).toMatchObject({
        outcome: 'pending',
        checkAfterMs,
      });
    },
  );

  const success = { status_str: 'success', completed: true, messages: [] };
  const file = (filename: string, type = 'output') => ({ filename, subfolder: 'foreman', type });
  const records: [name: string, record: object, expected: object][] = [
    [
      'images of several nodes',
      {
        outputs: { '9': { images: [file('a'), file('b')] }, '10': { images: [file('c')] } },
        status: success,
      },
      { outcome: 'succeeded', costMicros: 0, images: [{ seed: 7 }, { seed: 7 }, { seed: 7 }] },
    ],
    [
      'a record of an old server, which has no status',
      { outputs: { '9': { images: [file('a')] } } },
      { outcome: 'succeeded', images: [{ seed: 7 }] },
    ],
    [
      'previews and texts, which are no results',
      {
        outputs: { '8': { images: [file('a', 'temp')] }, '7': { text: ['b'] }, '6': null },
        status: success,
      },
      { outcome: 'failed', error: { code: 'invalid_output' }, possiblyBilled: false },
    ],
    [
      'an error with the prompt in it',
      {
        outputs: {},
        status: {
          status_str: 'error',
          messages: [
            ['execution_start', { prompt_id: ID }],
            [
              'execution_error',
              {
                node_type: 'CLIPTextEncode',
                exception_type: 'ValueError',
                exception_message: 'a lighthouse at dusk is too long',
              },
            ],
          ],
        },
      },
      {
        outcome: 'failed',
        error: {
          code: 'execution_error',
          message: 'CLIPTextEncode: ValueError: [prompt] is too long',
        },
      },
    ],
    [
      'an error without a word',
      { outputs: {}, status: { status_str: 'error', messages: [] } },
      {
        outcome: 'failed',
        error: { code: 'execution_error', message: 'the job at comfyui failed' },
      },
    ],
    [
      'an interruption',
      {
        outputs: { '9': { images: [file('a')] } },
        status: { status_str: 'error', messages: [['execution_interrupted', { node_id: '3' }]] },
      },
      { outcome: 'failed', error: { code: 'execution_interrupted' } },
    ],
  ];
  it.each(records)('of an ended job: %s', async (_name, record, expected) => {
    const { answer, calls } = await poll(
      () => json(emptyQueue),
      () => json({ [ID]: record }),
    );
    expect(answer).toMatchObject(expected);
    expect(calls.map(({ url }) => url)).toEqual([`${BASE_URL}/queue`, `${BASE_URL}/history/${ID}`]);
  });

  it('of a job that is in neither queue nor history is missing', async () => {
    expect((await poll(() => json(emptyQueue))).answer).toEqual({ outcome: 'missing' });
  });

  const lost: Script = () => {
    throw new TypeError('Network connection lost.');
  };
  const silent: [
    name: string,
    queue: Script,
    history: Script | undefined,
    retryAfterMs: number | null,
  ][] = [
    ['a queue that fails', () => json({}, 500), undefined, null],
    ['a queue that is not there', () => json({}, 404), undefined, null],
    ['a queue that is no queue', () => json({ jobs: [] }), undefined, null],
    ['a queue out of reach', lost, undefined, null],
    ['a throttled queue', () => json({}, 429, { 'retry-after': '3' }), undefined, 3_000],
    ['a history that fails', () => json(emptyQueue), () => json({}, 500), null],
    ['a history that is not there', () => json(emptyQueue), () => json({}, 404), null],
    ['a history that is no history', () => json(emptyQueue), () => json([]), null],
    ['a history out of reach', () => json(emptyQueue), lost, null],
  ];
  it.each(silent)(
    'with %s says nothing of the job',
    async (_name, queue, history, retryAfterMs) => {
      expect((await poll(queue, history)).answer).toEqual({ outcome: 'unreachable', retryAfterMs });
    },
  );

  it('with a handle of another shape is missing', async () => {
    const { provider, scripted } = providerOf({});
    expect(await provider.jobs?.poll({ id: 'x' }, pollContextWith())).toEqual({
      outcome: 'missing',
    });
    expect(scripted.calls).toEqual([]);
  });
});

describe('a result', () => {
  const image = { filename: 'a b&c_00001_.png', subfolder: 'foreman/x', type: 'output' };
  const view = 'GET /view?filename=a+b%26c_00001_.png&subfolder=foreman%2Fx&type=output';

  async function open(script: Script) {
    const { provider, scripted } = providerOf(
      {
        'GET /queue': () => json(emptyQueue),
        [`GET /history/${ID}`]: () => json({ [ID]: { outputs: { '9': { images: [image] } } } }),
        [view]: script,
      },
      API_KEY,
    );
    const answer = await provider.jobs?.poll(handle, pollContextWith());
    if (answer?.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
    const [first] = answer.images;
    if (!first || !('open' in first)) throw new Error('no image to open');
    const { open: openFirst } = first;
    return { opened: () => openFirst(new AbortController().signal), scripted };
  }

  it('is fetched from the server by name, with the key, each time it is opened', async () => {
    const { opened, scripted } = await open(
      () => new Response('bytes', { headers: { 'content-length': '5' } }),
    );
    for (const _time of ['first', 'second']) {
      const { body, length } = await opened();
      expect(await new Response(body).text()).toBe('bytes');
      expect(length).toBe(5);
    }
    expect(scripted.unlisted).toEqual([]);
    expect(scripted.calls.at(-1)?.headers.get('authorization')).toBe(`Bearer ${API_KEY}`);
  });

  const faults: [status: number, body: string | null][] = [
    [404, 'not there'],
    [302, null],
    [200, null],
  ];
  it.each(faults)('with status %d and body %s is no image', async (status, body) => {
    const { opened } = await open(() => new Response(body, { status }));
    await expect(opened()).rejects.toThrow(`comfyui answered with status ${status} for an image`);
  });
});

describe('a cancel', () => {
  async function cancel(scripts: Record<string, Script>) {
    const { provider, scripted } = providerOf(scripts);
    const answer = await provider.jobs?.cancel(handle, pollContextWith());
    expect(scripted.unlisted).toEqual([]);
    return { answer, sent: scripted.calls.map(({ url, text }) => [new URL(url).pathname, text()]) };
  }
  const done: Script = () => new Response(null);
  const running = (id: string) => ({ queue_running: [[1, id, {}, {}, []]], queue_pending: [] });

  it('deletes by id, looks who runs, and interrupts by id', async () => {
    const { answer, sent } = await cancel({
      'POST /queue': done,
      'GET /queue': () => json(running(ID)),
      'POST /interrupt': done,
    });
    expect(answer).toBe('gone');
    expect(sent).toEqual([
      ['/queue', JSON.stringify({ delete: [ID] })],
      ['/queue', ''],
      ['/interrupt', JSON.stringify({ prompt_id: ID })],
    ]);
  });

  it('interrupts nobody while another runs', async () => {
    const { answer, sent } = await cancel({
      'POST /queue': done,
      'GET /queue': () => json(running('other')),
    });
    expect(answer).toBe('gone');
    expect(sent).toHaveLength(2);
  });

  const unreachable: [name: string, scripts: Record<string, Script>][] = [
    ['the deletion fails', { 'POST /queue': () => json({}, 500) }],
    ['the queue cannot be read', { 'POST /queue': done, 'GET /queue': () => json({}, 500) }],
    [
      'the interruption fails',
      {
        'POST /queue': done,
        'GET /queue': () => json(running(ID)),
        'POST /interrupt': () => json({}, 500),
      },
    ],
  ];
  it.each(unreachable)('is unreachable when %s', async (_name, scripts) => {
    expect((await cancel(scripts)).answer).toBe('unreachable');
  });

  it('with a handle of another shape is gone', async () => {
    const { provider } = providerOf({});
    expect(await provider.jobs?.cancel({}, pollContextWith())).toBe('gone');
  });
});

describe('the settings', () => {
  it('an address turns it on, with or without a key', () => {
    expect(comfyui.settings.parse({ COMFYUI_BASE_URL: `${BASE_URL}/` })).toEqual({
      baseUrl: BASE_URL,
      apiKey: null,
      allowsWorkflows: false,
    });
    expect(
      comfyui.settings.parse({ COMFYUI_BASE_URL: BASE_URL, COMFYUI_API_KEY: API_KEY }),
    ).toEqual({ baseUrl: BASE_URL, apiKey: API_KEY, allowsWorkflows: false });
  });

  it('only the operator lets clients bring workflows', () => {
    const settings = { COMFYUI_BASE_URL: BASE_URL, COMFYUI_WORKFLOWS: 'true' };
    expect(comfyui.settings.parse(settings)).toMatchObject({ allowsWorkflows: true });
  });

  it('a key alone leaves it off', () => {
    expect(comfyui.settings.parse({ COMFYUI_API_KEY: API_KEY })).toBeNull();
  });
});
