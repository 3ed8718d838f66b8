// Together's adapter with the real `fetch` against a fake on a real socket.
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { createTogetherProvider } from '../../../src/generation/providers/together';
import { inspectImage } from '../../../src/images/inspect';
import { controlOf } from '../../support/fake-control';
import type { TogetherBehaviour } from '../../support/fakes/together';
import { bytesOf, openOverSocket } from '../../support/provider-images';
import { contextWith, jobWith } from '../../support/provider-jobs';

const url = inject('fakes').together;
const control = controlOf<TogetherBehaviour>(url);

const provider = createTogetherProvider(
  { apiKey: 'tgp_v1_0123456789abcdef', baseUrl: `${url}/v1` },
  { fetch: (input, init) => fetch(input, init), openImage: openOverSocket },
);

async function generate(behaviour: TogetherBehaviour, timeoutMs = 10_000) {
  await control({ behaviour });
  const job = jobWith({
    model: 'black-forest-labs/FLUX.1-schnell',
    size: { width: 64, height: 64 },
    n: 2,
    seed: 1,
    steps: 4,
  });
  return provider.generate(job, contextWith({ signal: AbortSignal.timeout(timeoutMs) }));
}

beforeEach(async () => {
  await control({ reset: true });
});

describe('Together over a real socket', () => {
  const delivered: TogetherBehaviour[] = ['ok', 'url'];
  it.each(delivered)('%s brings images', async (behaviour) => {
    const answer = await generate(behaviour);
    if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
    const pictures = await Promise.all(answer.images.map(bytesOf));
    const expected = { ok: true, mediaType: 'image/png', width: 64, height: 64 };
    expect(pictures.map(inspectImage)).toEqual([expected, expected]);
    expect(answer).toMatchObject({ providerRequestId: 'o2-fake', warnings: [] });
    expect((await control()).facts.billed).toBe(2);
  });

  const rejected = (kind: string) => ({ outcome: 'rejected', error: { details: { kind } } });
  const invalid = { outcome: 'failed', error: { code: 'invalid_output' }, possiblyBilled: true };
  const lost = { outcome: 'unknown', error: { code: 'connection_lost' }, possiblyBilled: true };
  const ends: [behaviour: TogetherBehaviour, expected: object, billed: number][] = [
    ['nsfw-input', { outcome: 'refused', possiblyBilled: false }, 0],
    ['nsfw-output', { outcome: 'refused', possiblyBilled: true }, 2],
    ['empty', invalid, 2],
    ['html', invalid, 0],
    ['cut-json', invalid, 0],
    ['bad-key', rejected('auth'), 0],
    ['unpaid', rejected('payment'), 0],
    ['no-model', rejected('not_found'), 0],
    ['invalid', rejected('parameter'), 0],
    ['throttled', { outcome: 'throttled', retryAfterMs: 7_000 }, 0],
    ['broken', { outcome: 'failed', possiblyBilled: false }, 0],
    ['gateway-timeout', { outcome: 'unknown', possiblyBilled: true }, 0],
    ['cut-answer', lost, 2],
    ['reset', lost, 2],
  ];
  it.each(ends)('%s ends as the table of outcomes says', async (behaviour, expected, billed) => {
    expect(await generate(behaviour)).toMatchObject(expected);
    expect((await control()).facts.billed).toBe(billed);
  });

  it('a hang ends with its signal, unknown', async () => {
    expect(await generate('hang', 300)).toMatchObject({
      outcome: 'unknown',
      error: { code: 'timeout' },
    });
  });
});
