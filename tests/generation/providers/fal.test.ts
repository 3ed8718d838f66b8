import { describe, expect, it } from 'vitest';
import { createFalProvider } from '../../../src/generation/providers/fal';
import type {
  CallContext,
  PollAnswer,
  PollContext,
  ProviderJob,
} from '../../../src/generation/providers/provider';
import { contextWith, jobWith, pollContextWith } from '../../support/provider-jobs';
import { type Script, scriptedFetch } from '../../support/scripted-fetch';

const API_KEY = '0f5b3c1a-key:AbCdEfGhIjKlMnOpQrSt';
const BASE_URL = 'https://queue.fal.test';
const NOW = 1_800_000_000_000;
const ID = '764cabcf-b745-4b3e-ae38-1200304cf45b';
const JOB = `${BASE_URL}/fal-ai/flux/requests/${ID}`;
const handle = {
  request_id: ID,
  status_url: `${JOB}/status`,
  response_url: JOB,
  cancel_url: `${JOB}/cancel`,
};

const SCHNELL = 'fal-ai/flux/schnell';
const IMG2IMG = 'fal-ai/flux/dev/image-to-image';
const SDXL = 'fal-ai/fast-sdxl';
const ULTRA = 'fal-ai/flux-pro/v1.1-ultra';
const INPAINTING = 'fal-ai/fast-sdxl/inpainting';
const OWN = 'someone/own-app';

const small = { bytes: new Uint8Array([1, 2, 3]), mediaType: 'image/png' };
const dataUrl = 'data:image/png;base64,AQID';
const prompt = 'a lighthouse at dusk';
const callbackUrl = 'https://foreman.test/v1/callbacks/usr_1/req_1/1?signature=s&n=1';
const webhook = `?fal_webhook=${encodeURIComponent(callbackUrl)}`;

const json = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers });
const queued = () => json(200, { ...handle, queue_position: 3, status: 'IN_QUEUE' });
const completed =
  (fields: object = {}) =>
  () =>
    json(200, { status: 'COMPLETED', metrics: { inference_time: 0.4 }, ...fields });

function providerWith(scripts: Record<string, Script | readonly Script[]>) {
  const scripted = scriptedFetch(scripts);
  const opened: string[] = [];
  const provider = createFalProvider(
    { apiKey: API_KEY, baseUrl: BASE_URL },
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
  of: { answer?: Script; context?: Partial<CallContext>; query?: string } = {},
) {
  const asked = jobWith({ model: SCHNELL, ...job });
  const url = `${BASE_URL}/${asked.model}${of.query ?? webhook}`;
  const { provider, scripted } = providerWith({ [`POST ${url}`]: of.answer ?? queued });
  const context = contextWith({ deadlineAt: NOW + 90_000, callbackUrl, ...of.context });
  const answer = await provider.generate(asked, context);
  expect(scripted.unlisted).toEqual([]);
  expect(scripted.calls).toHaveLength(1);
  return { answer, call: scripted.calls[0] };
}

async function poll(
  status: Script,
  {
    result = () => json(599, {}),
    context = {},
  }: { result?: Script; context?: Partial<PollContext> } = {},
) {
  const { provider, scripted, opened } = providerWith({
    [`GET ${handle.status_url}`]: status,
    [`GET ${handle.response_url}`]: result,
  });
  const answer = await provider.jobs?.poll(handle, pollContextWith(context));
  expect(scripted.unlisted).toEqual([]);
  if (!answer) throw new Error('no jobs');
  return { answer, calls: scripted.calls, opened };
}

const endOf = async (result: Script, status: object = {}) =>
  (await poll(completed(status), { result })).answer;

describe('the body of a submission', () => {
  const bodies: [name: string, job: Partial<ProviderJob>, body: object][] = [
    ['a bare prompt', {}, { prompt, num_images: 1 }],
    [
      'all that FLUX schnell has',
      {
        size: { width: 1024, height: 576 },
        n: 2,
        seed: 0,
        steps: 4,
        guidanceScale: 3.5,
        outputFormat: 'png',
      },
      {
        prompt,
        num_images: 2,
        image_size: { width: 1024, height: 576 },
        seed: 0,
        num_inference_steps: 4,
        guidance_scale: 3.5,
        output_format: 'png',
      },
    ],
    [
      'a ratio, as the preset of that ratio',
      { aspectRatio: '9:16' },
      { prompt, num_images: 1, image_size: 'portrait_16_9' },
    ],
    [
      'a ratio with the size derived from it, which says more than a preset',
      { aspectRatio: '3:2', size: { width: 1254, height: 836 } },
      { prompt, num_images: 1, image_size: { width: 1254, height: 836 } },
    ],
    [
      'FLUX ultra, which is told by ratio',
      { model: ULTRA, aspectRatio: '21:9', size: { width: 1568, height: 672 } },
      { prompt, num_images: 1, aspect_ratio: '21:9' },
    ],
    [
      'image to image',
      { model: IMG2IMG, image: small, strength: 0.8 },
      { prompt, num_images: 1, image_url: dataUrl, strength: 0.8 },
    ],
    [
      'SDXL, which calls the format otherwise',
      { model: SDXL, negativePrompt: 'blurry', outputFormat: 'jpeg' },
      { prompt, num_images: 1, negative_prompt: 'blurry', format: 'jpeg' },
    ],
    [
      'inpainting',
      { model: INPAINTING, image: small, mask: small },
      { prompt, num_images: 1, image_url: dataUrl, mask_url: dataUrl },
    ],
    [
      'an endpoint that is not in the table, by the names most of them use',
      { model: OWN, negativePrompt: 'blurry', image: small, mask: small, outputFormat: 'jpeg' },
      {
        prompt,
        num_images: 1,
        negative_prompt: 'blurry',
        image_url: dataUrl,
        mask_url: dataUrl,
        output_format: 'jpeg',
      },
    ],
    [
      "the client's options, as they are",
      { options: { enable_safety_checker: false, acceleration: 'high', loras: [{ scale: 1 }] } },
      {
        prompt,
        num_images: 1,
        enable_safety_checker: false,
        acceleration: 'high',
        loras: [{ scale: 1 }],
      },
    ],
  ];
  it.each(bodies)('is %s', async (_name, job, body) => {
    const { answer, call } = await submit(job);
    expect(call?.json()).toEqual(body);
    expect(answer).toMatchObject({ outcome: 'accepted', warnings: [] });
  });

  const ignored: [name: string, job: Partial<ProviderJob>, names: string[]][] = [
    [
      'what FLUX schnell has no input for',
      { negativePrompt: 'x', image: small, mask: small, strength: 0.5 },
      ['negative_prompt', 'image', 'mask', 'strength'],
    ],
    ['a ratio without a preset', { aspectRatio: '21:9' }, ['aspect_ratio']],
    ['a format that it does not make', { outputFormat: 'webp' }, ['output_format']],
    [
      'a size where the input image has one',
      { model: IMG2IMG, size: { width: 512, height: 512 } },
      ['size'],
    ],
    [
      'a size where only ratios count',
      { model: ULTRA, size: { width: 512, height: 512 } },
      ['size'],
    ],
    [
      'options that decide price and transport, or have a field of their own',
      { options: { num_images: 4, sync_mode: true, image_size: 'square', seed: 1 } },
      [
        'provider_options.fal.num_images',
        'provider_options.fal.sync_mode',
        'provider_options.fal.image_size',
        'provider_options.fal.seed',
      ],
    ],
  ];
  it.each(ignored)('leaves out %s, with a warning', async (_name, job, names) => {
    const { answer, call } = await submit(job);
    expect(answer).toMatchObject({ warnings: names.map((name) => `fal ignores ${name}`) });
    expect(call?.json()).toEqual({ prompt, num_images: 1 });
  });
});

describe('a submission', () => {
  it('carries the key, the trace, the time it may wait, and leaves retries to Foreman', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const { call } = await submit({}, { context: { traceparent } });
    expect(Object.fromEntries(call?.headers ?? [])).toEqual({
      authorization: `Key ${API_KEY}`,
      'content-type': 'application/json',
      'x-fal-request-timeout': '90',
      'x-fal-no-retry': '1',
      'x-correlation-id': 'corr-1',
      traceparent,
    });
  });

  it('has a second at least to start in', async () => {
    const { call } = await submit({}, { context: { deadlineAt: NOW - 1 } });
    expect(call?.headers.get('x-fal-request-timeout')).toBe('1');
  });

  it('names no webhook that fal could not reach', async () => {
    const context = { callbackUrl: 'http://localhost:8787/v1/callbacks/usr_1/req_1/1' };
    const { answer } = await submit({}, { context, query: '' });
    expect(answer).toMatchObject({ outcome: 'accepted', checkAfterMs: 500 });
  });

  it('is accepted with the URLs that fal gave, and no key', async () => {
    const other = { ...handle, status_url: `${BASE_URL}/v2/jobs/${ID}?full=1` };
    const { answer } = await submit({}, { answer: () => json(200, other) });
    expect(answer).toEqual({
      outcome: 'accepted',
      handle: other,
      checkAfterMs: 2_000,
      providerRequestId: ID,
      warnings: [],
    });
  });

  const strays: [name: string, url: unknown][] = [
    ['another host', `https://evil.test/fal-ai/flux/requests/${ID}`],
    ['another scheme', `http://queue.fal.test/fal-ai/flux/requests/${ID}`],
    ['a user name', `https://me@queue.fal.test/fal-ai/flux/requests/${ID}`],
    ['no URL', 'elsewhere'],
    ['too long a URL', `${BASE_URL}/${'x'.repeat(500)}`],
    ['nothing', null],
  ];
  it.each(strays)('builds the URLs by itself where the answer has %s', async (_name, url) => {
    const stray = { request_id: ID, status_url: url, response_url: url, cancel_url: url };
    const { answer } = await submit({}, { answer: () => json(200, stray) });
    expect(answer).toMatchObject({ outcome: 'accepted', handle });
  });

  it('of a workflow is kept under its namespace', async () => {
    const model = 'workflows/acme/portraits/v2';
    const { answer } = await submit({ model }, { answer: () => json(200, { request_id: ID }) });
    expect(answer).toMatchObject({
      handle: { response_url: `${BASE_URL}/workflows/acme/portraits/requests/${ID}` },
    });
  });

  const faults = [
    { loc: ['body', 'prompt'], msg: `No "${prompt}"`, type: 'content_policy_violation' },
  ];
  const failures: [name: string, answer: Script, expected: object][] = [
    [
      'a key that is not known',
      () => json(401, { detail: `Bad key ${API_KEY}` }, { 'x-fal-request-id': 'r-1' }),
      {
        outcome: 'rejected',
        error: { message: 'Bad key [key]', details: { kind: 'auth' } },
        providerRequestId: 'r-1',
      },
    ],
    [
      'an empty balance',
      () => json(403, { detail: 'User is locked. Reason: Exhausted balance.' }),
      { outcome: 'rejected', error: { details: { kind: 'payment' } } },
    ],
    [
      'a blocked account',
      () => json(403, { detail: 'User is locked. Reason: abuse.' }),
      {
        outcome: 'rejected',
        error: { details: { kind: 'auth', moderation: { account_level: true } } },
      },
    ],
    [
      'no such endpoint',
      () => json(404, { detail: 'Application not found' }),
      { outcome: 'rejected', error: { details: { kind: 'not_found' } } },
    ],
    [
      'an input outside the schema',
      () => json(422, { detail: [{ loc: ['body', 'seed'], msg: 'Too big', type: 'less_than' }] }),
      {
        outcome: 'rejected',
        error: {
          code: 'less_than',
          message: 'body.seed: Too big',
          details: { kind: 'parameter' },
        },
      },
    ],
    [
      'a prompt refused at the door',
      () => json(422, { detail: faults }),
      {
        outcome: 'refused',
        error: {
          code: 'content_policy_violation',
          message: 'body.prompt: No "[prompt]"',
          details: { moderation: { stage: 'input', provider: 'fal', account_level: false } },
        },
      },
    ],
    [
      'a rate limit',
      () => json(429, { detail: 'Slow down' }, { 'retry-after': '4' }),
      { outcome: 'throttled', retryAfterMs: 4_000 },
    ],
    [
      'a fault of theirs',
      () => json(500, { detail: 'Oops', error_type: 'internal_error' }),
      { outcome: 'failed', error: { code: 'internal_error' }, possiblyBilled: false },
    ],
    ['a gateway timeout', () => json(504, {}), { outcome: 'unknown', possiblyBilled: true }],
    [
      'an acceptance without an id',
      () => json(200, { status: 'IN_QUEUE' }),
      { outcome: 'unknown', error: { code: 'job_untraceable' }, possiblyBilled: true },
    ],
  ];
  it.each(failures)(
    'that meets %s ends as the table of outcomes says',
    async (_n, answer, expected) => {
      const ended = (await submit({}, { answer })).answer;
      expect(ended).toMatchObject(expected);
      expect(JSON.stringify(ended)).not.toContain(API_KEY);
    },
  );
});

describe('a poll', () => {
  it('asks for the status alone while the job is not complete', async () => {
    const { calls } = await poll(() => json(202, { status: 'IN_PROGRESS' }));
    expect(calls.map(({ method, url }) => `${method} ${url}`)).toEqual([
      `GET ${handle.status_url}`,
    ]);
    expect(Object.fromEntries(calls[0]?.headers ?? [])).toEqual({
      authorization: `Key ${API_KEY}`,
      'x-correlation-id': 'corr-1',
    });
  });

  const pending: [status: object, queuePosition: number | null, isQueued: boolean][] = [
    [{ status: 'IN_QUEUE', queue_position: 0 }, 1, true],
    [{ status: 'IN_QUEUE', queue_position: 41 }, 42, true],
    [{ status: 'IN_QUEUE' }, null, true],
    [{ status: 'IN_PROGRESS', queue_position: 0 }, null, false],
  ];
  it.each(pending)(
    'reads the place in the queue from %j',
    async (status, queuePosition, isQueued) => {
      const context = { waitedMs: 8_000 };
      const { answer } = await poll(() => json(202, status), { context });
      expect(answer).toEqual({ outcome: 'pending', checkAfterMs: 2_000, queuePosition, isQueued });
    },
  );

  it('fetches the result once the job is complete', async () => {
    const images = [{ url: 'https://v3.fal.media/a.jpg', width: 1024, height: 576 }];
    const result = () => json(200, { images, seed: 7, has_nsfw_concepts: [false] });
    const { answer, calls, opened } = await poll(completed(), { result });
    expect(calls.map(({ method, url }) => `${method} ${url}`)).toEqual([
      `GET ${handle.status_url}`,
      `GET ${handle.response_url}`,
    ]);
    if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
    expect(answer).toMatchObject({ costMicros: null, providerRequestId: ID, warnings: [] });
    expect(opened).toEqual([]);
    const [image] = answer.images;
    if (!image || !('open' in image)) throw new Error('no URL');
    expect(image.seed).toBe(7);
    await image.open(new AbortController().signal);
    expect(opened).toEqual(['https://v3.fal.media/a.jpg']);
  });

  const one = { url: 'https://v3.fal.media/a.png' };
  const two = { url: 'https://v3.fal.media/b.png' };
  const results: [name: string, result: object, expected: object][] = [
    [
      'several images, none with a seed of its own',
      { images: [one, two], seed: 7 },
      { outcome: 'succeeded', images: [{ seed: null }, { seed: null }] },
    ],
    [
      'an endpoint of one image',
      { image: one },
      { outcome: 'succeeded', images: [{ seed: null }] },
    ],
    [
      'a seed beyond whole numbers',
      { images: [one], seed: 2 ** 60 },
      { outcome: 'succeeded', images: [{ seed: null }] },
    ],
    [
      'a data URL',
      { images: [{ url: dataUrl }] },
      { outcome: 'succeeded', images: [{ bytes: new Uint8Array([1, 2, 3]) }] },
    ],
    [
      'a black image among others',
      { images: [one, two], has_nsfw_concepts: [false, true] },
      { outcome: 'succeeded', images: [{}], warnings: ['fal withheld 1 of 2 images'] },
    ],
    [
      'nothing but black images',
      { images: [one], has_nsfw_concepts: [true] },
      {
        outcome: 'refused',
        error: {
          code: 'has_nsfw_concepts',
          message: 'fal refused the image it made',
          details: { moderation: { stage: 'output', provider_code: 'has_nsfw_concepts' } },
        },
        possiblyBilled: true,
      },
    ],
    [
      'no image',
      { images: [] },
      { outcome: 'failed', error: { code: 'invalid_output' }, possiblyBilled: true },
    ],
    [
      'an address that is none',
      { images: [{ url: 'file:///etc/passwd' }] },
      { outcome: 'failed', error: { code: 'invalid_output' } },
    ],
  ];
  it.each(results)('that finds %s is told so', async (_name, result, expected) => {
    expect(await endOf(() => json(200, result))).toMatchObject(expected);
  });

  it('that finds a page in place of a result is told so', async () => {
    expect(await endOf(() => new Response('<html>'))).toMatchObject({
      outcome: 'failed',
      error: { code: 'invalid_output' },
      possiblyBilled: true,
    });
  });

  const policy = { loc: ['body', 'prompt'], msg: 'Flagged', type: 'content_policy_violation' };
  const image = { loc: ['body', 'image_url'], msg: 'Cannot load', type: 'image_load_error' };
  const failures: [name: string, status: object, result: Script, expected: object][] = [
    [
      'refused content, which may be charged for',
      { error: 'Failed' },
      () => json(422, { detail: [policy] }, { 'x-fal-retryable': 'false' }),
      {
        outcome: 'refused',
        error: { code: 'content_policy_violation', details: { moderation: { stage: 'input' } } },
        possiblyBilled: true,
      },
    ],
    [
      'an input that cannot be used',
      {},
      () => json(422, { detail: [image] }),
      { outcome: 'rejected', error: { code: 'image_load_error' }, possiblyBilled: true },
    ],
    [
      'what fal itself would try again',
      {},
      () => json(422, { detail: [image] }, { 'x-fal-retryable': 'true' }),
      { outcome: 'failed', error: { code: 'image_load_error' }, possiblyBilled: true },
    ],
    [
      'a runner that fell over',
      { error: 'Failed', error_type: 'runner_disconnected' },
      () => json(503, { detail: 'Runner disconnected' }),
      {
        outcome: 'failed',
        error: { code: 'runner_disconnected', message: 'Runner disconnected' },
        possiblyBilled: false,
      },
    ],
    [
      'a start that came too late: a timeout of the job, not of the question',
      {},
      () => json(504, { detail: 'Late' }, { 'x-fal-error-type': 'request_timeout' }),
      { outcome: 'failed', error: { code: 'request_timeout' }, possiblyBilled: false },
    ],
    [
      'a failure with words in the status alone',
      { error: 'It broke' },
      () => new Response('', { status: 500 }),
      { outcome: 'failed', error: { code: 'job_failed', message: 'It broke' } },
    ],
    [
      'a cancellation',
      { error: 'Cancelled', error_type: 'client_cancelled' },
      () => json(499, { detail: 'Cancelled' }),
      { outcome: 'failed', error: { code: 'client_cancelled' } },
    ],
  ];
  it.each(failures)('that finds %s is told so', async (_name, status, result, expected) => {
    expect(await endOf(result, status)).toMatchObject(expected);
  });

  const unreachable: PollAnswer = { outcome: 'unreachable', retryAfterMs: null };
  const silences: [name: string, answer: Script, expected: PollAnswer][] = [
    ['404', () => json(404, {}), { outcome: 'missing' }],
    ['500', () => json(500, { detail: 'Internal Server Error' }), unreachable],
    [
      '429 with a wait',
      () => json(429, {}, { 'retry-after': '7' }),
      { outcome: 'unreachable', retryAfterMs: 7_000 },
    ],
    ['401', () => json(401, { detail: 'No.' }), unreachable],
    ['a redirect', () => json(302, {}, { location: 'https://evil.test' }), unreachable],
    ['a lost connection', () => Promise.reject(new Error('reset')), unreachable],
  ];
  it.each(silences)('answered with %s says nothing of the job', async (_name, answer, expected) => {
    expect((await poll(answer)).answer).toEqual(expected);
    expect(await endOf(answer)).toEqual(expected);
  });

  it('that finds a status it does not know says nothing of the job', async () => {
    expect((await poll(() => json(200, { status: 'PAUSED' }))).answer).toEqual(unreachable);
  });
});

describe('a cancellation', () => {
  const ends: [name: string, answer: Script, expected: string][] = [
    ['202', () => json(202, { status: 'CANCELLATION_REQUESTED' }), 'gone'],
    ['400', () => json(400, { status: 'ALREADY_COMPLETED' }), 'gone'],
    ['404', () => json(404, { status: 'NOT_FOUND' }), 'gone'],
    ['500', () => json(500, {}), 'unreachable'],
    ['a lost connection', () => Promise.reject(new Error('reset')), 'unreachable'],
  ];
  it.each(ends)('answered with %s leaves the job %s', async (_name, answer, expected) => {
    const { provider, scripted } = providerWith({ [`PUT ${handle.cancel_url}`]: answer });
    expect(await provider.jobs?.cancel(handle, pollContextWith())).toBe(expected);
    expect(scripted.unlisted).toEqual([]);
    for (const call of scripted.calls) {
      expect(call.headers.get('authorization')).toBe(`Key ${API_KEY}`);
    }
  });
});
