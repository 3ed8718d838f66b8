import { describe, expect, it } from 'vitest';
import { type FollowedJob, followJob } from '../../src/generation/job';
import type {
  PollAnswer,
  Provider,
  ProviderSuccess,
} from '../../src/generation/providers/provider';
import { createLogger } from '../../src/platform/log';
import type { JobProgress } from '../../src/requests/types';
import { NOW, running } from '../support/states';

const pending = (checkAfterMs: number, queuePosition: number | null = null): PollAnswer => ({
  outcome: 'pending',
  checkAfterMs,
  queuePosition,
  isQueued: queuePosition !== null,
});
const made: ProviderSuccess = {
  outcome: 'succeeded',
  images: [],
  costMicros: null,
  providerRequestId: 'job-1',
  warnings: [],
};

interface Scene {
  readonly answers: readonly (PollAnswer | Error)[];
  readonly job?: Partial<FollowedJob>;
  readonly kept?: 'kept' | 'stale' | 'unreachable';
  readonly endBefore?: number;
}

/** Time passes only by sleeping; what the foreman was told is kept. */
async function follow({ answers, job = {}, kept = 'kept', endBefore = NOW + 600_000 }: Scene) {
  let now = NOW;
  let polls = 0;
  const told: JobProgress[] = [];
  const provider: Provider = {
    name: 'acme',
    generate: async () => made,
    jobs: {
      callsBack: false,
      poll: async () => {
        const answer = answers[polls] ?? answers.at(-1);
        polls += 1;
        if (!answer || answer instanceof Error) throw answer ?? new Error('no answers');
        return answer;
      },
      cancel: async () => 'gone',
    },
  };
  const result = await followJob(
    {
      state: running(),
      provider,
      handle: { id: 'job-1' },
      providerRequestId: 'job-1',
      acceptedAt: NOW,
      expectsCallback: false,
      timeoutMs: 600_000,
      firstCheckMs: 0,
      texts: [],
      stale: new AbortController().signal,
      ...job,
    },
    {
      now: () => now,
      sleep: async (ms) => {
        now += ms;
      },
      endBefore,
      keep: async (progress) => {
        told.push(progress);
        return kept;
      },
      log: createLogger(() => {}),
    },
  );
  return { result, told, polls, waitedMs: now - NOW };
}

describe('a job that is followed', () => {
  it('is asked for at the pace of its provider, until it ends', async () => {
    const { result, polls, waitedMs, told } = await follow({
      answers: [pending(500), pending(1_500), made],
    });
    expect(result).toEqual(made);
    expect({ polls, waitedMs, told }).toEqual({ polls: 3, waitedMs: 2_000, told: [] });
  });

  it('is left to the foreman after ten seconds, with when to ask again', async () => {
    const { result, told, waitedMs } = await follow({ answers: [pending(4_000)] });
    expect(result).toBe('left');
    expect(waitedMs).toBe(8_000);
    expect(told).toEqual([
      {
        handle: { id: 'job-1' },
        providerRequestId: 'job-1',
        warnings: [],
        queue: null,
        checkAfterMs: 4_000,
      },
    ]);
  });

  it('is left at once by whoever expects a call, as only those who have left hear it', async () => {
    const { result, polls, told } = await follow({
      answers: [pending(2_000)],
      job: { expectsCallback: true },
    });
    expect(result).toBe('left');
    expect({ polls, told }).toMatchObject({ polls: 1, told: [{ checkAfterMs: 2_000 }] });
  });

  it('is not asked for beyond the end of its invocation', async () => {
    const { result, polls } = await follow({ answers: [pending(1_000)], endBefore: NOW + 1_500 });
    expect({ result, polls }).toEqual({ result: 'left', polls: 2 });
  });

  it('tells when it enters and leaves the provider’s queue, and not each time it is asked for', async () => {
    const { told } = await follow({
      answers: [pending(500, 7), pending(500, 6), pending(500), made],
    });
    expect(told.map(({ queue }) => queue)).toEqual([{ position: 7 }, null]);
  });

  it.each(['stale', 'unreachable'] as const)('is unwanted when the foreman is %s', async (kept) => {
    const { result } = await follow({ answers: [pending(20_000)], kept });
    expect(result).toBe('unwanted');
  });

  it('is unwanted once its attempt is no longer the current one', async () => {
    const job = { stale: AbortSignal.abort() };
    const { result, polls } = await follow({ answers: [made], job });
    expect({ result, polls }).toEqual({ result: 'unwanted', polls: 0 });
  });

  it('that its provider does not know is asked for again for half a minute, then lost', async () => {
    const young = await follow({ answers: [{ outcome: 'missing' }, made] });
    expect(young.result).toEqual(made);
    const old = await follow({
      answers: [{ outcome: 'missing' }],
      job: { acceptedAt: NOW - 30_001 },
    });
    expect(old.result).toMatchObject({
      outcome: 'failed',
      error: { code: 'job_not_found' },
      possiblyBilled: true,
    });
  });

  it('that cannot be asked for is asked for later, at the provider’s word if it has one', async () => {
    const told = await follow({ answers: [{ outcome: 'unreachable', retryAfterMs: 7_000 }, made] });
    expect(told).toMatchObject({ result: made, waitedMs: 7_000 });
    const untold = await follow({ answers: [new Error('a fault of ours'), made] });
    expect(untold).toMatchObject({ result: made, waitedMs: 5_000 });
  });

  it('that takes longer than its target may ends unknown, and may be billed', async () => {
    const { result } = await follow({
      answers: [pending(1_000)],
      job: { acceptedAt: NOW - 60_001, timeoutMs: 60_000 },
    });
    expect(result).toMatchObject({
      outcome: 'unknown',
      error: { code: 'timeout' },
      providerRequestId: 'job-1',
      possiblyBilled: true,
    });
  });
});
