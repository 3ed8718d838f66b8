/**
 * A provider that is down, and what its breaker makes of it: for requests that another provider can
 * serve, and for those that have nobody else.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FakeOpenAi, startFakeOpenAi } from '../support/fake-openai.ts';
import type { RequestView } from './support/api.ts';
import { type Server, startServer, type User } from './support/server.ts';
import {
  type BreakerState,
  breakerIs,
  breakerOf,
  callsOf,
  type Ended,
  endOf,
  FIRST,
  numbersTo,
  runInTurns,
  SECOND,
  type Storm,
  stormSettings,
  submitOne,
} from './support/storm.ts';
import { inParallel, until } from './support/until.ts';

const NAME = `${FIRST.provider}/${FIRST.model}`;
/** As the rule has it: five failures in a row, and two seconds without a success. */
const FAILURES_TO_OPEN = 5;
const GRACE_MS = 2_000;

let first: FakeOpenAi;
let second: FakeOpenAi;
let server: Server;
let user: User;

beforeAll(async () => {
  first = await startFakeOpenAi({ delayMs: 20 });
  second = await startFakeOpenAi({ delayMs: 20 });
  server = await startServer(stormSettings({ openai: first, compatible: second }));
  user = await server.createUser();
});

afterAll(async () => {
  await server?.close();
  await first?.close();
  await second?.close();
});

const stormOf = (model: 'one' | 'two', name: string): Storm => ({ api: user.api, model, name });

async function runOne(storm: Storm, number: number): Promise<Ended> {
  return endOf(storm, (await submitOne(storm, number)).id);
}

const providersOf = ({ attempts }: RequestView) => attempts.map(({ provider }) => provider);

/** Takes the first provider down and lets requests meet it until its breaker is open. */
function breakFirst(name: string): Promise<BreakerState> {
  first.setBehaviour({ mode: 503 });
  const storm = stormOf('two', name);
  let number = 0;
  return until('the breaker opens', async () => {
    const breaker = await breakerOf(server.admin, FIRST);
    if (breaker.state === 'open') return breaker;
    await runOne(storm, number++);
    return null;
  });
}

describe('a provider that goes down while another is well', () => {
  let opened: BreakerState;

  it('is called first while it works', async () => {
    const request = await runOne(stormOf('two', 'before'), 0);
    expect(providersOf(request)).toEqual([FIRST.provider]);
  });

  it('opens its breaker within five failures, two seconds after its last success', async () => {
    opened = await breakFirst('down');
    const { reason, last_success_at: success } = opened;
    expect(reason).toMatch(/^breaker open after \d+ failures in a row$/);
    const ungraced = Date.parse(success ?? '') + GRACE_MS;
    const failures = first.calls.filter(({ behaviour }) => behaviour.mode === 503);
    expect(failures.length).toBeGreaterThanOrEqual(FAILURES_TO_OPEN);
    const late = failures.filter(({ at }) => at >= ungraced);
    expect(late.length).toBeLessThanOrEqual(FAILURES_TO_OPEN);
  });

  it('is spared by the next requests, which go to the other and say why', async () => {
    const before = first.calls.length;
    const storm = stormOf('two', 'spared');
    const ended = await runInTurns(storm, numbersTo(40), 8);
    expect(ended.filter(({ status }) => status !== 'succeeded')).toEqual([]);
    // One probe may fall into this time, whatever the number of requests.
    expect(first.calls.length - before).toBeLessThanOrEqual(1);
    const spared = ended.filter(({ attempts }) => attempts.length === 1);
    expect(spared.length).toBeGreaterThanOrEqual(ended.length - 1);
    for (const { attempts } of spared) {
      expect(attempts[0]).toMatchObject({
        provider: SECOND.provider,
        reason: expect.stringContaining(`${NAME} passed over: breaker open after`),
      });
    }
  });

  it('makes requests that have nobody else wait, at the price of no attempt but the probes', async () => {
    const before = first.calls.length;
    const storm = stormOf('one', 'sole');
    const waiting = await inParallel(numbersTo(6), 6, (number) => submitOne(storm, number));
    const seen = await inParallel(waiting, 6, ({ id }) =>
      until(`${id} waits for the breaker`, async () => {
        const request = await user.api.read(id);
        return request.waiting?.reason === 'breaker_open' && request;
      }),
    );
    const tries = seen.reduce((sum, { attempts }) => sum + attempts.length, 0);
    expect(tries).toBeLessThanOrEqual(first.calls.length - before);

    const probes = first.calls.length;
    await until('a probe has failed', () => first.calls.length > probes);
    first.setBehaviour({ mode: 'ok' });
    const ended = await inParallel(waiting, 6, ({ id }) => endOf(storm, id));
    expect(ended.map(({ status }) => status)).toEqual(ended.map(() => 'succeeded'));
    for (const [number, request] of ended.entries()) {
      const calls = callsOf({ openai: first }, storm.name, number).length;
      expect(request.attempts.length).toBe(calls);
    }
    const failed = first.calls.slice(before).filter(({ behaviour }) => behaviour.mode !== 'ok');
    expect(failed.length).toBeGreaterThan(0);
    expect(failed.length).toBeLessThan(waiting.length);
  });

  it('has its breaker closed by its first success, and is called first again', async () => {
    await breakerIs(server.admin, FIRST, 'closed');
    const request = await runOne(stormOf('two', 'after'), 0);
    expect(request.attempts.map(({ provider, reason }) => [provider, reason])).toEqual([
      [FIRST.provider, 'first choice'],
    ]);
  });

  it('is called again at once when an operator closes its breaker', async () => {
    await breakFirst('down-again');
    first.setBehaviour({ mode: 'ok' });
    const path = `/v1/admin/breakers/${encodeURIComponent(NAME)}/reset`;
    const answer = await server.admin.post<BreakerState>(path);
    expect([answer.status, answer.body.state]).toEqual([200, 'closed']);
    let number = 0;
    const request = await until('a request goes to it first', async () => {
      const ended = await runOne(stormOf('two', 'reset'), number++);
      return ended.attempts[0]?.provider === FIRST.provider && ended;
    });
    expect(providersOf(request)).toEqual([FIRST.provider]);
  });
});
