// What workerd makes of real sockets, which no scripted fetch can tell.
import { beforeEach, describe, expect, inject, it } from 'vitest';
import type { ProviderJob } from '../../../src/generation/providers/provider';
import { createStabilityProvider } from '../../../src/generation/providers/stability';
import { inspectImage } from '../../../src/images/inspect';
import { controlOf } from '../../support/fake-control';
import type { StabilityBehaviour } from '../../support/fakes/stability';
import { bytesOf, openOverSocket } from '../../support/provider-images';
import { contextWith, jobWith } from '../../support/provider-jobs';

const baseUrl = inject('fakes').stability;
const control = controlOf<StabilityBehaviour>(baseUrl);

const providerAt = (url: string, apiKey = 'sk-test-0123456789') =>
  createStabilityProvider(
    { apiKey, baseUrl: url },
    { fetch: (input, init) => fetch(input, init), openImage: openOverSocket },
  );

async function generate(behaviour: StabilityBehaviour, job: Partial<ProviderJob> = {}) {
  await control({ behaviour });
  return providerAt(baseUrl).generate(jobWith({ model: 'core', ...job }), contextWith());
}

beforeEach(async () => {
  await control({ reset: true });
});

const image = { bytes: new Uint8Array(200_000).fill(7), mediaType: 'image/png' };

describe('over a real socket', () => {
  const jobs: [name: string, job: Partial<ProviderJob>][] = [
    ['core', { model: 'core', aspectRatio: '16:9', negativePrompt: 'fog', seed: 5 }],
    ['ultra', { model: 'ultra', aspectRatio: '9:16', outputFormat: 'webp' }],
    ['ultra, from an image', { model: 'ultra', image }],
    ['sd3', { model: 'sd3.5-large-turbo', aspectRatio: '1:1', guidanceScale: 4 }],
    ['sd3, from an image', { model: 'sd3.5-medium', image, strength: 0.4, aspectRatio: '1:1' }],
    ['inpaint', { model: 'inpaint', image, mask: image, guidanceScale: 4 }],
  ];
  it.each(jobs)('%s brings a picture: the form is as the service takes it', async (_name, job) => {
    const answer = await generate('ok', job);
    if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
    const [made] = answer.images;
    expect(made?.seed).toBe(343_940_597);
    expect(made && inspectImage(await bytesOf(made))).toMatchObject({ ok: true, width: 64 });
    expect(answer.providerRequestId).toBe('req-1');
  });

  it('a form has its length in front', async () => {
    await generate('ok', { model: 'ultra', image });
    const { calls } = await control();
    expect(calls[0]?.headers).toMatchObject({ 'content-length': expect.stringMatching(/^\d+$/) });
    expect(calls[0]?.headers).not.toHaveProperty('transfer-encoding');
  });

  const invalid = { outcome: 'failed', error: { code: 'invalid_output' }, possiblyBilled: true };
  const unknown = { outcome: 'unknown', possiblyBilled: true };
  const ends: [behaviour: StabilityBehaviour, expected: object, billed: number][] = [
    ['filtered', { outcome: 'refused', possiblyBilled: true }, 1],
    ['moderated', { outcome: 'refused', possiblyBilled: false }, 0],
    ['rate-limited', { outcome: 'throttled', retryAfterMs: 60_000 }, 0],
    ['throttled', { outcome: 'throttled', retryAfterMs: 7_000 }, 0],
    ['bad-key', { outcome: 'rejected', error: { details: { kind: 'auth' } } }, 0],
    ['unpaid', { outcome: 'rejected', error: { details: { kind: 'payment' } } }, 0],
    ['no-model', { outcome: 'rejected', error: { details: { kind: 'not_found' } } }, 0],
    ['invalid', { outcome: 'rejected', error: { details: { kind: 'parameter' } } }, 0],
    ['broken', { outcome: 'failed', possiblyBilled: false }, 0],
    ['gateway-timeout', unknown, 0],
    ['empty', invalid, 1],
    ['html', invalid, 0],
    ['cut-json', invalid, 0],
    ['cut-answer', { ...unknown, error: { code: 'connection_lost' } }, 1],
    ['reset', { ...unknown, error: { code: 'connection_lost' } }, 1],
  ];
  it.each(ends)('%s ends as the table of outcomes says', async (behaviour, expected, billed) => {
    expect(await generate(behaviour)).toMatchObject(expected);
    expect((await control()).facts).toEqual({ billed });
  });

  it('a hang ends with its signal, unknown', async () => {
    await control({ behaviour: 'hang' });
    const context = contextWith({ signal: AbortSignal.timeout(300) });
    expect(await providerAt(baseUrl).generate(jobWith({ model: 'core' }), context)).toMatchObject({
      outcome: 'unknown',
      error: { code: 'timeout' },
      possiblyBilled: true,
    });
  });

  it('a refused port means that nothing was sent', async () => {
    const provider = providerAt('http://127.0.0.1:1');
    expect(await provider.generate(jobWith({ model: 'core' }), contextWith())).toMatchObject({
      outcome: 'not_sent',
      possiblyBilled: false,
    });
  });
});
