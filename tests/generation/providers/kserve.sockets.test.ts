// What workerd makes of real sockets, which no scripted fetch can tell.
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { createKserveProvider, type KserveConfig } from '../../../src/generation/providers/kserve';
import type { ProviderJob } from '../../../src/generation/providers/provider';
import { inspectImage } from '../../../src/images/inspect';
import { controlOf } from '../../support/fake-control';
import type { KserveBehaviour } from '../../support/fakes/kserve';
import { bytesOf, openOverSocket } from '../../support/provider-images';
import { contextWith, jobWith } from '../../support/provider-jobs';

const baseUrl = inject('fakes').kserve;
const control = controlOf<KserveBehaviour>(baseUrl);

const providerAt = (url: string, protocol: KserveConfig['protocol']) =>
  createKserveProvider(
    { baseUrl: url, apiKey: null, protocol },
    { fetch: (input, init) => fetch(input, init), openImage: openOverSocket },
  );

beforeEach(async () => {
  await control({ reset: true });
});

describe.each(['v1', 'v2'] as const)('over a real socket, by %s', (protocol) => {
  async function generate(behaviour: KserveBehaviour, job: Partial<ProviderJob> = {}) {
    await control({ behaviour });
    return providerAt(baseUrl, protocol).generate(jobWith({ model: 'sd', ...job }), contextWith());
  }

  it('ok brings pictures of the size that was asked for', async () => {
    const answer = await generate('ok', {
      n: 2,
      size: { width: 128, height: 96 },
      seed: 4_294_967_295,
      guidanceScale: 7,
      steps: 20,
      negativePrompt: 'fog',
    });
    if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
    const pictures = await Promise.all(answer.images.map(bytesOf));
    expect(pictures.map(inspectImage)).toEqual([
      { ok: true, mediaType: 'image/png', width: 128, height: 96 },
      { ok: true, mediaType: 'image/png', width: 128, height: 96 },
    ]);
    expect((await control()).facts).toEqual({ made: 2, readinessChecks: 0 });
  });

  it('loading is throttled, after one look at the readiness', async () => {
    expect(await generate('loading')).toMatchObject({
      outcome: 'throttled',
      error: { code: 'model_not_ready' },
      retryAfterMs: 5_000,
    });
    expect((await control()).facts).toEqual({ made: 0, readinessChecks: 1 });
  });

  it('a model that the server does not have is rejected', async () => {
    expect(await generate('ok', { model: 'no-such-model' })).toMatchObject({
      outcome: 'rejected',
      error: { code: 'model_not_found', details: { kind: 'not_found' } },
    });
  });

  it('unavailable fails when the model is ready all the same', async () => {
    expect(await generate('unavailable')).toMatchObject({ outcome: 'failed' });
    expect((await control()).facts).toEqual({ made: 0, readinessChecks: 1 });
  });

  const invalid = { outcome: 'failed', error: { code: 'invalid_output' } };
  const ends: [behaviour: KserveBehaviour, expected: object][] = [
    ['bad-key', { outcome: 'rejected', error: { details: { kind: 'auth' } } }],
    ['unpaid', { outcome: 'rejected', error: { details: { kind: 'payment' } } }],
    ['no-model', { outcome: 'rejected', error: { details: { kind: 'not_found' } } }],
    ['invalid', { outcome: 'rejected', error: { details: { kind: 'parameter' } } }],
    ['throttled', { outcome: 'throttled', retryAfterMs: 7_000 }],
    ['broken', { outcome: 'failed' }],
    ['gateway-timeout', { outcome: 'unknown' }],
    ['empty', invalid],
    ['html', invalid],
    ['cut-json', invalid],
    ['cut-answer', { outcome: 'unknown', error: { code: 'connection_lost' } }],
    ['reset', { outcome: 'unknown', error: { code: 'connection_lost' } }],
  ];
  it.each(ends)('%s ends as the table of outcomes says', async (behaviour, expected) => {
    expect(await generate(behaviour)).toMatchObject(expected);
  });

  it('a hang ends with its signal, unknown', async () => {
    await control({ behaviour: 'hang' });
    const context = contextWith({ signal: AbortSignal.timeout(300) });
    const provider = providerAt(baseUrl, protocol);
    expect(await provider.generate(jobWith({ model: 'sd' }), context)).toMatchObject({
      outcome: 'unknown',
      error: { code: 'timeout' },
    });
  });

  it('a server that is not running means that nothing was sent', async () => {
    const provider = providerAt('http://127.0.0.1:1', protocol);
    expect(await provider.generate(jobWith({ model: 'sd' }), contextWith())).toMatchObject({
      outcome: 'not_sent',
    });
  });
});
