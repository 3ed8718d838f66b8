// The adapter against a server that speaks Replicate's wire format, over real sockets.
import { beforeEach, describe, expect, inject, it } from 'vitest';
import type { PollContext, ProviderJob } from '../../../src/generation/providers/provider';
import { createReplicateProvider } from '../../../src/generation/providers/replicate';
import type { JsonObject } from '../../../src/platform/json';
import { controlOf } from '../../support/fake-control';
import type { ReplicateBehaviour } from '../../support/fakes/replicate';
import { answersOf, picturesOf } from '../../support/jobs-to-their-end';
import { openOverSocket } from '../../support/provider-images';
import { contextWith, jobWith, pollContextWith } from '../../support/provider-jobs';

const origin = inject('fakes').replicate;
const MODEL = 'black-forest-labs/flux-dev';

const control = controlOf<ReplicateBehaviour>(origin);

const provider = (baseUrl = `${origin}/v1`, apiKey = 'r8_0123456789') => {
  const { generate, jobs } = createReplicateProvider(
    { apiKey, baseUrl },
    {
      fetch: (input, init) => fetch(input, init),
      openImage: openOverSocket,
      now: () => Date.now(),
    },
  );
  if (!jobs) throw new Error('no jobs');
  return { generate, jobs };
};

async function submit(behaviour: ReplicateBehaviour, job: Partial<ProviderJob> = {}) {
  await control({ behaviour });
  return provider().generate(jobWith({ model: MODEL, ...job }), contextWith());
}

async function accepted(behaviour: ReplicateBehaviour, job: Partial<ProviderJob> = {}) {
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
  it('starts, runs and ends with its images', async () => {
    const answers = await followed(await accepted('ok', { n: 2 }));
    expect(answers.slice(0, -1)).toEqual([
      { outcome: 'pending', checkAfterMs: 500, queuePosition: null, isQueued: true },
      { outcome: 'pending', checkAfterMs: 500, queuePosition: null, isQueued: false },
    ]);
    expect(await picturesOf(answers.at(-1))).toEqual([picture, picture]);
    expect((await control()).facts).toEqual({ made: 1, canceled: 0, billed: 2, files: 0 });
  });

  it.each(['one-output', 'data-url'] as const)('ends with an image as %s', async (behaviour) => {
    const answers = await followed(await accepted(behaviour));
    expect(await picturesOf(answers.at(-1))).toEqual([picture]);
  });

  const ends: [behaviour: ReplicateBehaviour, expected: object][] = [
    ['no-output', { outcome: 'failed', error: { code: 'invalid_output' }, possiblyBilled: true }],
    ['data-removed', { outcome: 'failed', error: { code: 'invalid_output' } }],
    ['nsfw', { outcome: 'refused', error: { details: { moderation: { stage: 'output' } } } }],
    ['sensitive', { outcome: 'refused', error: { code: 'E005' } }],
    [
      'failed',
      { outcome: 'failed', error: { message: 'CUDA out of memory' }, possiblyBilled: true },
    ],
    ['aborted', { outcome: 'failed', possiblyBilled: false }],
    ['canceled', { outcome: 'failed', possiblyBilled: true }],
  ];
  it.each(ends)('that ends in %s is told so', async (behaviour, expected) => {
    expect((await followed(await accepted(behaviour))).at(-1)).toMatchObject(expected);
  });

  it('survives questions that get no answer', async () => {
    const answers = await followed(await accepted('flaky-polls'));
    expect(answers.map(({ outcome }) => outcome)).toEqual([
      'unreachable',
      'unreachable',
      'unreachable',
      'succeeded',
    ]);
    expect(answers[1]).toEqual({ outcome: 'unreachable', retryAfterMs: 7_000 });
  });

  it('that nobody knows is missing', async () => {
    expect(await poll({ id: 'unknown' })).toEqual({ outcome: 'missing' });
  });

  it('is canceled by its id from anywhere, as often as one likes', async () => {
    const handle = await accepted('endless');
    const context = pollContextWith();
    expect(await provider().jobs.cancel(handle, context)).toBe('gone');
    expect(await provider().jobs.cancel(handle, context)).toBe('gone');
    expect((await control()).facts).toMatchObject({ made: 1, canceled: 1, billed: 0 });
  });

  it('calls back when it ends, with the next look finding it so', async () => {
    const callbackUrl = `${origin}/callback`;
    const context = contextWith({ callbackUrl });
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
  const ends: [behaviour: ReplicateBehaviour, expected: object][] = [
    ['unpaid', { outcome: 'rejected', error: { details: { kind: 'payment' } } }],
    ['forbidden', { outcome: 'rejected', error: { details: { kind: 'auth' } } }],
    ['not-found', { outcome: 'rejected', error: { details: { kind: 'not_found' } } }],
    ['invalid-input', { outcome: 'rejected', error: { details: { kind: 'parameter' } } }],
    ['throttled', { outcome: 'throttled', retryAfterMs: 30_000 }],
    ['server-error', { outcome: 'failed', possiblyBilled: false }],
    ['unavailable', { outcome: 'failed', possiblyBilled: false }],
    ['gateway-timeout', { outcome: 'unknown', possiblyBilled: true }],
    ['malformed', { outcome: 'unknown', error: { code: 'job_untraceable' } }],
    ['reset', { outcome: 'unknown', error: { code: 'connection_lost' }, possiblyBilled: true }],
  ];
  it.each(ends)('that meets %s ends as the table of outcomes says', async (behaviour, expected) => {
    expect(await submit(behaviour)).toMatchObject(expected);
  });

  it('with a wrong key makes no job', async () => {
    const wrong = provider(`${origin}/v1`, 'wrong');
    expect(await wrong.generate(jobWith({ model: MODEL }), contextWith())).toMatchObject({
      outcome: 'rejected',
      error: { details: { kind: 'auth' } },
    });
    expect((await control()).facts).toMatchObject({ made: 0 });
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
    const nobody = provider('http://127.0.0.1:1/v1');
    expect(await nobody.generate(jobWith({ model: MODEL }), contextWith())).toMatchObject({
      outcome: 'not_sent',
      possiblyBilled: false,
    });
  });

  const image = { bytes: new Uint8Array(300_000).fill(7), mediaType: 'image/png' };

  it('takes a large input image as a file first', async () => {
    await accepted('ok', { image });
    const { calls, facts } = await control();
    expect(calls.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /v1/files',
      `POST /v1/models/${MODEL}/predictions`,
    ]);
    expect(facts).toMatchObject({ files: 1, made: 1 });
    expect(JSON.parse(atob(calls[1]?.body ?? ''))).toMatchObject({
      input: { image: `${origin}/v1/files/f1` },
    });
  });

  it('whose file is lost makes no job', async () => {
    expect(await submit('lost-files', { image })).toMatchObject({
      outcome: 'failed',
      error: { code: 'upload_failed' },
      possiblyBilled: false,
    });
    expect((await control()).facts).toMatchObject({ files: 1, made: 0 });
  });
});
