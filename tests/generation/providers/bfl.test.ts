import { describe, expect, it } from 'vitest';
import { bfl, createBflProvider } from '../../../src/generation/providers/bfl';
import type {
  CallContext,
  PollContext,
  ProviderJob,
} from '../../../src/generation/providers/provider';
import { contextWith, jobWith, pollContextWith } from '../../support/provider-jobs';
import { type Script, scriptedFetch } from '../../support/scripted-fetch';

const API_KEY = 'bfl-key-0123456789abcdef';
const BASE_URL = 'https://api.bfl.ai/v1';
const POLLING_URL = 'https://api.eu2.bfl.ai/v1/get_result?id=task-1';
const CALLBACK = 'https://foreman.test/v1/callbacks/usr_1/req_1/1?signature=s';
const SAMPLE = 'https://delivery-eu.bfl.ai/results/task-1/sample.jpeg?sig=s';
const NOW = 1_700_000_000_000;

const input = { bytes: new Uint8Array([1, 2, 3, 250]), mediaType: 'image/png' };
const base64 = 'AQID+g==';

const json = (body: unknown, status = 200, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers });

const taken = (fields: object = {}) =>
  json({ id: 'task-1', polling_url: POLLING_URL, cost: 3.5, ...fields });

function providerOf(scripts: Record<string, Script>, baseUrl = BASE_URL) {
  const scripted = scriptedFetch(scripts);
  const opened: string[] = [];
  const provider = createBflProvider(
    { apiKey: API_KEY, baseUrl },
    {
      fetch: scripted.fetch,
      openImage: async (url) => {
        opened.push(url);
        return { body: new Blob(['image']).stream(), length: 5 };
      },
      now: () => NOW,
    },
  );
  return { provider, scripted, opened };
}

async function submit(
  job: Partial<ProviderJob>,
  of: { script?: Script; context?: Partial<CallContext>; baseUrl?: string } = {},
) {
  const { script = () => taken(), baseUrl = BASE_URL } = of;
  const full = jobWith({ model: 'flux-2-pro', ...job });
  const { provider, scripted } = providerOf({ [`POST ${baseUrl}/${full.model}`]: script }, baseUrl);
  const answer = await provider.generate(full, contextWith(of.context));
  expect(scripted.unlisted).toEqual([]);
  expect(scripted.calls).toHaveLength(1);
  return { answer, call: scripted.calls[0] };
}

const handle = { id: 'task-1', polling_url: POLLING_URL, cost_micros: 35_000 };

async function poll(script: Script, context: Partial<PollContext> = {}, from = handle) {
  const { provider, scripted, opened } = providerOf({ [`GET ${POLLING_URL}`]: script });
  const answer = await provider.jobs?.poll(from, pollContextWith(context));
  expect(scripted.unlisted).toEqual([]);
  return { answer, call: scripted.calls[0], opened };
}

const status = (name: string, fields: object = {}) =>
  json({ id: 'task-1', status: name, result: null, progress: null, details: null, ...fields });

describe('what is submitted', () => {
  const bodies: [name: string, job: Partial<ProviderJob>, body: object][] = [
    ['a bare prompt', {}, {}],
    [
      'a size, a seed and a format',
      { size: { width: 1024, height: 768 }, seed: 0, outputFormat: 'png' },
      { width: 1024, height: 768, seed: 0, output_format: 'png' },
    ],
    [
      'an aspect ratio as the size that it stands for',
      { aspectRatio: '16:9', size: { width: 1344, height: 756 } },
      { width: 1344, height: 756 },
    ],
    ['an image to FLUX.2', { image: input }, { input_image: base64 }],
    [
      'steps and guidance to FLUX.2 [flex]',
      { model: 'flux-2-flex', steps: 30, guidanceScale: 4.5 },
      { steps: 30, guidance: 4.5 },
    ],
    [
      'an aspect ratio and an image to Kontext',
      { model: 'flux-kontext-pro', aspectRatio: '16:9', image: input },
      { aspect_ratio: '16:9', input_image: base64 },
    ],
    [
      'an aspect ratio and an image to Ultra',
      { model: 'flux-pro-1.1-ultra', aspectRatio: '3:4', image: input },
      { aspect_ratio: '3:4', image_prompt: base64 },
    ],
    [
      'an image and its mask to Fill',
      { model: 'flux-pro-1.0-fill', image: input, mask: input, steps: 40, guidanceScale: 20 },
      { image: base64, mask: base64, steps: 40, guidance: 20 },
    ],
    ['an image to FLUX1.1', { model: 'flux-pro-1.1', image: input }, { image_prompt: base64 }],
    [
      'steps and guidance to FLUX.1 [dev]',
      { model: 'flux-dev', steps: 28, guidanceScale: 3 },
      { steps: 28, guidance: 3 },
    ],
    [
      "the client's options, as they are",
      { options: { safety_tolerance: 5, prompt_upsampling: false, new_thing: { deep: [1] } } },
      { safety_tolerance: 5, prompt_upsampling: false, new_thing: { deep: [1] } },
    ],
  ];
  it.each(bodies)('sends %s', async (_name, job, body) => {
    const { answer, call } = await submit(job);
    expect(answer).toMatchObject({ outcome: 'accepted', warnings: [] });
    expect(call?.json()).toEqual({
      prompt: 'a lighthouse at dusk',
      webhook_url: CALLBACK,
      ...body,
    });
  });

  it('carries the key in x-key and says that it is JSON', async () => {
    const { call } = await submit({});
    expect(call?.headers.get('x-key')).toBe(API_KEY);
    expect(call?.headers.get('content-type')).toBe('application/json');
    expect(call?.text()).not.toContain(API_KEY);
  });

  const callbacks: [name: string, callbackUrl: string, baseUrl: string, sent: string | null][] = [
    ['https to the API', CALLBACK, BASE_URL, CALLBACK],
    ['http to the API, which could not reach it', 'http://localhost/cb', BASE_URL, null],
    ['http to a neighbour', 'http://localhost/cb', 'http://bfl.test/v1', 'http://localhost/cb'],
  ];
  it.each(callbacks)('a callback over %s', async (_name, callbackUrl, baseUrl, sent) => {
    const { answer, call } = await submit({}, { context: { callbackUrl }, baseUrl });
    expect(call?.json()).toEqual({
      prompt: 'a lighthouse at dusk',
      ...(sent === null ? {} : { webhook_url: sent }),
    });
    expect(answer).toMatchObject({ checkAfterMs: sent === null ? 500 : 2_000 });
  });

  const ignored: [job: Partial<ProviderJob>, fields: string[]][] = [
    [
      { negativePrompt: 'fog', steps: 9, guidanceScale: 2, strength: 0.5, mask: input },
      ['negative_prompt', 'steps', 'guidance_scale', 'mask', 'strength'],
    ],
    [{ outputFormat: 'webp' }, ['output_format']],
    [{ aspectRatio: '1:1' }, ['aspect_ratio']],
    [{ model: 'flux-kontext-max', size: { width: 64, height: 64 } }, ['size']],
    [
      { model: 'flux-pro-1.0-fill', size: { width: 64, height: 64 }, aspectRatio: '1:1' },
      ['size', 'aspect_ratio'],
    ],
    [
      { options: { prompt: 'b', input_image_2: 'x', webhook_secret: 's', width: 64 } },
      ['prompt', 'input_image_2', 'webhook_secret', 'width'].map(
        (name) => `provider_options.bfl.${name}`,
      ),
    ],
  ];
  it.each(ignored)('%o is warned of where it has no effect', async (job, fields) => {
    const { answer, call } = await submit(job);
    expect(answer).toMatchObject({ warnings: fields.map((field) => `bfl ignores ${field}`) });
    expect(call?.json()).toEqual({ prompt: 'a lighthouse at dusk', webhook_url: CALLBACK });
  });
});

describe('the handle', () => {
  it('holds the id, the polling URL and the price quoted', async () => {
    const { answer } = await submit({});
    expect(answer).toEqual({
      outcome: 'accepted',
      handle,
      checkAfterMs: 2_000,
      providerRequestId: 'task-1',
      warnings: [],
    });
  });

  const built = `${BASE_URL}/get_result?id=task-1`;
  const urls: [given: unknown, kept: string][] = [
    ['https://api.bfl.ai/v1/get_result?id=task-1', 'https://api.bfl.ai/v1/get_result?id=task-1'],
    ['https://api.us1.bfl.ai/v1/get_result?id=a', 'https://api.us1.bfl.ai/v1/get_result?id=a'],
    ['http://api.us1.bfl.ai/v1/get_result?id=a', built],
    ['https://api.us1.bfl.ai:8443/v1/get_result?id=a', built],
    ['https://key@api.bfl.ai/v1/get_result?id=a', built],
    ['https://key@api.us1.bfl.ai/v1/get_result?id=a', built],
    ['https://api.bfl.ai.attacker.example/v1/get_result?id=a', built],
    ['https://attacker.example/api.bfl.ai', built],
    ['https://delivery.bfl.ai/v1/get_result?id=a', built],
    ['not a URL', built],
    [undefined, built],
  ];
  it.each(urls)('%s is polled at %s, for the key goes there', async (given, kept) => {
    const { answer } = await submit({}, { script: () => taken({ polling_url: given }) });
    expect(answer).toMatchObject({ handle: { polling_url: kept } });
  });

  it('an id that came without a usable URL is escaped', async () => {
    const script = () => json({ id: 'a/../b?c', polling_url: null });
    const { answer } = await submit({}, { script });
    expect(answer).toMatchObject({
      handle: { polling_url: `${BASE_URL}/get_result?id=a%2F..%2Fb%3Fc`, cost_micros: null },
    });
  });

  it('a stored URL that leads elsewhere is not called', async () => {
    const own = `${BASE_URL}/get_result?id=task-1`;
    const { provider, scripted } = providerOf({ [`GET ${own}`]: () => status('Pending') });
    const strange = { ...handle, polling_url: 'https://attacker.example/' };
    await provider.jobs?.poll(strange, pollContextWith());
    expect(scripted.calls.map(({ url }) => url)).toEqual([own]);
  });

  it('a handle of another shape is missing', async () => {
    const { provider, scripted } = providerOf({});
    expect(await provider.jobs?.poll({ prompt_id: 'x' }, pollContextWith())).toEqual({
      outcome: 'missing',
    });
    expect(scripted.calls).toEqual([]);
  });
});

describe('the end of a submission', () => {
  const ends: [name: string, script: Script, expected: object][] = [
    [
      'a missing key',
      () => json({ detail: 'Not authenticated' }, 403),
      { outcome: 'rejected', error: { message: 'Not authenticated', details: { kind: 'auth' } } },
    ],
    [
      'an empty account',
      () => json({ detail: 'Insufficient credits' }, 402),
      { outcome: 'rejected', error: { details: { kind: 'payment' } } },
    ],
    [
      'a body that does not fit, with each field named',
      () => json({ detail: [{ loc: ['body', 'width'], msg: 'too large', type: 't' }] }, 422),
      {
        outcome: 'rejected',
        error: { message: 'width: too large', details: { kind: 'parameter' } },
      },
    ],
    [
      'too many jobs at once, with the wait in the body',
      () => json({ error: 'rate_limit_exceeded', message: 'Too many', retry_after: 5 }, 429),
      { outcome: 'throttled', retryAfterMs: 5_000, error: { code: 'rate_limit_exceeded' } },
    ],
    [
      'too many jobs at once, with the wait in a header, which goes first',
      () => json({ retry_after: 5 }, 429, { 'retry-after': '9' }),
      { outcome: 'throttled', retryAfterMs: 9_000 },
    ],
    [
      'a policy that refuses the prompt',
      () => json({ error: 'content_policy_violation', message: 'violates' }, 400),
      {
        outcome: 'refused',
        error: {
          code: 'content_policy_violation',
          details: {
            moderation: {
              stage: 'input',
              categories: [],
              provider: 'bfl',
              provider_code: 'content_policy_violation',
              account_level: false,
            },
          },
        },
        possiblyBilled: false,
      },
    ],
    [
      'moderation as a status of the submission',
      () => json({ status: 'Request Moderated', details: { 'Moderation Reasons': ['x'] } }, 400),
      {
        outcome: 'refused',
        error: { details: { moderation: { stage: 'input', categories: ['x'] } } },
      },
    ],
    ['a fault of the server', () => json({ error: 'internal_error' }, 500), { outcome: 'failed' }],
    ['no JSON', () => new Response('<html>', { status: 500 }), { outcome: 'failed' }],
    ['a gateway timeout', () => json({}, 504), { outcome: 'unknown', possiblyBilled: true }],
    [
      'an acceptance without an id',
      () => json({ polling_url: POLLING_URL }),
      { outcome: 'unknown', error: { code: 'job_untraceable' }, possiblyBilled: true },
    ],
    [
      'a redirect, which is not followed',
      () => new Response(null, { status: 307, headers: { location: 'https://elsewhere.test' } }),
      { outcome: 'rejected', error: { details: { kind: 'not_found' } } },
    ],
  ];
  it.each(ends)('%s', async (_name, script, expected) => {
    expect((await submit({}, { script })).answer).toMatchObject(expected);
  });

  it('neither the key nor the prompt is repeated', async () => {
    const words = `bad key ${API_KEY} for "a lighthouse at dusk"`;
    const { answer } = await submit({}, { script: () => json({ message: words }, 400) });
    expect(answer).toMatchObject({
      error: { message: 'bad key [key] for "[prompt]"' },
    });
  });
});

describe('a poll', () => {
  it('asks the polling URL with the key', async () => {
    const { call } = await poll(() => status('Pending'));
    expect(`${call?.method} ${call?.url}`).toBe(`GET ${POLLING_URL}`);
    expect(call?.headers.get('x-key')).toBe(API_KEY);
    expect(call?.text()).toBe('');
  });

  const waits: [waitedMs: number, expectsCallback: boolean, checkAfterMs: number][] = [
    [0, false, 500],
    [8_000, false, 2_000],
    [100_000, false, 5_000],
    [0, true, 2_000],
    [100_000, true, 30_000],
  ];
  it.each(waits)(
    'after %d ms (callback: %s) asks again in %d ms',
    async (waitedMs, expectsCallback, checkAfterMs) => {
      const { answer } = await poll(() => status('Pending'), { waitedMs, expectsCallback });
      expect(answer).toEqual({
        outcome: 'pending',
        checkAfterMs,
        queuePosition: null,
        isQueued: false,
      });
    },
  );

  const ready = { sample: SAMPLE, prompt: 'a lighthouse at dusk', seed: 7 };
  const costs: [name: string, cost: unknown, micros: number][] = [
    ['the price settled', 2, 20_000],
    ['a settled price of nothing', 0, 0],
    ['a settled price with fractions', 1.4, 14_000],
    ['the price quoted where none is settled', null, 35_000],
    ['the price quoted where the settled one cannot be read', 'many', 35_000],
  ];
  it.each(costs)('an image comes with %s', async (_name, cost, costMicros) => {
    const { answer } = await poll(() => status('Ready', { result: ready, cost }));
    expect(answer).toEqual({
      outcome: 'succeeded',
      images: [{ seed: 7, open: expect.any(Function) }],
      costMicros,
      providerRequestId: 'task-1',
      warnings: [],
    });
  });

  it('the image is opened where the provider says, by the function for foreign URLs', async () => {
    const { answer, opened } = await poll(() => status('Ready', { result: ready }));
    if (answer?.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
    const [image] = answer.images;
    if (!image || !('open' in image)) throw new Error('no image to open');
    expect(opened).toEqual([]);
    await image.open(new AbortController().signal);
    expect(opened).toEqual([SAMPLE]);
  });

  const moderation = (stage: string, categories: string[], code: string) => ({
    moderation: { stage, categories, provider: 'bfl', provider_code: code, account_level: false },
  });
  const ends: [name: string, script: Script, expected: object][] = [
    [
      'Request Moderated',
      () => status('Request Moderated', { details: { 'Moderation Reasons': ['NSFW', 'IP'] } }),
      {
        outcome: 'refused',
        error: {
          code: 'request_moderated',
          details: moderation('input', ['NSFW', 'IP'], 'request_moderated'),
        },
        possiblyBilled: false,
      },
    ],
    [
      'Content Moderated, without reasons and without charge',
      () => status('Content Moderated'),
      {
        outcome: 'refused',
        error: {
          code: 'content_moderated',
          details: moderation('output', [], 'content_moderated'),
        },
        possiblyBilled: false,
      },
    ],
    [
      'Error for the content',
      () => status('Error', { error: 'content_policy_violation', message: 'no dusk' }),
      {
        outcome: 'refused',
        error: {
          message: 'no dusk',
          details: moderation('input', [], 'content_policy_violation'),
        },
      },
    ],
    [
      'Error for the input image',
      () => status('Error', { error: 'invalid_image', message: 'cannot be decoded' }),
      {
        outcome: 'rejected',
        error: {
          code: 'invalid_image',
          message: 'cannot be decoded',
          details: { kind: 'parameter' },
        },
      },
    ],
    [
      'Error in a sentence, with the prompt in it',
      () => status('Error', { error: 'Cannot draw a lighthouse at dusk.' }),
      {
        outcome: 'failed',
        error: { code: 'job_failed', message: 'Cannot draw [prompt].' },
        possiblyBilled: false,
      },
    ],
    [
      'Failed without a word',
      () => status('Failed'),
      { outcome: 'failed', error: { code: 'job_failed', message: 'the job at bfl failed' } },
    ],
    [
      'Ready without an image',
      () => status('Ready'),
      { outcome: 'failed', error: { code: 'invalid_output' } },
    ],
    ['a status nobody knows yet', () => status('Preparing'), { outcome: 'pending' }],
    ['a job not found', () => status('Task not found'), { outcome: 'missing' }],
    [
      'a job not found, with HTTP 503',
      () => json({ status: 'Task not found' }, 503),
      { outcome: 'missing' },
    ],
    ['HTTP 404', () => json({ detail: 'Not Found' }, 404), { outcome: 'missing' }],
    ['HTTP 500', () => json({}, 500), { outcome: 'unreachable', retryAfterMs: null }],
    [
      'HTTP 429 with the wait in the body',
      () => json({ retry_after: 2.5 }, 429),
      { outcome: 'unreachable', retryAfterMs: 2_500 },
    ],
    [
      'HTTP 503 with the wait in a header',
      () => json({}, 503, { 'retry-after': '3' }),
      { outcome: 'unreachable', retryAfterMs: 3_000 },
    ],
    ['HTTP 403', () => json({}, 403), { outcome: 'unreachable', retryAfterMs: null }],
    ['no JSON', () => new Response('<html>'), { outcome: 'unreachable', retryAfterMs: null }],
    [
      'a lost connection',
      () => {
        throw new TypeError('Network connection lost.');
      },
      { outcome: 'unreachable', retryAfterMs: null },
    ],
  ];
  it.each(ends)('%s', async (_name, script, expected) => {
    expect((await poll(script)).answer).toMatchObject(expected);
  });
});

describe('the settings', () => {
  it('a key turns it on, at the global host', () => {
    expect(bfl.settings.parse({ BFL_API_KEY: API_KEY })).toEqual({
      apiKey: API_KEY,
      baseUrl: BASE_URL,
    });
  });

  it('no key leaves it off', () => {
    expect(bfl.settings.parse({ BFL_API_KEY: '' })).toBeNull();
  });
});
