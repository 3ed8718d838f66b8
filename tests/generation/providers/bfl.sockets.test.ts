// The whole way of a job over real sockets, for every behaviour of the fake.
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { createBflProvider } from '../../../src/generation/providers/bfl';
import type {
  JobAccepted,
  PollAnswer,
  ProviderAnswer,
} from '../../../src/generation/providers/provider';
import { inspectImage } from '../../../src/images/inspect';
import type { BflBehaviour } from '../../support/fakes/bfl';
import { contextWith, jobWith, pollContextWith } from '../../support/provider-jobs';

const origin = inject('fakes').bfl;

interface Control {
  calls: { method: string; path: string; query: Record<string, string>; headers: Headers }[];
  facts: { jobs: number; polls: number };
}

async function control(body?: object): Promise<Control> {
  const init = body && { method: 'POST', body: JSON.stringify(body) };
  return (await fetch(`${origin}/control`, init)).json<Control>();
}

const providerAt = (baseUrl: string) =>
  createBflProvider(
    { apiKey: 'bfl-key-0123456789abcdef', baseUrl },
    {
      fetch: (input, init) => fetch(input, init),
      openImage: async (url, signal) => {
        const { ok, body, status } = await fetch(url, { signal });
        if (!ok || !body) throw new Error(`status ${status}`);
        return { body, length: null };
      },
      now: Date.now,
    },
  );

const provider = providerAt(`${origin}/v1`);

const job = jobWith({ model: 'flux-2-pro', seed: 7 });

async function submit(behaviour: BflBehaviour): Promise<ProviderAnswer> {
  await control({ behaviour });
  return provider.generate(job, contextWith());
}

async function accepted(behaviour: BflBehaviour): Promise<JobAccepted> {
  const answer = await submit(behaviour);
  if (answer.outcome !== 'accepted') throw new Error(JSON.stringify(answer));
  return answer;
}

const poll = async ({ handle }: JobAccepted) => provider.jobs?.poll(handle, pollContextWith());

async function pollToTheEnd(from: JobAccepted): Promise<[answer: PollAnswer, polls: number]> {
  for (let polls = 1; polls <= 10; polls += 1) {
    const answer = await poll(from);
    if (answer && answer.outcome !== 'pending') return [answer, polls];
  }
  throw new Error('the job does not end');
}

beforeEach(async () => {
  await control({ reset: true });
});

describe('over a real socket', () => {
  const delivered: [behaviour: BflBehaviour, polls: number][] = [
    ['ok', 1],
    ['slow', 4],
    ['foreign-polling-url', 1],
  ];
  it.each(delivered)('%s brings the image, its seed and its cost', async (behaviour, polls) => {
    const [answer, asked] = await pollToTheEnd(await accepted(behaviour));
    expect(answer).toMatchObject({
      outcome: 'succeeded',
      costMicros: 40_000,
      providerRequestId: 'task-1',
    });
    expect(asked).toBe(polls);
    if (answer.outcome !== 'succeeded') return;
    const [image] = answer.images;
    if (!image || !('open' in image)) throw new Error('no image to open');
    expect(image.seed).toBe(7);
    const { body } = await image.open(new AbortController().signal);
    expect(inspectImage(new Uint8Array(await new Response(body).arrayBuffer()))).toMatchObject({
      ok: true,
      mediaType: 'image/png',
    });
  });

  it('an image whose ten minutes are over cannot be opened', async () => {
    const [answer] = await pollToTheEnd(await accepted('sample-expired'));
    if (answer.outcome !== 'succeeded') throw new Error(JSON.stringify(answer));
    const [image] = answer.images;
    if (!image || !('open' in image)) throw new Error('no image to open');
    await expect(image.open(new AbortController().signal)).rejects.toThrow('status 403');
  });

  const ends: [behaviour: BflBehaviour, expected: object][] = [
    ['error', { outcome: 'failed', error: { code: 'internal_error' }, possiblyBilled: false }],
    ['generation-timeout', { outcome: 'failed', error: { code: 'generation_timeout' } }],
    [
      'request-moderated',
      {
        outcome: 'refused',
        error: {
          details: { moderation: { stage: 'input', categories: ['Derivative Works Filter'] } },
        },
      },
    ],
    [
      'content-moderated',
      {
        outcome: 'refused',
        error: { details: { moderation: { stage: 'output', provider: 'bfl' } } },
        possiblyBilled: false,
      },
    ],
    ['ready-without-sample', { outcome: 'failed', error: { code: 'invalid_output' } }],
    ['forgotten', { outcome: 'missing' }],
    ['forgotten-503', { outcome: 'missing' }],
    ['poll-500', { outcome: 'unreachable', retryAfterMs: null }],
    ['poll-429', { outcome: 'unreachable', retryAfterMs: 7_000 }],
    ['poll-reset', { outcome: 'unreachable', retryAfterMs: null }],
  ];
  it.each(ends)('%s is told by the poll', async (behaviour, expected) => {
    expect(await poll(await accepted(behaviour))).toMatchObject(expected);
    expect((await control()).facts).toMatchObject({ jobs: 1 });
  });

  const refusals: [behaviour: BflBehaviour, expected: object, jobs: number][] = [
    ['not-authenticated', { outcome: 'rejected', error: { details: { kind: 'auth' } } }, 0],
    ['no-credits', { outcome: 'rejected', error: { details: { kind: 'payment' } } }, 0],
    ['unknown-model', { outcome: 'rejected', error: { details: { kind: 'not_found' } } }, 0],
    ['invalid', { outcome: 'rejected', error: { details: { kind: 'parameter' } } }, 0],
    ['rate-limited', { outcome: 'throttled', retryAfterMs: 5_000 }, 0],
    ['policy-violation', { outcome: 'refused', possiblyBilled: false }, 0],
    ['server-error', { outcome: 'failed', error: { code: 'internal_error' } }, 0],
    ['malformed-json', { outcome: 'unknown', possiblyBilled: true }, 1],
    ['reset-after-body', { outcome: 'unknown', possiblyBilled: true }, 1],
  ];
  it.each(refusals)('%s ends the submission', async (behaviour, expected, jobs) => {
    expect(await submit(behaviour)).toMatchObject(expected);
    expect((await control()).facts).toMatchObject({ jobs });
  });

  it('a submission that hangs ends with its signal, unknown', async () => {
    await control({ behaviour: 'hang' });
    const context = contextWith({ signal: AbortSignal.timeout(300) });
    expect(await provider.generate(job, context)).toMatchObject({
      outcome: 'unknown',
      error: { code: 'timeout' },
    });
  });

  it('a refused port means that nothing was sent', async () => {
    const answer = await providerAt('http://127.0.0.1:1/v1').generate(job, contextWith());
    expect(answer).toMatchObject({ outcome: 'not_sent', possiblyBilled: false });
  });

  it('a handle is good in another process', async () => {
    const { handle } = await accepted('ok');
    const stored = JSON.parse(JSON.stringify(handle));
    const other = providerAt(`${origin}/v1`);
    expect(await other.jobs?.poll(stored, pollContextWith())).toMatchObject({
      outcome: 'succeeded',
    });
  });

  it('a cancel is gone without a call, for the API has none', async () => {
    const { handle } = await accepted('slow');
    const { calls } = await control();
    expect(await provider.jobs?.cancel(handle, pollContextWith())).toBe('gone');
    expect((await control()).calls).toHaveLength(calls.length);
  });
});
