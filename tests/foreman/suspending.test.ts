import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as tenancy from '../../src/accounts/tenancy';
import type { Foreman } from '../../src/foreman/object';
import { endIdle } from '../../src/foreman/suspending';
import type { RequestId, RequestState } from '../../src/requests/types';
import { onDesk } from '../support/desk';
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
import { equal, same, sameMany } from '../support/reuse';
import { failure, success } from '../support/states';
import { faults, resetFaults } from '../support/worker';

// Messages are lost here: what consumers do, the tests do by hand.
beforeEach(() => {
  Object.assign(faults, { generation: 'swallow', webhooks: 'swallow' });
});
afterEach(() => {
  resetFaults();
  vi.restoreAllMocks();
});

const roomy = { burst: 1_000, max_waiting: 1_000, images_per_day: 1_000 };
const closed = { state: 'closed', blockedUntil: null, reason: null, pace: null } as const;
const verdicts = { 'openai/gpt-image-1': closed };
const ended = { status: 'canceled', error: { code: 'account_suspended' } };

const turn = ({ foreman }: Tenant, status: tenancy.StatusChange) =>
  foreman.changeStatus({ status, by });

/** From the row: whoever is suspended may not read. */
const stored = (tenant: Tenant, id: RequestId) =>
  inForeman(tenant, (sql): RequestState => {
    const [row] = sql.exec<{ state: string }>('SELECT state FROM requests WHERE id = ?', id);
    return JSON.parse(row?.state ?? 'null');
  });

const waiting = (tenant: Tenant) =>
  inForeman(
    tenant,
    (sql) => sql.exec<{ n: number }>('SELECT count(*) AS n FROM requests WHERE live = 1').one().n,
  );

async function claim(tenant: Tenant, id: RequestId, token = 'token-1', release = 1) {
  return tenant.foreman.claim({ request: id, release, token, verdicts });
}

/** Under `token-1`. */
async function called(tenant: Tenant, overrides = {}): Promise<RequestId> {
  const id = await accepted(tenant, { model: 'gpt-image-1', ...overrides });
  expect(await claim(tenant, id)).toMatchObject({ verdict: 'run' });
  return id;
}

const settle = (tenant: Tenant, id: RequestId, result: Parameters<typeof failure>[0] | 'success') =>
  tenant.foreman.settle({
    ...{ request: id, token: 'token-1', attempt: 1, nextToken: 'token-2', verdicts },
    result: result === 'success' ? success : failure(result, { possiblyBilled: true }),
  });

describe('what waits when its account is suspended', () => {
  it.each(['slot', 'claim', 'time', 'request'])('for a %s is canceled', async (phase) => {
    const tenant = await newTenant({ max_running: phase === 'slot' ? 0 : 1 });
    if (phase === 'request') await called(tenant, equal);
    const id = phase === 'request' ? await same(tenant) : await accepted(tenant);
    if (phase === 'time') {
      const wait = { for: 'time', until: Date.now() + 60_000, reason: 'backoff' };
      await inForeman(tenant, (sql) => {
        sql.exec(
          "UPDATE requests SET phase = 'time', state = json_set(state, '$.wait', json(?))",
          JSON.stringify(wait),
        );
      });
      await evictDurableObject(tenant.stub);
    }
    expect(await stored(tenant, id)).toMatchObject({ status: 'queued', wait: { for: phase } });
    await turn(tenant, 'suspended');
    await runAlarm(tenant);
    const state = await stored(tenant, id);
    expect(state).toMatchObject({ ...ended, error: { details: { retryable: true } } });
    expect(state.events.at(-1)?.type).toBe('request.canceled');
  });

  it('counts as nothing: its images are given back, and no slot is held', async () => {
    const tenant = await newTenant({ max_running: 1 });
    await accepted(tenant);
    await accepted(tenant);
    await turn(tenant, 'suspended');
    await runAlarm(tenant);
    await turn(tenant, 'active');
    expect(await usageOf(tenant)).toMatchObject({ running: 0, waiting: 0, unitsToday: 0 });
  });

  it('is not called for by a consumer that comes before its end', async () => {
    const tenant = await newTenant();
    const id = await accepted(tenant, { model: 'gpt-image-1' });
    await onDesk(tenant, (desk) => tenancy.changeStatus(desk, 'suspended', by));
    expect(await claim(tenant, id)).toEqual({ verdict: 'later' });
    expect(await stored(tenant, id)).toMatchObject({ ...ended, attempts: [] });
  });

  it('goes on if the account is resumed before its end', async () => {
    const tenant = await newTenant({ max_running: 0 });
    const id = await accepted(tenant);
    await onDesk(tenant, (desk) => tenancy.changeStatus(desk, 'suspended', by));
    await turn(tenant, 'active');
    await runAlarm(tenant);
    expect(await stateOf(tenant, id)).toMatchObject({ status: 'queued' });
  });

  it('ends by the hundred, followers first, and by itself after an eviction in the middle', async () => {
    const tenant = await newTenant({ ...roomy, max_running: 0 });
    const [maker = ''] = await sameMany(tenant, 150);
    await accepted(tenant);
    await onDesk(tenant, (desk) => {
      tenancy.changeStatus(desk, 'suspended', by);
      const endNow = (work: () => void) => {
        work();
        return true;
      };
      endIdle(desk, endNow);
    });
    expect(await waiting(tenant)).toBe(51);
    expect(await stored(tenant, maker as RequestId)).toMatchObject({ status: 'queued' });
    await evictDurableObject(tenant.stub);
    await tenant.foreman.getAccount();
    await vi.waitFor(async () => expect(await waiting(tenant)).toBe(0), { timeout: 5_000 });
  });

  it('ends beside one that cannot be read, which does not keep the alarm busy', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    const tenant = await newTenant({ max_running: 0 });
    const ids = [await accepted(tenant), await accepted(tenant), await accepted(tenant)] as const;
    await inForeman(tenant, (sql) => {
      sql.exec("UPDATE requests SET state = '{' WHERE id = ?", ids[1]);
    });
    await turn(tenant, 'suspended');
    await runAlarm(tenant);
    expect(await stored(tenant, ids[0])).toMatchObject(ended);
    expect(await stored(tenant, ids[2])).toMatchObject(ended);
    const alarmAt = await runInDurableObject(tenant.stub, (_: Foreman, { storage }) =>
      storage.getAlarm(),
    );
    expect(alarmAt).toBeGreaterThan(Date.now());
  });
});

describe('a call that runs when its account is suspended', () => {
  it('and succeeds is stored and charged, and nothing follows it', async () => {
    const tenant = await newTenant({ max_running: 1 });
    const id = await called(tenant);
    const next = await accepted(tenant);
    await turn(tenant, 'suspended');
    await runAlarm(tenant);
    expect(await stored(tenant, id)).toMatchObject({ status: 'running' });
    expect(await settle(tenant, id, 'success')).toMatchObject({ verdict: 'settled' });
    expect(await stored(tenant, id)).toMatchObject({ status: 'succeeded' });
    expect(await stored(tenant, next)).toMatchObject(ended);
    await turn(tenant, 'active');
    expect(await usageOf(tenant)).toMatchObject({ spentMicros: 42_000, reservedMicros: 0 });
  });

  it('and fails is not made again: what it may have cost is charged', async () => {
    const tenant = await newTenant();
    const id = await called(tenant);
    await turn(tenant, 'suspended');
    expect(await settle(tenant, id, 'failed')).toMatchObject({ verdict: 'settled' });
    expect(await stored(tenant, id)).toMatchObject({ ...ended, attempts: [{ outcome: 'failed' }] });
    await turn(tenant, 'active');
    expect((await usageOf(tenant)).spentMicros).toBeGreaterThan(0);
  });

  it('and ends for good by itself ends as it would have', async () => {
    const tenant = await newTenant();
    const id = await called(tenant);
    await turn(tenant, 'suspended');
    await settle(tenant, id, 'refused');
    expect(await stored(tenant, id)).toMatchObject({ status: 'failed' });
  });

  it('and whose lease is lost is not made again', async () => {
    const tenant = await newTenant();
    const id = await called(tenant);
    await turn(tenant, 'suspended');
    const now = Date.now();
    vi.spyOn(Date, 'now').mockReturnValue(now + 16_000);
    await runAlarm(tenant);
    expect(await stored(tenant, id)).toMatchObject({
      ...ended,
      attempts: [{ outcome: 'unknown', possiblyBilled: true }],
    });
  });

  it('as a job at the provider is asked for until it has ended', async () => {
    const tenant = await newTenant();
    const id = await called(tenant);
    const target = { provider: 'openai', model: 'gpt-image-1' };
    await tenant.foreman.keepJob({
      ...{ userId: tenant.userId, request: id, token: 'token-1', attempt: 1, ...target },
      correlationId: 'correlation-1',
      progress: {
        ...{ handle: { id: 'job-1' }, providerRequestId: null, warnings: [], queue: null },
        checkAfterMs: 0,
      },
    });
    await turn(tenant, 'suspended');
    await makeDue(tenant, id);
    const { release } = await stored(tenant, id);
    expect(await claim(tenant, id, 'token-1', release)).toMatchObject({ verdict: 'run' });
    await settle(tenant, id, 'success');
    expect(await stored(tenant, id)).toMatchObject({ status: 'succeeded' });
  });
});

describe('a suspended account', () => {
  it('gives slots to nobody, and at once again when it is resumed', async () => {
    const tenant = await newTenant({ max_running: 0 });
    const id = await accepted(tenant);
    await onDesk(tenant, (desk) => tenancy.changeStatus(desk, 'suspended', by));
    await tenant.foreman.changeAccount({ changes: { limits: { max_running: 1 } }, by });
    await runAlarm(tenant);
    expect(await stored(tenant, id)).toMatchObject({ ...ended, release: 0 });
    await turn(tenant, 'active');
    const next = await accepted(tenant);
    expect(await stateOf(tenant, next)).toMatchObject({ status: 'queued', wait: { for: 'claim' } });
  });

  it('changes its limits and its name like any other', async () => {
    const tenant = await newTenant();
    await turn(tenant, 'suspended');
    const changes = { name: 'later', limits: { burst: 3 } };
    expect(await tenant.foreman.changeAccount({ changes, by })).toMatchObject({
      ...{ name: 'later', status: 'suspended', limits: { burst: 3 } },
    });
  });
});
