import { describe, expect, it } from 'vitest';
import { makeAttempt } from '../../src/generation/attempt';
import type { PollContext } from '../../src/generation/providers/provider';
import { readGenerationSettings } from '../../src/generation/settings';
import { createLogger } from '../../src/platform/log';
import { keepJob } from '../../src/requests/remote-job';
import type { JobProgress, Running } from '../../src/requests/types';
import { NOW, running } from '../support/states';

/** A job that goes on, asked for by its consumer: what it was told, and what it told the foreman. */
async function collect(of: { readonly origin: string; readonly callsBack: boolean }) {
  const progress: JobProgress = {
    handle: { id: 'job-1' },
    providerRequestId: null,
    warnings: [],
    queue: null,
    checkAfterMs: null,
  };
  const begun = running('token-1', { origin: of.origin });
  const state = keepJob(begun, { token: 'token-1', progress }, NOW) as Running;
  let now = NOW;
  const polls: PollContext[] = [];
  const unused = () => {
    throw new Error('nothing is called, loaded or stored');
  };
  const made = await makeAttempt(
    { state, stale: new AbortController().signal, keep: async () => 'kept' },
    {
      catalog: readGenerationSettings({}).catalog,
      provider: () => ({
        name: 'acme',
        generate: unused,
        jobs: {
          callsBack: of.callsBack,
          poll: async (_handle, context) => {
            polls.push(context);
            return {
              outcome: 'pending',
              checkAfterMs: 2_000,
              queuePosition: null,
              isQueued: false,
            };
          },
          cancel: async () => 'gone',
        },
      }),
      inputs: { load: unused },
      images: { store: unused },
      providerTimeoutMs: 10_000,
      imageRetentionMs: 1,
      linkSecret: 'secret',
      endBefore: NOW + 600_000,
      now: () => now,
      sleep: async (ms) => {
        now += ms;
      },
      log: createLogger(() => {}),
    },
  );
  return { made, polls: polls.length, expectsCallback: polls[0]?.expectsCallback };
}

describe('a job that is collected', () => {
  it('is left at once where its provider calls back to an address that it can reach', async () => {
    const of = { origin: 'https://foreman.test', callsBack: true };
    expect(await collect(of)).toEqual({ made: 'left', polls: 1, expectsCallback: true });
  });

  it.each([
    ['its provider calls nobody', { origin: 'https://foreman.test', callsBack: false }],
    ['nobody else can reach this machine', { origin: 'http://127.0.0.1:8787', callsBack: true }],
  ])('is asked for under the lease for a while where %s', async (_, of) => {
    expect(await collect(of)).toEqual({ made: 'left', polls: 6, expectsCallback: false });
  });
});
