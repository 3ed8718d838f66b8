import { beforeEach, describe, expect, it } from 'vitest';
import { newId, type RequestId } from '../../src/platform/ids';
import type { RequestSpec, RequestState } from '../../src/requests/types';
import {
  accepted,
  by,
  inForeman,
  newTenant,
  stateOf,
  type Tenant,
  usageOf,
} from '../support/foreman';
import { faults, resetFaults } from '../support/worker';

const newAs = () => ({ id: newId('req', Date.now()), createdAt: Date.now() });
const revive = (
  tenant: Tenant,
  request: RequestId,
  as = newAs(),
  archived: RequestState | null = null,
) => tenant.foreman.revive({ request, release: 1, as, archived });

/** Its one release was lost, and the queue has given up on it. */
async function deadLettered(tenant: Tenant, overrides: Partial<RequestSpec> = {}) {
  const id = await accepted(tenant, overrides);
  await tenant.foreman.deadLetter({ request: id, release: 1 });
  const state = await stateOf(tenant, id);
  if (state.status !== 'failed') throw new Error(`expected failed: ${state.status}`);
  return state;
}

beforeEach(() => {
  resetFaults();
  faults.generation = 'swallow';
});

describe('reviving', () => {
  it('makes a dead-lettered request again, as a new one of its owner, and leaves the old as it is', async () => {
    const tenant = await newTenant({ max_running: 5 });
    const old = await deadLettered(tenant, {
      metadata: { a: 'b' },
      idempotencyKey: 'k',
      reuseKey: 'r',
    });
    const as = newAs();
    expect(await revive(tenant, old.id, as)).toEqual({ outcome: 'revived', request: as.id });
    const made = await stateOf(tenant, as.id);
    expect(made).toMatchObject({
      userId: tenant.userId,
      model: old.model,
      input: old.input,
      metadata: { a: 'b' },
      retryOf: old.id,
      idempotencyKey: null,
      reuseKey: null,
      createdAt: as.createdAt,
      deadlineAt: as.createdAt + (old.deadlineAt - old.createdAt),
      attempts: [],
    });
    expect(made.release).toBe(1);
    expect(await stateOf(tenant, old.id)).toEqual(old);
  });

  it('twice makes one', async () => {
    const tenant = await newTenant({ max_running: 5 });
    const { id } = await deadLettered(tenant);
    const as = newAs();
    const answers = await Promise.all([revive(tenant, id, as), revive(tenant, id, as)]);
    expect(answers).toEqual([1, 2].map(() => ({ outcome: 'revived', request: as.id })));
    const [{ n } = { n: 0 }] = await inForeman(tenant, (sql) =>
      sql.exec<{ n: number }>('SELECT count(*) AS n FROM requests').toArray(),
    );
    expect(n).toBe(2);
  });

  it('asks for no rate and no quota, and counts its images', async () => {
    const tenant = await newTenant({
      max_running: 5,
      burst: 1,
      requests_per_minute: 0.001,
      images_per_day: 2,
    });
    const { id } = await deadLettered(tenant, { units: 2 });
    await tenant.foreman.changeAccount({ changes: { limits: { images_per_day: 0 } }, by });
    expect(await revive(tenant, id)).toMatchObject({ outcome: 'revived' });
    const me = await usageOf(tenant);
    expect(me.unitsToday).toBe(2);
  });

  it('waits for a slot like any other', async () => {
    const tenant = await newTenant({ max_running: 1 });
    const { id } = await deadLettered(tenant);
    await tenant.foreman.changeAccount({ changes: { limits: { max_running: 0 } }, by });
    const as = newAs();
    await revive(tenant, id, as);
    expect(await stateOf(tenant, as.id)).toMatchObject({ status: 'queued', wait: { for: 'slot' } });
  });

  it('takes what D1 holds when the request has left', async () => {
    const tenant = await newTenant({ max_running: 5 });
    const old = await deadLettered(tenant);
    await inForeman(tenant, (sql) =>
      sql.exec('DELETE FROM requests WHERE id = ?', old.id).toArray(),
    );
    expect(await revive(tenant, old.id)).toEqual({ outcome: 'absent' });
    const as = newAs();
    expect(await revive(tenant, old.id, as, old)).toEqual({ outcome: 'revived', request: as.id });
    expect(await stateOf(tenant, as.id)).toMatchObject({ retryOf: old.id });
  });

  it('of a live request says whether its message is of use', async () => {
    const tenant = await newTenant({ max_running: 0 });
    const id = await accepted(tenant);
    expect(await revive(tenant, id)).toEqual({ outcome: 'overtaken' });
    const { foreman } = tenant;
    const input = { request: id, as: newAs(), archived: null };
    expect(await foreman.revive({ ...input, release: 0 })).toEqual({ outcome: 'live' });
  });

  it('of one that ended otherwise, is deleted or never was makes nothing', async () => {
    const tenant = await newTenant({ max_running: 0 });
    const { foreman, credential } = tenant;
    const id = await accepted(tenant);
    await foreman.cancel({ credential, id });
    expect(await revive(tenant, id)).toEqual({ outcome: 'ended' });
    await foreman.remove({ credential, id, archived: null });
    expect(await revive(tenant, id)).toEqual({ outcome: 'absent' });
    expect(await revive(tenant, newId('req', 0))).toEqual({ outcome: 'absent' });
  });
});
