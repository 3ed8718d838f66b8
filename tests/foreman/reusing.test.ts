import { evictDurableObject } from 'cloudflare:test';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RequestId } from '../../src/requests/types';
import {
  accepted,
  by,
  inForeman,
  makeDue,
  newSpec,
  newTenant,
  runAlarm,
  stateOf,
  submitTo,
  type Tenant,
  usageOf,
} from '../support/foreman';
import {
  equal,
  expire,
  HOUR,
  make,
  makersOf,
  outputOf,
  same,
  standing,
  standingOf,
  succeed,
  successWith,
} from '../support/reuse';
import { failure } from '../support/states';
import { faults, resetFaults } from '../support/worker';

// Messages are lost here: what consumers do, the tests do by hand.
beforeEach(() => {
  Object.assign(faults, { generation: 'swallow', webhooks: 'swallow' });
});
afterEach(resetFaults);

describe('an equal request', () => {
  it('waits for the first, without a slot and without a call of its own', async () => {
    const tenant = await newTenant({ max_running: 2 });
    await same(tenant);
    const second = await same(tenant);
    const other = await accepted(tenant);
    expect(await standingOf(tenant, second)).toEqual(['request', null]);
    expect(await standingOf(tenant, other)).toEqual(['claim', null]);
    const claim = { request: second, release: 1, token: 'token', verdicts: {} };
    expect(await tenant.foreman.claim(claim)).toEqual({ verdict: 'stale' });
  });

  it('has what the first has made, at no cost and with no attempt', async () => {
    const tenant = await newTenant();
    const first = await same(tenant);
    const second = await same(tenant);
    await succeed(tenant, first);
    const [made, reused] = [await stateOf(tenant, first), await stateOf(tenant, second)];
    expect(standing(made)).toEqual(['succeeded', null]);
    expect(standing(reused)).toEqual(['succeeded', first]);
    expect(reused).toMatchObject({ attempts: [], startedAt: null, version: 2 });
    expect('output' in reused && reused.output).toEqual('output' in made && made.output);
    expect(reused.events.map(({ type }) => type)).toEqual(['request.queued', 'request.succeeded']);
  });

  it('has it at once when the first has ended', async () => {
    const tenant = await newTenant({ max_running: 1 });
    const first = await same(tenant);
    await succeed(tenant, first);
    const answer = await submitTo(tenant, equal);
    if (answer.outcome !== 'accepted') throw new Error(answer.outcome);
    expect(standing(answer.state)).toEqual(['succeeded', first]);
    expect(await standingOf(tenant, answer.state.id)).toEqual(['succeeded', first]);
  });

  it('has what was said of the output, and what was said of its own submission', async () => {
    const tenant = await newTenant();
    const { foreman, credential, userId } = tenant;
    const submitted = async (warning: string) => {
      const spec = newSpec(userId, equal);
      const rest = { credential, fingerprint: 'fingerprint' };
      await foreman.submit({ ...rest, spec, warnings: [warning] });
      return spec.id;
    };
    const first = await submitted('of the first');
    const second = await submitted('of the second');
    await make(tenant, first, successWith(outputOf(first), ['openai ignores seed']));
    const third = await submitted('of the third');
    for (const [id, own] of [
      [first, 'of the first'],
      [second, 'of the second'],
      [third, 'of the third'],
    ] as const) {
      expect(await stateOf(tenant, id)).toMatchObject({
        warnings: [own],
        outputWarnings: ['openai ignores seed'],
      });
    }
  });

  it('is told the same when its submission is made again', async () => {
    const tenant = await newTenant();
    await same(tenant);
    const { id } = await stateOf(tenant, await same(tenant));
    const again = await submitTo(tenant, { ...equal, id });
    if (again.outcome !== 'accepted') throw new Error(again.outcome);
    expect([again.state.id, ...standing(again.state)]).toEqual([id, 'request', null]);
  });

  it.each([
    ['has another key', { reuseKey: 'another' }],
    ['has no key', { reuseKey: null }],
  ])('that %s is none', async (_, overrides) => {
    const tenant = await newTenant();
    await succeed(tenant, await same(tenant));
    const id = await same(tenant, overrides);
    expect(await standingOf(tenant, id)).toEqual(['claim', null]);
  });

  it('of another user is none', async () => {
    const [one, other] = [await newTenant(), await newTenant()];
    await succeed(one, await same(one));
    expect(await standingOf(other, await same(other))).toEqual(['claim', null]);
  });

  it('waits for one that itself waits for a slot', async () => {
    const tenant = await newTenant({ max_running: 0 });
    const [first, second] = [await same(tenant), await same(tenant)];
    expect(await standingOf(tenant, first)).toEqual(['slot', null]);
    await tenant.foreman.changeAccount({ changes: { limits: { max_running: 1 } }, by });
    expect(await standingOf(tenant, first)).toEqual(['claim', null]);
    expect(await standingOf(tenant, second)).toEqual(['request', null]);
  });
});

describe('a first request that brings nothing', () => {
  const ends: [string, (tenant: Tenant, id: RequestId) => Promise<unknown>][] = [
    ['fails', (tenant, id) => make(tenant, id, failure('rejected'))],
    ['is canceled', ({ foreman, credential }, id) => foreman.cancel({ credential, id })],
    [
      'is canceled while its call runs',
      async ({ foreman, credential }, id) => {
        await foreman.claim({ request: id, release: 1, token: 'token', verdicts: {} });
        await foreman.cancel({ credential, id });
        // Until its caller is heard of, the call keeps its slot.
        const heard = { request: id, token: 'token', attempt: 1, result: failure('unknown') };
        await foreman.settle({ ...heard, nextToken: null, verdicts: {} });
      },
    ],
    [
      'is deleted',
      ({ foreman, credential }, id) => foreman.remove({ credential, id, archived: null }),
    ],
    [
      'ends in the dead letters',
      ({ foreman }, id) => foreman.deadLetter({ request: id, release: 1 }),
    ],
    ['misses its deadline', expire],
  ];
  it.each(ends)('and %s leaves the work to the one that waited', async (_, end) => {
    const tenant = await newTenant({ max_running: 1 });
    const first = await same(tenant);
    const second = await same(tenant);
    await end(tenant, first);
    expect(await standingOf(tenant, second)).toEqual(['claim', null]);
    await succeed(tenant, second);
    expect(await standingOf(tenant, second)).toEqual(['succeeded', null]);
  });

  it.each(ends)('and %s has one follower make it and the others follow that', async (_, end) => {
    const tenant = await newTenant();
    const first = await same(tenant);
    const followers = [await same(tenant), await same(tenant), await same(tenant)] as const;
    const [heir, ...others] = followers;
    await end(tenant, first);
    expect(await standingOf(tenant, heir)).toEqual(['claim', null]);
    for (const id of others) expect(await standingOf(tenant, id)).toEqual(['request', null]);
    expect(await makersOf(tenant)).toEqual([heir]);
    const latest = await same(tenant);
    await succeed(tenant, heir);
    for (const id of [...others, latest]) {
      expect(await standingOf(tenant, id)).toEqual(['succeeded', heir]);
    }
  });

  it('is followed by the most urgent of those that waited', async () => {
    const tenant = await newTenant();
    const first = await same(tenant);
    const normal = await same(tenant);
    const urgent = await same(tenant, { priority: 'high' });
    await make(tenant, first, failure('rejected'));
    expect(await standingOf(tenant, urgent)).toEqual(['claim', null]);
    expect(await standingOf(tenant, normal)).toEqual(['request', null]);
    expect(await makersOf(tenant)).toEqual([urgent]);
  });

  it('may be followed by another that brings nothing', async () => {
    const tenant = await newTenant();
    const ids = [await same(tenant), await same(tenant), await same(tenant)] as const;
    await make(tenant, ids[0], failure('rejected'));
    await make(tenant, ids[1], failure('rejected'));
    expect(await standingOf(tenant, ids[2])).toEqual(['claim', null]);
    await succeed(tenant, ids[2]);
    expect(await standingOf(tenant, await same(tenant))).toEqual(['succeeded', ids[2]]);
  });

  it('and is followed by nobody is forgotten', async () => {
    const tenant = await newTenant();
    await make(tenant, await same(tenant), failure('rejected'));
    expect(await makersOf(tenant)).toEqual([]);
    expect(await standingOf(tenant, await same(tenant))).toEqual(['claim', null]);
  });

  it('and only pauses is still the one that makes it', async () => {
    const tenant = await newTenant();
    const first = await same(tenant);
    const second = await same(tenant);
    await make(tenant, first, failure('throttled', { retryAfterMs: 60_000 }));
    expect(await standingOf(tenant, first)).toEqual(['time', null]);
    expect(await standingOf(tenant, second)).toEqual(['request', null]);
    expect(await standingOf(tenant, await same(tenant))).toEqual(['request', null]);
  });
});

describe('a follower', () => {
  it.each<[string, (tenant: Tenant, id: RequestId) => Promise<unknown>, string]>([
    ['canceled', ({ foreman, credential }, id) => foreman.cancel({ credential, id }), 'canceled'],
    ['too late', expire, 'expired'],
  ])('that is %s ends alone', async (_, end, status) => {
    const tenant = await newTenant();
    const first = await same(tenant);
    const second = await same(tenant);
    const third = await same(tenant);
    await end(tenant, second);
    expect(await standingOf(tenant, second)).toEqual([status, null]);
    expect(await standingOf(tenant, first)).toEqual(['claim', null]);
    await succeed(tenant, first);
    expect(await standingOf(tenant, second)).toEqual([status, null]);
    expect(await standingOf(tenant, third)).toEqual(['succeeded', first]);
  });

  it('that is deleted takes nothing with it', async () => {
    const tenant = await newTenant();
    const { foreman, credential } = tenant;
    const [first, second] = [await same(tenant), await same(tenant)];
    await succeed(tenant, first);
    await foreman.remove({ credential, id: second, archived: null });
    expect(await standingOf(tenant, await same(tenant))).toEqual(['succeeded', first]);
  });

  it('has its own webhook, for each way to its output', async () => {
    const tenant = await newTenant();
    const webhook = (name: string) => ({
      webhook: { url: `https://hooks.example.com/${name}`, events: ['request.succeeded'] },
    });
    const first = await same(tenant, webhook('first'));
    await same(tenant, webhook('second'));
    await same(tenant);
    await succeed(tenant, first);
    await same(tenant, webhook('fourth'));
    const urls = await inForeman(tenant, (sql) =>
      sql.exec<Record<string, string>>('SELECT * FROM deliveries').toArray(),
    );
    const text = JSON.stringify(urls);
    expect(urls).toHaveLength(3);
    for (const name of ['first', 'second', 'fourth']) expect(text).toContain(`/${name}`);
  });

  it('counts among those that wait, and uses no image of the day', async () => {
    const tenant = await newTenant();
    const usage = () => usageOf(tenant);
    const first = await same(tenant);
    await same(tenant);
    expect(await usage()).toMatchObject({ running: 1, waiting: 1, unitsToday: 2 });
    await succeed(tenant, first);
    expect(await usage()).toMatchObject({ running: 0, waiting: 0, unitsToday: 1 });
    await same(tenant);
    expect(await usage()).toMatchObject({ running: 0, waiting: 0, unitsToday: 1 });
    expect(await usage()).toMatchObject({ spentMicros: 42_000, reservedMicros: 0 });
  });
});

describe('an output', () => {
  const gone: [string, (tenant: Tenant, id: RequestId) => Promise<unknown>][] = [
    [
      'whose request is deleted',
      ({ foreman, credential }, id) => foreman.remove({ credential, id, archived: null }),
    ],
    [
      'whose request is deleted after it has left for D1',
      async (tenant, id) => {
        const { foreman, credential } = tenant;
        const { version, reuseKey } = await stateOf(tenant, id);
        await leave(tenant, id);
        await foreman.remove({ credential, id, archived: { version, reuseKey } });
      },
    ],
    [
      'that has expired',
      (tenant) =>
        inForeman(tenant, (sql) => sql.exec('UPDATE reusable SET expires_at = 1').toArray()),
    ],
  ];

  it.each(gone)('%s is made anew', async (_, lose) => {
    const tenant = await newTenant();
    const first = await same(tenant);
    await succeed(tenant, first);
    await lose(tenant, first);
    const second = await same(tenant);
    expect(await standingOf(tenant, second)).toEqual(['claim', null]);
    expect(await standingOf(tenant, await same(tenant))).toEqual(['request', null]);
    await succeed(tenant, second);
    expect(await standingOf(tenant, await same(tenant))).toEqual(['succeeded', second]);
  });

  it.each([
    ['an hour is made anew', HOUR - 1_000, 'claim'],
    ['more than an hour is reused', HOUR + 60_000, 'succeeded'],
  ])('that lives for %s', async (_, lifeMs, expected) => {
    const tenant = await newTenant();
    await succeed(tenant, await same(tenant), lifeMs);
    expect((await standingOf(tenant, await same(tenant)))[0]).toBe(expected);
  });

  it('that has expired is forgotten by the alarm', async () => {
    const tenant = await newTenant();
    const first = await same(tenant);
    await succeed(tenant, first);
    await runAlarm(tenant);
    expect(await makersOf(tenant)).toEqual([first]);
    await inForeman(tenant, (sql) => sql.exec('UPDATE reusable SET expires_at = 1').toArray());
    await runAlarm(tenant);
    expect(await makersOf(tenant)).toEqual([]);
  });

  it('outlives the stay of its request in the object', async () => {
    const tenant = await newTenant();
    const first = await same(tenant);
    await succeed(tenant, first);
    await leave(tenant, first);
    expect(await standingOf(tenant, await same(tenant))).toEqual(['succeeded', first]);
  });
});

describe('an eviction of the object', () => {
  it('between the two changes nothing', async () => {
    const tenant = await newTenant();
    const first = await same(tenant);
    await evictDurableObject(tenant.stub);
    const second = await same(tenant);
    await evictDurableObject(tenant.stub);
    expect(await standingOf(tenant, second)).toEqual(['request', null]);
    await succeed(tenant, first);
    await evictDurableObject(tenant.stub);
    expect(await standingOf(tenant, second)).toEqual(['succeeded', first]);
    expect(await standingOf(tenant, await same(tenant))).toEqual(['succeeded', first]);
  });

  it('before the first fails leaves the work to the second', async () => {
    const tenant = await newTenant();
    const [first, second] = [await same(tenant), await same(tenant)];
    await evictDurableObject(tenant.stub);
    await make(tenant, first, failure('rejected'));
    await evictDurableObject(tenant.stub);
    expect(await standingOf(tenant, second)).toEqual(['claim', null]);
  });
});

/** D1 has confirmed it, and its hot time is over. */
async function leave(tenant: Tenant, id: RequestId): Promise<void> {
  const { version } = await stateOf(tenant, id);
  await inForeman(tenant, (sql) =>
    sql.exec('UPDATE requests SET projected_version = ? WHERE id = ?', version, id).toArray(),
  );
  await makeDue(tenant, id);
  const { credential } = tenant;
  expect(await tenant.foreman.read({ credential, id })).toEqual({ outcome: 'absent' });
}
