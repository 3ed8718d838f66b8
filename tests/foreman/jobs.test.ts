import { evictDurableObject } from 'cloudflare:test';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadUsage } from '../../src/accounts/limits';
import type { JobProgress, RequestId, Running } from '../../src/requests/types';
import {
  accepted,
  by,
  inForeman,
  makeDue,
  newTenant,
  runAlarm,
  stateOf,
  type Tenant,
} from '../support/foreman';
import { failure, success } from '../support/states';
import { faults, resetFaults } from '../support/worker';

// Wake-ups are lost here: what consumers do, the tests do by hand.
beforeEach(() => {
  faults.generation = 'swallow';
});
afterEach(resetFaults);

const closed = { state: 'closed', blockedUntil: null, reason: null, pace: null } as const;
const verdicts = { 'openai/gpt-image-1': closed };
const progress = (overrides: Partial<JobProgress> = {}): JobProgress => ({
  handle: { id: 'job-1' },
  providerRequestId: null,
  warnings: [],
  queue: null,
  checkAfterMs: 60_000,
  ...overrides,
});

/** Running under `token-1`; no consumer of this test run knows its release. */
async function claimed(tenant: Tenant): Promise<RequestId> {
  await tenant.foreman.changeAccount({ changes: { limits: { max_running: 0 } }, by });
  const id = await accepted(tenant, { model: 'gpt-image-1' });
  await inForeman(tenant, (sql) => {
    const { state } = sql
      .exec<{ state: string }>('SELECT state FROM requests WHERE id = ?', id)
      .one();
    const wait = { for: 'claim', sentAt: Date.now(), sends: 1 };
    const held = JSON.stringify({ ...JSON.parse(state), release: 7, wait });
    sql.exec("UPDATE requests SET phase = 'claim', state = ? WHERE id = ?", held, id);
  });
  await evictDurableObject(tenant.stub);
  const message = { request: id, release: 7, token: 'token-1', verdicts };
  const answer = await tenant.foreman.claim(message);
  if (answer.verdict !== 'run') throw new Error(`expected run: ${answer.verdict}`);
  return id;
}

const keep = (
  tenant: Tenant,
  request: RequestId,
  of: Partial<JobProgress> = {},
  token = 'token-1',
) =>
  tenant.foreman.keepJob({
    userId: tenant.userId,
    request,
    token,
    attempt: 1,
    provider: 'openai',
    model: 'gpt-image-1',
    correlationId: 'correlation-1',
    progress: progress(of),
  });

const abandonedOf = (tenant: Tenant) =>
  inForeman(tenant, (sql) =>
    sql.exec<{ token: string; sends: number }>('SELECT token, sends FROM abandoned_jobs').toArray(),
  );

describe('a handle', () => {
  it('is in the foreman before anybody waits, and outlives the object', async () => {
    const tenant = await newTenant();
    const id = await claimed(tenant);
    expect(await keep(tenant, id)).toEqual({ verdict: 'kept' });
    await evictDurableObject(tenant.stub);
    const state = (await stateOf(tenant, id)) as Running;
    expect(state.current.job?.handle).toEqual({ id: 'job-1' });
  });

  it('is handed to the one consumer that claims its release, with its attempt', async () => {
    const tenant = await newTenant();
    const id = await claimed(tenant);
    await keep(tenant, id, { checkAfterMs: 0 });
    await makeDue(tenant, id);
    const { release } = await stateOf(tenant, id);
    expect(release).toBe(8);
    const claim = (token: string) =>
      tenant.foreman.claim({ request: id, release, token, verdicts: {} });
    const answers = [await claim('token-2'), await claim('token-3')];
    expect(answers[0]).toMatchObject({
      verdict: 'run',
      job: { state: { current: { number: 1, job: { handle: { id: 'job-1' } } } } },
    });
    expect(answers[1]).toEqual({ verdict: 'busy' });
  });

  it('whose consumer dies is asked for again, and the attempt goes on', async () => {
    const tenant = await newTenant();
    const id = await claimed(tenant);
    await keep(tenant, id, { checkAfterMs: null });
    await evictDurableObject(tenant.stub);
    await inForeman(tenant, (sql) => sql.exec('UPDATE lease_grace SET until = 1').toArray());
    await evictDurableObject(tenant.stub);
    await runAlarm(tenant);
    const state = (await stateOf(tenant, id)) as Running;
    expect(state.attempts).toEqual([]);
    expect(state.current.job?.wait).toMatchObject({ for: 'claim' });
  });

  it('holds the budget once, however often its job is asked for', async () => {
    const tenant = await newTenant({ monthly_budget_usd: 1 });
    const id = await claimed(tenant);
    const reserved = () => inForeman(tenant, (sql) => loadUsage(sql)?.reservedMicros);
    await keep(tenant, id, { checkAfterMs: 0 });
    const before = await reserved();
    await makeDue(tenant, id);
    const { release } = await stateOf(tenant, id);
    await tenant.foreman.claim({ request: id, release, token: 'token-2', verdicts: {} });
    expect(before).toBeGreaterThan(0);
    expect(await reserved()).toEqual(before);
  });

  it('a provider’s call makes due at once', async () => {
    const tenant = await newTenant();
    const id = await claimed(tenant);
    await keep(tenant, id);
    await tenant.foreman.nudge({ request: id, attempt: 1 });
    const state = (await stateOf(tenant, id)) as Running;
    expect(state.current.job?.wait).toMatchObject({ for: 'claim' });
  });
});

describe('two who ask for one job', () => {
  /** The first has been released: a second has claimed the same attempt. */
  async function takenOver(tenant: Tenant): Promise<RequestId> {
    const id = await claimed(tenant);
    await keep(tenant, id, { checkAfterMs: 0 });
    await makeDue(tenant, id);
    const { release } = await stateOf(tenant, id);
    await tenant.foreman.claim({ request: id, release, token: 'token-2', verdicts: {} });
    return id;
  }

  it('the first is stale, and cancels nothing', async () => {
    const tenant = await newTenant();
    const id = await takenOver(tenant);
    expect(await keep(tenant, id)).toEqual({ verdict: 'stale' });
    expect(await abandonedOf(tenant)).toEqual([]);
  });

  it('what the first has stored is the second’s as well, and stays', async () => {
    const tenant = await newTenant();
    const id = await takenOver(tenant);
    const settle = (token: string) =>
      tenant.foreman.settle({
        request: id,
        token,
        attempt: 1,
        result: success,
        nextToken: null,
        verdicts: {},
      });
    expect(await settle('token-1')).toEqual({ verdict: 'stale', orphaned: false });
    expect(await settle('token-2')).toMatchObject({ verdict: 'settled' });
    expect(await settle('token-1')).toEqual({ verdict: 'stale', orphaned: false });
    expect(await keep(tenant, id)).toEqual({ verdict: 'stale' });
    expect(await abandonedOf(tenant)).toEqual([]);
  });
});

describe('a job that nobody wants any more', () => {
  it('is one that took too long: its attempt ends unknown, and it is canceled', async () => {
    const tenant = await newTenant();
    const id = await claimed(tenant);
    await keep(tenant, id, { checkAfterMs: null });
    const result = failure('unknown', { possiblyBilled: true });
    const settled = { request: id, token: 'token-1', attempt: 1, nextToken: null, verdicts: {} };
    await tenant.foreman.settle({ ...settled, result });
    expect(await abandonedOf(tenant)).toHaveLength(1);
  });

  it('is remembered when its request is canceled, until somebody has canceled it', async () => {
    const tenant = await newTenant();
    const id = await claimed(tenant);
    await keep(tenant, id);
    await tenant.foreman.cancel({ credential: tenant.credential, id });
    expect(await abandonedOf(tenant)).toEqual([{ token: 'token-1', sends: 1 }]);
    expect(await tenant.foreman.claimAbandoned('token-1')).toMatchObject({
      provider: 'openai',
      handle: { id: 'job-1' },
    });
    await tenant.foreman.forgetAbandoned('token-1');
    expect(await abandonedOf(tenant)).toEqual([]);
  });

  it('is remembered when the request was canceled while its call ran', async () => {
    const tenant = await newTenant();
    const id = await claimed(tenant);
    await tenant.foreman.cancel({ credential: tenant.credential, id });
    expect(await keep(tenant, id)).toEqual({ verdict: 'stale' });
    expect(await abandonedOf(tenant)).toHaveLength(1);
    expect(await keep(tenant, id)).toEqual({ verdict: 'stale' });
    expect(await abandonedOf(tenant)).toHaveLength(1);
  });

  it('is remembered when the request was deleted meanwhile', async () => {
    const tenant = await newTenant();
    const id = await claimed(tenant);
    await tenant.foreman.remove({ credential: tenant.credential, id, archived: null });
    expect(await keep(tenant, id)).toEqual({ verdict: 'stale' });
    expect(await abandonedOf(tenant)).toHaveLength(1);
  });

  it('is not one that has been settled: its late news cancel nothing', async () => {
    const tenant = await newTenant();
    const id = await claimed(tenant);
    await keep(tenant, id, { checkAfterMs: null });
    await tenant.foreman.settle({
      request: id,
      token: 'token-1',
      attempt: 1,
      result: success,
      nextToken: null,
      verdicts: {},
    });
    expect(await keep(tenant, id)).toEqual({ verdict: 'stale' });
    expect(await abandonedOf(tenant)).toEqual([]);
  });

  it('is sent for again until that is done, and not for ever', async () => {
    const tenant = await newTenant();
    const id = await claimed(tenant);
    await keep(tenant, id);
    await tenant.foreman.cancel({ credential: tenant.credential, id });
    const due = () =>
      inForeman(tenant, (sql) => sql.exec('UPDATE abandoned_jobs SET due_at = 1').toArray());
    await due();
    await runAlarm(tenant);
    await expect.poll(() => abandonedOf(tenant)).toEqual([{ token: 'token-1', sends: 2 }]);
    await inForeman(tenant, (sql) => sql.exec('UPDATE abandoned_jobs SET sends = 7').toArray());
    await due();
    await runAlarm(tenant);
    await expect.poll(() => abandonedOf(tenant)).toEqual([]);
  });
});
