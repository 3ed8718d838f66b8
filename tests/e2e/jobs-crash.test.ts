/**
 * The server process is killed with -9 while each provider has three jobs for it: one that is waited
 * for, one whose request has just been canceled, and one whose request has just been deleted. The
 * providers live on, as they would in the world.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callsOf, names, type Played, type Stage, setStage } from './support/job-providers.ts';
import { expectOneJob, expectOnePng } from './support/one-job.ts';
import type { User } from './support/server.ts';
import { inParallel, until } from './support/until.ts';

const fates = ['awaited', 'canceled', 'deleted'] as const;
type Fate = (typeof fates)[number];

let stage: Stage;
let user: User;
/** Ids of the requests, by provider. */
const requests = new Map<string, Record<Fate, string>>();

const idOf = (name: string, fate: Fate) => requests.get(name)?.[fate] ?? '';

async function submit({ modelId }: Played, fate: Fate): Promise<string> {
  const fields = { model: modelId, prompt: 'a quiet harbour' };
  const { id } = await user.api.submit(fields, { 'x-correlation-id': fate });
  return id;
}

/** Whoever has asked after a job has told the foreman of it before. */
const isAskedAfter = (player: Played, fate: Fate) =>
  until(`${player.name} is asked after the ${fate} job`, () =>
    callsOf(player, fate).some(player.isPoll),
  );

async function startJobs(player: Played): Promise<void> {
  const { fake, name, behaviours, isCancel } = player;
  fake.setBehaviour(behaviours.endless);
  // No cancellation gets through before the crash.
  fake.interfere((call) => (isCancel(call) ? 'hang' : null));
  const [awaited = '', canceled = '', deleted = ''] = await inParallel(fates, 3, (fate) =>
    submit(player, fate),
  );
  requests.set(name, { awaited, canceled, deleted });
  for (const fate of fates) await isAskedAfter(player, fate);
}

beforeAll(async () => {
  stage = await setStage();
  const { players, server } = stage;
  user = await server.createUser();
  await inParallel(players, players.length, startJobs);
  const givenUp = await inParallel(players, players.length, async ({ name }) => {
    const canceled = await user.api.post(`/v1/requests/${idOf(name, 'canceled')}/cancel`);
    const deleted = await user.api.delete(`/v1/requests/${idOf(name, 'deleted')}`);
    return [canceled.status, deleted.status];
  });
  await server.crash();
  expect(givenUp).toEqual(players.map(() => [200, 204]));
  for (const { fake } of players) fake.interfere(null);
  await server.startAgain();
});

afterAll(() => stage?.close());

describe('after the server was killed', () => {
  it.concurrent.each(names.all)('the job that %s goes on with is collected', async (name) => {
    const player = stage.player(name);
    const id = idOf(name, 'awaited');
    expect((await user.api.read(id)).status).toBe('running');
    const polls = () => callsOf(player, 'awaited').filter(player.isPoll).length;
    const before = polls();
    await until(`${name} is asked again`, () => polls() > before, 40_000);
    player.fake.finish();
    const request = await user.api.ended(id);
    expectOneJob(player, { request, correlationId: 'awaited' });
    await expectOnePng(user.api, request);
  });

  it.concurrent.each(names.canceling)(
    'what was given up before is canceled at %s',
    async (name) => {
      const { canceled, fake } = stage.player(name);
      const count = () => canceled?.(fake.facts());
      await until(`${name} has canceled both jobs`, () => count() === 2, 40_000);
      const { status, attempts } = await user.api.read(idOf(name, 'canceled'));
      expect(status).toBe('canceled');
      expect(attempts).toHaveLength(1);
      expect((await user.api.get(`/v1/requests/${idOf(name, 'deleted')}`)).status).toBe(404);
    },
  );

  it.each(names.all)('no job was made twice at %s', (name) => {
    const player = stage.player(name);
    expect(player.made(player.fake.facts())).toBe(fates.length);
    for (const fate of fates) {
      expect(callsOf(player, fate).filter(player.isSubmission)).toHaveLength(1);
    }
  });
});
