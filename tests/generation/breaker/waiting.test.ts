// A consumer whose request has several targets, each with as many calls out as it takes.
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import type { ClaimAnswer, SettleAnswer } from '../../../src/foreman/work';
import { type BreakerTarget, createBreakers } from '../../../src/generation/breaker/client';
import { createBreakerWatch } from '../../../src/generation/breaker-watch';
import { nameOf } from '../../../src/generation/catalog';
import { claimGeneration, type GenerationConsumerDeps } from '../../../src/generation/consumer';
import { targetOf } from '../../../src/generation/model-parts';
import { newId } from '../../../src/platform/ids';
import { createLogger } from '../../../src/platform/log';
import { catalogOf, modelOf } from '../../support/catalog';
import { running } from '../../support/states';

const capped = () => targetOf('fal', crypto.randomUUID(), { concurrency: 1 });

/** Two targets in the hands of one user, and a consumer of another's request. */
async function crowded() {
  const models = [capped(), capped()];
  const targets = models.map((target): BreakerTarget => ({ name: nameOf(target), concurrency: 1 }));
  const log = createLogger(() => {});
  const breakers = createBreakers({ env, log, now: () => Date.now() });
  const ask = async (permit: string) =>
    Object.values(await breakers.ask({ targets, sole: false, permit })).map(({ state }) => state);
  expect(await ask('flood/1')).toEqual(['closed', 'closed']);

  const userId = newId('usr', Date.now());
  const state = running('token-1', { userId });
  const deps = (answers: {
    readonly claims: ClaimAnswer[];
    readonly settled?: SettleAnswer;
  }): GenerationConsumerDeps =>
    ({
      breakers: createBreakerWatch(breakers, catalogOf([modelOf('any', ...models)])),
      catalog: catalogOf([]),
      provider: () => null,
      foreman: () => ({
        claim: async () => answers.claims.shift(),
        settle: async () => answers.settled,
      }),
      images: { removeAttempt: async () => {} },
      leases: { hold: () => ({ signal: new AbortController().signal, end: () => {} }) },
      startBefore: Number.POSITIVE_INFINITY,
      now: () => Date.now(),
      sleep: async () => {},
      log,
    }) as unknown as GenerationConsumerDeps;
  const names = targets.map(({ name }) => name);
  const free = () => breakers.giveBack({ targets: names, permit: 'flood/1' });
  return { ask, deps, free, names, state };
}

const messageOf = ({ userId, id, release }: ReturnType<typeof running>) =>
  ({ user: userId, request: id, release }) as Parameters<typeof claimGeneration>[0];

it('a request that all of its targets turn away stands in line at the first of them', async () => {
  const { ask, deps, free, names, state } = await crowded();
  const check = { verdict: 'check', targets: names, sole: false, attempt: 1 } as const;
  const claims: ClaimAnswer[] = [check, { verdict: 'later' }];
  await claimGeneration(messageOf(state), deps({ claims }));
  await free();
  expect(await ask('other/1')).toEqual(['full', 'closed']);
});

it('a request that goes elsewhere after all stands in no line', async () => {
  const { ask, deps, free, names, state } = await crowded();
  const check = { verdict: 'check', targets: names, sole: false, attempt: 1 } as const;
  const job = { state, token: 'token-1', targets: names };
  const claims: ClaimAnswer[] = [check, { verdict: 'run', job }];
  await claimGeneration(messageOf(state), deps({ claims }));
  await free();
  expect(await ask('other/1')).toEqual(['closed', 'closed']);
});

it.each([
  [true, ['full', 'closed']],
  [false, ['closed', 'closed']],
])('one whose attempt has failed stands there if it waits: %s', async (waits, states) => {
  const { ask, deps, free, names, state } = await crowded();
  const job = { state, token: 'token-1', targets: names };
  const settled: SettleAnswer = { verdict: 'settled', waits };
  const claimed = await claimGeneration(
    messageOf(state),
    deps({ claims: [{ verdict: 'run', job }], settled }),
  );
  await claimed.run?.();
  await free();
  expect(await ask('other/1')).toEqual(states);
});
