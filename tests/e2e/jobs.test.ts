/**
 * Providers with jobs of their own: accepted, asked for, called back, canceled, over real sockets.
 * The providers take part side by side, as each has its own fake.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Fault } from '../support/fakes/server.ts';
import type { RequestView } from './support/api.ts';
import { names, namesOf, type Played, type Stage, setStage } from './support/job-providers.ts';
import type { User } from './support/server.ts';
import { until } from './support/until.ts';

let stage: Stage;
let user: User;

beforeAll(async () => {
  stage = await setStage();
  user = await stage.server.createUser();
});

afterAll(() => stage?.close());

beforeEach(() => {
  for (const { fake } of stage.players) fake.reset();
});

const submit = ({ modelId }: Played) => user.api.submit({ model: modelId, prompt: 'a harbour' });
const polls = ({ fake, isPoll }: Played) => fake.calls.filter(isPoll).length;
const isPolled = async (player: Played, atLeast = 1) =>
  until(`${player.name} is asked for its job`, () => polls(player) >= atLeast);
const outcomes = ({ attempts }: RequestView) => attempts.map(({ outcome }) => outcome);

/** What the provider says of its one job is what the request has of it. */
function expectOneJob(player: Played, request: RequestView) {
  const { fake, jobIn, isSubmission, isImage, made, costUsd } = player;
  expect(request).toMatchObject({ status: 'succeeded', error: null, cost_usd: costUsd });
  const polled = fake.calls.map(jobIn).filter((id) => id !== null);
  const [id, ...others] = new Set(polled);
  expect(others).toEqual([]);
  expect(request.attempts).toMatchObject([
    {
      outcome: 'succeeded',
      provider: player.name,
      model: player.model,
      provider_request_id: id,
      cost_usd: costUsd,
      possibly_billed: false,
    },
  ]);
  expect(made(fake.facts())).toBe(1);
  expect(fake.calls.filter(isSubmission)).toHaveLength(1);
  expect(fake.calls.filter(isImage)).toHaveLength(1);
}

async function expectPng({ images }: RequestView) {
  expect(images).toHaveLength(1);
  const [image] = images;
  const content = await user.api.fetch(image?.url ?? '');
  expect(content.status).toBe(200);
  expect(content.headers.get('content-type')).toBe('image/png');
  const bytes = Buffer.from(await content.arrayBuffer());
  expect(bytes.subarray(1, 4).toString()).toBe('PNG');
  expect(bytes).toHaveLength(image?.bytes ?? 0);
  expect([bytes.readUInt32BE(16), bytes.readUInt32BE(20)]).toEqual([image?.width, image?.height]);
}

describe('a request', () => {
  it.concurrent.each(names)('becomes one job and one stored image at %s', async (name) => {
    const player = stage.player(name);
    const { id } = await submit(player);
    const request = await user.api.ended(id);
    expectOneJob(player, request);
    await expectPng(request);
  });

  it.concurrent.each(names)('is tried again after a job of %s has failed', async (name) => {
    const player = stage.player(name);
    player.fake.queue(player.behaviours.failing);
    const { id } = await submit(player);
    const request = await user.api.ended(id);
    expect(request.status).toBe('succeeded');
    expect(outcomes(request)).toEqual(['failed', 'succeeded']);
    const ids = request.attempts.map((attempt) => attempt.provider_request_id);
    expect(new Set(ids).size).toBe(2);
    expect(player.made(player.fake.facts())).toBe(2);
  });
});
