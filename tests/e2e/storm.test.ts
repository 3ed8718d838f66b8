/**
 * A provider that fails a third of its calls: 500, 429 in every spelling of its wait, and calls that
 * are never answered. Which call meets what is fixed, so each request can be held to what it met.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FakeOpenAi, startFakeOpenAi } from '../support/fake-openai.ts';
import { createFaultSchedule } from '../support/fault-deck.ts';
import { isTerminal } from './support/api.ts';
import { type Server, startServer, type User } from './support/server.ts';
import {
  callsOf,
  disagreements,
  type Ended,
  endOf,
  FIRST,
  isBilled,
  isHang,
  numbersTo,
  type Providers,
  runAtOnce,
  runInTurns,
  SECOND,
  type Storm,
  stormSettings,
  submitOne,
  wrongImage,
} from './support/storm.ts';
import { inParallel, until } from './support/until.ts';

const MAX_RUNNING = 50;
const MAX_RUNNING_AT_KILL = 20;

let openai: FakeOpenAi;
let compatible: FakeOpenAi;
let providers: Required<Providers>;
let server: Server;

beforeAll(async () => {
  openai = await startFakeOpenAi({ delayMs: 100 });
  compatible = await startFakeOpenAi({ delayMs: 100 });
  providers = { openai, compatible };
  server = await startServer(stormSettings(providers));
});

afterAll(async () => {
  await server?.close();
  await openai?.close();
  await compatible?.close();
});

/** The same faults for every storm, whatever the ones before it met. */
function raise(): void {
  for (const fake of [openai, compatible]) fake.reset();
  openai.setSchedule(createFaultSchedule((request) => 50 + ((request * 37) % 200)));
}

// `npm run bench:storm` has 300 of them.
describe('120 requests, up to ten attempts each, at the only provider there is', () => {
  const COUNT = 120;
  let storm: Storm;
  let ended: Ended[] = [];

  beforeAll(async () => {
    raise();
    const user = await server.createUser({ max_running: MAX_RUNNING });
    storm = { api: user.api, model: 'one', name: 'alone' };
    ended = await runAtOnce(storm, COUNT);
  });

  it('succeed, as their ledgers say and the provider has counted', () => {
    const faults = ended.flatMap((request, number) =>
      disagreements(request, callsOf(providers, storm.name, number)),
    );
    expect(faults).toEqual([]);
    expect(ended.length).toBe(COUNT);
  });

  it('have met every kind of fault', () => {
    const met = openai.calls.map(({ behaviour }) => JSON.stringify(Object.keys(behaviour)));
    const modes = openai.calls.map(({ behaviour }) => String(behaviour.mode));
    expect([...new Set(modes)].sort()).toEqual(['429', '500', 'hang', 'hang-after-body', 'ok']);
    expect(new Set(met)).toContain('["mode","retryAfter"]');
    expect(new Set(met)).toContain('["mode","retryAfterMs"]');
    const faults = openai.calls.length - modes.filter((mode) => mode === 'ok').length;
    expect(faults / openai.calls.length).toBeGreaterThan(0.3);
  });

  it('are paid for once, and once more for each call that was made and never answered', () => {
    const lost = openai.calls.filter((call) => isHang(call) && isBilled(call)).length;
    expect(openai.billed()).toBe(COUNT + lost);
  });

  it('have the very images that the provider made for them', async () => {
    const wrong = await inParallel(ended, 8, (request, number) =>
      wrongImage(storm, providers, { request, number }),
    );
    expect(wrong.filter((fault) => fault !== null)).toEqual([]);
  });
});

describe('60 requests, when a second provider is well', () => {
  let storm: Storm;
  let ended: Ended[] = [];

  beforeAll(async () => {
    raise();
    const user = await server.createUser({ max_running: MAX_RUNNING });
    storm = { api: user.api, model: 'two', name: 'both' };
    ended = await runInTurns(storm, numbersTo(60), 10);
  });

  it('succeed, as their ledgers say and both providers have counted', () => {
    const faults = ended.flatMap((request, number) =>
      disagreements(request, callsOf(providers, storm.name, number)),
    );
    expect(faults).toEqual([]);
  });

  it('have no failure answered by another call to the provider that failed', () => {
    const attempts = ended.map((request) => request.attempts.map(({ provider }) => provider));
    const allowed = [FIRST, SECOND].map(({ provider }) => provider).join();
    expect(attempts.filter((names) => !allowed.includes(names.join()))).toEqual([]);
  });

  it('say why they went to the second provider', () => {
    const first = `${FIRST.provider}/${FIRST.model}`;
    for (const { attempts } of ended) {
      const [one, other] = attempts;
      const reason = (other ?? one)?.reason;
      if (other) expect(reason).toContain(`fallback after ${one?.outcome} on ${first}`);
      else if (one?.provider === SECOND.provider) {
        expect(reason).toBe(`first choice; ${first} passed over: asked by the provider to wait`);
      }
    }
    expect(ended.filter(({ attempts }) => attempts.length === 2).length).toBeGreaterThan(0);
  });
});

describe('60 requests, and the server is killed in the middle', () => {
  const COUNT = 60;
  let storm: Storm;
  let user: User;
  let ended: Ended[] = [];

  const lost = ({ attempts }: Ended) =>
    attempts.filter(({ error }) => error?.code === 'lease_lost').length;

  beforeAll(async () => {
    raise();
    user = await server.createUser({ max_running: MAX_RUNNING_AT_KILL });
    storm = { api: user.api, model: 'one', name: 'killed' };
    const accepted = await inParallel(numbersTo(COUNT), 8, (number) => submitOne(storm, number));
    const isMade = () => openai.calls.filter(({ behaviour }) => behaviour.mode === 'ok').length;
    await until('it is in the middle', () => isMade() >= COUNT / 4 && openai.open() > 0);
    await server.crash();
    await server.startAgain();
    ended = await inParallel(accepted, COUNT, ({ id }) => endOf(storm, id));
  }, 150_000);

  it('loses none of them: all end, and none fails that has lost no two calls', () => {
    expect(ended.filter((request) => !isTerminal(request))).toEqual([]);
    const failed = ended.filter(({ status }) => status !== 'succeeded');
    for (const { attempts, error } of failed) {
      const unknown = attempts.filter(({ outcome }) => outcome === 'unknown');
      expect([error?.code, unknown.length]).toEqual(['provider_failed', 2]);
    }
  });

  it('has interrupted calls, and no more than may run at once', () => {
    const interrupted = ended.reduce((sum, request) => sum + lost(request), 0);
    expect(interrupted).toBeGreaterThan(0);
    expect(interrupted).toBeLessThanOrEqual(MAX_RUNNING_AT_KILL);
  });

  it('pays again only for what was interrupted or hung, and marks each such attempt', () => {
    for (const [number, request] of ended.entries()) {
      const paid = callsOf(providers, storm.name, number).filter(isBilled).length;
      const marked = request.attempts.filter((attempt) => attempt.possibly_billed);
      const bought = request.status === 'succeeded' ? 1 : 0;
      expect([request.id, paid <= bought + marked.length]).toEqual([request.id, true]);
      const outcomes = marked.map(({ outcome }) => outcome);
      expect(outcomes.filter((outcome) => outcome !== 'unknown')).toEqual([]);
    }
    const hung = openai.calls.filter((call) => isHang(call) && isBilled(call)).length;
    const interrupted = ended.reduce((sum, request) => sum + lost(request), 0);
    expect(openai.billed()).toBeLessThanOrEqual(COUNT + hung + interrupted);
  });
});
