/**
 * The server process is killed with -9 while each provider has three jobs for it: one that is waited
 * for, one whose request has just been canceled, and one whose request has just been deleted. The
 * providers live on, as they would in the world.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  callsOf,
  type FakedProvider,
  names,
  type Setup,
  startSetup,
} from './support/job-providers.ts';
import { expectOneJob, expectOnePng } from './support/one-job.ts';
import type { User } from './support/server.ts';
import { inParallel, until } from './support/until.ts';

const fates = ['awaited', 'canceled', 'deleted'] as const;
type Fate = (typeof fates)[number];

let setup: Setup;
let user: User;
/** Ids of the requests, by provider. */
const requests = new Map<string, Record<Fate, string>>();
/** How often each provider was asked after the awaited job until the crash. */
const pollsBefore = new Map<string, number>();

const idOf = (name: string, fate: Fate) => requests.get(name)?.[fate] ?? '';

async function submit({ modelId }: FakedProvider, fate: Fate): Promise<string> {
  const fields = { model: modelId, prompt: 'a quiet harbour' };
  const { id } = await user.api.submit(fields, { 'x-correlation-id': fate });
  return id;
}

/** Whoever has asked after a job has told the foreman of it before. */
const isAskedAfter = (provider: FakedProvider, fate: Fate) =>
  until(`${provider.name} is asked after the ${fate} job`, () =>
    callsOf(provider, fate).some(provider.isPoll),
  );

const pollsOfAwaited = (provider: FakedProvider) =>
  callsOf(provider, 'awaited').filter(provider.isPoll).length;

async function startJobs(provider: FakedProvider): Promise<void> {
  const { fake, name, behaviours, isCancel } = provider;
  fake.setBehaviour(behaviours.endless);
  // No cancellation gets through before the crash.
  fake.interfere((call) => (isCancel(call) ? 'hang' : null));
  const [awaited = '', canceled = '', deleted = ''] = await inParallel(fates, 3, (fate) =>
    submit(provider, fate),
  );
  requests.set(name, { awaited, canceled, deleted });
  for (const fate of fates) await isAskedAfter(provider, fate);
}

beforeAll(async () => {
  setup = await startSetup();
  const { providers, server } = setup;
  user = await server.createUser();
  await inParallel(providers, providers.length, startJobs);
  const givenUp = await inParallel(providers, providers.length, async ({ name }) => {
    const canceled = await user.api.post(`/v1/requests/${idOf(name, 'canceled')}/cancel`);
    const deleted = await user.api.delete(`/v1/requests/${idOf(name, 'deleted')}`);
    return [canceled.status, deleted.status];
  });
  await server.crash();
  const canceled = providers.map(({ canceled, fake }) => canceled?.(fake.facts()) ?? 0);
  expect(canceled).toEqual(providers.map(() => 0));
  expect(givenUp).toEqual(providers.map(() => [200, 204]));
  for (const provider of providers) {
    provider.fake.interfere(null);
    pollsBefore.set(provider.name, pollsOfAwaited(provider));
  }
  await server.startAgain();
});

afterAll(() => setup?.close());

describe('a request whose job is awaited', () => {
  it.each(names.all)('runs on after the crash: %s', async (name) => {
    expect(await user.api.read(idOf(name, 'awaited'))).toMatchObject({
      status: 'running',
      attempts: [{ number: 1, provider: name, outcome: null }],
    });
  });
});

describe('jobs whose requests were given up before the crash', () => {
  it.concurrent.each(names.canceling)('are canceled after it at %s', async (name) => {
    const { canceled, fake } = setup.provider(name);
    const count = () => canceled?.(fake.facts());
    await until(`${name} has canceled both`, () => count() === 2, 40_000);
    const { status, attempts } = await user.api.read(idOf(name, 'canceled'));
    expect([status, attempts.length]).toEqual(['canceled', 1]);
    expect((await user.api.get(`/v1/requests/${idOf(name, 'deleted')}`)).status).toBe(404);
  });
});

describe('a job that goes on', () => {
  it.concurrent.each(names.all)('is asked after again, and collected from %s', async (name) => {
    const provider = setup.provider(name);
    const before = pollsBefore.get(name) ?? 0;
    const id = idOf(name, 'awaited');
    await until(`${name} is asked again`, () => pollsOfAwaited(provider) > before, 40_000);
    provider.fake.finish();
    const request = await user.api.ended(id);
    expectOneJob(provider, { request, correlationId: 'awaited' });
    await expectOnePng(user.api, request);
  });
});

describe('the crash', () => {
  it.each(names.all)('made no job twice at %s', (name) => {
    const provider = setup.provider(name);
    expect(provider.made(provider.fake.facts())).toBe(fates.length);
    for (const fate of fates) {
      expect(callsOf(provider, fate).filter(provider.isSubmission)).toHaveLength(1);
    }
  });
});
