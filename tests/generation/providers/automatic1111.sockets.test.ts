// What workerd makes of real sockets, which no scripted fetch can tell.
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { createAutomatic1111Provider } from '../../../src/generation/providers/automatic1111';
import type { ProviderJob } from '../../../src/generation/providers/provider';
import { inspectImage } from '../../../src/images/inspect';
import { controlOf } from '../../support/fake-control';
import type { Automatic1111Behaviour } from '../../support/fakes/automatic1111';
import { bytesOf, openOverSocket } from '../../support/provider-images';
import { contextWith, jobWith } from '../../support/provider-jobs';

const baseUrl = inject('fakes').automatic1111;
const control = controlOf<Automatic1111Behaviour>(baseUrl);

const providerAt = (url: string) =>
  createAutomatic1111Provider(
    { baseUrl: url, apiKey: 'foreman:secret' },
    { fetch: (input, init) => fetch(input, init), openImage: openOverSocket },
  );

async function generate(behaviour: Automatic1111Behaviour, job: Partial<ProviderJob> = {}) {
  await control({ behaviour });
  return providerAt(baseUrl).generate(jobWith({ model: 'default', ...job }), contextWith());
}

async function picturesOf(behaviour: Automatic1111Behaviour, job: Partial<ProviderJob> = {}) {
  const answer = await generate(behaviour, job);
  if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
  const sizes = answer.images.map(async (image) => {
    const inspected = inspectImage(await bytesOf(image));
    return inspected.ok ? `${inspected.width}x${inspected.height}` : inspected.reason;
  });
  return { ...answer, sizes: await Promise.all(sizes) };
}

beforeEach(async () => {
  await control({ reset: true });
});

const size = { width: 128, height: 64 };

describe('over a real socket', () => {
  const behaviours: Automatic1111Behaviour[] = ['ok', 'contact-sheet', 'extra-image'];
  it.each(behaviours)(
    '%s brings the pictures that were asked for, with seeds',
    async (behaviour) => {
      const { images, sizes } = await picturesOf(behaviour, { n: 2, size, seed: 11 });
      expect(sizes).toEqual(['128x64', '128x64']);
      expect(images.map(({ seed }) => seed)).toEqual([11, 12]);
      expect((await control()).facts).toEqual({ made: 2 });
    },
  );

  it('a picture that was made comes back as large as it went in', async () => {
    const [first] = (await picturesOf('ok', { size: { width: 256, height: 192 } })).images;
    if (!first) throw new Error('no picture');
    const image = { bytes: await bytesOf(first), mediaType: 'image/png' };
    expect((await picturesOf('ok', { image, mask: image, strength: 0.5 })).sizes).toEqual([
      '256x192',
    ]);
  });

  it('a checkpoint that the server has is used, one that it lacks is told of', async () => {
    expect((await picturesOf('ok', { model: 'sd_xl_base_1.0' })).warnings).toEqual([]);
    expect((await picturesOf('ok', { model: 'no-such-model' })).warnings).toEqual([
      'automatic1111 used the checkpoint v1-5-pruned-emaonly',
    ]);
  });

  const invalid = { outcome: 'failed', error: { code: 'invalid_output' } };
  const ends: [behaviour: Automatic1111Behaviour, expected: object, made: number][] = [
    ['locked', { outcome: 'rejected', error: { details: { kind: 'auth' } } }, 0],
    ['no-sampler', { outcome: 'rejected', error: { details: { kind: 'not_found' } } }, 0],
    ['invalid', { outcome: 'rejected', error: { details: { kind: 'parameter' } } }, 0],
    ['out-of-memory', { outcome: 'failed', error: { code: 'OutOfMemoryError' } }, 0],
    ['broken', { outcome: 'failed' }, 0],
    ['unavailable', { outcome: 'throttled', retryAfterMs: 3_000 }, 0],
    ['throttled', { outcome: 'throttled', retryAfterMs: 7_000 }, 0],
    ['gateway-timeout', { outcome: 'unknown' }, 0],
    ['empty', invalid, 1],
    ['html', invalid, 0],
    ['cut-json', invalid, 0],
    ['cut-answer', { outcome: 'unknown', error: { code: 'connection_lost' } }, 1],
    ['reset', { outcome: 'unknown', error: { code: 'connection_lost' } }, 1],
  ];
  it.each(ends)('%s ends as the table of outcomes says', async (behaviour, expected, made) => {
    expect(await generate(behaviour)).toMatchObject(expected);
    expect((await control()).facts).toEqual({ made });
  });

  it('a hang ends with its signal, unknown', async () => {
    await control({ behaviour: 'hang' });
    const context = contextWith({ signal: AbortSignal.timeout(300) });
    expect(
      await providerAt(baseUrl).generate(jobWith({ model: 'default' }), context),
    ).toMatchObject({ outcome: 'unknown', error: { code: 'timeout' } });
  });

  it('a server that is not running means that nothing was sent', async () => {
    const provider = providerAt('http://127.0.0.1:1');
    expect(await provider.generate(jobWith({ model: 'default' }), contextWith())).toMatchObject({
      outcome: 'not_sent',
    });
  });
});
