import { evictDurableObject } from 'cloudflare:test';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Desk } from '../../src/foreman/desk';
import * as intake from '../../src/foreman/intake';
import * as work from '../../src/foreman/work';
import type { AttemptResult, RequestId } from '../../src/requests/types';
import { onDesk } from '../support/desk';
import {
  accepted,
  inForeman,
  newSpec,
  newTenant,
  stateOf,
  type Tenant,
  usageOf,
} from '../support/foreman';
import {
  equal,
  make,
  makersOf,
  outputOf,
  same,
  sameMany,
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

const CROWD = 250;
const TOLD_AT_ONCE = 100;
const crowded = { burst: 1_000, max_waiting: 1_000, images_per_day: 1_000 };

const refused = failure('refused', { error: { code: 'moderation', message: 'not this' } });

/** A first request and many that wait for it. */
async function crowd(): Promise<{ tenant: Tenant; first: RequestId; followers: RequestId[] }> {
  const tenant = await newTenant({ ...crowded, max_running: 1 });
  const first = await same(tenant);
  return { tenant, first, followers: await sameMany(tenant, CROWD) };
}

const countOf = (sql: SqlStorage, phase: string) =>
  sql.exec<{ count: number }>('SELECT count(*) AS count FROM requests WHERE phase = ?', phase).one()
    .count;
const countIn = (tenant: Tenant, phase: string) => inForeman(tenant, (sql) => countOf(sql, phase));

const statesOf = (tenant: Tenant) =>
  inForeman(tenant, (sql) => {
    const rows = sql.exec<{ id: RequestId; state: string }>('SELECT id, state FROM requests');
    return new Map([...rows].map(({ id, state }) => [id, state]));
  });

/** When followers are to be told, for each key. */
const tellingOf = (tenant: Tenant) =>
  inForeman(tenant, (sql) =>
    sql.exec<{ at: number | null }>('SELECT tell_at AS at FROM reusable').toArray(),
  );

/** One call, made and settled with nothing in between and nothing after. */
function makeOn(desk: Desk, id: RequestId, result: AttemptResult): void {
  const token = 'token';
  work.claim(desk, { request: id, release: 1, token, verdicts: {} });
  work.settle(desk, { request: id, token, attempt: 1, result, nextToken: null, verdicts: {} });
}
const succeedOn = (desk: Desk, id: RequestId) => makeOn(desk, id, successWith(outputOf(id)));

describe('many followers', () => {
  it('are told a hundred at a time, the others by the alarm, even after an eviction', async () => {
    const { tenant, first, followers } = await crowd();
    const untold = await onDesk(tenant, (desk) => {
      succeedOn(desk, first);
      return countOf(desk.sql, 'request');
    });
    expect(untold).toBe(CROWD - TOLD_AT_ONCE);
    await evictDurableObject(tenant.stub);
    await expect.poll(() => countIn(tenant, 'request')).toBe(0);
    for (const id of followers) {
      expect(await standingOf(tenant, id)).toEqual(['succeeded', first]);
    }
  });

  it('leave nothing for the alarm to do once all are told', async () => {
    const { tenant, first } = await crowd();
    await succeed(tenant, first);
    await expect.poll(() => tellingOf(tenant)).toEqual([{ at: null }]);
    expect(await countIn(tenant, 'request')).toBe(0);
  });

  it('are not written when another becomes the one that makes it', async () => {
    const { tenant, first, followers } = await crowd();
    const [heir] = followers;
    const before = await statesOf(tenant);
    await make(tenant, first, failure('rejected'));
    const after = await statesOf(tenant);
    const changed = [...after.keys()].filter((id) => before.get(id) !== after.get(id));
    expect(new Set(changed)).toEqual(new Set([first, heir]));
    expect(await makersOf(tenant)).toEqual([heir]);
  });

  it('have one of them make it when the output is deleted before they are told', async () => {
    const { tenant, first, followers } = await crowd();
    const { credential } = tenant;
    await onDesk(tenant, (desk) => {
      succeedOn(desk, first);
      intake.remove(desk, { credential, id: first, archived: null });
    });
    await evictDurableObject(tenant.stub);
    const [heir] = await makersOf(tenant);
    expect(heir).toBe(followers[TOLD_AT_ONCE]);
    if (!heir) throw new Error('expected an heir');
    await succeed(tenant, heir);
    expect(await standingOf(tenant, heir)).toEqual(['succeeded', null]);
    const last = followers.at(-1) ?? heir;
    await expect.poll(() => standingOf(tenant, last)).toEqual(['succeeded', heir]);
  });

  it('of whom one cannot be told are tried again a minute later', async () => {
    const { tenant, first, followers } = await crowd();
    const broken = followers.at(-1) ?? first;
    const now = await onDesk(tenant, (desk) => {
      succeedOn(desk, first);
      const cut = "UPDATE requests SET state = json_remove(state, '$.events') WHERE id = ?";
      desk.sql.exec(cut, broken);
      return desk.now;
    });
    await evictDurableObject(tenant.stub);
    const toldAt = async () => (await tellingOf(tenant))[0]?.at;
    await expect.poll(toldAt).toBeGreaterThanOrEqual(now + 60_000);
    expect(await countIn(tenant, 'request')).toBe(CROWD % TOLD_AT_ONCE);
  });
});

describe('a refusal', () => {
  it('is shared by all that waited, without a call and at no cost', async () => {
    const tenant = await newTenant();
    const first = await same(tenant);
    const followers = [await same(tenant), await same(tenant)];
    await make(tenant, first, refused);
    const made = await stateOf(tenant, first);
    expect(made).toMatchObject({ status: 'failed', error: { code: 'content_refused' } });
    for (const id of followers) {
      const state = await stateOf(tenant, id);
      expect(state).toMatchObject({ status: 'failed', attempts: [], reusedFrom: first });
      expect('error' in state && state.error).toEqual('error' in made && made.error);
    }
    const me = await usageOf(tenant);
    expect(me).toMatchObject({ unitsToday: 0, spentMicros: 0, waiting: 0 });
  });

  it('is forgotten when all are told: who asks again is asked for again', async () => {
    const tenant = await newTenant();
    const first = await same(tenant);
    await same(tenant);
    await make(tenant, first, refused);
    expect(await makersOf(tenant)).toEqual([]);
    expect(await standingOf(tenant, await same(tenant))).toEqual(['claim', null]);
  });

  it('is shared by those who come while others have yet to be told', async () => {
    const { tenant, first } = await crowd();
    const { credential, userId } = tenant;
    const late = newSpec(userId, equal);
    await onDesk(tenant, (desk) => {
      makeOn(desk, first, refused);
      const rest = { credential, warnings: [], fingerprint: 'fingerprint' };
      const answer = intake.submit(desk, { ...rest, spec: late });
      expect(answer).toMatchObject({ state: { status: 'queued', wait: { for: 'request' } } });
    });
    await evictDurableObject(tenant.stub);
    await expect.poll(() => countIn(tenant, 'request')).toBe(0);
    expect(await standingOf(tenant, late.id)).toEqual(['failed', first]);
    expect(await makersOf(tenant)).toEqual([]);
  });
});

describe('an urgent follower', () => {
  /** One that runs, and two that wait for its slot: a low one, and a normal one before it. */
  async function backlog() {
    const tenant = await newTenant({ max_running: 1 });
    const running = await accepted(tenant);
    const low = await same(tenant, { priority: 'low' });
    const normal = await accepted(tenant);
    return { tenant, running, low, normal };
  }
  const positionOf = async ({ foreman, credential }: Tenant, id: RequestId) => {
    const answer = await foreman.read({ credential, id });
    return answer.outcome === 'found' ? answer.position : null;
  };

  it('takes the one that it waits for with it to the front', async () => {
    const { tenant, running, low, normal } = await backlog();
    expect([await positionOf(tenant, normal), await positionOf(tenant, low)]).toEqual([2, 3]);
    await same(tenant, { priority: 'high' });
    expect([await positionOf(tenant, low), await positionOf(tenant, normal)]).toEqual([1, 3]);
    await tenant.foreman.cancel({ credential: tenant.credential, id: running });
    expect(await standingOf(tenant, low)).toEqual(['claim', null]);
    expect(await standingOf(tenant, normal)).toEqual(['slot', null]);
  });

  it('has done so after an eviction of the object, too', async () => {
    const { tenant, running, low } = await backlog();
    await same(tenant, { priority: 'high' });
    await evictDurableObject(tenant.stub);
    await tenant.foreman.cancel({ credential: tenant.credential, id: running });
    expect(await standingOf(tenant, low)).toEqual(['claim', null]);
  });

  it('that is not more urgent changes no order', async () => {
    const { tenant, low, normal } = await backlog();
    await same(tenant, { priority: 'low' });
    expect([await positionOf(tenant, normal), await positionOf(tenant, low)]).toEqual([2, 3]);
  });
});
