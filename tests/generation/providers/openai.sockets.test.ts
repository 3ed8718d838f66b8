// What workerd makes of real sockets, which no scripted fetch can tell.
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { createOpenAiProvider } from '../../../src/generation/providers/openai';
import type { ProviderPreview } from '../../../src/generation/providers/provider';
import { inspectImage } from '../../../src/images/inspect';
import type { Behaviour, FakeCall, Mode } from '../../support/fake-openai';
import { bytesOf, openOverSocket } from '../../support/provider-images';
import { contextWith, jobWith } from '../../support/provider-jobs';

const baseUrl = inject('fakeOpenAiUrl');
if (!baseUrl)
  throw new Error('vitest.config.ts has no globalSetup ./tests/support/start-fake-openai');
const controlUrl = baseUrl.replace(/\/v1$/, '/control');

async function control(body?: object) {
  const answer = await fetch(controlUrl, body && { method: 'POST', body: JSON.stringify(body) });
  return answer.json<{ calls: FakeCall[]; billed: number; open: number }>();
}

const providerAt = (url: string) =>
  createOpenAiProvider(
    { apiKey: 'sk-test-0123456789', baseUrl: url },
    { fetch: (input, init) => fetch(input, init), openImage: openOverSocket },
  );

const generate = (behaviour: Behaviour, job: Parameters<typeof jobWith>[0] = {}) =>
  control({ behaviour }).then(() =>
    providerAt(baseUrl).generate(
      jobWith({ size: { width: 64, height: 64 }, ...job }),
      contextWith(),
    ),
  );

beforeEach(() => control({ reset: true }).then(() => {}));

describe('over a real socket', () => {
  const delivered: Mode[] = ['ok', 'url', 'trickle'];
  it.each(delivered)('%s brings images', async (mode) => {
    const answer = await generate({ mode }, { n: 2 });
    if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
    const pictures = await Promise.all(answer.images.map(bytesOf));
    expect(pictures.map(inspectImage)).toEqual([
      { ok: true, mediaType: 'image/png', width: 64, height: 64 },
      { ok: true, mediaType: 'image/png', width: 64, height: 64 },
    ]);
    expect(answer.providerRequestId).toMatch(/^req_/);
  });

  it('a body has its length in front: not every compatible server reads chunks', async () => {
    await generate({ mode: 'ok' });
    const { calls } = await control();
    expect(calls).toHaveLength(1);
    expect(calls[0]?.headers).toMatchObject({ 'content-length': expect.stringMatching(/^\d+$/) });
    expect(calls[0]?.headers).not.toHaveProperty('transfer-encoding');
  });

  it('an edit arrives as a form with its files', async () => {
    const image = { bytes: new Uint8Array(200_000).fill(7), mediaType: 'image/png' };
    await generate({ mode: 'ok' }, { image, mask: image });
    const { calls } = await control();
    expect(calls[0]).toMatchObject({
      path: '/v1/images/edits',
      fields: {
        prompt: 'a lighthouse at dusk',
        image: { type: 'image/png', bytes: 200_000 },
        mask: { type: 'image/png', bytes: 200_000 },
      },
    });
  });

  it('a stream shows each preview when it comes, of an edit as of a prompt', async () => {
    await control({ behaviour: { mode: 'ok', hold: true } });
    const image = { bytes: new Uint8Array(200_000).fill(7), mediaType: 'image/png' };
    for (const given of [{}, { image }]) {
      const shown: object[] = [];
      const job = jobWith({ size: { width: 64, height: 64 }, previews: 2, ...given });
      const preview = ({ index, bytes }: ProviderPreview) => {
        shown.push({ index, ...inspectImage(bytes) });
      };
      const answer = providerAt(baseUrl).generate(job, contextWith({ preview }));
      for (const index of [0, 1]) {
        await control({ release: 1 });
        await expect.poll(() => shown).toHaveLength(index + 1);
      }
      await control({ release: 1 });
      expect(await answer).toMatchObject({
        outcome: 'succeeded',
        providerRequestId: expect.stringMatching(/^req_/),
      });
      const size = { ok: true, mediaType: 'image/png', width: 64, height: 64 };
      expect(shown).toEqual([0, 1].map((index) => ({ index, ...size })));
    }
  });

  it.each<[Mode, object]>([
    ['reset-after-body', { outcome: 'unknown', error: { code: 'connection_lost' } }],
    ['reset-mid-answer', { outcome: 'unknown', error: { code: 'connection_lost' } }],
    ['malformed-json', { outcome: 'unknown', error: { code: 'connection_lost' } }],
    ['moderation-output', { outcome: 'refused', possiblyBilled: true }],
    [500, { outcome: 'failed', possiblyBilled: false }],
  ])('a stream that meets %s ends as the table of outcomes says', async (mode, expected) => {
    await control({ behaviour: { mode } });
    const job = jobWith({ size: { width: 64, height: 64 }, previews: 1 });
    const answer = await providerAt(baseUrl).generate(job, contextWith({ preview: () => {} }));
    expect(answer).toMatchObject(expected);
  });

  const unknown: [mode: Mode, billed: number][] = [
    ['reset-after-body', 1],
    ['reset-mid-answer', 1],
  ];
  it.each(unknown)('%s is unknown, and the provider did bill it', async (mode, billed) => {
    expect(await generate({ mode })).toMatchObject({
      outcome: 'unknown',
      error: { code: 'connection_lost' },
      possiblyBilled: true,
    });
    expect((await control()).billed).toBe(billed);
  });

  it('a truncated PNG is delivered as it is, for the checks to find', async () => {
    const answer = await generate({ mode: 'truncated-png' });
    if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
    const pictures = await Promise.all(answer.images.map(bytesOf));
    expect(pictures.map((bytes) => inspectImage(bytes).ok)).toEqual([false]);
  });

  const failures: [mode: Mode, expected: object][] = [
    ['malformed-json', { outcome: 'failed', error: { code: 'invalid_output' } }],
    ['empty-data', { outcome: 'failed', error: { code: 'invalid_output' } }],
    ['html', { outcome: 'failed', error: { code: 'invalid_output' } }],
    ['moderation-input', { outcome: 'refused', possiblyBilled: false }],
    ['moderation-output', { outcome: 'refused', possiblyBilled: true }],
    ['401', { outcome: 'rejected', error: { code: 'invalid_api_key' } }],
    ['quota', { outcome: 'rejected', error: { code: 'insufficient_quota' } }],
    ['429', { outcome: 'throttled', retryAfterMs: null }],
    ['500', { outcome: 'failed', possiblyBilled: false }],
    ['504', { outcome: 'unknown', possiblyBilled: true }],
  ].map(([mode, expected]) => [mode as Mode, expected as object]);
  it.each(failures)('%s ends as the table of outcomes says', async (mode, expected) => {
    expect(await generate({ mode })).toMatchObject(expected);
  });

  it('a hang ends with its signal, unknown', async () => {
    await control({ behaviour: { mode: 'hang' } });
    const context = contextWith({ signal: AbortSignal.timeout(300) });
    expect(await providerAt(baseUrl).generate(jobWith(), context)).toMatchObject({
      outcome: 'unknown',
      error: { code: 'timeout' },
      possiblyBilled: true,
    });
  });

  const unreachable: [name: string, url: string][] = [
    ['a refused port', 'http://127.0.0.1:1/v1'],
    ['a port that speaks no TLS', baseUrl.replace('http:', 'https:')],
  ];
  it.each(unreachable)('%s means that nothing was sent', async (_name, url) => {
    expect(await providerAt(url).generate(jobWith(), contextWith())).toMatchObject({
      outcome: 'not_sent',
      error: { code: 'connection_failed' },
      possiblyBilled: false,
    });
    expect((await control()).calls).toEqual([]);
  });

  it('a reset in the middle of the upload means that nobody has the whole request', async () => {
    const image = { bytes: new Uint8Array(3_000_000), mediaType: 'image/png' };
    expect(await generate({ mode: 'reset-before-body' }, { image })).toMatchObject({
      outcome: 'not_sent',
      possiblyBilled: false,
    });
    expect((await control()).billed).toBe(0);
  });
});
