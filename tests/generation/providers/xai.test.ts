import { describe, expect, it } from 'vitest';
import type { ProviderAnswer, ProviderJob } from '../../../src/generation/providers/provider';
import { createXaiProvider } from '../../../src/generation/providers/xai';
import { contextWith, jobWith } from '../../support/provider-jobs';
import { type Script, scriptedFetch } from '../../support/scripted-fetch';

const API_KEY = 'xai-AbCdEfGhIjKlMnOpQrStUvWx';
const BASE_URL = 'https://xai.test/v1';
const GENERATIONS = `POST ${BASE_URL}/images/generations`;
const EDITS = `POST ${BASE_URL}/images/edits`;

const picture = new Uint8Array([137, 80, 78, 71, 1, 2, 3]);
const base64 = btoa(String.fromCharCode(...picture));
const shown = { b64_json: base64, mime_type: 'image/jpeg', respect_moderation: true };

const json = (body: unknown, init: ResponseInit = {}) =>
  new Response(JSON.stringify(body), {
    ...init,
    headers: { 'x-request-id': 'id-1', ...init.headers },
  });
const good = () => json({ data: [shown], usage: { cost_in_usd_ticks: 200_000_000 } });

async function generate(script: Script, fields: Partial<ProviderJob> = {}) {
  const scripted = scriptedFetch({ [GENERATIONS]: script, [EDITS]: script });
  const opened: string[] = [];
  const provider = createXaiProvider(
    { apiKey: API_KEY, baseUrl: BASE_URL },
    {
      fetch: scripted.fetch,
      openImage: async (url) => {
        opened.push(url);
        return { body: new Blob([picture]).stream(), length: picture.length };
      },
    },
  );
  const job = jobWith({ model: 'grok-imagine-image', ...fields });
  const answer = await provider.generate(job, contextWith());
  expect(scripted.unlisted).toEqual([]);
  expect(scripted.calls).toHaveLength(1);
  const [call] = scripted.calls;
  if (!call) throw new Error('there was no call');
  return { answer, call, opened };
}

const successOf = (answer: ProviderAnswer) => {
  if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
  return answer;
};

const bare = {
  model: 'grok-imagine-image',
  prompt: 'a lighthouse at dusk',
  n: 1,
  response_format: 'b64_json',
};

describe('what is sent', () => {
  const bodies: [name: string, job: Partial<ProviderJob>, body: object][] = [
    ['a bare prompt', {}, bare],
    [
      'a count and an aspect ratio',
      { n: 3, aspectRatio: '3:2' },
      { ...bare, n: 3, aspect_ratio: '3:2' },
    ],
    [
      'a size, as the ratio it has',
      { size: { width: 768, height: 1024 } },
      { ...bare, aspect_ratio: '3:4' },
    ],
    ['JPEG, which it makes anyway', { outputFormat: 'jpeg' }, bare],
    [
      "the client's options, as they are",
      { options: { quality: 'low', user: 'u-1' } },
      { ...bare, quality: 'low', user: 'u-1' },
    ],
  ];
  it.each(bodies)('sends %s', async (_name, job, body) => {
    const { answer, call } = await generate(good, job);
    expect(successOf(answer).warnings).toEqual([]);
    expect(`${call.method} ${call.url}`).toBe(GENERATIONS);
    expect(call.json()).toEqual(body);
  });

  it('sends the key and the correlation id', async () => {
    const { call } = await generate(good);
    expect(call.headers.get('authorization')).toBe(`Bearer ${API_KEY}`);
    expect(call.headers.get('content-type')).toBe('application/json');
    expect(call.headers.get('x-correlation-id')).toBe('corr-1');
  });

  it('sends an input image to /images/edits, which keeps its shape', async () => {
    const { answer, call } = await generate(good, {
      image: { bytes: picture, mediaType: 'image/png' },
      aspectRatio: '16:9',
    });
    expect(`${call.method} ${call.url}`).toBe(EDITS);
    expect(call.json()).toEqual({
      ...bare,
      image: { type: 'image_url', url: `data:image/png;base64,${base64}` },
    });
    expect(successOf(answer).warnings).toEqual(['xai ignores aspect_ratio']);
  });

  it('does not let options change what is paid for, and says so', async () => {
    const options = { n: 8, resolution: '2k', response_format: 'url' };
    const { answer, call } = await generate(good, { options });
    expect(call.json()).toEqual(bare);
    expect(successOf(answer).warnings).toEqual([
      'xai ignores provider_options.xai.n',
      'xai ignores provider_options.xai.resolution',
      'xai ignores provider_options.xai.response_format',
    ]);
  });

  it('names every field that the API has no use for', async () => {
    const { answer, call } = await generate(good, {
      negativePrompt: 'fog',
      aspectRatio: '21:9',
      seed: 0,
      steps: 20,
      guidanceScale: 7,
      outputFormat: 'png',
      mask: { bytes: picture, mediaType: 'image/png' },
      strength: 0.5,
    });
    expect(call.json()).toEqual(bare);
    expect(successOf(answer).warnings).toEqual([
      'xai ignores negative_prompt',
      'xai ignores aspect_ratio',
      'xai ignores seed',
      'xai ignores steps',
      'xai ignores guidance_scale',
      'xai ignores output_format',
      'xai ignores mask',
      'xai ignores strength',
    ]);
  });
});

describe('an answer with images', () => {
  it('succeeds with their bytes and with what was charged', async () => {
    const { answer } = await generate(good);
    expect(answer).toEqual({
      outcome: 'succeeded',
      images: [{ bytes: picture, seed: null }],
      costMicros: 20_000,
      providerRequestId: 'id-1',
      warnings: [],
    });
  });

  it('by URL is opened by the function given for that, and not by the SDK', async () => {
    const { answer, opened } = await generate(() =>
      json({ data: [{ url: 'https://imgen.x.ai/a.jpeg' }] }),
    );
    const [image] = successOf(answer).images;
    expect(opened).toEqual([]);
    if (!image || !('open' in image)) throw new Error('expected an image to open');
    expect((await image.open(new AbortController().signal)).length).toBe(picture.length);
    expect(opened).toEqual(['https://imgen.x.ai/a.jpeg']);
  });

  const withheld: [name: string, item: object][] = [
    ['by its mark', { b64_json: null, respect_moderation: false }],
    ['though it is there', { b64_json: base64, respect_moderation: false }],
    ['without a word', { b64_json: null }],
  ];
  it.each(withheld)('loses none of them to one that is withheld %s', async (_name, item) => {
    const usage = { cost_in_usd_ticks: 600_000_000 };
    const { answer } = await generate(() => json({ data: [shown, item, shown], usage }), { n: 3 });
    const { images, costMicros } = successOf(answer);
    expect(images).toEqual([
      { bytes: picture, seed: null },
      { bytes: picture, seed: null },
    ]);
    expect(costMicros).toBe(60_000);
  });
});

describe('a refusal of the content', () => {
  const refused = (stage: string, code: string | null, categories: string[]) => ({
    outcome: 'refused',
    error: {
      code: code ?? 'content_refused',
      details: {
        moderation: {
          stage,
          categories,
          provider: 'xai',
          provider_code: code,
          account_level: false,
        },
      },
    },
    possiblyBilled: stage === 'output',
    providerRequestId: 'id-1',
  });
  const cases: [name: string, status: number, body: object, expected: object][] = [
    [
      'of an image that was made',
      400,
      {
        code: 'Client specified an invalid argument',
        error: 'Generated image rejected by content moderation.',
        usage: { cost_in_usd_ticks: 200_000_000 },
      },
      refused('output', null, []),
    ],
    [
      'of a prompt, under a status that speaks of the key',
      403,
      {
        code: 'permission-denied',
        error: 'Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO',
      },
      refused('input', 'SAFETY_CHECK_TYPE_BIO', ['bio']),
    ],
    [
      'of a prompt, without a reason',
      400,
      { code: 'invalid_argument', error: 'Rejected by content moderation.' },
      refused('input', null, []),
    ],
    [
      'of every image of a success',
      200,
      { data: [{ b64_json: null, respect_moderation: false }] },
      refused('output', null, []),
    ],
  ];
  it.each(cases)('%s', async (_name, status, body, expected) => {
    const { answer } = await generate(() => json(body, { status }));
    expect(answer).toMatchObject(expected);
  });
});

describe('every other end has one outcome', () => {
  const rejected = (kind: string) => ({ outcome: 'rejected', error: { details: { kind } } });
  const cases: [status: number, body: object, expected: object][] = [
    [400, { code: 'c', error: 'Argument not supported: size' }, rejected('parameter')],
    [400, { code: 'c', error: 'Incorrect API key provided: xa***ey.' }, rejected('auth')],
    [401, { code: 'c', error: 'Invalid credentials.' }, rejected('auth')],
    [403, { code: 'permission-denied', error: 'No access to this model.' }, rejected('auth')],
    [
      403,
      {
        code: 'permission-denied',
        error:
          'Your team has either used all available credits or reached its monthly spending limit.',
      },
      rejected('payment'),
    ],
    [403, { code: 'c', error: "Your new team doesn't have any credits yet." }, rejected('payment')],
    [404, { code: 'not-found', error: 'The model does not exist.' }, rejected('not_found')],
    [422, { error: 'Failed to deserialize the JSON body' }, rejected('parameter')],
    [429, { code: 'c', error: 'Too many requests' }, { outcome: 'throttled', retryAfterMs: 3_000 }],
    [500, { code: 'c', error: 'Internal error' }, { outcome: 'failed', possiblyBilled: false }],
    [
      200,
      { data: [] },
      { outcome: 'failed', error: { code: 'invalid_output' }, possiblyBilled: true },
    ],
    [
      200,
      { data: [{ b64_json: null }] },
      { outcome: 'failed', error: { code: 'invalid_output' }, possiblyBilled: true },
    ],
    [
      200,
      { answer: 42 },
      { outcome: 'failed', error: { code: 'invalid_output' }, possiblyBilled: true },
    ],
  ];
  it.each(cases)('%i %j', async (status, body, expected) => {
    const headers: Record<string, string> = status === 429 ? { 'retry-after': '3' } : {};
    const { answer } = await generate(() => json(body, { status, headers }));
    expect(answer).toMatchObject({ providerRequestId: 'id-1', ...expected });
  });

  it('shows neither the key nor the prompt, though xAI quotes both', async () => {
    const error = `Incorrect API key provided: ${API_KEY}. Prompt: "a lighthouse at dusk".`;
    const { answer } = await generate(() => json({ code: 'c', error }, { status: 400 }));
    expect(answer).toMatchObject({
      error: { message: 'Incorrect API key provided: [key]. Prompt: "[prompt]".' },
    });
  });

  it('an answer that breaks off is unknown', async () => {
    const broken = new ReadableStream({
      pull(controller) {
        controller.error(new Error('Network connection lost.'));
      },
    });
    const { answer } = await generate(() => new Response(broken));
    expect(answer).toMatchObject({ outcome: 'unknown', possiblyBilled: true });
  });
});
