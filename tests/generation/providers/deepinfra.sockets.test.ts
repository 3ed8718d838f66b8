// DeepInfra's adapter with the real `fetch` against a fake on a real socket.
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { createDeepInfraProvider } from '../../../src/generation/providers/deepinfra';
import { inspectImage } from '../../../src/images/inspect';
import { controlOf } from '../../support/fake-control';
import type { DeepInfraBehaviour } from '../../support/fakes/deepinfra';
import { bytesOf, openOverSocket } from '../../support/provider-images';
import { contextWith, jobWith } from '../../support/provider-jobs';

const url = inject('fakes').deepinfra;
const control = controlOf<DeepInfraBehaviour>(url);

const provider = createDeepInfraProvider(
  { apiKey: 'di-0123456789abcdef', baseUrl: `${url}/v1` },
  { fetch: (input, init) => fetch(input, init), openImage: openOverSocket },
);

const textJob = jobWith({
  model: 'black-forest-labs/FLUX-1-schnell',
  size: { width: 128, height: 64 },
  seed: 7,
  steps: 2,
});
const editJob = jobWith({
  model: 'Qwen/Qwen-Image-Edit',
  size: { width: 128, height: 64 },
  image: { bytes: new Uint8Array(200_000).fill(7), mediaType: 'image/png' },
});

async function generate(behaviour: DeepInfraBehaviour, job = textJob, timeoutMs = 10_000) {
  await control({ behaviour });
  return provider.generate(job, contextWith({ signal: AbortSignal.timeout(timeoutMs) }));
}

beforeEach(async () => {
  await control({ reset: true });
});

describe('DeepInfra over a real socket', () => {
  const picture = { ok: true, mediaType: 'image/png', width: 128, height: 64 };

  it('makes a picture from text, and tells its seed and what it cost', async () => {
    const answer = await generate('ok');
    if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
    expect((await Promise.all(answer.images.map(bytesOf))).map(inspectImage)).toEqual([picture]);
    expect(answer.images[0]?.seed).toBe(7);
    expect(answer).toMatchObject({ costMicros: 500, providerRequestId: 'Rfake0123' });
  });

  it('makes a picture from a picture', async () => {
    const answer = await generate('ok', editJob);
    if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
    expect((await Promise.all(answer.images.map(bytesOf))).map(inspectImage)).toEqual([picture]);
    const { calls } = await control();
    expect(calls.map(({ path }) => path)).toEqual(['/v1/openai/images/edits']);
  });

  const rejected = (kind: string) => ({ outcome: 'rejected', error: { details: { kind } } });
  const invalid = { outcome: 'failed', error: { code: 'invalid_output' }, possiblyBilled: true };
  const lost = { outcome: 'unknown', error: { code: 'connection_lost' }, possiblyBilled: true };
  const ends: [behaviour: DeepInfraBehaviour, expected: object][] = [
    ['empty', invalid],
    ['html', invalid],
    ['cut-json', invalid],
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
  it.each(ends)('%s ends both APIs as the table of outcomes says', async (behaviour, expected) => {
    expect(await generate(behaviour)).toMatchObject(expected);
    expect(await generate(behaviour, editJob)).toMatchObject(expected);
  });

  const held: DeepInfraBehaviour[] = ['nsfw', 'nsfw-blank'];
  it.each(held)('%s is a refusal that is billed', async (behaviour) => {
    expect(await generate(behaviour)).toMatchObject({
      outcome: 'refused',
      error: { details: { moderation: { stage: 'output' } } },
      possiblyBilled: true,
    });
    expect((await control()).facts.billed).toBe(1);
  });

  it('a hang ends with its signal, unknown', async () => {
    expect(await generate('hang', textJob, 300)).toMatchObject({
      outcome: 'unknown',
      error: { code: 'timeout' },
    });
  });
});
