import { beforeEach, describe, expect, inject, it } from 'vitest';
import { createGoogleProvider } from '../../../src/generation/providers/google';
import { inspectImage } from '../../../src/images/inspect';
import type { GoogleBehaviour } from '../../support/fakes/google';
import { contextWith, jobWith } from '../../support/provider-jobs';

const origin = inject('fakes').google;
const KEY = 'AIza-test-0123456789';

async function control(order: object) {
  const answer = await fetch(`${origin}/control`, { method: 'POST', body: JSON.stringify(order) });
  return answer.json<{ calls: { path: string }[]; facts: { billed: number } }>();
}

const providerAt = (baseUrl: string) =>
  createGoogleProvider(
    { apiKey: KEY, baseUrl },
    {
      fetch: (input, init) => fetch(input, init),
      openImage: async () => {
        throw new Error('google answers with no URLs');
      },
    },
  );

async function generate(behaviour: GoogleBehaviour, signal?: AbortSignal) {
  await control({ queue: [behaviour] });
  const job = jobWith({ model: 'gemini-2.5-flash-image', aspectRatio: '1:1' });
  const context = contextWith(signal ? { signal } : {});
  return providerAt(`${origin}/v1beta`).generate(job, context);
}

beforeEach(() => control({ reset: true }).then(() => {}));

describe('over a real socket', () => {
  it.each<GoogleBehaviour>(['ok', 'thoughts'])(
    '%s brings the image that counts',
    async (behaviour) => {
      const answer = await generate(behaviour);
      if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
      const found = answer.images.map((image) => 'bytes' in image && inspectImage(image.bytes));
      expect(found).toEqual([{ ok: true, mediaType: 'image/png', width: 64, height: 64 }]);
      expect(answer.providerRequestId).toBe('mHk5aYr2KJ6Xz7IPgtWV0AE');
    },
  );

  const rejected = (kind: string) => ({ outcome: 'rejected', error: { details: { kind } } });
  const refused = (stage: string, categories: string[]) => ({
    outcome: 'refused',
    error: { details: { moderation: { stage, categories } } },
  });
  const invalid = { outcome: 'failed', error: { code: 'invalid_output' }, possiblyBilled: true };
  const ends: [behaviour: GoogleBehaviour, expected: object][] = [
    ['prompt-blocked', refused('input', ['sexually_explicit'])],
    ['prompt-prohibited', refused('input', ['prohibited_content'])],
    ['image-safety', refused('output', ['image_safety'])],
    ['prohibited-content', refused('output', ['prohibited_content'])],
    ['image-recitation', refused('output', ['image_recitation'])],
    ['no-image', invalid],
    ['text-only', invalid],
    ['no-candidates', invalid],
    ['html', invalid],
    ['invalid-argument', rejected('parameter')],
    ['bad-key', rejected('auth')],
    ['permission-denied', rejected('auth')],
    ['no-such-model', rejected('not_found')],
    ['rate-limited', { outcome: 'throttled', retryAfterMs: 34_075 }],
    ['no-free-quota', rejected('payment')],
    ['credits-depleted', rejected('payment')],
    ['no-capacity', { outcome: 'throttled', error: { code: 'MODEL_CAPACITY_EXHAUSTED' } }],
    ['overloaded', { outcome: 'throttled' }],
    ['internal', { outcome: 'failed', possiblyBilled: false }],
    ['deadline-exceeded', { outcome: 'unknown', possiblyBilled: true }],
  ];
  it.each(ends)('%s ends as the table of outcomes says', async (behaviour, expected) => {
    expect(await generate(behaviour)).toMatchObject(expected);
    const { calls, facts } = await control({});
    expect(calls).toHaveLength(1);
    expect(facts.billed).toBe(0);
  });

  it.each<GoogleBehaviour>(['reset', 'reset-mid-answer'])(
    '%s is unknown, and Google did bill it',
    async (behaviour) => {
      expect(await generate(behaviour)).toMatchObject({
        outcome: 'unknown',
        error: { code: 'connection_lost' },
        possiblyBilled: true,
      });
      expect((await control({})).facts.billed).toBe(1);
    },
  );

  it('a hang ends with its signal, unknown', async () => {
    expect(await generate('hang', AbortSignal.timeout(300))).toMatchObject({
      outcome: 'unknown',
      error: { code: 'timeout' },
      possiblyBilled: true,
    });
  });

  it('a refused port means that nothing was sent', async () => {
    const job = jobWith({ model: 'gemini-2.5-flash-image' });
    expect(await providerAt('http://127.0.0.1:1').generate(job, contextWith())).toMatchObject({
      outcome: 'not_sent',
      possiblyBilled: false,
    });
  });
});
