import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type {
  CallContext,
  PollAnswer,
  PollContext,
  ProviderJob,
} from '../../../src/generation/providers/provider';
import { createReplicateProvider } from '../../../src/generation/providers/replicate';
import { contextWith, jobWith, pollContextWith } from '../../support/provider-jobs';
import { type RecordedCall, type Script, scriptedFetch } from '../../support/scripted-fetch';

const API_KEY = 'r8_AbCdEfGhIjKlMnOpQrStUvWx';
const BASE_URL = 'https://replicate.test/v1';
const NOW = 1_800_000_000_000;
const ID = 'gm3qorzdhgbfurvjtvhg6dckhu';
const GET = `GET ${BASE_URL}/predictions/${ID}`;
const CANCEL = `POST ${BASE_URL}/predictions/${ID}/cancel`;
const FILES = `POST ${BASE_URL}/files`;

const SCHNELL = 'black-forest-labs/flux-schnell';
const DEV = 'black-forest-labs/flux-dev';
const PRO = 'black-forest-labs/flux-1.1-pro';
const SDXL = 'stability-ai/sdxl:7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc';
const OWN = 'someone/own-model';

const small = { bytes: new Uint8Array([1, 2, 3]), mediaType: 'image/png' };
const large = { bytes: new Uint8Array(300_000).fill(7), mediaType: 'image/webp' };

const json = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers });
const created = () => json(201, { id: ID, status: 'starting', output: null });

const submitTo = (model: string) => {
  if (model.startsWith('deployment:')) {
    return `POST ${BASE_URL}/deployments/${model.slice('deployment:'.length)}/predictions`;
  }
  return model.includes(':')
    ? `POST ${BASE_URL}/predictions`
    : `POST ${BASE_URL}/models/${model}/predictions`;
};

function providerWith(scripts: Record<string, Script | readonly Script[]>) {
  const scripted = scriptedFetch(scripts);
  const opened: string[] = [];
  const provider = createReplicateProvider(
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
  { answer = created, context = {} }: { answer?: Script; context?: Partial<CallContext> } = {},
) {
  const asked = jobWith({ model: SCHNELL, ...job });
  const { provider, scripted } = providerWith({ [submitTo(asked.model)]: answer });
  const deadlineAt = NOW + 90_000;
  const result = await provider.generate(asked, contextWith({ deadlineAt, ...context }));
  expect(scripted.unlisted).toEqual([]);
  expect(scripted.calls).toHaveLength(1);
  return { answer: result, call: scripted.calls[0] };
}

async function poll(answer: Script, context: Partial<PollContext> = {}) {
  const { provider, scripted, opened } = providerWith({ [GET]: answer });
  const result = await provider.jobs?.poll({ id: ID }, pollContextWith(context));
  expect(scripted.unlisted).toEqual([]);
  if (!result) throw new Error('no jobs');
  return { answer: result, call: scripted.calls[0], opened };
}

function inputOf(call: RecordedCall | undefined) {
  const body = z.object({ input: z.record(z.string(), z.unknown()) });
  return body.parse(call?.json()).input;
}

const pollOf = async (prediction: object, context: Partial<PollContext> = {}) =>
  (await poll(() => json(200, { id: ID, ...prediction }), context)).answer;

const prompt = 'a lighthouse at dusk';

describe('the input of a prediction', () => {
  const inputs: [name: string, job: Partial<ProviderJob>, input: object][] = [
    ['a bare prompt', {}, { prompt, num_outputs: 1 }],
    [
      'all that FLUX schnell has',
      { aspectRatio: '16:9', n: 4, seed: 0, steps: 2, outputFormat: 'jpeg' },
      {
        prompt,
        num_outputs: 4,
        aspect_ratio: '16:9',
        seed: 0,
        num_inference_steps: 2,
        output_format: 'jpg',
      },
    ],
    [
      'FLUX dev: image to image, by its own names',
      { model: DEV, guidanceScale: 3.5, image: small, strength: 0.6 },
      {
        prompt,
        num_outputs: 1,
        guidance: 3.5,
        image: 'data:image/png;base64,AQID',
        prompt_strength: 0.6,
      },
    ],
    [
      'a model told by ratio, which a derived size comes with',
      { model: DEV, aspectRatio: '3:2', size: { width: 1254, height: 836 } },
      { prompt, num_outputs: 1, aspect_ratio: '3:2' },
    ],
    [
      'FLUX 1.1 pro: a size is a custom ratio, and it makes one image',
      { model: PRO, size: { width: 1024, height: 768 } },
      { prompt, aspect_ratio: 'custom', width: 1024, height: 768 },
    ],
    [
      'SDXL: pixels, a negative prompt and a mask',
      {
        model: SDXL,
        size: { width: 768, height: 1024 },
        negativePrompt: 'blurry',
        guidanceScale: 7,
        image: small,
        mask: small,
      },
      {
        prompt,
        num_outputs: 1,
        width: 768,
        height: 1024,
        negative_prompt: 'blurry',
        guidance_scale: 7,
        image: 'data:image/png;base64,AQID',
        mask: 'data:image/png;base64,AQID',
      },
    ],
    [
      'a model that is not in the table, by the names most models use',
      { model: OWN, aspectRatio: '1:1', negativePrompt: 'blurry', steps: 20, outputFormat: 'webp' },
      {
        prompt,
        num_outputs: 1,
        aspect_ratio: '1:1',
        negative_prompt: 'blurry',
        num_inference_steps: 20,
        output_format: 'webp',
      },
    ],
    [
      "the client's options, as they are",
      { options: { go_fast: false, disable_safety_checker: true, lora: { scale: [1, null] } } },
      {
        prompt,
        num_outputs: 1,
        go_fast: false,
        disable_safety_checker: true,
        lora: { scale: [1, null] },
      },
    ],
  ];
  it.each(inputs)('is %s', async (_name, job, input) => {
    const { answer, call } = await submit(job);
    expect(inputOf(call)).toEqual(input);
    expect(answer).toMatchObject({ outcome: 'accepted', warnings: [] });
  });

  const ignored: [name: string, job: Partial<ProviderJob>, warnings: string[]][] = [
    [
      'what FLUX schnell has no input for',
      { negativePrompt: 'x', guidanceScale: 3, image: small, mask: small, strength: 0.5 },
      ['negative_prompt', 'guidance_scale', 'image', 'mask', 'strength'],
    ],
    ['a size where only ratios count', { model: DEV, size: { width: 640, height: 480 } }, ['size']],
    ['a ratio where only pixels count', { model: SDXL, aspectRatio: '21:9' }, ['aspect_ratio']],
    [
      'a format that is none of the choices',
      { model: SDXL, outputFormat: 'png' },
      ['output_format'],
    ],
    [
      'options that decide the price, or have a field of their own',
      { model: DEV, options: { num_outputs: 4, megapixels: '0.25', guidance: 9, prompt: 'other' } },
      [
        'provider_options.replicate.num_outputs',
        'provider_options.replicate.megapixels',
        'provider_options.replicate.guidance',
        'provider_options.replicate.prompt',
      ],
    ],
  ];
  it.each(ignored)('leaves out %s, with a warning', async (_name, job, names) => {
    const { answer, call } = await submit(job);
    expect(answer).toMatchObject({ warnings: names.map((name) => `replicate ignores ${name}`) });
    expect(inputOf(call)).toEqual({ prompt, num_outputs: 1 });
  });
});

describe('a submission', () => {
  const models: [model: string, path: string, body: object][] = [
    [SCHNELL, `/models/${SCHNELL}/predictions`, {}],
    [SDXL, '/predictions', { version: SDXL.split(':')[1] }],
    ['deployment:acme/flux', '/deployments/acme/flux/predictions', {}],
  ];
  it.each(models)('of %s goes to %s', async (model, path, body) => {
    const { call } = await submit({ model });
    expect(`${call?.method} ${call?.url}`).toBe(`POST ${BASE_URL}${path}`);
    expect(call?.json()).toEqual({
      ...body,
      input: expect.objectContaining({ prompt }),
      webhook: contextWith().callbackUrl,
      webhook_events_filter: ['completed'],
    });
  });

  it('carries the key, the trace and the time it may take, and does not wait', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const { call } = await submit({}, { context: { traceparent } });
    const headers = Object.fromEntries(call?.headers ?? []);
    expect(headers).toEqual({
      authorization: `Bearer ${API_KEY}`,
      'content-type': 'application/json',
      'cancel-after': '90s',
      'x-correlation-id': 'corr-1',
      traceparent,
    });
  });

  it.each([
    [4_999, '5s'],
    [-1, '5s'],
    [61_900, '61s'],
  ])('with %i ms to its deadline is to be canceled after %s', async (ms, expected) => {
    const { call } = await submit({}, { context: { deadlineAt: NOW + ms } });
    expect(call?.headers.get('cancel-after')).toBe(expected);
  });

  it('names no webhook that Replicate could not reach', async () => {
    const callbackUrl = 'http://localhost:8787/v1/callbacks/usr_1/req_1/1';
    const { answer, call } = await submit({}, { context: { callbackUrl } });
    expect(call?.json()).toEqual({ input: { prompt, num_outputs: 1 } });
    expect(answer).toMatchObject({ checkAfterMs: 500 });
  });

  it('is accepted with the id alone: no key and no foreign URL is in the handle', async () => {
    const urls = { get: 'https://evil.test/steal', cancel: 'https://evil.test/steal' };
    const { answer } = await submit({}, { answer: () => json(201, { id: ID, urls }) });
    expect(answer).toEqual({
      outcome: 'accepted',
      handle: { id: ID },
      checkAfterMs: 2_000,
      providerRequestId: ID,
      warnings: [],
    });
  });

  const failures: [name: string, answer: Script, expected: object][] = [
    [
      'a key that is not known',
      () => json(401, { title: 'Unauthenticated', detail: `Bad token ${API_KEY}` }),
      {
        outcome: 'rejected',
        error: { message: 'Bad token [key]', details: { status: 401, kind: 'auth' } },
      },
    ],
    [
      'no credit',
      () => json(402, { title: 'Insufficient credit', detail: 'You have insufficient credit.' }),
      { outcome: 'rejected', error: { details: { kind: 'payment' } }, possiblyBilled: false },
    ],
    [
      'no such model',
      () => json(404, { detail: 'The requested resource could not be found.' }),
      { outcome: 'rejected', error: { details: { kind: 'not_found' } } },
    ],
    [
      'an input outside the schema',
      () => json(422, { title: 'Input validation failed', detail: '- input.width: too large' }),
      {
        outcome: 'rejected',
        error: { message: '- input.width: too large', details: { kind: 'parameter' } },
      },
    ],
    [
      'a prompt refused at the door',
      () => json(422, { detail: `Your prompt "${prompt}" was flagged as sensitive (E005)` }),
      {
        outcome: 'refused',
        error: {
          code: 'E005',
          message: 'Your prompt "[prompt]" was flagged as sensitive (E005)',
          details: { moderation: { stage: 'input', provider: 'replicate', provider_code: 'E005' } },
        },
        possiblyBilled: false,
      },
    ],
    [
      'a rate limit, with the wait in its words',
      () => json(429, { detail: 'Request was throttled. Your rate limit resets in ~30s.' }),
      { outcome: 'throttled', retryAfterMs: 30_000 },
    ],
    [
      'a rate limit, with the wait in a header, which goes first',
      () => json(429, { detail: 'Your rate limit resets in ~30s.' }, { 'retry-after': '4' }),
      { outcome: 'throttled', retryAfterMs: 4_000 },
    ],
    ['a fault of theirs', () => json(500, {}), { outcome: 'failed', possiblyBilled: false }],
    ['a gateway timeout', () => json(504, {}), { outcome: 'unknown', possiblyBilled: true }],
    [
      'an acceptance without an id',
      () => json(201, { status: 'starting' }),
      { outcome: 'unknown', error: { code: 'job_untraceable' }, possiblyBilled: true },
    ],
    [
      'an id that would lead elsewhere',
      () => json(201, { id: '../../account' }),
      { outcome: 'unknown', error: { code: 'job_untraceable' } },
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

describe('a large input image', () => {
  const url = 'https://api.replicate.com/v1/files/abc';
  const submission = submitTo(DEV);
  const generate = async (scripts: Record<string, Script>, job: Partial<ProviderJob> = {}) => {
    const { provider, scripted } = providerWith(scripts);
    const asked = jobWith({ model: DEV, image: large, ...job });
    const answer = await provider.generate(asked, contextWith({ deadlineAt: NOW + 90_000 }));
    expect(scripted.unlisted).toEqual([]);
    return { answer, calls: scripted.calls };
  };

  it('goes ahead as a file, and is named by its URL', async () => {
    const scripts = { [FILES]: () => json(201, { urls: { get: url } }), [submission]: created };
    const { answer, calls } = await generate(scripts);
    expect(answer.outcome).toBe('accepted');
    expect(calls.map((call) => `${call.method} ${call.url}`)).toEqual([FILES, submission]);
    expect(calls[0]?.headers.get('authorization')).toBe(`Bearer ${API_KEY}`);
    const content = (await calls[0]?.form())?.get('content');
    if (!(content instanceof File)) throw new Error('no file');
    expect([content.type, content.size]).toEqual(['image/webp', 300_000]);
    expect(calls[1]?.json()).toMatchObject({ input: { image: url } });
  });

  it('of 256 kB still goes along', async () => {
    const image = { bytes: new Uint8Array(256 * 1024), mediaType: 'image/png' };
    const { calls } = await generate({ [submission]: created }, { image });
    expect(calls).toHaveLength(1);
  });

  const lost: [name: string, answer: Script, expected: object][] = [
    ['rejected', () => json(401, { detail: 'No.' }), { outcome: 'rejected' }],
    ['throttled', () => json(429, {}, { 'retry-after': '2' }), { outcome: 'throttled' }],
    ['failed', () => json(500, {}), { outcome: 'failed', possiblyBilled: false }],
    ['given up by a gateway', () => json(504, {}), { outcome: 'not_sent', possiblyBilled: false }],
    ['cut off', () => Promise.reject(new Error('reset')), { outcome: 'not_sent' }],
    [
      'taken without an address',
      () => json(201, { id: 'f1' }),
      { outcome: 'failed', error: { code: 'upload_failed' }, possiblyBilled: false },
    ],
  ];
  it.each(lost)(
    'whose upload is %s costs nothing and starts nothing',
    async (_n, answer, expected) => {
      const ended = await generate({ [FILES]: answer });
      expect(ended.answer).toMatchObject(expected);
    },
  );
});

describe('a poll', () => {
  it('asks for the prediction by its id', async () => {
    const { call } = await poll(() => json(200, { id: ID, status: 'starting' }));
    expect(`${call?.method} ${call?.url}`).toBe(GET);
    expect(Object.fromEntries(call?.headers ?? [])).toEqual({
      authorization: `Bearer ${API_KEY}`,
      'x-correlation-id': 'corr-1',
    });
  });

  it.each([
    ['starting', true],
    ['processing', false],
    ['something-new', false],
  ])('finds %s pending', async (status, isQueued) => {
    expect(await pollOf({ status })).toEqual({
      outcome: 'pending',
      checkAfterMs: 500,
      queuePosition: null,
      isQueued,
    });
  });

  it.each([
    { waitedMs: 0, expectsCallback: false, checkAfterMs: 500 },
    { waitedMs: 8_000, expectsCallback: false, checkAfterMs: 2_000 },
    { waitedMs: 120_000, expectsCallback: false, checkAfterMs: 5_000 },
    { waitedMs: 0, expectsCallback: true, checkAfterMs: 2_000 },
    { waitedMs: 8_000, expectsCallback: true, checkAfterMs: 8_000 },
    { waitedMs: 120_000, expectsCallback: true, checkAfterMs: 30_000 },
  ])(
    'asks again the later the longer it took: $waitedMs ms, callback $expectsCallback',
    async (row) => {
      const { checkAfterMs, ...context } = row;
      expect(await pollOf({ status: 'processing' }, context)).toMatchObject({ checkAfterMs });
    },
  );

  const one = 'https://replicate.delivery/a/out-0.webp';
  const two = 'https://replicate.delivery/a/out-1.webp';
  const outputs: [name: string, output: unknown, urls: string[]][] = [
    ['a list of URLs', [one, two], [one, two]],
    ['one URL', one, [one]],
    ['a list with gaps', [null, two], [two]],
  ];
  it.each(outputs)(
    'finds images in %s, to be opened when they are stored',
    async (_n, output, urls) => {
      const { answer, opened } = await poll(() =>
        json(200, { id: ID, status: 'succeeded', output, metrics: { predict_time: 0.6 } }),
      );
      if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
      expect(answer).toMatchObject({ costMicros: null, providerRequestId: ID, warnings: [] });
      expect(opened).toEqual([]);
      for (const image of answer.images) {
        if (!('open' in image)) throw new Error('no URL');
        await image.open(new AbortController().signal);
      }
      expect(opened).toEqual(urls);
    },
  );

  it('finds the bytes in a data URL', async () => {
    const answer = await pollOf({ status: 'succeeded', output: ['data:image/png;base64,AQID'] });
    expect(answer).toMatchObject({ images: [{ bytes: new Uint8Array([1, 2, 3]) }] });
  });

  const ends: [name: string, prediction: object, expected: object][] = [
    [
      'no image at all',
      { status: 'succeeded', output: [] },
      { outcome: 'failed', error: { code: 'invalid_output' }, possiblyBilled: true },
    ],
    [
      'words in place of an image',
      { status: 'succeeded', output: 'I cannot draw that' },
      { outcome: 'failed', error: { code: 'invalid_output' } },
    ],
    [
      'a data URL that is broken',
      { status: 'succeeded', output: 'data:image/png;base64,%%%' },
      { outcome: 'failed', error: { code: 'invalid_output' } },
    ],
    [
      'data that was removed',
      { status: 'succeeded', output: null, data_removed: true },
      {
        outcome: 'failed',
        error: {
          code: 'invalid_output',
          message: 'replicate has removed what the prediction made',
        },
      },
    ],
    [
      'a failure after time on a machine',
      { status: 'failed', error: 'CUDA out of memory', metrics: { predict_time: 2 } },
      {
        outcome: 'failed',
        error: { code: 'prediction_failed', message: 'CUDA out of memory' },
        possiblyBilled: true,
      },
    ],
    [
      'a failure before any',
      { status: 'failed', error: `E8765: could not start for "${prompt}"`, metrics: {} },
      {
        outcome: 'failed',
        error: { code: 'E8765', message: 'E8765: could not start for "[prompt]"' },
        possiblyBilled: false,
      },
    ],
    [
      'a failure without words',
      { status: 'failed', error: { deep: true } },
      { outcome: 'failed', error: { message: 'the job at replicate failed' } },
    ],
    [
      'a deadline that came first',
      { status: 'aborted' },
      { outcome: 'failed', error: { code: 'prediction_aborted' }, possiblyBilled: false },
    ],
    [
      'a deadline that came in the middle',
      { status: 'canceled' },
      { outcome: 'failed', error: { code: 'prediction_canceled' }, possiblyBilled: true },
    ],
  ];
  it.each(ends)('that finds %s is told so', async (_n, prediction, expected) => {
    expect(await pollOf(prediction)).toMatchObject(expected);
  });

  const refusals: [error: string, stage: string, code: string | null][] = [
    ['NSFW content detected. Try running it again, or try a different prompt.', 'output', null],
    [
      'All generated images contained NSFW content. Try running it again with a different prompt.',
      'output',
      null,
    ],
    [
      'The input or output was flagged as sensitive. Please try again with different inputs. (E005)',
      'output',
      'E005',
    ],
    ['Your input was flagged by the safety system.', 'input', null],
    ['Request Moderated', 'input', null],
    ['Content Moderated', 'output', null],
    ['This request violates our usage policies.', 'input', null],
  ];
  it.each(refusals)('takes "%s" for a refusal of the %s', async (error, stage, code) => {
    expect(await pollOf({ status: 'failed', error })).toMatchObject({
      outcome: 'refused',
      error: {
        message: error,
        details: {
          moderation: {
            stage,
            categories: [],
            provider: 'replicate',
            provider_code: code,
            account_level: false,
          },
        },
      },
      possiblyBilled: stage === 'output',
    });
  });

  it.each(['Failed to load the safety checker', 'image size must be even', 'E6716: timed out'])(
    'takes "%s" for no refusal',
    async (error) => {
      expect(await pollOf({ status: 'failed', error })).toMatchObject({ outcome: 'failed' });
    },
  );

  const silences: [name: string, answer: Script, expected: PollAnswer][] = [
    ['404', () => json(404, {}), { outcome: 'missing' }],
    ['500', () => json(500, {}), { outcome: 'unreachable', retryAfterMs: null }],
    [
      '429 with a wait',
      () => json(429, {}, { 'retry-after': '7' }),
      { outcome: 'unreachable', retryAfterMs: 7_000 },
    ],
    ['401', () => json(401, {}), { outcome: 'unreachable', retryAfterMs: null }],
    [
      'a page in place of a prediction',
      () => new Response('<html>'),
      { outcome: 'unreachable', retryAfterMs: null },
    ],
    [
      'a lost connection',
      () => Promise.reject(new Error('reset')),
      { outcome: 'unreachable', retryAfterMs: null },
    ],
  ];
  it.each(silences)('answered with %s says nothing of the job', async (_name, answer, expected) => {
    expect((await poll(answer)).answer).toEqual(expected);
  });
});

describe('a cancellation', () => {
  const ends: [name: string, answer: Script, expected: string][] = [
    ['200', () => json(200, { id: ID, status: 'canceled' }), 'gone'],
    ['404', () => json(404, {}), 'gone'],
    ['500', () => json(500, {}), 'unreachable'],
    ['401', () => json(401, {}), 'unreachable'],
    ['a lost connection', () => Promise.reject(new Error('reset')), 'unreachable'],
  ];
  it.each(ends)('answered with %s leaves the job %s', async (_name, answer, expected) => {
    const { provider, scripted } = providerWith({ [CANCEL]: answer });
    expect(await provider.jobs?.cancel({ id: ID }, pollContextWith())).toBe(expected);
    expect(scripted.unlisted).toEqual([]);
  });
});
