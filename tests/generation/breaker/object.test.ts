// The real object in workerd. The clock stands still and is moved on by hand.
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Asked, Breaker } from '../../../src/generation/breaker/object';
import { endOf } from './support';

const trueNow = Date.now;
let now = 0;
let logged: string[] = [];
const advance = (ms: number) => {
  now += ms;
};

beforeEach(() => {
  now = trueNow.call(Date);
  logged = [];
  vi.spyOn(Date, 'now').mockImplementation(() => now);
  for (const level of ['info', 'warn', 'error'] as const) {
    vi.spyOn(console, level).mockImplementation((line: string) => void logged.push(line));
  }
});
afterEach(() => vi.restoreAllMocks());

function newBreaker() {
  const name = `openai/${crypto.randomUUID()}`;
  // A stub is made anew, as one of an evicted object may not find the next.
  const stub = () => env.BREAKER.getByName(name);
  const ask = (permit: string, asked: Partial<Asked> = {}) =>
    stub().ask({ permit, concurrency: null, sole: false, ends: [], ...asked });
  const report = (...ends: Parameters<typeof endOf>[0][]) => stub().report(ends.map(endOf));
  return {
    name,
    stub,
    ask,
    report,
    evict: () => evictDurableObject(stub()),
    /** Rows that SQLite has written since the object was constructed. */
    written: () =>
      runInDurableObject(stub(), (_: Breaker, state) =>
        Number(state.storage.sql.exec('SELECT total_changes() AS n').one().n),
      ),
    async open() {
      await report(...Array.from({ length: 5 }, () => ({ outcome: 'failed' as const })));
      expect((await stub().view(null)).state).toBe('open');
    },
  };
}

const success = { outcome: 'succeeded' } as const;
const names = (n: number, prefix = 'p') => Array.from({ length: n }, (_, i) => `${prefix}${i}`);

describe('permits', () => {
  it('never exceed the cap, however many ask at once', async () => {
    const { ask, stub } = newBreaker();
    const answers = await Promise.all(names(20).map((permit) => ask(permit, { concurrency: 3 })));
    expect(answers.filter(({ reserved }) => reserved)).toHaveLength(3);
    for (const { verdict, reserved } of answers) {
      expect(verdict.state).toBe(reserved ? 'closed' : 'full');
      expect(verdict.reason).toBe(reserved ? null : 'all 3 calls in use');
    }
    expect((await stub().view(3)).inUse).toBe(3);
  });

  it('are not needed for a closed target without a cap', async () => {
    const { ask, stub } = newBreaker();
    expect(await ask('p')).toMatchObject({ verdict: { state: 'closed' }, reserved: false });
    expect((await stub().view(null)).inUse).toBe(0);
  });

  it.each<[string, (breaker: ReturnType<typeof newBreaker>) => unknown]>([
    ['the end of its call', ({ report }) => report({ ...success, permit: 'a' })],
    ['giving it back', ({ stub }) => stub().giveBack('a')],
    ['30 s without an extension', () => advance(30_000)],
  ])('are freed by %s', async (_, free) => {
    const breaker = newBreaker();
    await breaker.ask('a', { concurrency: 1 });
    expect((await breaker.ask('b', { concurrency: 1 })).verdict.state).toBe('full');
    await free(breaker);
    expect(await breaker.ask('b', { concurrency: 1 })).toMatchObject({ reserved: true });
  });

  it('last as long as they are extended, and are not shortened', async () => {
    const { ask, stub } = newBreaker();
    await ask('a', { concurrency: 1 });
    await stub().extend({ permit: 'a', forMs: 120_000 });
    await stub().extend({ permit: 'a', forMs: 30_000 });
    advance(119_999);
    expect((await ask('b', { concurrency: 1 })).verdict.state).toBe('full');
    advance(1);
    expect((await ask('b', { concurrency: 1 })).reserved).toBe(true);
  });

  it('count once for a holder that asks again', async () => {
    const { ask, stub } = newBreaker();
    await ask('a', { concurrency: 1 });
    expect((await ask('a', { concurrency: 1 })).reserved).toBe(true);
    expect((await stub().view(1)).inUse).toBe(1);
  });

  it('are lost with the object and made again by their holders', async () => {
    const { ask, stub, evict } = newBreaker();
    await ask('a', { concurrency: 1 });
    await evict();
    expect((await stub().view(1)).inUse).toBe(0);
    await stub().extend({ permit: 'a', forMs: 30_000 });
    expect((await ask('b', { concurrency: 1 })).verdict.state).toBe('full');
  });
});

describe('a half-open breaker', () => {
  it('lets one of many askers probe', async () => {
    const { ask, open } = newBreaker();
    await open();
    advance(30_000);
    const answers = await Promise.all(names(20).map((permit) => ask(permit)));
    expect(answers.filter(({ verdict }) => verdict.blockedUntil === null)).toHaveLength(1);
    expect(answers.filter(({ reserved }) => reserved)).toHaveLength(1);
    expect(new Set(answers.map(({ verdict }) => verdict.state))).toEqual(new Set(['half_open']));
  });

  it('closes for all with the success of its probe', async () => {
    const { ask, open, report } = newBreaker();
    await open();
    advance(30_000);
    await ask('probe');
    await report({ ...success, permit: 'probe' });
    for (const permit of names(3)) {
      expect((await ask(permit)).verdict).toMatchObject({ state: 'closed', blockedUntil: null });
    }
  });

  it('opens again with the failure of its probe', async () => {
    const { ask, open, report } = newBreaker();
    await open();
    advance(30_000);
    await ask('probe');
    await report({ permit: 'probe' });
    expect((await ask('next')).verdict).toMatchObject({
      state: 'open',
      reason: 'breaker open after a failed probe',
    });
  });

  it.each(['refused', 'throttled'] as const)(
    'is free for another probe after one that was %s',
    async (outcome) => {
      const { ask, open, report } = newBreaker();
      await open();
      advance(30_000);
      await ask('probe');
      await report({ permit: 'probe', outcome });
      advance(1_000);
      expect(await ask('next')).toMatchObject({ verdict: { state: 'half_open' }, reserved: true });
    },
  );

  it('gives the probe of a process that died to another after 30 s', async () => {
    const { ask, open } = newBreaker();
    await open();
    advance(30_000);
    await ask('dead');
    advance(29_999);
    expect((await ask('next')).reserved).toBe(false);
    advance(1);
    expect((await ask('next')).reserved).toBe(true);
  });

  it('is probed after 5 s by who has no other target', async () => {
    const { ask, open } = newBreaker();
    await open();
    advance(5_000);
    expect((await ask('many')).verdict.state).toBe('open');
    expect(await ask('sole', { sole: true })).toMatchObject({ reserved: true });
    expect((await ask('other', { sole: true })).verdict.reason).toBe(
      'breaker half-open, its probe is under way',
    );
  });
});

describe('what survives an eviction', () => {
  it('an open breaker with its reason, its times and its counts', async () => {
    const { open, evict, stub } = newBreaker();
    await open();
    const before = await stub().view(null);
    await evict();
    expect(await stub().view(null)).toEqual(before);
    expect(before).toMatchObject({
      reason: 'breaker open after 5 failures in a row',
      failuresInARow: 5,
      window: { calls: 5, failures: 5 },
    });
  });

  it('a breaker that has closed again', async () => {
    const { open, evict, stub, report } = newBreaker();
    await open();
    advance(31_000);
    await report(success);
    await evict();
    expect(await stub().view(null)).toMatchObject({ state: 'closed', failuresInARow: 0 });
  });

  it('a cool-down', async () => {
    const { report, evict, stub } = newBreaker();
    await report({ outcome: 'throttled', retryAfterMs: 20_000 });
    await evict();
    expect((await stub().view(null)).state).toBe('cooling');
  });

  it('a reset', async () => {
    const { open, evict, stub } = newBreaker();
    await open();
    await stub().reset();
    await evict();
    expect(await stub().view(null)).toMatchObject({ state: 'closed', failuresInARow: 0 });
  });

  it('the pace, as of the last 30 s', async () => {
    const { report, evict, ask } = newBreaker();
    await report(...Array.from({ length: 10 }, () => success));
    await evict();
    expect((await ask('p')).verdict.pace).toEqual({ p50Ms: 100, p90Ms: 100 });
  });

  it('nothing that cannot be read: the breaker starts anew', async () => {
    const { open, evict, stub } = newBreaker();
    await open();
    await runInDurableObject(stub(), (_: Breaker, state) => {
      state.storage.kv.put('snapshot', { circuit: 'of another shape' });
    });
    await evict();
    expect((await stub().view(null)).state).toBe('closed');
  });
});

describe('storage', () => {
  it('is written once in 30 s of successes, permits or not', async () => {
    const { ask, report, written } = newBreaker();
    for (let second = 0; second < 60; second += 1) {
      for (const permit of names(5, `s${second}-`)) {
        await ask(permit, { concurrency: 10 });
        await report({ ...success, permit });
      }
      advance(1_000);
    }
    expect(await written()).toBe(2);
  });

  it('is written by an opening, not by the failures before it', async () => {
    const { report, open, written } = newBreaker();
    await report({}, {}, {}, {}, success);
    const before = await written();
    await report({}, {}, {}, {});
    expect(await written()).toBe(before);
    advance(2_000);
    await open();
    expect(await written()).toBe(before + 1);
  });

  it('is written once a second at most in a storm of 429s', async () => {
    const { report, written } = newBreaker();
    for (let call = 0; call < 30; call += 1) {
      await report({ outcome: 'throttled' });
      advance(100);
    }
    expect(await written()).toBe(3);
  });

  it('is not written by asking, looking and giving back', async () => {
    const { ask, stub, written } = newBreaker();
    await ask('a', { concurrency: 1 });
    await ask('b', { concurrency: 1 });
    await stub().extend({ permit: 'a', forMs: 60_000 });
    await stub().giveBack('a');
    await stub().view(1);
    expect(await written()).toBe(0);
  });
});

describe('a report', () => {
  it('that comes twice counts once', async () => {
    const { stub } = newBreaker();
    const ends = Array.from({ length: 4 }, () => endOf());
    await stub().report(ends);
    await stub().report(ends);
    expect(await stub().view(null)).toMatchObject({ state: 'closed', failuresInARow: 4 });
  });

  it('of another attempt with the same permit counts', async () => {
    const { stub, report } = newBreaker();
    await report({ permit: 'p', startedAt: 1 }, { permit: 'p', startedAt: 2 });
    expect((await stub().view(null)).failuresInARow).toBe(2);
  });

  it('may come with a question, which then knows of it', async () => {
    const { ask } = newBreaker();
    const ends = Array.from({ length: 5 }, () => endOf());
    expect((await ask('p', { ends })).verdict.state).toBe('open');
  });

  it('of a change of state is logged with the target', async () => {
    const { open, report, name } = newBreaker();
    await open();
    expect(JSON.parse(logged.at(-1) ?? '')).toMatchObject({
      level: 'warn',
      event: 'breaker.opened',
      provider: 'openai',
      model: name.replace('openai/', ''),
      reason: 'breaker open after 5 failures in a row',
    });
    advance(31_000);
    await report(success);
    expect(JSON.parse(logged.at(-1) ?? '')).toMatchObject({ event: 'breaker.closed' });
    expect(logged).toHaveLength(2);
  });
});

it('a reset forgets the failures and the cool-down, and keeps the pace and the permits', async () => {
  const { open, report, ask, stub } = newBreaker();
  await ask('a', { concurrency: 2 });
  await report(...Array.from({ length: 10 }, () => success));
  advance(2_000);
  await open();
  await report({ outcome: 'throttled', retryAfterMs: 20_000 });
  await stub().reset();
  expect(await stub().view(2)).toMatchObject({
    state: 'closed',
    reason: null,
    openedAt: null,
    blockedUntil: null,
    failuresInARow: 0,
    window: { calls: 0, failures: 0 },
    inUse: 1,
    pace: { p50Ms: 100, p90Ms: 100 },
  });
});
