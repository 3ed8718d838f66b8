// The adapter for compatible servers with the real `fetch` against a fake on a real socket.
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { createCompatibleProvider } from '../../../src/generation/providers/compatible';
import { inspectImage } from '../../../src/images/inspect';
import { controlOf } from '../../support/fake-control';
import type { CompatibleBehaviour } from '../../support/fakes/compatible';
import { bytesOf } from '../../support/provider-images';
import { contextWith, jobWith } from '../../support/provider-jobs';

const url = inject('fakes').compatible;
const control = controlOf<CompatibleBehaviour>(url);

const providerWith = (apiKey: string | null, baseUrl = `${url}/v1`) =>
  createCompatibleProvider(
    { apiKey, baseUrl },
    {
      fetch: (input, init) => fetch(input, init),
      openImage: async (foreign) => {
        throw new Error(`${foreign} is no foreign URL`);
      },
    },
  );
const provider = providerWith('compatible-key');

const textJob = jobWith({ model: 'flux', size: { width: 64, height: 64 }, n: 2 });
const image = { bytes: new Uint8Array(200_000).fill(7), mediaType: 'image/png' };

async function generate(behaviour: CompatibleBehaviour, job = textJob, timeoutMs = 10_000) {
  await control({ behaviour });
  return provider.generate(job, contextWith({ signal: AbortSignal.timeout(timeoutMs) }));
}

async function picturesOf(answer: Awaited<ReturnType<typeof generate>>) {
  if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
  return (await Promise.all(answer.images.map(bytesOf))).map(inspectImage);
}

beforeEach(async () => {
  await control({ reset: true });
});

describe('a compatible server over a real socket', () => {
  const picture = { ok: true, mediaType: 'image/png', width: 64, height: 64 };

  const delivered: [behaviour: CompatibleBehaviour, opened: number][] = [
    ['ok', 0],
    ['bare', 0],
    ['data-url', 0],
    ['images', 0],
    ['mixed', 1],
    ['url', 2],
  ];
  it.each(delivered)('%s brings images, %i of them by URL', async (behaviour, opened) => {
    const answer = await generate(behaviour);
    expect((await control()).facts.opened).toBe(0);
    expect(await picturesOf(answer)).toEqual([picture, picture]);
    expect((await control()).facts.opened).toBe(opened);
  });

  it('makes a picture from a picture and its mask', async () => {
    const answer = await generate('ok', { ...textJob, n: 1, image, mask: image });
    expect(await picturesOf(answer)).toEqual([picture]);
    const { calls } = await control();
    expect(calls.map(({ path }) => path)).toEqual(['/v1/images/edits']);
  });

  const rejected = (kind: string) => ({ outcome: 'rejected', error: { details: { kind } } });
  const invalid = { outcome: 'failed', error: { code: 'invalid_output' }, possiblyBilled: true };
  const lost = { outcome: 'unknown', error: { code: 'connection_lost' }, possiblyBilled: true };
  const ends: [behaviour: CompatibleBehaviour, expected: object][] = [
    ['empty', invalid],
    ['html', invalid],
    ['cut-json', invalid],
    ['refused', { outcome: 'refused', error: { details: { moderation: { stage: 'input' } } } }],
    ['unprocessable', rejected('parameter')],
    ['bad-key', rejected('auth')],
    ['unpaid', rejected('payment')],
    ['no-model', rejected('not_found')],
    ['invalid', rejected('parameter')],
    ['throttled', { outcome: 'throttled', retryAfterMs: 7_000 }],
    ['broken', { outcome: 'failed', possiblyBilled: false }],
    ['gateway-timeout', { outcome: 'unknown', possiblyBilled: true }],
    ['cut-answer', lost],
    ['reset', lost],
  ];
  it.each(ends)('%s ends as the table of outcomes says', async (behaviour, expected) => {
    expect(await generate(behaviour)).toMatchObject(expected);
  });

  it('a server that wants a key rejects a call without one', async () => {
    const answer = await providerWith(null).generate(textJob, contextWith());
    expect(answer).toMatchObject(rejected('auth'));
  });

  it('a server that is not there was sent nothing', async () => {
    const nobody = providerWith(null, 'http://127.0.0.1:1/v1');
    expect(await nobody.generate(textJob, contextWith())).toMatchObject({
      outcome: 'not_sent',
      possiblyBilled: false,
    });
  });

  it('a hang ends with its signal, unknown', async () => {
    expect(await generate('hang', textJob, 300)).toMatchObject({
      outcome: 'unknown',
      error: { code: 'timeout' },
    });
  });
});
