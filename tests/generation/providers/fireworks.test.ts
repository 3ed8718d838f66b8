import { describe, expect, it } from 'vitest';
import { createFireworksProvider } from '../../../src/generation/providers/fireworks';
import type { ProviderAnswer, ProviderJob } from '../../../src/generation/providers/provider';
import { contextWith, jobWith } from '../../support/provider-jobs';
import { type Script, scriptedFetch } from '../../support/scripted-fetch';

const API_KEY = 'fw_AbCdEfGhIjKlMnOpQrStUvWx';
const BASE_URL = 'https://fireworks.test/inference/v1';
const MODELS = 'accounts/fireworks/models';
const FLUX = `${MODELS}/flux-1-schnell-fp8`;
const SDXL = `${MODELS}/stable-diffusion-xl-1024-v1-0`;
const TO_FLUX = `POST ${BASE_URL}/workflows/${FLUX}/text_to_image`;
const TO_SDXL = `POST ${BASE_URL}/image_generation/${SDXL}`;

const picture = new Uint8Array([137, 80, 78, 71, 1, 2, 3]);
const image = { bytes: picture, mediaType: 'image/png' };
const headers = { 'x-request-id': 'id-1', 'finish-reason': 'SUCCESS', seed: '42' };
const good = () => new Response(picture, { headers });

function providerWith(scripted: ReturnType<typeof scriptedFetch>) {
  const openImage = async () => {
    throw new Error('fireworks answers with no URLs');
  };
  const config = { apiKey: API_KEY, baseUrl: BASE_URL };
  return createFireworksProvider(config, { fetch: scripted.fetch, openImage });
}

async function generate(script: Script, fields: Partial<ProviderJob> = {}) {
  const scripted = scriptedFetch({ [TO_FLUX]: script, [TO_SDXL]: script });
  const job = jobWith({ model: FLUX, ...fields });
  const answer = await providerWith(scripted).generate(job, contextWith());
  expect(scripted.unlisted).toEqual([]);
  expect(scripted.calls).toHaveLength(1);
  const [call] = scripted.calls;
  if (!call) throw new Error('there was no call');
  return { answer, call };
}

const warningsOf = (answer: ProviderAnswer) => {
  if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
  return answer.warnings;
};

const bare = { prompt: 'a lighthouse at dusk', samples: 1 };

describe('what is sent', () => {
  const bodies: [name: string, job: Partial<ProviderJob>, target: string, body: object][] = [
    ['a bare prompt to FLUX', {}, TO_FLUX, bare],
    [
      'a ratio, seed, steps and guidance to FLUX',
      { aspectRatio: '21:9', seed: 7, steps: 4, guidanceScale: 3.5 },
      TO_FLUX,
      { ...bare, aspect_ratio: '21:9', seed: 7, num_inference_steps: 4, guidance_scale: 3.5 },
    ],
    [
      'a size to FLUX, as the ratio it has',
      { size: { width: 1024, height: 576 } },
      TO_FLUX,
      { ...bare, aspect_ratio: '16:9' },
    ],
    ['a bare prompt to SDXL', { model: SDXL }, TO_SDXL, bare],
    [
      'pixels, a negative prompt, seed, steps and guidance to SDXL',
      {
        model: SDXL,
        size: { width: 1152, height: 896 },
        negativePrompt: 'fog',
        seed: 7,
        steps: 30,
        guidanceScale: 7,
      },
      TO_SDXL,
      {
        ...bare,
        width: 1152,
        height: 896,
        negative_prompt: 'fog',
        seed: 7,
        steps: 30,
        cfg_scale: 7,
      },
    ],
    [
      'a size that stands for a ratio to SDXL, without a warning',
      { model: SDXL, size: { width: 1024, height: 1024 }, aspectRatio: '1:1' },
      TO_SDXL,
      { ...bare, width: 1024, height: 1024 },
    ],
    [
      "the client's options, as they are",
      { model: SDXL, options: { sampler: 'EULER', safety_check: true } },
      TO_SDXL,
      { ...bare, sampler: 'EULER', safety_check: true },
    ],
  ];
  it.each(bodies)('sends %s', async (_name, job, target, body) => {
    const { answer, call } = await generate(good, job);
    expect(warningsOf(answer)).toEqual([]);
    expect(`${call.method} ${call.url}`).toBe(target);
    expect(call.json()).toEqual(body);
  });

  const formats: [asked: ProviderJob['outputFormat'], accept: string, warnings: string[]][] = [
    [null, 'image/png', []],
    ['png', 'image/png', []],
    ['jpeg', 'image/jpeg', []],
    ['webp', 'image/png', ['fireworks ignores output_format']],
  ];
  it.each(formats)('asks for %s as Accept: %s', async (outputFormat, accept, warnings) => {
    const { answer, call } = await generate(good, { outputFormat });
    expect(call.headers.get('accept')).toBe(accept);
    expect(warningsOf(answer)).toEqual(warnings);
  });

  it('sends the key and the correlation id', async () => {
    const { call } = await generate(good);
    expect(call.headers.get('authorization')).toBe(`Bearer ${API_KEY}`);
    expect(call.headers.get('content-type')).toBe('application/json');
    expect(call.headers.get('x-correlation-id')).toBe('corr-1');
  });

  it('does not let options change what is paid for, and says so', async () => {
    const options = { samples: 8, num_inference_steps: 50, webhook_url: 'https://elsewhere.test' };
    const { answer, call } = await generate(good, { options });
    expect(call.json()).toEqual(bare);
    expect(warningsOf(answer)).toEqual([
      'fireworks ignores provider_options.fireworks.samples',
      'fireworks ignores provider_options.fireworks.num_inference_steps',
      'fireworks ignores provider_options.fireworks.webhook_url',
    ]);
  });

  const unusedFields: [name: string, job: Partial<ProviderJob>, fields: string[]][] = [
    [
      'FLUX',
      {
        negativePrompt: 'fog',
        size: { width: 1024, height: 200 },
        image,
        mask: image,
        strength: 1,
      },
      ['negative_prompt', 'size', 'image', 'mask', 'strength'],
    ],
    [
      'SDXL',
      { model: SDXL, aspectRatio: '16:9', image, mask: image, strength: 1 },
      ['aspect_ratio', 'image', 'mask', 'strength'],
    ],
    ['seed 0, which asks for a random one', { seed: 0 }, ['seed']],
  ];
  it.each(unusedFields)('names every field that is of no use: %s', async (_name, job, fields) => {
    const { answer } = await generate(good, job);
    expect(warningsOf(answer)).toEqual(fields.map((field) => `fireworks ignores ${field}`));
  });

  it.each(['flux-kontext-pro', 'flux-kontext-max'])('makes no call for %s, a job', async (name) => {
    const scripted = scriptedFetch({});
    const job = jobWith({ model: `${MODELS}/${name}` });
    expect(await providerWith(scripted).generate(job, contextWith())).toMatchObject({
      outcome: 'rejected',
      error: { code: 'model_not_supported', details: { kind: 'not_found' } },
      possiblyBilled: false,
    });
    expect(scripted.unlisted).toEqual([]);
  });
});

describe('what comes back', () => {
  it('is the picture, with the seed of its header', async () => {
    const { answer } = await generate(good);
    expect(answer).toEqual({
      outcome: 'succeeded',
      images: [{ bytes: picture, seed: 42 }],
      costMicros: null,
      providerRequestId: 'id-1',
      warnings: [],
    });
  });

  const filtered: [name: string, body: BodyInit | null][] = [
    ['a blackened picture', picture],
    ['an empty body', new Uint8Array()],
    ['no body', null],
  ];
  it.each(filtered)('is a refusal when it was filtered: %s', async (_name, body) => {
    const { answer } = await generate(
      () => new Response(body, { headers: { ...headers, 'finish-reason': 'CONTENT_FILTERED' } }),
    );
    expect(answer).toMatchObject({
      outcome: 'refused',
      error: {
        code: 'CONTENT_FILTERED',
        details: {
          moderation: { stage: 'output', categories: [], provider: 'fireworks' },
        },
      },
      possiblyBilled: true,
      providerRequestId: 'id-1',
    });
  });

  it.each([new Uint8Array(), null])('is invalid output when it is empty', async (body) => {
    const { answer } = await generate(() => new Response(body, { headers }));
    expect(answer).toMatchObject({
      outcome: 'failed',
      error: { code: 'invalid_output' },
      possiblyBilled: true,
    });
  });

  const rejected = (kind: string) => ({ outcome: 'rejected', error: { details: { kind } } });
  const suspended =
    'Account acme is suspended, possibly due to reaching the monthly spending limit or failure to pay past invoices.';
  const errors: [status: number, message: string, expected: object][] = [
    [400, 'aspect_ratio: Input should be 1:1', rejected('parameter')],
    [401, 'The API key you provided is invalid.', rejected('auth')],
    [402, 'Payment required.', rejected('payment')],
    [403, 'Forbidden.', rejected('auth')],
    [404, 'Model not found, inaccessible, and/or not deployed', rejected('not_found')],
    [412, suspended, rejected('payment')],
    [412, 'The LoRA could not be loaded.', rejected('parameter')],
    [429, 'Request rate exceeded.', { outcome: 'throttled', retryAfterMs: 2_000 }],
    [503, 'The service is overloaded.', { outcome: 'throttled', retryAfterMs: 2_000 }],
    [500, 'Server error.', { outcome: 'failed', possiblyBilled: false }],
    [504, 'Gateway timeout.', { outcome: 'unknown', possiblyBilled: true }],
  ];
  it.each(errors)('has one outcome: %i %s', async (status, message, expected) => {
    const error = { object: 'error', type: 'some_error', code: 'some_error', message };
    const wait: Record<string, string> = [429, 503].includes(status) ? { 'retry-after': '2' } : {};
    const { answer } = await generate(
      () => new Response(JSON.stringify({ error }), { status, headers: { ...headers, ...wait } }),
    );
    expect(answer).toMatchObject({ providerRequestId: 'id-1', ...expected });
  });
});
