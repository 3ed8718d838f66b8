import { beforeEach, describe, expect, inject, it } from 'vitest';
import { createXaiProvider } from '../../../src/generation/providers/xai';
import { inspectImage } from '../../../src/images/inspect';
import type { XaiBehaviour } from '../../support/fakes/xai';
import { contextWith, jobWith } from '../../support/provider-jobs';

const origin = inject('fakes').xai;

async function control(order: object) {
  const answer = await fetch(`${origin}/control`, { method: 'POST', body: JSON.stringify(order) });
  return answer.json<{
    calls: { method: string; path: string; headers: Record<string, string> }[];
    facts: { billed: number };
  }>();
}

const provider = createXaiProvider(
  { apiKey: 'xai-test-0123456789', baseUrl: `${origin}/v1` },
  {
    fetch: (input, init) => fetch(input, init),
    openImage: async (url, signal) => {
      const { body } = await fetch(url, { signal });
      if (!body) throw new Error('there is no image');
      return { body, length: null };
    },
  },
);

async function generate(behaviour: XaiBehaviour, job: Parameters<typeof jobWith>[0] = {}) {
  await control({ queue: [behaviour] });
  return provider.generate(jobWith({ model: 'grok-imagine-image', ...job }), contextWith());
}

const bytesOf = async (opened: { body: ReadableStream<Uint8Array> }) =>
  new Uint8Array(await new Response(opened.body).arrayBuffer());

beforeEach(() => control({ reset: true }).then(() => {}));

describe('over a real socket', () => {
  const delivered: [behaviour: XaiBehaviour, count: number][] = [
    ['ok', 2],
    ['url', 2],
    ['one-withheld', 1],
  ];
  it.each(delivered)('%s brings %i of two images, and the charge', async (behaviour, count) => {
    const answer = await generate(behaviour, { n: 2 });
    if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
    const { signal } = new AbortController();
    const pictures = await Promise.all(
      answer.images.map(async (image) =>
        'bytes' in image ? image.bytes : bytesOf(await image.open(signal)),
      ),
    );
    const good = { ok: true, mediaType: 'image/png', width: 64, height: 64 };
    expect(pictures.map(inspectImage)).toEqual(Array.from({ length: count }, () => good));
    expect(answer.costMicros).toBe(40_000);
    expect(answer.providerRequestId).toBe('7c1f6e1e-5f0d-4b6a-9d55-1f7d4f1b1a11');
  });

  it('an image by URL is fetched once it is opened, and without the key', async () => {
    const answer = await generate('url');
    if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
    expect((await control({})).calls.map(({ method }) => method)).toEqual(['POST']);
    const [image] = answer.images;
    if (!image || !('open' in image)) throw new Error('expected an image to open');
    await bytesOf(await image.open(new AbortController().signal));
    const [, download] = (await control({})).calls;
    expect(download).toMatchObject({ method: 'GET', path: '/files/0.png' });
    expect(download?.headers).not.toHaveProperty('authorization');
  });

  it('an edit goes to its own path', async () => {
    const image = { bytes: new Uint8Array(200_000).fill(7), mediaType: 'image/png' };
    expect(await generate('ok', { image })).toMatchObject({ outcome: 'succeeded' });
    expect((await control({})).calls).toMatchObject([{ path: '/v1/images/edits' }]);
  });

  const rejected = (kind: string) => ({ outcome: 'rejected', error: { details: { kind } } });
  const refused = (stage: string, categories: string[]) => ({
    outcome: 'refused',
    error: { details: { moderation: { stage, categories } } },
    possiblyBilled: stage === 'output',
  });
  const ends: [behaviour: XaiBehaviour, billed: number, expected: object][] = [
    ['all-withheld', 1, refused('output', [])],
    ['output-rejected', 1, refused('output', [])],
    ['prompt-rejected', 0, refused('input', ['csam'])],
    ['no-images', 0, { outcome: 'failed', error: { code: 'invalid_output' } }],
    ['bad-argument', 0, rejected('parameter')],
    ['bad-key', 0, rejected('auth')],
    ['no-credits', 0, rejected('payment')],
    ['forbidden', 0, rejected('auth')],
    ['no-such-model', 0, rejected('not_found')],
    ['rate-limited', 0, { outcome: 'throttled', retryAfterMs: 3_000 }],
    ['internal', 0, { outcome: 'failed', possiblyBilled: false }],
    ['reset', 1, { outcome: 'unknown', error: { code: 'connection_lost' }, possiblyBilled: true }],
  ];
  it.each(ends)('%s ends as the table of outcomes says', async (behaviour, billed, expected) => {
    expect(await generate(behaviour)).toMatchObject(expected);
    const { calls, facts } = await control({});
    expect(calls).toHaveLength(1);
    expect(facts.billed).toBe(billed);
  });

  it('a hang ends with its signal, unknown', async () => {
    await control({ queue: ['hang'] });
    const context = contextWith({ signal: AbortSignal.timeout(300) });
    expect(await provider.generate(jobWith(), context)).toMatchObject({
      outcome: 'unknown',
      error: { code: 'timeout' },
      possiblyBilled: true,
    });
  });
});
