// The adapter against a server that speaks the wire format of fal's queue, over real sockets.
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { createFalProvider } from '../../../src/generation/providers/fal';
import type { PollContext, ProviderJob } from '../../../src/generation/providers/provider';
import type { JsonObject } from '../../../src/platform/json';
import { controlOf } from '../../support/fake-control';
import type { FalBehaviour } from '../../support/fakes/fal';
import { answersOf, picturesOf } from '../../support/jobs-to-their-end';
import { openOverSocket } from '../../support/provider-images';
import { contextWith, jobWith, pollContextWith } from '../../support/provider-jobs';

const origin = inject('fakes').fal;
const MODEL = 'fal-ai/flux/schnell';

const control = controlOf<FalBehaviour>(origin);

const provider = (baseUrl = origin) => {
  const { generate, jobs } = createFalProvider(
    { apiKey: 'fal-key-0123456789', baseUrl },
    {
      fetch: (input, init) => fetch(input, init),
      openImage: openOverSocket,
      now: () => Date.now(),
    },
  );
  if (!jobs) throw new Error('no jobs');
  return { generate, jobs };
};

async function submit(behaviour: FalBehaviour, job: Partial<ProviderJob> = {}) {
  await control({ behaviour });
  return provider().generate(jobWith({ model: MODEL, ...job }), contextWith());
}

async function accepted(behaviour: FalBehaviour, job: Partial<ProviderJob> = {}) {
  const answer = await submit(behaviour, job);
  if (answer.outcome !== 'accepted') throw new Error(JSON.stringify(answer));
  return answer.handle;
}

const poll = (handle: JsonObject, context: Partial<PollContext> = {}) =>
  provider().jobs.poll(handle, pollContextWith(context));

const followed = (handle: JsonObject) => answersOf(() => poll(handle));

const picture = { ok: true, mediaType: 'image/png', width: 64, height: 64 };

beforeEach(() => control({ reset: true }).then(() => {}));

describe('a job', () => {
  it('waits, runs and ends with its images', async () => {
    const answers = await followed(await accepted('ok', { n: 2 }));
    expect(answers.slice(0, -1)).toEqual([
      { outcome: 'pending', checkAfterMs: 500, queuePosition: 2, isQueued: true },
      { outcome: 'pending', checkAfterMs: 500, queuePosition: null, isQueued: false },
    ]);
    expect(await picturesOf(answers.at(-1))).toEqual([picture, picture]);
    expect((await control()).facts).toEqual({ made: 1, canceled: 0, billed: 2 });
  });

  it('is found where fal is known to keep it when its URLs are on another host', async () => {
    const answers = await followed(await accepted('foreign-urls'));
    expect(await picturesOf(answers.at(-1))).toEqual([picture]);
  });

  const ends: [behaviour: FalBehaviour, expected: object][] = [
    [
      'nsfw',
      {
        outcome: 'refused',
        error: { details: { moderation: { stage: 'output' } } },
        possiblyBilled: true,
      },
    ],
    ['partly-nsfw', { outcome: 'succeeded', warnings: ['fal withheld 1 of 2 images'] }],
    ['no-images', { outcome: 'failed', error: { code: 'invalid_output' } }],
    [
      'content-policy',
      {
        outcome: 'refused',
        error: {
          code: 'content_policy_violation',
          details: { moderation: { stage: 'input' } },
        },
      },
    ],
    ['bad-image', { outcome: 'rejected', error: { code: 'image_load_error' } }],
    ['job-error', { outcome: 'failed', error: { code: 'runner_server_error' } }],
    ['start-timeout', { outcome: 'failed', error: { code: 'request_timeout' } }],
  ];
  it.each(ends)('that ends in %s is told so', async (behaviour, expected) => {
    const answers = await followed(await accepted(behaviour, { n: 2 }));
    expect(answers.at(-1)).toMatchObject(expected);
  });

  it.each([
    ['flaky-polls', ['unreachable', 'unreachable', 'succeeded']],
    ['flaky-result', ['pending', 'pending', 'unreachable', 'succeeded']],
  ] as const)('survives %s', async (behaviour, outcomes) => {
    const answers = await followed(await accepted(behaviour));
    expect(answers.map(({ outcome }) => outcome)).toEqual(outcomes);
  });

  it('that nobody knows is missing', async () => {
    const handle = await accepted('ok');
    await control({ reset: true });
    expect(await poll(handle)).toEqual({ outcome: 'missing' });
    expect(await provider().jobs.cancel(handle, pollContextWith())).toBe('gone');
  });

  it('is canceled from anywhere, as often as one likes', async () => {
    const handle = await accepted('endless');
    const context = pollContextWith();
    expect(await provider().jobs.cancel(handle, context)).toBe('gone');
    expect(await provider().jobs.cancel(handle, context)).toBe('gone');
    expect((await control()).facts).toEqual({ made: 1, canceled: 1, billed: 0 });
  });

  it('that has ended counts as canceled', async () => {
    const handle = await accepted('ok');
    await followed(handle);
    expect(await provider().jobs.cancel(handle, pollContextWith())).toBe('gone');
    expect((await control()).facts).toMatchObject({ canceled: 0, billed: 1 });
  });

  it('calls back when it ends, with the next look finding it so', async () => {
    const context = contextWith({ callbackUrl: `${origin}/callback` });
    const answer = await provider().generate(jobWith({ model: MODEL }), context);
    if (answer.outcome !== 'accepted') throw new Error(JSON.stringify(answer));
    const calledBack = async () =>
      (await control()).calls.filter(({ path }) => path === '/callback');
    await expect.poll(calledBack).toHaveLength(1);
    expect(await poll(answer.handle, { expectsCallback: true })).toMatchObject({
      outcome: 'succeeded',
    });
  });
});

describe('a submission', () => {
  const ends: [behaviour: FalBehaviour, expected: object][] = [
    ['locked', { outcome: 'rejected', error: { details: { kind: 'payment' } } }],
    [
      'banned',
      {
        outcome: 'rejected',
        error: { details: { kind: 'auth', moderation: { account_level: true } } },
      },
    ],
    ['not-found', { outcome: 'rejected', error: { details: { kind: 'not_found' } } }],
    ['invalid-input', { outcome: 'rejected', error: { details: { kind: 'parameter' } } }],
    ['throttled', { outcome: 'throttled', retryAfterMs: 12_000 }],
    ['server-error', { outcome: 'failed', error: { code: 'internal_error' } }],
    ['gateway-timeout', { outcome: 'unknown', possiblyBilled: true }],
    ['malformed', { outcome: 'unknown', error: { code: 'job_untraceable' } }],
    ['reset', { outcome: 'unknown', error: { code: 'connection_lost' }, possiblyBilled: true }],
  ];
  it.each(ends)('that meets %s ends as the table of outcomes says', async (behaviour, expected) => {
    expect(await submit(behaviour)).toMatchObject(expected);
  });

  it('that hangs ends with its signal, unknown', async () => {
    await control({ behaviour: 'hang' });
    const context = contextWith({ signal: AbortSignal.timeout(300) });
    expect(await provider().generate(jobWith({ model: MODEL }), context)).toMatchObject({
      outcome: 'unknown',
      error: { code: 'timeout' },
      possiblyBilled: true,
    });
  });

  it('to a refused port was not sent', async () => {
    const nobody = provider('http://127.0.0.1:1');
    expect(await nobody.generate(jobWith({ model: MODEL }), contextWith())).toMatchObject({
      outcome: 'not_sent',
      possiblyBilled: false,
    });
  });
});
