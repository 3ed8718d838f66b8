import { describe, expect, it } from 'vitest';
import { createGoogleProvider } from '../../../src/generation/providers/google';
import type { ProviderAnswer, ProviderJob } from '../../../src/generation/providers/provider';
import { contextWith, jobWith } from '../../support/provider-jobs';
import { type Script, scriptedFetch } from '../../support/scripted-fetch';

const API_KEY = 'AIzaSyTestTestTestTestTestTestTest01';
const BASE_URL = 'https://google.test/v1beta';
const MODEL = 'gemini-2.5-flash-image';
const GENERATE = `POST ${BASE_URL}/models/${MODEL}:generateContent`;

const picture = new Uint8Array([137, 80, 78, 71, 1, 2, 3]);
const base64 = btoa(String.fromCharCode(...picture));
const inlineData = { mimeType: 'image/png', data: base64 };

const json = (body: unknown, init: ResponseInit = {}) => new Response(JSON.stringify(body), init);
const candidate = (fields: object) => ({ candidates: [{ index: 0, ...fields }] });
const good = () =>
  json({
    ...candidate({ content: { role: 'model', parts: [{ inlineData }] }, finishReason: 'STOP' }),
    responseId: 'mHk5aYr2KJ6X',
  });

async function generate(script: Script, fields: Partial<ProviderJob> = {}) {
  const scripted = scriptedFetch({ [GENERATE]: script });
  const openImage = async () => {
    throw new Error('google answers with no URLs');
  };
  const provider = createGoogleProvider(
    { apiKey: API_KEY, baseUrl: BASE_URL },
    { fetch: scripted.fetch, openImage },
  );
  const answer = await provider.generate(jobWith({ model: MODEL, ...fields }), contextWith());
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

const prompt = { role: 'user', parts: [{ text: 'a lighthouse at dusk' }] };
const IMAGE_ONLY = { responseModalities: ['IMAGE'] };

describe('what is sent', () => {
  const bodies: [name: string, job: Partial<ProviderJob>, body: object][] = [
    ['a bare prompt', {}, { contents: [prompt], generationConfig: IMAGE_ONLY }],
    [
      'an aspect ratio and a seed',
      { aspectRatio: '16:9', seed: 7 },
      {
        contents: [prompt],
        generationConfig: { seed: 7, ...IMAGE_ONLY, imageConfig: { aspectRatio: '16:9' } },
      },
    ],
    [
      'a size, as the ratio it has',
      { size: { width: 1376, height: 768 } },
      {
        contents: [prompt],
        generationConfig: { ...IMAGE_ONLY, imageConfig: { aspectRatio: '16:9' } },
      },
    ],
    [
      'an input image, inline',
      { image: { bytes: picture, mediaType: 'image/png' } },
      {
        contents: [{ role: 'user', parts: [...prompt.parts, { inlineData }] }],
        generationConfig: IMAGE_ONLY,
      },
    ],
    [
      "the client's options, beside and within what is there",
      {
        aspectRatio: '1:1',
        options: {
          safetySettings: [{ category: 'HARM_CATEGORY_HARASSMENT', threshold: 'OFF' }],
          generationConfig: { temperature: 0.4, thinkingConfig: { thinkingLevel: 'minimal' } },
        },
      },
      {
        contents: [prompt],
        generationConfig: {
          ...IMAGE_ONLY,
          imageConfig: { aspectRatio: '1:1' },
          temperature: 0.4,
          thinkingConfig: { thinkingLevel: 'minimal' },
        },
        safetySettings: [{ category: 'HARM_CATEGORY_HARASSMENT', threshold: 'OFF' }],
      },
    ],
  ];
  it.each(bodies)('sends %s', async (_name, job, body) => {
    const { answer, call } = await generate(good, job);
    expect(warningsOf(answer)).toEqual([]);
    expect(call.json()).toEqual(body);
  });

  it('sends the key in a header of its own, never in the URL', async () => {
    const { call } = await generate(good);
    expect(call.headers.get('x-goog-api-key')).toBe(API_KEY);
    expect(call.headers.get('content-type')).toBe('application/json');
    expect(call.headers.get('x-correlation-id')).toBe('corr-1');
    expect(call.url).not.toContain(API_KEY);
  });

  it('does not let options change what is paid for, however deep, and says so', async () => {
    const options = {
      tools: [{ google_search: {} }],
      serviceTier: 'priority',
      generationConfig: {
        candidateCount: 4,
        responseModalities: ['TEXT'],
        imageConfig: { imageSize: '4K', aspectRatio: '1:1' },
      },
    };
    const { answer, call } = await generate(good, { options });
    expect(call.json()).toEqual({
      contents: [prompt],
      generationConfig: { ...IMAGE_ONLY, imageConfig: {} },
    });
    expect(warningsOf(answer)).toEqual([
      'google ignores provider_options.google.tools',
      'google ignores provider_options.google.serviceTier',
      'google ignores provider_options.google.generationConfig.candidateCount',
      'google ignores provider_options.google.generationConfig.responseModalities',
      'google ignores provider_options.google.generationConfig.imageConfig.imageSize',
      'google ignores provider_options.google.generationConfig.imageConfig.aspectRatio',
    ]);
  });

  it('names every field that the API has no use for', async () => {
    const { answer, call } = await generate(good, {
      negativePrompt: 'fog',
      aspectRatio: '9:21',
      steps: 20,
      guidanceScale: 7,
      outputFormat: 'webp',
      image: { bytes: picture, mediaType: 'image/png' },
      mask: { bytes: picture, mediaType: 'image/png' },
      strength: 0.5,
    });
    expect(call.json()).toMatchObject({ generationConfig: IMAGE_ONLY });
    expect(warningsOf(answer)).toEqual([
      'google ignores negative_prompt',
      'google ignores aspect_ratio',
      'google ignores steps',
      'google ignores guidance_scale',
      'google ignores output_format',
      'google ignores mask',
      'google ignores strength',
    ]);
  });

  it('makes no call for Imagen, whose API is gone', async () => {
    const scripted = scriptedFetch({});
    const openImage = async () => {
      throw new Error('there is no image');
    };
    const config = { apiKey: API_KEY, baseUrl: BASE_URL };
    const provider = createGoogleProvider(config, { fetch: scripted.fetch, openImage });
    const job = jobWith({ model: 'imagen-4.0-generate-001' });
    expect(await provider.generate(job, contextWith())).toMatchObject({
      outcome: 'rejected',
      error: { code: 'model_not_supported', details: { kind: 'not_found' } },
      possiblyBilled: false,
    });
    expect(scripted.unlisted).toEqual([]);
  });

  it('says that a size of no ratio it makes is ignored', async () => {
    const { answer } = await generate(good, { size: { width: 1024, height: 200 } });
    expect(warningsOf(answer)).toEqual(['google ignores size']);
  });
});

describe('an answer with an image', () => {
  it('succeeds with its bytes, and with the id that stands in the body', async () => {
    const { answer } = await generate(good);
    expect(answer).toEqual({
      outcome: 'succeeded',
      images: [{ bytes: picture, seed: null }],
      costMicros: null,
      providerRequestId: 'mHk5aYr2KJ6X',
      warnings: [],
    });
  });

  it('is not the picture that the model thought in', async () => {
    const draft = { inlineData: { mimeType: 'image/png', data: btoa('draft') }, thought: true };
    const parts = [{ text: 'Thinking.', thought: true }, draft, { inlineData }];
    const { answer } = await generate(() =>
      json(candidate({ content: { parts }, finishReason: 'STOP' })),
    );
    expect(answer).toMatchObject({ images: [{ bytes: picture }] });
  });
});
