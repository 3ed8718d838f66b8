// The isolate's side, over real breakers. Its clock is its own: the objects go by the true time.
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type Breakers,
  type BreakerTarget,
  createBreakers,
} from '../../../src/generation/breaker/client';
import type { Breaker } from '../../../src/generation/breaker/object';
import { createLogger } from '../../../src/platform/log';
import { faulted, faults, guarded, resetFaults } from '../../support/worker';
import { endOf } from './support';

let offsetMs = 0;
const advance = (ms: number) => {
  offsetMs += ms;
};

beforeEach(() => {
  offsetMs = 0;
  resetFaults();
  for (const level of ['info', 'warn', 'error'] as const) {
    vi.spyOn(console, level).mockImplementation(() => {});
  }
});
afterEach(() => {
  resetFaults();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

type Method = 'ask' | 'standInLine' | 'report' | 'giveBack' | 'extend' | 'view' | 'reset';

/** One isolate, with the calls that it makes. */
function newIsolate() {
  const calls: Method[] = [];
  const logged: string[] = [];
  const { BREAKER } = guarded(env);
  const counting: typeof BREAKER = new Proxy(BREAKER, {
    get: (namespace, member) =>
      member === 'getByName'
        ? (name: string) => watched(namespace.getByName(name), calls)
        : Reflect.get(namespace, member),
  });
  const breakers = createBreakers({
    env: { BREAKER: counting },
    log: createLogger((line) => logged.push(line)),
    now: () => Date.now() + offsetMs,
  });
  return { breakers, calls, logged };
}

function watched(stub: DurableObjectStub<Breaker>, calls: Method[]): DurableObjectStub<Breaker> {
  return new Proxy(stub, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        calls.push(name as Method);
        return Reflect.apply(member, target, args);
      };
    },
  });
}

const newTarget = (concurrency: number | null = null): BreakerTarget => ({
  name: `fal/${crypto.randomUUID()}`,
  concurrency,
});

const asking = (target: BreakerTarget, permit = 'p', sole = false) => ({
  targets: [target],
  permit,
  sole,
});
const reporting = (target: BreakerTarget, end: Parameters<typeof endOf>[0] = {}) => ({
  target,
  ...endOf(end),
});
const success = { outcome: 'succeeded' } as const;

async function opened(breakers: Breakers, target: BreakerTarget) {
  for (let call = 0; call < 5; call += 1) await breakers.report(reporting(target));
}

const closed = { state: 'closed', blockedUntil: null, reason: null, pace: null };

describe('verdicts', () => {
  it('on a free target are known for a second, without a call', async () => {
    const { breakers, calls } = newIsolate();
    const target = newTarget();
    expect(breakers.known()).toEqual({});
    expect(await breakers.ask(asking(target))).toEqual({ [target.name]: closed });
    advance(900);
    expect(breakers.known()).toEqual({ [target.name]: closed });
    await breakers.ask(asking(target, 'another'));
    expect(calls).toEqual(['ask']);
    advance(100);
    expect(breakers.known()).toEqual({});
    await breakers.ask(asking(target));
    expect(calls).toEqual(['ask', 'ask']);
  });

  it('that hold a permit are never known', async () => {
    const { breakers, calls } = newIsolate();
    const target = newTarget(2);
    await breakers.ask(asking(target, 'a'));
    expect(breakers.known()).toEqual({});
    await breakers.ask(asking(target, 'b'));
    expect(calls).toEqual(['ask', 'ask']);
  });

  it('that a target is full are remembered for the user they were told, and for nobody else', async () => {
    const { breakers, calls } = newIsolate();
    const target = newTarget(1);
    await breakers.ask(asking(target, 'anna/1'));
    await breakers.ask(asking(target, 'boris/1'));
    await breakers.ask(asking(target, 'boris/2'));
    expect(calls).toEqual(['ask', 'ask']);
    expect(breakers.known()).toEqual({});
    await breakers.ask(asking(target, 'clara/1'));
    expect(calls).toEqual(['ask', 'ask', 'ask']);
    // Nor does one user's answer push out another's.
    await breakers.ask(asking(target, 'boris/3'));
    expect(calls).toHaveLength(3);
  });

  it('that a breaker is open are not passed from a request with fallbacks to one without', async () => {
    const { breakers, calls } = newIsolate();
    const target = newTarget();
    await opened(breakers, target);
    calls.length = 0;
    const many = await breakers.ask(asking(target, 'a'));
    expect(breakers.known()).toEqual({});
    const sole = await breakers.ask(asking(target, 'b', true));
    expect(breakers.known()).toEqual(sole);
    expect(calls).toEqual(['ask', 'ask']);
    const until = (answer: typeof many) => answer[target.name]?.blockedUntil ?? 0;
    expect(until(many) - until(sole)).toBe(25_000);
  });

  it('are forgotten by whoever sees a call fail', async () => {
    const { breakers } = newIsolate();
    const target = newTarget();
    await breakers.ask(asking(target));
    await breakers.report(reporting(target));
    expect(breakers.known()).toEqual({});
  });

  it('on several targets are asked for side by side', async () => {
    const { breakers } = newIsolate();
    const [free, capped] = [newTarget(), newTarget(1)];
    const answer = await breakers.ask({ targets: [free, capped], permit: 'p', sole: false });
    expect(answer).toEqual({ [free.name]: closed, [capped.name]: closed });
  });
});

describe('permits', () => {
  it('are given back where one was reserved, and nowhere else', async () => {
    const { breakers, calls } = newIsolate();
    const [free, capped, full] = [newTarget(), newTarget(1), newTarget(1)];
    await breakers.ask(asking(full, 'other'));
    const targets = [free, capped, full];
    await breakers.ask({ targets, permit: 'p', sole: false });
    calls.length = 0;
    await breakers.giveBack({ targets: targets.map(({ name }) => name), permit: 'p' });
    expect(calls).toEqual(['giveBack']);
    expect(await breakers.peek(targets)).toMatchObject({
      [capped.name]: { inUse: 0 },
      [full.name]: { inUse: 1 },
    });
  });

  it('are extended where one was reserved, and nowhere else', async () => {
    const { breakers, calls } = newIsolate();
    const [free, capped] = [newTarget(), newTarget(1)];
    await breakers.ask({ targets: [free, capped], permit: 'p', sole: false });
    calls.length = 0;
    await breakers.extend({ target: free.name, permit: 'p', forMs: 30_000 });
    expect(calls).toEqual([]);
    await breakers.extend({ target: capped.name, permit: 'p', forMs: 30_000 });
    expect(calls).toEqual(['extend']);
  });

  it('of another isolate are extended and given back: this one cannot know', async () => {
    const [first, second] = [newIsolate(), newIsolate()];
    const target = newTarget(1);
    await first.breakers.ask(asking(target));
    await second.breakers.extend({ target: target.name, permit: 'p', forMs: 30_000 });
    await second.breakers.giveBack({ targets: [target.name], permit: 'p' });
    expect(second.calls).toEqual(['extend', 'giveBack']);
    expect((await first.breakers.ask(asking(target, 'q')))[target.name]?.state).toBe('closed');
  });

  it('end with their call', async () => {
    const { breakers } = newIsolate();
    const target = newTarget(1);
    await breakers.ask(asking(target));
    await breakers.report(reporting(target, { ...success, permit: 'p' }));
    expect((await breakers.peek([target]))[target.name]).toMatchObject({
      state: 'closed',
      inUse: 0,
    });
  });
});

describe('ends of calls', () => {
  it('that succeed on a free target are told once a second, none of them lost', async () => {
    const { breakers, calls } = newIsolate();
    const target = newTarget();
    await breakers.ask(asking(target));
    calls.length = 0;
    for (let call = 0; call < 10; call += 1) await breakers.report(reporting(target, success));
    expect(calls).toEqual(['report']);
    advance(1_000);
    await breakers.report(reporting(target, success));
    expect(calls).toEqual(['report', 'report']);
    expect((await breakers.peek([target]))[target.name]?.window).toEqual({
      calls: 11,
      failures: 0,
    });
  });

  it('that were kept go with the next question', async () => {
    const { breakers, calls } = newIsolate();
    const target = newTarget();
    await breakers.ask(asking(target));
    for (let call = 0; call < 3; call += 1) await breakers.report(reporting(target, success));
    advance(1_000);
    await breakers.ask(asking(target));
    expect(calls).toEqual(['ask', 'report', 'ask']);
    expect((await breakers.peek([target]))[target.name]?.window.calls).toBe(3);
  });

  it('that fail are told at once, after the successes before them', async () => {
    const { breakers, calls } = newIsolate();
    const target = newTarget();
    await breakers.ask(asking(target));
    for (let call = 0; call < 3; call += 1) await breakers.report(reporting(target, success));
    calls.length = 0;
    await breakers.report(reporting(target));
    expect(calls).toEqual(['report']);
    expect((await breakers.peek([target]))[target.name]).toMatchObject({
      failuresInARow: 1,
      window: { calls: 4, failures: 1 },
    });
  });

  it.each<[string, number | null]>([
    ['capped', 5],
    ['not known to be closed', null],
  ])('that succeed on a target that is %s are each told at once', async (_, concurrency) => {
    const { breakers, calls } = newIsolate();
    const target = newTarget(concurrency);
    for (const permit of ['a', 'b', 'c']) {
      if (concurrency !== null) await breakers.ask(asking(target, permit));
      await breakers.report(reporting(target, { ...success, permit }));
    }
    expect(calls.filter((method) => method === 'report')).toHaveLength(3);
  });

  it('are not kept without end', async () => {
    const { breakers, calls } = newIsolate();
    const target = newTarget();
    await breakers.ask(asking(target));
    for (let call = 0; call < 150; call += 1) await breakers.report(reporting(target, success));
    expect(calls).toEqual(['ask', 'report', 'report']);
  });
});

describe('a breaker that cannot be reached', () => {
  it('counts as closed for a second, is logged, and stops nobody', async () => {
    const { breakers, logged } = newIsolate();
    const target = newTarget();
    faults.breaker = 'fail';
    expect(await breakers.ask(asking(target))).toEqual({ [target.name]: closed });
    expect(breakers.known()).toEqual({ [target.name]: closed });
    await breakers.report(reporting(target));
    await breakers.extend({ target: target.name, permit: 'p', forMs: 30_000 });
    await breakers.giveBack({ targets: [target.name], permit: 'p' });
    expect(logged[0]).toContain('"breaker.unreachable"');
    expect(logged[0]).toContain('"provider":"fal"');
  });

  it('is asked each time about a target with a cap', async () => {
    const { breakers } = newIsolate();
    const target = newTarget(1);
    faults.breaker = 'fail';
    await breakers.ask(asking(target));
    expect(breakers.known()).toEqual({});
    faults.breaker = null;
    await breakers.ask(asking(target, 'a'));
    expect((await breakers.ask(asking(target, 'b')))[target.name]?.state).toBe('full');
  });

  it('is waited for no longer than a second', async () => {
    const { breakers, logged } = newIsolate();
    const target = newTarget();
    faults.breaker = 'hang';
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const answer = breakers.ask(asking(target));
    await vi.advanceTimersByTimeAsync(999);
    expect(logged).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(await answer).toEqual({ [target.name]: closed });
    await breakers.ask(asking(target));
    expect(faulted.breaker).toBe(1);
  });

  it('cannot be waited at, which stops nobody', async () => {
    const { breakers, logged } = newIsolate();
    const { name } = newTarget(1);
    faults.breaker = 'fail';
    await breakers.standInLine({ target: name, permit: 'anna/1' });
    expect(logged).toHaveLength(1);
  });

  it('is left out of what operators see, and cannot be reset', async () => {
    const { breakers } = newIsolate();
    const target = newTarget();
    faults.breaker = 'fail';
    expect(await breakers.peek([target])).toEqual({});
    await expect(breakers.reset(target.name)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('is asked once more when the platform lost the call', async () => {
    const target = newTarget();
    const calls: string[] = [];
    const lost = Object.assign(new Error('moved'), { retryable: true });
    const flaky = new Proxy(env.BREAKER, {
      get: (namespace, member) => {
        if (member !== 'getByName') return Reflect.get(namespace, member);
        return (name: string) => {
          calls.push(name);
          if (calls.length > 1) return namespace.getByName(name);
          return { ask: () => Promise.reject(lost) };
        };
      },
    });
    const log = createLogger(() => expect.fail('nothing is to be logged'));
    const breakers = createBreakers({ env: { BREAKER: flaky }, log, now: Date.now });
    expect(await breakers.ask(asking(target))).toEqual({ [target.name]: closed });
    expect(calls).toEqual([target.name, target.name]);
  });
});

it('a reset is seen by its isolate at once', async () => {
  const { breakers } = newIsolate();
  const target = newTarget();
  await opened(breakers, target);
  expect((await breakers.ask(asking(target, 'p', true)))[target.name]?.state).toBe('open');
  await breakers.reset(target.name);
  expect(breakers.known()).toEqual({});
  expect((await breakers.ask(asking(target)))[target.name]).toEqual(closed);
});
