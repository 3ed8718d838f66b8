// What is asked of OpenAI's images API, and made of its answer, when somebody looks on.
import { describe, expect, it } from 'vitest';
import { createOpenAiProvider } from '../../../src/generation/providers/openai';
import type {
  ProviderAnswer,
  ProviderJob,
  ProviderPreview,
} from '../../../src/generation/providers/provider';
import { contextWith, jobWith } from '../../support/provider-jobs';
import { type Script, scriptedFetch } from '../../support/scripted-fetch';

const BASE_URL = 'https://openai.test/v1';
const GENERATIONS = `POST ${BASE_URL}/images/generations`;
const EDITS = `POST ${BASE_URL}/images/edits`;
const inputImage = { bytes: new Uint8Array([1, 2, 3]), mediaType: 'image/png' };

const base64 = (...bytes: number[]) => btoa(String.fromCharCode(...bytes));
const partial = (index: number, fields: object = {}) => ({
  type: 'image_generation.partial_image',
  ...{ b64_json: base64(index), partial_image_index: index, output_format: 'png', ...fields },
});
const completed = (fields: object = {}) => ({
  type: 'image_generation.completed',
  ...{ b64_json: base64(9), created_at: 7, output_format: 'png', size: '1024x1024' },
  ...{ quality: 'high', usage: { input_tokens: 10, output_tokens: 1256 }, ...fields },
});

const textOf = (event: object) =>
  `event: ${'type' in event ? event.type : ''}\ndata: ${JSON.stringify(event)}\n\n`;
const HEADERS = { 'content-type': 'text/event-stream; charset=utf-8', 'x-request-id': 'req_abc' };
const answering =
  (...events: object[]): Script =>
  () =>
    new Response(events.map(textOf).join(''), { headers: HEADERS });

async function generate(script: Script, job: Partial<ProviderJob> = {}, isWatched = true) {
  const scripted = scriptedFetch({ [GENERATIONS]: script, [EDITS]: script });
  const config = { apiKey: 'sk-proj-AbCdEfGhIjKlMnOpQrStUvWx', baseUrl: BASE_URL };
  const provider = createOpenAiProvider(config, {
    fetch: scripted.fetch,
    openImage: async () => {
      throw new Error('nothing is to be opened');
    },
  });
  const shown: ProviderPreview[] = [];
  const preview = isWatched ? { preview: (of: ProviderPreview) => shown.push(of) } : {};
  const asked = jobWith({ previews: 2, ...job });
  const answer: ProviderAnswer = await provider.generate(asked, contextWith(preview));
  expect(scripted.unlisted).toEqual([]);
  const [call] = scripted.calls;
  if (!call || scripted.calls.length > 1) throw new Error('expected one call');
  return { answer, call, shown, shows: provider.showsPreviews?.(asked) };
}

const SHOWN = [
  { index: 0, mediaType: 'image/png', bytes: new Uint8Array([0]) },
  { index: 1, mediaType: 'image/png', bytes: new Uint8Array([1]) },
];

describe('a call that shows previews', () => {
  const prompt = 'a lighthouse at dusk';

  it('asks for a stream with as many', async () => {
    const { call } = await generate(answering(completed()), {
      options: { quality: 'low', stream: false, partial_images: 3 },
    });
    expect(call.json()).toEqual({
      ...{ model: 'gpt-image-1', prompt, n: 1, quality: 'low' },
      ...{ stream: true, partial_images: 2 },
    });
  });

  it('asks the same of an edit, in its form', async () => {
    const edited = { type: 'image_edit.completed' };
    const shown = partial(0, { type: 'image_edit.partial_image', output_format: 'webp' });
    const made = await generate(answering(shown, completed(edited)), { image: inputImage });
    expect(made.call.url).toBe(`${BASE_URL}/images/edits`);
    const form = await made.call.form();
    expect([form.getAll('stream'), form.getAll('partial_images')]).toEqual([['true'], ['2']]);
    expect(made.shown).toEqual([{ ...SHOWN[0], mediaType: 'image/webp' }]);
    expect(made.answer).toMatchObject({ outcome: 'succeeded' });
  });

  const unasked: [name: string, job: Partial<ProviderJob>, isWatched: boolean][] = [
    ['none are wanted', { previews: 0 }, true],
    ['nobody looks on', {}, false],
    ['the model makes none', { model: 'dall-e-3' }, true],
    ['its name says nothing of that', { model: 'some-model' }, true],
  ];
  it.each(unasked)('is an ordinary one where %s', async (_name, job, isWatched) => {
    const plain: Script = () => Response.json({ data: [{ b64_json: base64(9) }] });
    const { call, shown, answer } = await generate(plain, job, isWatched);
    expect(call.json()).not.toHaveProperty('stream');
    expect(call.json()).not.toHaveProperty('partial_images');
    expect(shown).toEqual([]);
    expect(answer).toMatchObject({ outcome: 'succeeded' });
  });

  it.each([
    ['gpt-image-1', true],
    ['gpt-image-2-2026-04-21', true],
    ['chatgpt-image-latest', true],
    ['dall-e-2', false],
  ])('is what %s makes: %s', async (model, expected) => {
    const { shows } = await generate(answering(completed()), { model });
    expect(shows).toBe(expected);
  });

  it('shows them in their order, and ends as the same call without: bytes, price and id', async () => {
    const { answer, shown } = await generate(answering(partial(0), partial(1), completed()));
    expect(shown).toEqual(SHOWN);
    expect(answer).toEqual({
      outcome: 'succeeded',
      images: [{ bytes: new Uint8Array([9]), seed: null }],
      // As every token of an answer without details: as a picture's.
      costMicros: 10 * 10 + 1256 * 40,
      providerRequestId: 'req_abc',
      warnings: [],
    });
  });

  it('shows each as soon as it is there', async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const seen = Promise.withResolvers<void>();
    const provider = createOpenAiProvider(
      { apiKey: 'sk-test-0123456789', baseUrl: BASE_URL },
      {
        fetch: async () => new Response(readable, { headers: HEADERS }),
        openImage: async () => {
          throw new Error('nothing is to be opened');
        },
      },
    );
    const preview = () => seen.resolve();
    const answer = provider.generate(jobWith({ previews: 1 }), contextWith({ preview }));
    const write = (event: object) => writer.write(new TextEncoder().encode(textOf(event)));
    await write(partial(0));
    await seen.promise;
    await write(completed());
    expect(await answer).toMatchObject({ outcome: 'succeeded' });
  });

  const odd: [name: string, events: object[], shown: object[]][] = [
    ['fewer than were asked for', [partial(0)], [SHOWN[0] as object]],
    ['more than were asked for', [partial(0), partial(1), partial(2)], SHOWN],
    ['numbers of its own', [partial(5), partial(6)], [0, 1].map((index) => ({ index }))],
    ['events that nobody knows', [{ type: 'ping' }, partial(0), []], [SHOWN[0] as object]],
    [
      'partial images without a picture',
      [{ ...partial(0), b64_json: null }, partial(0)],
      [SHOWN[0] as object],
    ],
  ];
  it.each(odd)('bears %s', async (_name, events, expected) => {
    const { answer, shown } = await generate(answering(...events, completed()));
    expect(shown).toHaveLength(expected.length);
    expect(shown).toMatchObject(expected);
    expect(answer).toMatchObject({ outcome: 'succeeded' });
  });

  it('takes an answer that is no stream as it is', async () => {
    const plain: Script = () => Response.json({ data: [{ b64_json: base64(9) }] });
    const { answer, shown } = await generate(plain);
    expect(shown).toEqual([]);
    expect(answer).toMatchObject({
      outcome: 'succeeded',
      images: [{ bytes: new Uint8Array([9]) }],
    });
  });

  it('that is refused before the stream begins is refused as ever', async () => {
    const error = { message: 'Slow down.', type: 'images', code: 'rate_limit_exceeded' };
    const refused: Script = () =>
      Response.json({ error }, { status: 429, headers: { 'retry-after': '7' } });
    const { answer } = await generate(refused);
    expect(answer).toMatchObject({ outcome: 'throttled', retryAfterMs: 7_000 });
  });
});

describe('a stream that ends without an image', () => {
  const failing = (error: object) => [partial(0), { type: 'error', error }];
  const moderation = {
    ...{ type: 'image_generation_user_error', code: 'moderation_blocked', message: 'No.' },
    moderation_details: { moderation_stage: 'output', categories: ['violence'] },
  };
  const told: [name: string, events: object[], expected: object][] = [
    [
      'for what it would show',
      failing(moderation),
      {
        ...{ outcome: 'refused', possiblyBilled: true, providerRequestId: 'req_abc' },
        error: { details: { moderation: { stage: 'output', categories: ['violence'] } } },
      },
    ],
    [
      'for too many calls',
      failing({ type: 'images', code: 'rate_limit_exceeded', message: 'Slow down.' }),
      { outcome: 'throttled', error: { code: 'rate_limit_exceeded', details: { status: 429 } } },
    ],
    [
      'for a bill that is not paid',
      failing({ type: 'insufficient_quota', code: 'insufficient_quota', message: 'Pay.' }),
      { outcome: 'rejected', error: { details: { kind: 'payment' } } },
    ],
    [
      'for the key',
      failing({ type: 'invalid_request_error', code: 'invalid_api_key', message: 'No.' }),
      { outcome: 'rejected', error: { details: { kind: 'auth' } } },
    ],
    [
      'for a parameter',
      failing({ type: 'invalid_request_error', code: null, message: 'Unknown size.' }),
      { outcome: 'rejected', error: { details: { kind: 'parameter' } } },
    ],
    [
      'for a fault of its own',
      failing({ type: 'server_error', code: null, message: 'Sorry.' }),
      { outcome: 'failed', error: { code: 'server_error', message: 'Sorry.' } },
    ],
    [
      'in words without an object',
      [{ type: 'error', code: 'moderation_blocked', message: 'No.' }],
      { outcome: 'refused', error: { code: 'moderation_blocked' } },
    ],
    [
      'in an event without a type',
      [{ error: { message: 'Sorry.', type: 'server_error' } }],
      { outcome: 'failed', error: { code: 'server_error' } },
    ],
  ];
  it.each(told)('says why: %s', async (_name, events, expected) => {
    const { answer } = await generate(answering(...events));
    expect(answer).toMatchObject(expected);
  });

  const lost = {
    ...{ outcome: 'unknown', possiblyBilled: true, providerRequestId: 'req_abc' },
    error: { code: 'connection_lost' },
  };
  const brokenOff = (text: string, reason?: Error): Script => {
    let isSent = false;
    const body = () =>
      new ReadableStream<Uint8Array>({
        pull(controller) {
          if (!isSent && text) controller.enqueue(new TextEncoder().encode(text));
          else if (reason) controller.error(reason);
          else controller.close();
          isSent = true;
        },
      });
    return () => new Response(body(), { headers: HEADERS });
  };
  const cut = textOf(partial(0)) + textOf(completed()).slice(0, 60);
  it.each<[string, Script]>([
    ['at once', brokenOff('')],
    ['after a preview', brokenOff(textOf(partial(0)))],
    ['within the image', brokenOff(cut)],
    ['by a reset within the image', brokenOff(cut, new Error('reset'))],
  ])('is lost, and may be billed: %s', async (_name, script) => {
    const { answer } = await generate(script);
    expect(answer).toMatchObject(lost);
  });

  it('is lost at the end of its time, too', async () => {
    const hanging: Script = (_call, signal) => {
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(textOf(partial(0))));
          signal?.addEventListener('abort', () => controller.error(signal.reason));
        },
      });
      return new Response(body, { headers: HEADERS });
    };
    const scripted = scriptedFetch({ [GENERATIONS]: hanging });
    const provider = createOpenAiProvider(
      { apiKey: 'sk-test-0123456789', baseUrl: BASE_URL },
      {
        fetch: scripted.fetch,
        openImage: async () => {
          throw new Error('nothing is to be opened');
        },
      },
    );
    const limit = new AbortController();
    const context = contextWith({ signal: limit.signal, preview: () => limit.abort() });
    const answer = await provider.generate(jobWith({ previews: 1 }), context);
    expect(answer).toMatchObject({ ...lost, error: { code: 'timeout' } });
  });

  it('is no image when it is larger than any', async () => {
    const megabyte = new Uint8Array(1024 * 1024).fill(0x41);
    let sent = 0;
    const endless: Script = () => {
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          sent += 1;
          controller.enqueue(megabyte);
        },
      });
      return new Response(body, { headers: HEADERS });
    };
    const { answer } = await generate(endless);
    expect(answer).toMatchObject({ outcome: 'failed', error: { code: 'invalid_output' } });
    expect(sent).toBeLessThan(70);
  });

  it('is no image when what it calls complete has none', async () => {
    const { answer } = await generate(answering(completed({ b64_json: null })));
    expect(answer).toMatchObject({ outcome: 'failed', error: { code: 'invalid_output' } });
  });
});
