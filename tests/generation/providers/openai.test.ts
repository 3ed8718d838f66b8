import { describe, expect, it } from 'vitest';
import { createOpenAiProvider, openAiSizeFor } from '../../../src/generation/providers/openai';
import type {
  CallContext,
  ProviderAnswer,
  ProviderDeps,
  ProviderFailure,
  ProviderJob,
} from '../../../src/generation/providers/provider';
import { aspectRatios } from '../../../src/generation/types';
import { contextWith, jobWith } from '../../support/provider-jobs';
import { type Script, scriptedFetch } from '../../support/scripted-fetch';

const API_KEY = 'sk-proj-AbCdEfGhIjKlMnOpQrStUvWx';
const BASE_URL = 'https://openai.test/v1';
const GENERATIONS = `POST ${BASE_URL}/images/generations`;
const EDITS = `POST ${BASE_URL}/images/edits`;

const picture = new Uint8Array([137, 80, 78, 71, 1, 2, 3]);
const base64 = btoa(String.fromCharCode(...picture));
const inputImage = { bytes: new Uint8Array([1, 2, 3]), mediaType: 'image/png' };

const json = (body: unknown, init: ResponseInit = {}) =>
  new Response(JSON.stringify(body), {
    ...init,
    headers: { 'content-type': 'application/json', ...init.headers },
  });
const error = (status: number, fields: object, headers: Record<string, string> = {}) =>
  json(
    { error: { message: 'No.', type: null, param: null, code: null, ...fields } },
    {
      status,
      headers: { 'x-request-id': 'req_abc', ...headers },
    },
  );
const good = () =>
  json({ created: 1, data: [{ b64_json: base64 }] }, { headers: { 'x-request-id': 'req_abc' } });

const CONFIG = { apiKey: API_KEY, baseUrl: BASE_URL };

const openNothing: ProviderDeps['openImage'] = async (url) => {
  throw new Error(`nobody is to open ${url}`);
};
const providerOn = (fetcher: typeof fetch, openImage = openNothing) =>
  createOpenAiProvider(CONFIG, { fetch: fetcher, openImage });

async function generate(
  script: Script,
  job: Partial<ProviderJob> = {},
  extra: { context?: Partial<CallContext>; openImage?: ProviderDeps['openImage'] } = {},
) {
  const scripted = scriptedFetch({ [GENERATIONS]: script, [EDITS]: script });
  const provider = providerOn(scripted.fetch, extra.openImage);
  const answer = await provider.generate(jobWith(job), contextWith(extra.context));
  expect(scripted.unlisted).toEqual([]);
  expect(scripted.calls.length).toBeLessThanOrEqual(1);
  return { answer, call: scripted.calls[0] };
}

async function failureFrom(script: Script, job: Partial<ProviderJob> = {}) {
  const { answer } = await generate(script, job);
  return asFailure(answer);
}

function asFailure(answer: ProviderAnswer): ProviderFailure {
  if (answer.outcome === 'succeeded' || answer.outcome === 'accepted') {
    throw new Error('expected a failure');
  }
  return answer;
}

function asSuccess(answer: ProviderAnswer) {
  if (answer.outcome !== 'succeeded') throw new Error(`failed: ${JSON.stringify(answer)}`);
  return answer;
}

describe('what is sent', () => {
  const bodies: [name: string, job: Partial<ProviderJob>, body: object][] = [
    ['a bare prompt', {}, { model: 'gpt-image-1', prompt: 'a lighthouse at dusk', n: 1 }],
    [
      'a size and a count',
      { n: 3, size: { width: 1536, height: 1024 } },
      { model: 'gpt-image-1', prompt: 'a lighthouse at dusk', n: 3, size: '1536x1024' },
    ],
    [
      'an aspect ratio, as the size it stands for',
      { aspectRatio: '2:3' },
      { model: 'gpt-image-1', prompt: 'a lighthouse at dusk', n: 1, size: '1024x1536' },
    ],
    [
      'an output format',
      { outputFormat: 'webp' },
      { model: 'gpt-image-1', prompt: 'a lighthouse at dusk', n: 1, output_format: 'webp' },
    ],
    [
      'a model of DALL·E, which has no output_format and must be asked for base64',
      { model: 'dall-e-3', aspectRatio: '16:9', outputFormat: 'png' },
      {
        model: 'dall-e-3',
        prompt: 'a lighthouse at dusk',
        n: 1,
        size: '1792x1024',
        response_format: 'b64_json',
      },
    ],
    [
      "the client's options, as they are",
      { options: { quality: 'high', output_compression: 40, new_thing: { deep: [1, null] } } },
      {
        model: 'gpt-image-1',
        prompt: 'a lighthouse at dusk',
        n: 1,
        quality: 'high',
        output_compression: 40,
        new_thing: { deep: [1, null] },
      },
    ],
  ];
  it.each(bodies)('sends %s', async (_name, job, body) => {
    const { answer, call } = await generate(good, job);
    expect(asSuccess(answer).warnings).toEqual([]);
    expect(`${call?.method} ${call?.url}`).toBe(GENERATIONS);
    expect(call?.json()).toEqual(body);
  });

  it('sends the key, the correlation id and the trace context, and no idempotency key', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const { call } = await generate(good, {}, { context: { traceparent } });
    expect(call?.headers.get('authorization')).toBe(`Bearer ${API_KEY}`);
    expect(call?.headers.get('content-type')).toBe('application/json');
    expect(call?.headers.get('x-correlation-id')).toBe('corr-1');
    expect(call?.headers.get('traceparent')).toBe(traceparent);
    expect([...(call?.headers.keys() ?? [])].filter((name) => /idempot/i.test(name))).toEqual([]);
  });

  it('sends an input image with its mask and the options as a form to /images/edits', async () => {
    const { answer, call } = await generate(good, {
      image: inputImage,
      mask: { bytes: new Uint8Array([4, 5]), mediaType: 'image/png' },
      n: 2,
      size: { width: 1024, height: 1024 },
      outputFormat: 'jpeg',
      options: { input_fidelity: 'high', output_compression: 40 },
    });
    expect(asSuccess(answer).warnings).toEqual([]);
    expect(`${call?.method} ${call?.url}`).toBe(EDITS);
    expect(call?.headers.get('content-type')).toMatch(/^multipart\/form-data; ?boundary=/);
    const form = await call?.form();
    const fields = [...(form?.entries() ?? [])].map(([name, value]) => [
      name,
      typeof value === 'string' ? value : [value.type, value.size],
    ]);
    expect(Object.fromEntries(fields)).toEqual({
      model: 'gpt-image-1',
      prompt: 'a lighthouse at dusk',
      image: ['image/png', 3],
      mask: ['image/png', 2],
      n: '2',
      size: '1024x1024',
      output_format: 'jpeg',
      input_fidelity: 'high',
      output_compression: '40',
    });
  });

  it('does not let options change what is paid for, and says so', async () => {
    const options = { model: 'gpt-image-2', n: 8, size: '4096x4096', stream: true, style: 'vivid' };
    const { answer, call } = await generate(good, { options });
    expect(call?.json()).toEqual({
      model: 'gpt-image-1',
      prompt: 'a lighthouse at dusk',
      n: 1,
      style: 'vivid',
    });
    expect(asSuccess(answer).warnings).toEqual([
      'openai ignores provider_options.openai.model',
      'openai ignores provider_options.openai.n',
      'openai ignores provider_options.openai.size',
      'openai ignores provider_options.openai.stream',
    ]);
  });

  it('names every field that the API has no use for', async () => {
    const { answer, call } = await generate(good, {
      negativePrompt: 'fog',
      seed: 0,
      steps: 20,
      guidanceScale: 7,
      strength: 0.5,
      aspectRatio: '21:9',
    });
    expect(call?.json()).toEqual({ model: 'gpt-image-1', prompt: 'a lighthouse at dusk', n: 1 });
    expect(asSuccess(answer).warnings).toEqual([
      'openai ignores negative_prompt',
      'openai ignores seed',
      'openai ignores steps',
      'openai ignores guidance_scale',
      'openai ignores strength',
      'openai ignores aspect_ratio',
    ]);
  });

  it('sends any size that gpt-image-2 is asked for', async () => {
    const size = { width: 2048, height: 1152 };
    const { call } = await generate(good, { model: 'gpt-image-2', size });
    expect(call?.json()).toMatchObject({ model: 'gpt-image-2', size: '2048x1152' });
  });

  it.each(aspectRatios)('has an exact size in steps of 16 for gpt-image-2 at %s', (ratio) => {
    const [width = 0, height = 0] = (openAiSizeFor('gpt-image-2', ratio) ?? '')
      .split('x')
      .map(Number);
    const [across = 0, down = 0] = ratio.split(':').map(Number);
    expect(width * down).toBe(height * across);
    expect([width % 16, height % 16]).toEqual([0, 0]);
    expect(width * height).toBeLessThanOrEqual(1024 * 1024);
    expect(width * height).toBeGreaterThan(800_000);
  });

  it('maps an aspect ratio to a size of the model, or to none', () => {
    expect(openAiSizeFor('gpt-image-1', '3:2')).toBe('1536x1024');
    expect(openAiSizeFor('gpt-image-1', '16:9')).toBeNull();
    expect(openAiSizeFor('dall-e-3', '9:16')).toBe('1024x1792');
    expect(openAiSizeFor('dall-e-3', '3:2')).toBeNull();
    expect(openAiSizeFor('some-model', '1:1')).toBeNull();
  });

  it('asks that redirects are not followed: they would carry the key along', async () => {
    const modes: (string | undefined)[] = [];
    const provider = providerOn(async (_input, init) => {
      modes.push(init?.redirect);
      return new Response(null, {
        status: 307,
        headers: { location: 'https://elsewhere.test/' },
      });
    });
    const answer = asFailure(await provider.generate(jobWith(), contextWith()));
    expect(modes).toEqual(['manual']);
    expect(answer).toMatchObject({ outcome: 'rejected', error: { code: 'http_307' } });
  });
});

describe('an answer with images', () => {
  it('is charged by the tokens that it says it took, however many pictures it has', async () => {
    const data = Array.from({ length: 8 }, () => ({ b64_json: 'A'.repeat(100_000) }));
    const usage = {
      input_tokens: 12,
      input_tokens_details: { text_tokens: 12, image_tokens: 0 },
      output_tokens: 8 * 1056,
    };
    const { answer } = await generate(() => json({ created: 1, data, usage }), { n: 8 });
    expect(asSuccess(answer).costMicros).toBe(12 * 5 + 8 * 1056 * 40);
  });

  it('is charged by the list for the quality and the size that it says it has', async () => {
    const made = { quality: 'low', size: '1536x1024', data: [{ b64_json: base64 }] };
    const { answer } = await generate(() => json(made), { model: 'gpt-image-1-mini' });
    expect(asSuccess(answer).costMicros).toBe(6_000);
  });

  it('succeeds with their bytes and the request id of the provider', async () => {
    const { answer } = await generate(good);
    expect(answer).toEqual({
      outcome: 'succeeded',
      images: [{ bytes: picture, seed: null }],
      costMicros: null,
      providerRequestId: 'req_abc',
      warnings: [],
    });
  });

  const tolerated: [name: string, data: object[]][] = [
    ['without created', [{ b64_json: base64 }]],
    ['with a data URL in b64_json', [{ b64_json: `data:image/png;base64,${base64}` }]],
    ['with a data URL in url', [{ url: `data:image/png;base64,${base64}` }]],
    ['with more images than asked for', [{ b64_json: base64 }, { b64_json: base64 }]],
    ['with a blank beside the image', [{ b64_json: '' }, { b64_json: base64 }]],
    ['with an empty slot beside the image', [{ b64_json: null }, { b64_json: base64 }]],
  ];
  it.each(tolerated)('is understood %s', async (_name, data) => {
    const { answer } = await generate(() => json({ data }));
    expect(asSuccess(answer).images).toEqual([{ bytes: picture, seed: null }]);
  });

  const byUrl = () => json({ data: [{ url: 'https://cdn.test/a.png' }] });

  it('may name a url, which the function given for that opens when it is wanted', async () => {
    const urls: string[] = [];
    const openImage: ProviderDeps['openImage'] = async (url) => {
      urls.push(url);
      return { body: new Blob([picture]).stream(), length: picture.byteLength };
    };
    const { answer } = await generate(byUrl, {}, { openImage });
    const [image] = asSuccess(answer).images;
    if (!image || !('open' in image)) throw new Error('expected an image to open');
    expect(urls).toEqual([]);
    for (let times = 0; times < 2; times += 1) {
      const { body, length } = await image.open(new AbortController().signal);
      expect(new Uint8Array(await new Response(body).arrayBuffer())).toEqual(picture);
      expect(length).toBe(picture.byteLength);
    }
    expect(urls).toEqual(['https://cdn.test/a.png', 'https://cdn.test/a.png']);
  });

  it('whose url has no image says so to whoever opens it', async () => {
    const openImage = async () => {
      throw new Error('404');
    };
    const { answer } = await generate(byUrl, {}, { openImage });
    const [image] = asSuccess(answer).images;
    if (!image || !('open' in image)) throw new Error('expected an image to open');
    await expect(image.open(new AbortController().signal)).rejects.toThrow('404');
  });
});

describe('a success that holds no image is invalid output, and may be billed', () => {
  const cases: [name: string, body: string, message: RegExp][] = [
    ['empty data', '{"created":1,"data":[]}', /without an image/],
    ['only blank images', '{"data":[{"b64_json":""}]}', /without an image/],
    ['no data', '{"created":1}', /JSON without images/],
    ['an HTML page', '<!DOCTYPE html><html></html>', /an HTML page/],
    ['malformed JSON', '{"data": nope}', /malformed JSON/],
    ['a body that ends early, cleanly', '{"data":[{"b64_json":"aGVs', /malformed JSON/],
    ['nothing at all', '', /an empty body/],
    ['bad base64', '{"data":[{"b64_json":"@@@"}]}', /not valid base64/],
  ];
  it.each(cases)('%s', async (_name, body, message) => {
    const failure = await failureFrom(
      () => new Response(body, { headers: { 'x-request-id': 'req_abc' } }),
    );
    expect(failure).toMatchObject({
      outcome: 'failed',
      error: { code: 'invalid_output', message: expect.stringMatching(message) },
      possiblyBilled: true,
      providerRequestId: 'req_abc',
    });
  });

  it('but is a refusal when the body says that moderation blocked it', async () => {
    const failure = await failureFrom(() => error(200, { code: 'content_policy_violation' }));
    expect(failure.outcome).toBe('refused');
  });
});

describe('moderation', () => {
  const blocked = (fields: object) => () =>
    error(400, { type: 'image_generation_user_error', code: 'moderation_blocked', ...fields });

  it('at the input is a refusal that is not billed', async () => {
    const failure = await failureFrom(
      blocked({ moderation_details: { moderation_stage: 'input', categories: ['sexual'] } }),
    );
    expect(failure).toMatchObject({
      outcome: 'refused',
      error: {
        code: 'moderation_blocked',
        details: {
          moderation: {
            stage: 'input',
            categories: ['sexual'],
            provider: 'openai',
            provider_code: 'moderation_blocked',
            account_level: false,
          },
        },
      },
      possiblyBilled: false,
      providerRequestId: 'req_abc',
    });
  });

  it('at the output is a refusal that may be billed', async () => {
    const failure = await failureFrom(
      blocked({ moderation_details: { moderation_stage: 'output' } }),
    );
    expect(failure).toMatchObject({
      outcome: 'refused',
      error: { details: { moderation: { stage: 'output', categories: [] } } },
      possiblyBilled: true,
    });
  });

  it('tells its categories in the text when it does not in a field', async () => {
    const failure = await failureFrom(
      blocked({ message: 'Rejected. safety_violations=[sexual, violence].' }),
    );
    expect(failure.error.details).toMatchObject({
      moderation: { categories: ['sexual', 'violence'] },
    });
  });

  const spellings: [fields: object][] = [
    [{ code: 'content_policy_violation', type: 'invalid_request_error' }],
    [{ code: 'moderation_blocked', type: null }],
    [{ code: null, type: 'image_generation_user_error' }],
    [{ code: 'content_filter' }],
    [{ code: 'contentFilter' }],
  ];
  it.each(spellings)('is recognised by %j', async (fields) => {
    expect((await failureFrom(() => error(400, fields))).outcome).toBe('refused');
  });

  it('of the whole account is no refusal of the prompt', async () => {
    const failure = await failureFrom(() =>
      error(403, {
        code: 'Forbidden',
        message:
          'Your resource has been temporarily blocked because we detected behavior that may violate our content policy.',
      }),
    );
    expect(failure).toMatchObject({
      outcome: 'rejected',
      error: { details: { kind: 'auth', moderation: { account_level: true } } },
    });
  });
});

describe('every other status has one outcome', () => {
  const cases: [status: number, fields: object, expected: object][] = [
    [400, { type: 'invalid_request_error' }, rejected('parameter', 'invalid_request_error')],
    [401, { code: 'invalid_api_key' }, rejected('auth', 'invalid_api_key')],
    [402, {}, rejected('payment', 'http_402')],
    [403, {}, rejected('auth', 'http_403')],
    [404, { code: 'model_not_found' }, rejected('not_found', 'model_not_found')],
    [413, {}, rejected('parameter', 'http_413')],
    [422, {}, rejected('parameter', 'http_422')],
    [429, { code: 'insufficient_quota' }, rejected('payment', 'insufficient_quota')],
    [
      400,
      { code: 'billing_hard_limit_reached' },
      rejected('payment', 'billing_hard_limit_reached'),
    ],
    [400, { code: 400 }, rejected('parameter', 'http_400')],
    [429, { code: 'rate_limit_exceeded' }, outcome('throttled', 'rate_limit_exceeded')],
    [429, {}, outcome('throttled', 'throttled')],
    [503, { type: 'overloaded_error' }, outcome('throttled', 'overloaded_error')],
    [500, { code: 'MODEL_CAPACITY_EXHAUSTED' }, outcome('throttled', 'MODEL_CAPACITY_EXHAUSTED')],
    [503, {}, outcome('failed', 'server_error')],
    [500, { type: 'server_error' }, outcome('failed', 'server_error')],
    [502, {}, outcome('failed', 'server_error')],
    [408, {}, { ...outcome('unknown', 'gateway_timeout'), possiblyBilled: true }],
    [504, {}, { ...outcome('unknown', 'gateway_timeout'), possiblyBilled: true }],
    [520, {}, { ...outcome('unknown', 'gateway_timeout'), possiblyBilled: true }],
    [524, {}, { ...outcome('unknown', 'gateway_timeout'), possiblyBilled: true }],
    [521, {}, outcome('not_sent', 'connection_failed')],
    [530, {}, outcome('not_sent', 'connection_failed')],
  ];
  it.each(cases)('%i %j', async (status, fields, expected) => {
    const failure = await failureFrom(() => error(status, fields));
    expect(failure).toMatchObject({ providerRequestId: 'req_abc', ...expected });
  });

  function outcome(name: string, code: string) {
    return { outcome: name, error: { code }, possiblyBilled: false };
  }
  function rejected(kind: string, code: string) {
    return { outcome: 'rejected', error: { code, details: { kind } }, possiblyBilled: false };
  }

  const waits: [status: number, headers: Record<string, string>, waitMs: number][] = [
    [429, { 'retry-after': '7' }, 7_000],
    [429, { 'retry-after-ms': '250', 'retry-after': '1' }, 250],
    [503, { 'retry-after': '3' }, 3_000],
  ];
  it.each(waits)('%i with %j is throttled for that long', async (status, headers, waitMs) => {
    const failure = await failureFrom(() => error(status, {}, headers));
    expect(failure).toMatchObject({ outcome: 'throttled', retryAfterMs: waitMs });
  });

  it('takes the reason from wherever a compatible server puts it', async () => {
    const bodies = [
      { error: 'no such size' },
      { message: 'no such size' },
      { detail: 'no such size' },
      { error: { message: 'no such size' } },
    ];
    for (const body of bodies) {
      const failure = await failureFrom(() => json(body, { status: 400 }));
      expect(failure.error.message).toBe('no such size');
    }
  });

  it('does not show the error page of a gateway', async () => {
    const page = () => new Response('<html><h1>Bad gateway</h1></html>', { status: 502 });
    expect((await failureFrom(page)).error.message).toBe('openai answered with status 502');
  });

  it('shows neither the key nor the prompt, though the provider quotes both', async () => {
    const prompt = 'a very particular lighthouse painted by my neighbour';
    const failure = await failureFrom(
      () =>
        error(401, {
          message: `Incorrect API key provided: ${API_KEY}. Also sk-proj-****UvWx. Prompt: "${prompt}".`,
        }),
      { prompt },
    );
    expect(failure.error.message).toBe(
      'Incorrect API key provided: [key]. Also [key]. Prompt: "[prompt]".',
    );
  });
});

describe('a connection that fails', () => {
  it('before the request was handed over whole was not sent', async () => {
    const provider = providerOn(async () => {
      throw new Error('Network connection lost.');
    });
    const answer = await provider.generate(jobWith(), contextWith());
    expect(answer).toMatchObject({
      outcome: 'not_sent',
      error: { code: 'connection_failed' },
      possiblyBilled: false,
    });
  });

  it('afterwards is unknown', async () => {
    const failure = await failureFrom(() => {
      throw new Error('Network connection lost.');
    });
    expect(failure).toMatchObject({
      outcome: 'unknown',
      error: { code: 'connection_lost' },
      possiblyBilled: true,
    });
  });

  it('in the middle of the answer is unknown, with the request id', async () => {
    const failure = await failureFrom(() => brokenAnswer(200));
    expect(failure).toMatchObject({
      outcome: 'unknown',
      error: { code: 'connection_lost' },
      possiblyBilled: true,
      providerRequestId: 'req_abc',
    });
  });

  it('in the middle of an error leaves the status to decide', async () => {
    const failure = await failureFrom(() => brokenAnswer(500));
    expect(failure).toMatchObject({ outcome: 'failed', error: { code: 'server_error' } });
  });

  const brokenAnswer = (status: number) =>
    new Response(
      new ReadableStream({
        pull(controller) {
          controller.error(new Error('Network connection lost.'));
        },
      }),
      { status, headers: { 'x-request-id': 'req_abc' } },
    );
});

describe('a signal that aborts', () => {
  const untilAborted: Script = (_call, signal) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason));
    });

  it('during the call makes it unknown, with the code timeout', async () => {
    const signal = AbortSignal.timeout(100);
    const { answer } = await generate(untilAborted, {}, { context: { signal } });
    expect(answer).toMatchObject({
      outcome: 'unknown',
      error: { code: 'timeout' },
      possiblyBilled: true,
    });
  });

  it('before the call means that nothing was sent', async () => {
    const signal = AbortSignal.abort();
    const { answer, call } = await generate(good, {}, { context: { signal } });
    expect(call).toBeUndefined();
    expect(answer).toMatchObject({
      outcome: 'not_sent',
      error: { code: 'timeout' },
      possiblyBilled: false,
    });
  });
});
