import { describe, expect, it } from 'vitest';
import { makeAttempt } from '../../src/generation/attempt';
import type { PollContext, Provider, ProviderJob } from '../../src/generation/providers/provider';
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
    { state, stale: new AbortController().signal, keep: async () => 'kept', show: unused },
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

describe('an attempt that is to show previews', () => {
  /** What its provider is asked for, and what its job is said to have ignored. */
  async function asked(input: object, showsPreviews?: Provider['showsPreviews']) {
    const jobs: ProviderJob[] = [];
    const told: JobProgress[] = [];
    const unused = () => {
      throw new Error('nothing is loaded, stored or shown');
    };
    const provider: Provider = {
      name: 'acme',
      async generate(job) {
        jobs.push(job);
        const accepted = { handle: {}, checkAfterMs: 1, providerRequestId: null };
        return { outcome: 'accepted', ...accepted, warnings: ['acme ignores seed'] };
      },
      ...(showsPreviews ? { showsPreviews } : {}),
    };
    const keep = async (progress: JobProgress) => {
      told.push(progress);
      return 'stale' as const;
    };
    const state = running('token-1', { input: { prompt: 'a boat', n: 1, ...input } });
    await makeAttempt(
      { state, stale: new AbortController().signal, keep, show: unused },
      {
        catalog: readGenerationSettings({}).catalog,
        provider: () => provider,
        inputs: { load: unused },
        images: { store: unused },
        providerTimeoutMs: 10_000,
        imageRetentionMs: 1,
        linkSecret: 'secret',
        endBefore: NOW + 600_000,
        now: () => NOW,
        sleep: async () => {},
        log: createLogger(() => {}),
      },
    );
    return { previews: jobs[0]?.previews, warnings: told[0]?.warnings };
  }
  const said = ['acme ignores seed'];

  it.each<[string, object, Provider['showsPreviews'], object]>([
    ['asks for none when none are wanted', {}, undefined, { previews: 0, warnings: said }],
    [
      'asks for as many as are wanted',
      { previews: 3 },
      () => true,
      { previews: 3, warnings: said },
    ],
    [
      'says so when its provider never shows any',
      { previews: 3 },
      undefined,
      { previews: 3, warnings: [...said, 'acme ignores previews'] },
    ],
    [
      'says so when its provider shows none of this model',
      { previews: 1 },
      ({ model }) => model !== 'gpt-image-1',
      { previews: 1, warnings: [...said, 'acme ignores previews'] },
    ],
    ['asks for none of several images', { previews: 3, n: 2 }, undefined, { previews: 0 }],
  ])('%s', async (_, input, showsPreviews, expected) => {
    expect(await asked(input, showsPreviews)).toMatchObject(expected);
  });
});
