import { evictDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import type { RequestId } from '../../src/platform/ids';
import {
  accepted,
  by,
  inForeman,
  makeDue,
  newTenant,
  runAlarm,
  stateOf,
  type Tenant,
  usageOf,
} from '../support/foreman';
import { failure, success } from '../support/states';

/**
 * A request that no consumer of this test run takes: the queue's own message is for release 1, and
 * the test releases it again by hand.
 */
async function released(tenant: Tenant, overrides = {}): Promise<RequestId> {
  await tenant.foreman.changeAccount({ changes: { limits: { max_running: 0 } }, by });
  const id = await accepted(tenant, { model: 'sketch', ...overrides });
  await inForeman(tenant, (sql) => {
    const { state } = sql
      .exec<{ state: string }>('SELECT state FROM requests WHERE id = ?', id)
      .one();
    const held = JSON.parse(state);
    const wait = { for: 'claim', sentAt: Date.now(), sends: 1 };
    sql.exec(
      "UPDATE requests SET phase = 'claim', state = ? WHERE id = ?",
      JSON.stringify({ ...held, release: 7, wait }),
      id,
    );
  });
  await evictDurableObject(tenant.stub);
  return id;
}

/** Nothing speaks against a call to the targets that these tests use. */
const closed = { state: 'closed', blockedUntil: null, reason: null, pace: null } as const;
const verdicts = { 'openai/gpt-image-1': closed, 'chaos/chaos-flaky-1': closed };

async function claimed(tenant: Tenant, overrides = {}) {
  const id = await released(tenant, overrides);
  const answer = await tenant.foreman.claim({
    request: id,
    release: 7,
    token: 'token-1',
    verdicts,
  });
  if (answer.verdict !== 'run') throw new Error(`expected run: ${answer.verdict}`);
  return { id, token: answer.job.token };
}

describe('a claim', () => {
  it('is given once; the same message again is busy', async () => {
    const tenant = await newTenant();
    const id = await released(tenant);
    const message = { request: id, release: 7 };
    const answers = await Promise.all([
      tenant.foreman.claim({ ...message, token: 'one', verdicts: {} }),
      tenant.foreman.claim({ ...message, token: 'two', verdicts: {} }),
    ]);
    expect(answers.map((answer) => answer.verdict).sort()).toEqual(['busy', 'run']);
  });

  it('made again with its own token, because its answer got lost, has the same answer', async () => {
    const tenant = await newTenant();
    const message = { request: await released(tenant), release: 7, token: 'one', verdicts: {} };
    const first = await tenant.foreman.claim(message);
    expect(await tenant.foreman.claim(message)).toEqual(first);
  });

  it('of another release, or of an unknown request, is stale', async () => {
    const tenant = await newTenant();
    const id = await released(tenant);
    const unknown: RequestId = 'req_0zzzzzzzzzzzzzzzzzzzzzzzzzz';
    for (const message of [
      { request: id, release: 6, token: 't', verdicts: {} },
      { request: unknown, release: 1, token: 't', verdicts: {} },
    ]) {
      expect(await tenant.foreman.claim(message)).toEqual({ verdict: 'stale' });
    }
  });
});

describe('a settle', () => {
  it('twice with one token counts once, and has the same answer', async () => {
    const tenant = await newTenant();
    const { id, token } = await claimed(tenant);
    const settle = () =>
      tenant.foreman.settle({
        request: id,
        token,
        attempt: 1,
        result: success,
        nextToken: 'next',
        verdicts: {},
      });
    expect(await settle()).toMatchObject({ verdict: 'settled' });
    const before = await stateOf(tenant, id);
    expect(await settle()).toMatchObject({ verdict: 'settled' });
    expect(await stateOf(tenant, id)).toEqual(before);
  });

  it('that is made again, because its answer got lost, still hands over the next attempt', async () => {
    const tenant = await newTenant();
    const input = { model: 'auto' };
    const { id, token } = await claimed(tenant, input);
    const settle = () =>
      tenant.foreman.settle({
        request: id,
        token,
        attempt: 1,
        result: failure('failed'),
        nextToken: 'next',
        verdicts: {},
      });
    const first = await settle();
    expect(first).toMatchObject({ verdict: 'run', job: { token: 'next' } });
    expect(await settle()).toEqual(first);
  });

  it('after a cancel is stale and changes nothing', async () => {
    const tenant = await newTenant();
    const { id, token } = await claimed(tenant);
    await tenant.foreman.cancel({ credential: tenant.credential, id });
    const answer = await tenant.foreman.settle({
      request: id,
      token,
      attempt: 1,
      result: success,
      nextToken: 'next',
      verdicts: {},
    });
    expect(answer).toEqual({ verdict: 'stale', orphaned: true });
    expect((await stateOf(tenant, id)).status).toBe('canceled');
  });

  it('after a deletion is stale', async () => {
    const tenant = await newTenant();
    const { id, token } = await claimed(tenant);
    await tenant.foreman.remove({ credential: tenant.credential, id, archived: null });
    const answer = await tenant.foreman.settle({
      request: id,
      token,
      attempt: 1,
      result: success,
      nextToken: 'next',
      verdicts: {},
    });
    expect(answer).toEqual({ verdict: 'stale', orphaned: true });
  });

  it('holds back a paid attempt’s price and then charges what it cost', async () => {
    const tenant = await newTenant({ monthly_budget_usd: 1 });
    const { id, token } = await claimed(tenant, { model: 'gpt-image-1' });
    const during = await usageOf(tenant);
    expect(during).toMatchObject({ reservedMicros: 250_000, spentMicros: 0 });
    const result = { ...success, costMicros: 40_000 };
    await tenant.foreman.settle({
      request: id,
      token,
      attempt: 1,
      result,
      nextToken: 'next',
      verdicts: {},
    });
    const after = await usageOf(tenant);
    expect(after).toMatchObject({ reservedMicros: 0, spentMicros: 40_000 });
  });

  it('of a failure waits for a time without a slot, and asks for one when it has come', async () => {
    const tenant = await newTenant();
    const { id, token } = await claimed(tenant);
    await tenant.foreman.settle({
      request: id,
      token,
      attempt: 1,
      // Longer than any machine may take to look.
      result: failure('failed', { retryAfterMs: 60_000 }),
      nextToken: 'next',
      verdicts: {},
    });
    expect(await stateOf(tenant, id)).toMatchObject({ status: 'queued', wait: { for: 'time' } });
    expect(await usageOf(tenant)).toMatchObject({ running: 0 });
    await inForeman(tenant, (sql) => {
      sql.exec(
        `UPDATE requests SET due_at = 1, state = json_set(state, '$.wait.until', 0) WHERE id = ?`,
        id,
      );
    });
    await runAlarm(tenant);
    expect(await stateOf(tenant, id)).toMatchObject({ wait: { for: 'slot' } });
  });
});

describe('a lease', () => {
  it('is renewed by its token only', async () => {
    const tenant = await newTenant();
    const { id, token } = await claimed(tenant);
    const claims = [
      { request: id, token },
      { request: id, token: 'another' },
    ];
    expect(await tenant.foreman.renew(claims)).toEqual({ stale: ['another'] });
  });

  it('survives the eviction of the foreman: it is extended on construction', async () => {
    const tenant = await newTenant();
    const { id, token } = await claimed(tenant);
    await evictDurableObject(tenant.stub);
    await runAlarm(tenant);
    expect((await stateOf(tenant, id)).status).toBe('running');
    expect(await tenant.foreman.renew([{ request: id, token }])).toEqual({ stale: [] });
  });
});

describe('the grace of a lease', () => {
  const graces = (tenant: Tenant) =>
    inForeman(tenant, (sql) => sql.exec('SELECT token FROM lease_grace').toArray());

  it('is given once: a caller that stays away is lost, however often the object wakes', async () => {
    const tenant = await newTenant();
    const { id, token } = await claimed(tenant);
    await evictDurableObject(tenant.stub);
    expect(await graces(tenant)).toEqual([{ token }]);
    await inForeman(tenant, (sql) => {
      sql.exec('UPDATE lease_grace SET until = 1');
    });
    await evictDurableObject(tenant.stub);
    await runAlarm(tenant);
    expect((await stateOf(tenant, id)).attempts).toMatchObject([
      { outcome: 'unknown', error: { code: 'lease_lost' } },
    ]);
    expect(await graces(tenant)).toEqual([]);
  });

  it('ends with a sign of life, and is given again after the next restart', async () => {
    const tenant = await newTenant();
    const { id, token } = await claimed(tenant);
    await evictDurableObject(tenant.stub);
    expect(await tenant.foreman.renew([{ request: id, token }])).toEqual({ stale: [] });
    expect(await graces(tenant)).toEqual([]);
    await evictDurableObject(tenant.stub);
    expect(await graces(tenant)).toEqual([{ token }]);
  });
});

describe('a wake-up that nobody confirmed', () => {
  it('is sent again under the same release number', async () => {
    const tenant = await newTenant();
    const id = await released(tenant);
    await makeDue(tenant, id);
    const state = await stateOf(tenant, id);
    // The message that was sent again has been claimed, or waits for its consumer.
    expect(state.release).toBe(7);
    if (state.status === 'queued') expect(state.wait).toMatchObject({ for: 'claim', sends: 2 });
  });
});

describe('a deadline', () => {
  it('expires a request that waits, and one that runs', async () => {
    const tenant = await newTenant();
    const { id: running } = await claimed(tenant);
    const waiting = await accepted(tenant);
    await inForeman(tenant, (sql) => {
      sql.exec("UPDATE requests SET due_at = 1, state = json_set(state, '$.deadlineAt', 1)");
    });
    await runAlarm(tenant);
    expect((await stateOf(tenant, waiting)).status).toBe('expired');
    const { status, attempts } = await stateOf(tenant, running);
    expect(status).toBe('expired');
    expect(attempts).toMatchObject([{ outcome: 'unknown', error: { code: 'deadline_exceeded' } }]);
  });
});

describe('a dead letter', () => {
  it('ends the current release, and no other', async () => {
    const tenant = await newTenant();
    const id = await released(tenant);
    const { foreman } = tenant;
    expect(await foreman.deadLetter({ request: id, release: 6 })).toEqual({ settled: false });
    expect(await foreman.deadLetter({ request: id, release: 7 })).toEqual({ settled: true });
    expect(await stateOf(tenant, id)).toMatchObject({
      status: 'failed',
      error: { code: 'dead_lettered' },
    });
  });
});
