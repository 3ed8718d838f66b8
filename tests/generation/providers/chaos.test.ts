import { describe, expect, it } from 'vitest';
import { chaosModels } from '../../../src/generation/chaos-models';
import { createChaosProvider } from '../../../src/generation/providers/chaos';
import type { CallContext, ProviderPreview } from '../../../src/generation/providers/provider';
import { contextWith, jobWith } from '../../support/provider-jobs';

const PICTURE = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);

function generate(model: string, context: Partial<CallContext> = {}) {
  const slept: number[] = [];
  const provider = createChaosProvider({
    sleep: async (ms) => {
      slept.push(ms);
    },
    draw: async () => PICTURE,
  });
  const answer = provider.generate(jobWith({ model, seed: 1 }), contextWith(context));
  return answer.then((end) => ({ answer: end, slept }));
}

const success = { outcome: 'succeeded', images: [{ bytes: PICTURE, seed: 1 }] };
const refusal = (stage: string) => ({
  outcome: 'refused',
  error: { details: { moderation: { stage, provider: 'chaos', account_level: false } } },
});

describe('the chaos provider', () => {
  const ends: [model: string, expected: object][] = [
    ['chaos-accept-then-drop', { outcome: 'unknown', possiblyBilled: true }],
    ['chaos-5xx-after-accept', { outcome: 'failed', error: { code: 'server_error' } }],
    ['chaos-throttle', { outcome: 'throttled', retryAfterMs: 1000, possiblyBilled: false }],
    ['chaos-slow', success],
    ['chaos-refuse-input', { ...refusal('input'), possiblyBilled: false }],
    ['chaos-refuse-output', { ...refusal('output'), possiblyBilled: true }],
    ['chaos-corrupt-image', { outcome: 'succeeded', images: [{ bytes: PICTURE.slice(0, 4) }] }],
    ['chaos-flaky-1', { outcome: 'failed', error: { code: 'server_error' } }],
    ['chaos-unheard-of', { outcome: 'rejected', error: { details: { kind: 'not_found' } } }],
  ];
  it.each(ends)('%s ends a first attempt its own way', async (model, expected) => {
    expect((await generate(model)).answer).toMatchObject(expected);
  });

  it('throttles every attempt', async () => {
    const { answer } = await generate('chaos-throttle', { attempt: 4 });
    expect(answer.outcome).toBe('throttled');
  });

  it('fails as many attempts of a request as the name says, then delivers', async () => {
    const outcomes = [];
    for (const attempt of [1, 2, 3]) {
      outcomes.push((await generate('chaos-flaky-2', { attempt })).answer.outcome);
    }
    expect(outcomes).toEqual(['failed', 'failed', 'succeeded']);
  });

  it('takes 8 seconds when it is slow', async () => {
    expect((await generate('chaos-slow')).slept).toEqual([8_000]);
  });

  it('shows previews before it is slow, and none otherwise', async () => {
    const order: (string | number)[] = [];
    const provider = createChaosProvider({
      sleep: async () => void order.push('slept'),
      draw: async () => PICTURE,
    });
    const preview = ({ index }: ProviderPreview) => order.push(index);
    for (const model of ['chaos-slow', 'chaos-flaky-1']) {
      const job = jobWith({ model, previews: 2 });
      order.push(`${model}: ${provider.showsPreviews?.(job)}`);
      await provider.generate(job, contextWith({ preview, attempt: 2 }));
    }
    expect(order).toEqual(['chaos-slow: true', 0, 1, 'slept', 'chaos-flaky-1: false']);
  });

  it('is unknown when its time runs out, however the sleep ends', async () => {
    const signal = AbortSignal.abort();
    const rejecting = createChaosProvider({
      sleep: () => Promise.reject(signal.reason),
      draw: async () => PICTURE,
    });
    const job = jobWith({ model: 'chaos-slow' });
    for (const answer of [
      (await generate('chaos-slow', { signal })).answer,
      await rejecting.generate(job, contextWith({ signal })),
    ]) {
      expect(answer).toMatchObject({ outcome: 'unknown', error: { code: 'timeout' } });
    }
  });

  it('knows every chaos model of the catalogue', async () => {
    expect(chaosModels.length).toBeGreaterThan(0);
    for (const { id } of chaosModels) {
      expect((await generate(id)).answer.outcome, id).not.toBe('rejected');
    }
  });
});
