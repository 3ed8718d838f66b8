// A target that takes few calls at once, and users of whom one has far more to do than the others.
import { env } from 'cloudflare:workers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Breaker } from '../../../src/generation/breaker/object';
import { join, type Line, lengthOf, owedToOthers } from '../../../src/generation/breaker/turns';

const CONCURRENCY = 3;

function newTarget() {
  const stub = env.BREAKER.getByName(`capped/${crypto.randomUUID()}`) as DurableObjectStub<Breaker>;
  const asked = { concurrency: CONCURRENCY, sole: true, ends: [] };
  return {
    async asks(permit: string, sole = true): Promise<boolean> {
      return (await stub.ask({ permit, ...asked, sole })).reserved;
    },
    waits: (permit: string) => stub.standInLine(permit),
    async asksAgainInMs(permit: string): Promise<number> {
      const { verdict } = await stub.ask({ permit, ...asked });
      return (verdict.blockedUntil ?? 0) - Date.now();
    },
    frees: (permit: string) => stub.giveBack(permit),
  };
}

describe('a place that comes free', () => {
  it('goes to whoever has none, though another asks sooner and has a thousand waiting', async () => {
    const target = newTarget();
    for (const n of [1, 2, 3]) expect(await target.asks(`flood/${n}`)).toBe(true);
    expect(await target.asks('lone/1')).toBe(false);
    await target.frees('flood/1');
    for (const n of [4, 5, 6]) expect(await target.asks(`flood/${n}`)).toBe(false);
    expect(await target.asks('lone/1')).toBe(true);
    await target.frees('flood/2');
    expect(await target.asks('flood/4')).toBe(true);
  });

  it('is kept for who has other targets, once all of them have turned it away', async () => {
    const target = newTarget();
    for (const n of [1, 2, 3]) await target.asks(`flood/${n}`);
    expect(await target.asks('lone/1', false)).toBe(false);
    await target.frees('flood/1');
    expect(await target.asks('flood/4')).toBe(true);

    expect(await target.asks('lone/1', false)).toBe(false);
    await target.waits('lone/1');
    await target.frees('flood/2');
    expect(await target.asks('flood/5')).toBe(false);
    expect(await target.asks('lone/1', false)).toBe(true);
  });

  it('is asked for the less often, the more users wait', async () => {
    const target = newTarget();
    for (const n of [1, 2, 3]) await target.asks(`flood/${n}`);
    const first = await target.asksAgainInMs('anna/1');
    for (let n = 0; n < 40; n += 1) await target.waits(`user ${n}/1`);
    expect((await target.asksAgainInMs('anna/2')) - first).toBeGreaterThan(500);
  });

  it('is not kept from a call that has one already', async () => {
    const target = newTarget();
    for (const n of [1, 2, 3]) await target.asks(`flood/${n}`);
    await target.asks('lone/1');
    expect(await target.asks('flood/2')).toBe(true);
  });

  it('goes among equals to the first who came', async () => {
    const target = newTarget();
    for (const n of [1, 2, 3]) await target.asks(`flood/${n}`);
    for (const user of ['first', 'second']) expect(await target.asks(`${user}/1`)).toBe(false);
    await target.frees('flood/1');
    expect(await target.asks('second/1')).toBe(false);
    expect(await target.asks('first/1')).toBe(true);
    await target.frees('flood/2');
    expect(await target.asks('second/1')).toBe(true);
  });
});

describe('standing in line', () => {
  const now = 1_000_000;
  const none = () => 0;

  it('ends for who does not ask again within five seconds', () => {
    const line: Line = new Map();
    join(line, { who: 'gone', now });
    expect(owedToOthers(line, { who: 'other', now: now + 4_999, callsOf: none })).toBe(1);
    expect(owedToOthers(line, { who: 'other', now: now + 5_000, callsOf: none })).toBe(0);
    expect(lengthOf(line, now + 5_000)).toBe(0);
  });

  it('always leaves somebody whose turn it is', () => {
    const users = fc.array(fc.record({ calls: fc.nat(3), after: fc.nat(1_500) }), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(users, (waiting) => {
        const line: Line = new Map();
        for (const [who, { after }] of waiting.entries()) {
          join(line, { who: String(who), now: now + after });
        }
        const callsOf = (who: string) => waiting[Number(who)]?.calls ?? 0;
        const owed = waiting.map((_, who) =>
          owedToOthers(line, { who: String(who), now: now + 1_500, callsOf }),
        );
        expect(Math.min(...owed)).toBe(0);
        expect(Math.max(...owed)).toBeLessThan(waiting.length);
      }),
    );
  });
});
