import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Limits } from '../../src/accounts/types';
import { newId, type RequestId } from '../../src/platform/ids';
import type { RequestSpec } from '../../src/requests/types';
import {
  accepted,
  by,
  inForeman,
  newSpec,
  newTenant,
  stateOf,
  submitTo,
  type Tenant,
  usageOf,
} from '../support/foreman';
import { equal, same, succeed } from '../support/reuse';
import { faults, resetFaults } from '../support/worker';

afterEach(resetFaults);

describe('submitting', () => {
  it('releases up to max_running and holds the rest', async () => {
    const tenant = await newTenant({ max_running: 2 });
    const waits = [];
    for (let index = 0; index < 5; index += 1) {
      const answer = await submitTo(tenant, slow);
      if (answer.outcome !== 'accepted' || answer.state.status !== 'queued') throw new Error('no');
      waits.push(answer.state.wait.for);
    }
    expect(waits).toEqual(['claim', 'claim', 'slot', 'slot', 'slot']);
  });

  it('tells each held request its exact position by priority and age', async () => {
    const tenant = await newTenant({ max_running: 0 });
    const ids: RequestId[] = [];
    for (const priority of ['low', 'normal', 'high', 'normal'] as const) {
      ids.push(await accepted(tenant, { priority, createdAt: Date.now() + ids.length }));
    }
    const positions = [];
    for (const id of ids) {
      const answer = await tenant.foreman.read({ credential: tenant.credential, id });
      positions.push(answer.outcome === 'found' ? answer.position : null);
    }
    expect(positions).toEqual([4, 2, 1, 3]);
  });

  it('gives the next slot to the highest priority, then to the oldest', async () => {
    // Nobody calls: a call would keep its slot.
    faults.generation = 'swallow';
    const tenant = await newTenant({ max_running: 1 });
    const first = await accepted(tenant, slow);
    const low = await accepted(tenant, { ...slow, priority: 'low' });
    const older = await accepted(tenant, slow);
    const newer = await accepted(tenant, slow);
    const high = await accepted(tenant, { ...slow, priority: 'high' });
    const order = [];
    for (let turn = first; order.length < 5; ) {
      order.push(turn);
      await tenant.foreman.cancel({ credential: tenant.credential, id: turn });
      const next = await inForeman(tenant, (sql) =>
        sql
          .exec<{ id: typeof first }>("SELECT id FROM requests WHERE phase IN ('claim', 'running')")
          .toArray(),
      );
      turn = next[0]?.id ?? turn;
    }
    expect(order).toEqual([first, high, older, newer, low]);
  });

  it('refuses when too many wait, and counts nothing for it', async () => {
    const tenant = await newTenant({ max_running: 0, max_waiting: 1 });
    await accepted(tenant, slow);
    const refused = await submitTo(tenant, slow);
    expect(refused).toMatchObject({
      outcome: 'refused',
      refusal: { code: 'too_many_waiting', allowed: 1, used: 1 },
    });
  });

  it('gives the images of an unsuccessful request back to the day', async () => {
    const tenant = await newTenant({ max_running: 0, images_per_day: 2 });
    const id = await accepted(tenant, { ...slow, units: 2 });
    expect(await submitTo(tenant, slow)).toMatchObject({
      outcome: 'refused',
      refusal: { limit: 'images_per_day' },
    });
    await tenant.foreman.cancel({ credential: tenant.credential, id });
    expect(await submitTo(tenant, { ...slow, units: 2 })).toMatchObject({
      outcome: 'accepted',
    });
  });

  it('twice with one id, as a retried call does, admits one request and takes one token', async () => {
    const tenant = await newTenant({ max_running: 0, burst: 5 });
    const spec = newSpec(tenant.userId);
    const { credential, stub } = tenant;
    const submission = { credential, spec, warnings: [], fingerprint: 'f' };
    const [first, second] = [await stub.submit(submission), await stub.submit(submission)];
    expect([first.answer.outcome, second.answer.outcome]).toEqual(['accepted', 'accepted']);
    expect(second.rateLimit).toMatchObject({ RateLimit: '"requests";r=4;t=1' });
  });
});

/** What consumers do, the tests do. */
const byHand = () => {
  Object.assign(faults, { generation: 'swallow' });
};

describe('submitting what is made already', () => {
  beforeEach(byHand);

  /** A request whose output an equal one may have, under limits that leave nothing for another. */
  async function made(limits: Partial<Limits>) {
    const tenant = await newTenant({ max_running: 1 });
    const first = await same(tenant);
    await succeed(tenant, first);
    await tenant.foreman.changeAccount({ changes: { limits }, by });
    return { tenant, first };
  }
  const ask = (tenant: Tenant, overrides: Partial<RequestSpec>) =>
    submitTo(tenant, { floorMicros: 42_000, ...overrides });

  it.each<[string, Partial<Limits>]>([
    ['the images of the day are used up', { images_per_day: 1 }],
    ['more images are used than the day has by now', { images_per_day: 0 }],
    ['the budget is spent', { monthly_budget_usd: 0.05 }],
    ['nothing more may wait', { max_running: 0, max_waiting: 0 }],
  ])('is not refused because %s', async (_, limits) => {
    const { tenant, first } = await made(limits);
    const state = { status: 'succeeded', reusedFrom: first };
    expect(await ask(tenant, equal)).toMatchObject({ outcome: 'accepted', state });
    expect(await ask(tenant, { reuseKey: null })).toMatchObject({ outcome: 'refused' });
  });

  it('takes no image of the day, and gives none back', async () => {
    const { tenant } = await made({});
    const usage = () => usageOf(tenant);
    expect(await usage()).toMatchObject({ unitsToday: 1 });
    await ask(tenant, equal);
    expect(await usage()).toMatchObject({ unitsToday: 1, waiting: 0 });
  });

  it('counts for the rate', async () => {
    const { tenant } = await made({ burst: 2, requests_per_minute: 1 });
    const answers = [await ask(tenant, equal), await ask(tenant, equal), await ask(tenant, equal)];
    expect(answers.map(({ outcome }) => outcome)).toEqual(['accepted', 'accepted', 'refused']);
    expect(answers[2]).toMatchObject({ refusal: { limit: 'requests_per_minute' } });
  });
});

describe('submitting what is being made', () => {
  beforeEach(byHand);

  it('holds its images of the day until they come for nothing', async () => {
    const tenant = await newTenant({ images_per_day: 2 });
    const usage = () => usageOf(tenant);
    const first = await same(tenant);
    await same(tenant);
    expect(await usage()).toMatchObject({ unitsToday: 2 });
    expect(await submitTo(tenant, equal)).toMatchObject({
      outcome: 'refused',
      refusal: { limit: 'images_per_day' },
    });
    await succeed(tenant, first);
    expect(await usage()).toMatchObject({ unitsToday: 1 });
  });
});

describe('an idempotency key', () => {
  it('under 100 concurrent submissions makes one request', async () => {
    const tenant = await newTenant({ max_running: 0 });
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => submitTo(tenant, { idempotencyKey: 'k' })),
    );
    const ids = answers.flatMap((answer) => ('state' in answer ? [answer.state.id] : []));
    expect(new Set(ids).size).toBe(1);
    expect(answers.filter((answer) => answer.outcome === 'accepted')).toHaveLength(1);
    expect(answers.filter((answer) => answer.outcome === 'replayed')).toHaveLength(99);
  });

  it('with another body is a mismatch', async () => {
    const tenant = await newTenant();
    await submitTo(tenant, { idempotencyKey: 'k' }, 'one');
    expect(await submitTo(tenant, { idempotencyKey: 'k' }, 'two')).toEqual({ outcome: 'mismatch' });
  });

  it('is not kept by a refusal', async () => {
    const tenant = await newTenant({ max_running: 0, max_waiting: 0 });
    await submitTo(tenant, { idempotencyKey: 'k' }, 'one');
    await tenant.foreman.changeAccount({ changes: { limits: { max_waiting: 5 } }, by });
    expect(await submitTo(tenant, { idempotencyKey: 'k' }, 'two')).toMatchObject({
      outcome: 'accepted',
    });
  });

  it('outlives the deletion of its request', async () => {
    const tenant = await newTenant({ max_running: 0 });
    const id = await accepted(tenant, { idempotencyKey: 'k' });
    await tenant.foreman.remove({ credential: tenant.credential, id, archived: null });
    expect(await submitTo(tenant, { idempotencyKey: 'k' })).toEqual({ outcome: 'deleted' });
  });

  it('that is renewed stands for the newest request, whatever becomes of the older one', async () => {
    const tenant = await newTenant({ max_running: 0 });
    const renew = () => {
      const spec = newSpec(tenant.userId, { idempotencyKey: 'k' });
      const { credential } = tenant;
      return tenant.foreman.submit({
        credential,
        spec,
        warnings: [],
        fingerprint: 'fingerprint',
        ownKey: 'renew',
      });
    };
    const [older, newer] = [await renew(), await renew()];
    if (!('state' in older) || !('state' in newer)) throw new Error('expected two requests');
    expect(newer.state.id).not.toBe(older.state.id);
    await tenant.foreman.cancel({ credential: tenant.credential, id: older.state.id });
    expect(await submitTo(tenant, { idempotencyKey: 'k' })).toMatchObject({
      outcome: 'replayed',
      state: { id: newer.state.id },
    });
    const expiry = await inForeman(
      tenant,
      (sql) => sql.exec<{ at: number | null }>('SELECT expires_at AS at FROM idempotency').one().at,
    );
    expect(expiry).toBeNull();
  });

  it('of the service gives each call that was refused a request of its own when it is made again', async () => {
    const tenant = await newTenant({ max_running: 0, max_waiting: 1 });
    const call = async (ownKey: 'renew' | 'collect') => {
      const spec = newSpec(tenant.userId, { idempotencyKey: '\nk' });
      const { credential, foreman } = tenant;
      const submission = { credential, spec, warnings: [], fingerprint: 'f', ownKey };
      const answer = await foreman.submit(submission);
      return 'state' in answer ? answer.state.id : answer.outcome;
    };
    const first = await call('renew');
    expect([await call('renew'), await call('renew')]).toEqual(['refused', 'refused']);
    expect(await call('collect')).toBe('refused');
    await tenant.foreman.changeAccount({ changes: { limits: { max_waiting: 5 } }, by });
    const made = [await call('collect'), await call('collect')];
    expect(new Set([first, ...made]).size).toBe(3);
    // Whose line was lost finds the newest; nobody is owed another.
    expect(await call('collect')).toBe(made[1]);
  });

  it('starts its 24 hours when its request is terminal', async () => {
    const tenant = await newTenant({ max_running: 0 });
    const id = await accepted(tenant, { idempotencyKey: 'k' });
    const expiry = () =>
      inForeman(
        tenant,
        (sql) =>
          sql.exec<{ at: number | null }>('SELECT expires_at AS at FROM idempotency').one().at,
      );
    expect(await expiry()).toBeNull();
    await tenant.foreman.cancel({ credential: tenant.credential, id });
    const state = await stateOf(tenant, id);
    expect(await expiry()).toBe('completedAt' in state && state.completedAt + 86_400_000);
  });
});

describe('a credential', () => {
  it('of another key, of a revoked key or with another secret opens nothing', async () => {
    const tenant = await newTenant();
    const id = await accepted(tenant);
    const { foreman, credential } = tenant;
    const strange = { ...credential, keyId: newId('key', Date.now()) };
    const guessed = { ...credential, secretHash: 'cd'.repeat(32) };
    for (const wrong of [strange, guessed]) {
      expect(await foreman.read({ credential: wrong, id })).toEqual({ outcome: 'unauthorized' });
      expect(await foreman.cancel({ credential: wrong, id })).toEqual({ outcome: 'unauthorized' });
    }
    await foreman.revokeKey({ id: credential.keyId, by });
    expect(await foreman.read({ credential, id })).toEqual({ outcome: 'unauthorized' });
  });
});

/** Takes 8 s: it holds its slot for as long as a test looks. */
const slow = { model: 'chaos-slow' } as const;
