import { beforeEach, describe, expect, inject, it } from 'vitest';
import { createFireworksProvider } from '../../../src/generation/providers/fireworks';
import { inspectImage } from '../../../src/images/inspect';
import type { FireworksBehaviour } from '../../support/fakes/fireworks';
import { contextWith, jobWith } from '../../support/provider-jobs';

const origin = inject('fakes').fireworks;
const FLUX = 'accounts/fireworks/models/flux-1-dev-fp8';
const SDXL = 'accounts/fireworks/models/stable-diffusion-xl-1024-v1-0';

async function control(order: object) {
  const answer = await fetch(`${origin}/control`, { method: 'POST', body: JSON.stringify(order) });
  return answer.json<{ calls: { path: string }[]; facts: { billed: number } }>();
}

const provider = createFireworksProvider(
  { apiKey: 'fw_test0123456789', baseUrl: `${origin}/inference/v1` },
  {
    fetch: (input, init) => fetch(input, init),
    openImage: async () => {
      throw new Error('fireworks answers with no URLs');
    },
  },
);

async function generate(behaviour: FireworksBehaviour, job: Parameters<typeof jobWith>[0] = {}) {
  await control({ queue: [behaviour] });
  return provider.generate(jobWith({ model: FLUX, ...job }), contextWith());
}

async function picturesOf(answer: Awaited<ReturnType<typeof generate>>) {
  if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
  return answer.images.map((image) => ({
    seed: image.seed,
    found: 'bytes' in image ? inspectImage(image.bytes) : null,
  }));
}

beforeEach(() => control({ reset: true }).then(() => {}));

describe('over a real socket', () => {
  const delivered: [name: string, job: Parameters<typeof jobWith>[0], side: number][] = [
    ['a workflow', { seed: 7 }, 64],
    ['a model told in pixels', { model: SDXL, seed: 7, size: { width: 96, height: 96 } }, 96],
  ];
  it.each(delivered)('%s brings its image with its seed', async (_name, job, side) => {
    expect(await picturesOf(await generate('ok', job))).toEqual([
      { seed: 7, found: { ok: true, mediaType: 'image/png', width: side, height: side } },
    ]);
  });

  it('a page in place of the picture is delivered as it is, for the checks to find', async () => {
    const [picture] = await picturesOf(await generate('html'));
    expect(picture?.found?.ok).toBe(false);
  });

  const rejected = (kind: string) => ({ outcome: 'rejected', error: { details: { kind } } });
  const lost = { outcome: 'unknown', error: { code: 'connection_lost' }, possiblyBilled: true };
  const ends: [behaviour: FireworksBehaviour, billed: number, expected: object][] = [
    [
      'filtered',
      1,
      {
        outcome: 'refused',
        error: { details: { moderation: { stage: 'output', provider_code: 'CONTENT_FILTERED' } } },
        possiblyBilled: true,
        providerRequestId: 'a1b2c3d4-0000-4000-8000-5e6f70819203',
      },
    ],
    ['empty', 1, { outcome: 'failed', error: { code: 'invalid_output' }, possiblyBilled: true }],
    ['invalid', 0, rejected('parameter')],
    ['bad-key', 0, rejected('auth')],
    ['unpaid', 0, rejected('payment')],
    ['suspended', 0, rejected('payment')],
    ['no-such-model', 0, rejected('not_found')],
    ['rate-limited', 0, { outcome: 'throttled', retryAfterMs: 2_000 }],
    ['overloaded', 0, { outcome: 'throttled', retryAfterMs: null }],
    ['internal', 0, { outcome: 'failed', possiblyBilled: false }],
    ['reset', 1, lost],
    ['reset-mid-answer', 1, lost],
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
    expect(await provider.generate(jobWith({ model: FLUX }), context)).toMatchObject({
      outcome: 'unknown',
      error: { code: 'timeout' },
      possiblyBilled: true,
    });
  });
});
