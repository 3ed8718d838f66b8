/**
 * Providers with jobs of their own: accepted, asked for, called back, canceled, over real sockets. The
 * providers are tested side by side: each has a fake of its own.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Fault } from '../support/fakes/server.ts';
import type { RequestView } from './support/api.ts';
import {
  callsOf,
  type FakedProvider,
  names,
  type Setup,
  startSetup,
} from './support/job-providers.ts';
import { expectOneJob, expectOnePng } from './support/one-job.ts';
import type { User } from './support/server.ts';
import { until } from './support/until.ts';

/** Two processes need not agree on the millisecond. */
const CLOCK_SLACK_MS = 50;

let setup: Setup;
let user: User;

beforeAll(async () => {
  setup = await startSetup();
  user = await setup.server.createUser();
});

afterAll(() => setup?.close());

function ready(name: string): FakedProvider {
  const provider = setup.provider(name);
  provider.fake.reset();
  return provider;
}

const pollsOf = (provider: FakedProvider, correlationId: string) =>
  callsOf(provider, correlationId).filter(provider.isPoll);

const submit = ({ modelId }: FakedProvider, correlationId = 'jobs') =>
  user.api.submit(
    { model: modelId, prompt: 'a quiet harbour' },
    { 'x-correlation-id': correlationId },
  );

/** Submits a job that goes on until it is finished, and waits for the first question after it. */
async function submitEndless(
  provider: FakedProvider,
  correlationId = 'jobs',
): Promise<RequestView> {
  provider.fake.setBehaviour(provider.behaviours.endless);
  const request = await submit(provider, correlationId);
  await until(`${provider.name} is asked`, () => pollsOf(provider, correlationId).length > 0);
  return user.api.read(request.id);
}

describe('a request', () => {
  it.concurrent.each(names.all)('becomes one job and one stored image at %s', async (name) => {
    const provider = ready(name);
    const { id } = await submit(provider);
    const request = await user.api.ended(id);
    expectOneJob(provider, { request, correlationId: 'jobs' });
    expect(provider.made(provider.fake.facts())).toBe(1);
    await expectOnePng(user.api, request);
  });
});

describe('a job that fails', () => {
  it.concurrent.each(names.all)('is followed by another attempt at %s', async (name) => {
    const provider = ready(name);
    provider.fake.queue(provider.behaviours.failing);
    const { id } = await submit(provider);
    const { status, attempts } = await user.api.ended(id);
    expect(status).toBe('succeeded');
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['failed', 'succeeded']);
    const jobs = new Set(attempts.map((attempt) => attempt.provider_request_id));
    expect(jobs.size).toBe(2);
    expect(provider.made(provider.fake.facts())).toBe(2);
  });
});

describe('content that a provider refuses', () => {
  const refusals = [
    ['bfl', 'content-moderated', 'output', ['Derivative Works Filter'], 'content_moderated'],
    ['fal', 'content-policy', 'input', [], 'content_policy_violation'],
    ['replicate', 'nsfw', 'output', [], null],
  ] as const;

  it.concurrent.each(refusals)(
    'ends the request, and says so in one shape: %s, %s',
    async (...row) => {
      const [name, behaviour, stage, categories, provider_code] = row;
      const provider = ready(name);
      provider.fake.setBehaviour(behaviour);
      const { id } = await submit(provider);
      const request = await user.api.ended(id);
      const moderation = { stage, categories, provider: name, provider_code, account_level: false };
      expect(request.status).toBe('failed');
      expect(request.error?.code).toBe('content_refused');
      expect(request.error?.details.moderation).toEqual(moderation);
      expect(request.attempts.map(({ outcome }) => outcome)).toEqual(['refused']);
      expect(provider.made(provider.fake.facts())).toBe(1);
    },
  );
});

describe('polls that go wrong for a while', () => {
  /** More than the usual pause after a poll that failed, so that it shows whether it is heeded. */
  const RETRY_AFTER_MS = 6_000;
  const throttled: Fault = { status: 429, headers: { 'retry-after': `${RETRY_AFTER_MS / 1_000}` } };
  /** workerd repeats a GET on a connection that was closed: only the second drop is felt. */
  const FAULTS: readonly Fault[] = ['drop', 'drop', { status: 500 }, throttled];

  it.concurrent.each(names.all)('still lead to the one job of %s', async (name) => {
    const provider = ready(name);
    const polledAt: number[] = [];
    provider.fake.interfere((call) => {
      if (!provider.isPoll(call)) return null;
      polledAt.push(Date.now());
      return FAULTS[polledAt.length - 1] ?? null;
    });
    const { id } = await submit(provider);
    const request = await user.api.ended(id, 60_000);
    expectOneJob(provider, { request, correlationId: 'jobs' });
    const [throttledAt = Number.NaN, nextAt = Number.NaN] = polledAt.slice(FAULTS.length - 1);
    expect(nextAt - throttledAt).toBeGreaterThanOrEqual(RETRY_AFTER_MS - CLOCK_SLACK_MS);
  });
});

const aMinute: Fault = { status: 429, headers: { 'retry-after': '60' } };

function callbackOf({ fake, isSubmission, callbackIn }: FakedProvider): URL {
  const submission = fake.calls.find(isSubmission);
  return new URL((submission && callbackIn?.(submission)) ?? '');
}

const post = async (url: URL) => {
  const answer = await fetch(url, { method: 'POST', body: '{}' });
  return answer.status;
};

describe('a callback', () => {
  /** The next check is a minute away, so whatever happens before is the callback's doing. */
  async function lookAway(provider: FakedProvider) {
    provider.fake.interfere((call) => (provider.isPoll(call) ? aMinute : null));
    const request = await submitEndless(provider);
    provider.fake.interfere(null);
    return { request, callback: callbackOf(provider) };
  }

  function forgeriesOf(genuine: URL): URL[] {
    const signature = genuine.searchParams.get('signature') ?? '';
    const swapped = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    const of = (change: (url: URL) => void) => {
      const url = new URL(genuine);
      change(url);
      return url;
    };
    return [
      of(({ searchParams }) => searchParams.set('signature', swapped)),
      of(({ searchParams }) => searchParams.delete('signature')),
      of((url) => {
        url.pathname = url.pathname.replace(/1$/, '2');
      }),
    ];
  }

  it.concurrent.each(names.callingBack)(
    'of %s ends the wait; a forged one changes nothing, nor does one that comes too late',
    async (name) => {
      const provider = ready(name);
      const { request, callback } = await lookAway(provider);
      for (const forgery of forgeriesOf(callback)) expect(await post(forgery)).toBe(404);
      expect(await user.api.read(request.id)).toEqual(request);

      provider.fake.finish();
      const ended = await user.api.ended(request.id, 20_000);
      expectOneJob(provider, { request: ended, correlationId: 'jobs' });
      // The one that was put off, and the one that the callback led to.
      expect(pollsOf(provider, 'jobs')).toHaveLength(2);

      expect(await post(callback)).toBe(204);
      expect(await user.api.read(request.id)).toEqual(ended);
      expect(pollsOf(provider, 'jobs')).toHaveLength(2);
    },
  );
});

describe('a callback that comes while its job is asked for', () => {
  it.concurrent.each(names.callingBack)('of %s is not lost', async (name) => {
    const provider = ready(name);
    let heard: number | null = null;
    provider.fake.interfere(async (call) => {
      if (!provider.isPoll(call) || heard !== null) return null;
      heard = await post(callbackOf(provider));
      return aMinute;
    });
    const { id } = await submit(provider);
    const request = await user.api.ended(id, 20_000);
    expectOneJob(provider, { request, correlationId: 'jobs' });
    expect(heard).toBe(204);
  });
});

describe('a request that is given up while its job runs', () => {
  it.concurrent.each(names.canceling)('has its job canceled at %s', async (name) => {
    const provider = ready(name);
    const isCanceled = (jobs: number) =>
      until(
        `${name} has canceled ${jobs}`,
        () => provider.canceled?.(provider.fake.facts()) === jobs,
      );

    const first = await submitEndless(provider, 'canceled');
    const { status, body } = await user.api.post(`/v1/requests/${first.id}/cancel`);
    expect([status, body.status]).toEqual([200, 'canceled']);
    await isCanceled(1);

    const second = await submitEndless(provider, 'deleted');
    expect((await user.api.delete(`/v1/requests/${second.id}`)).status).toBe(204);
    await isCanceled(2);
    expect((await user.api.get(`/v1/requests/${second.id}`)).status).toBe(404);
    expect(await user.api.read(first.id)).toEqual(body);
    expect(body.attempts).toMatchObject([
      { possibly_billed: true, provider_request_id: expect.any(String) },
    ]);
  });

  it('ends at once where jobs cannot be canceled', async () => {
    const provider = ready('bfl');
    const { id } = await submitEndless(provider);
    const { status, body } = await user.api.post(`/v1/requests/${id}/cancel`);
    expect([status, body.status]).toEqual([200, 'canceled']);
    expect(body.attempts).toMatchObject([{ possibly_billed: true, provider_request_id: 'task-1' }]);
  });
});
