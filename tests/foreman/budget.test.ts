import { evictDurableObject } from 'cloudflare:test';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { freshUsage, rollOver } from '../../src/accounts/admission';
import * as accounts from '../../src/accounts/limits';
import { DEFAULT_LIMITS, type Limits } from '../../src/accounts/types';
import { runAlarm as attendTo } from '../../src/foreman/alarm';
import { type Desk, fillSlots } from '../../src/foreman/desk';
import * as intake from '../../src/foreman/intake';
import { createKinds } from '../../src/foreman/kinds';
import { recall } from '../../src/foreman/memory';
import * as work from '../../src/foreman/work';
import { targetOf } from '../../src/generation/model-parts';
import { newId, type RequestId } from '../../src/platform/ids';
import * as ledger from '../../src/requests/ledger';
import { holdOf } from '../../src/requests/money';
import type { AttemptResult, RequestSpec, RequestState } from '../../src/requests/types';
import { catalogOf, modelOf } from '../support/catalog';
import { onDesk } from '../support/desk';
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
import { failure } from '../support/states';
import { faults, resetFaults } from '../support/worker';

/** What consumers do, the tests do. */
beforeEach(() => {
  resetFaults();
  faults.generation = 'swallow';
});

const PRICE = 42_000;
const input = { prompt: 'a boat', n: 1, width: 1024, height: 1024 };
const medium = { ...input, provider_options: { openai: { quality: 'medium' } } };
/** Costs PRICE, by its only target. */
const paid = { model: 'gpt-image-1', input: medium, floorMicros: PRICE } as const;
const patient = { ...paid, onBudget: 'wait' } as const;
const closed = { state: 'closed', blockedUntil: null, reason: null, pace: null } as const;
const verdicts = { 'openai/gpt-image-1': closed } as const;
const usdOf = (calls: number) => (calls * PRICE) / 1e6;

async function claim(tenant: Tenant, id: RequestId) {
  const { release } = await stateOf(tenant, id);
  return tenant.foreman.claim({ request: id, release, token: `token of ${id}`, verdicts });
}

const settle = (tenant: Tenant, id: RequestId, result: AttemptResult) =>
  tenant.foreman.settle({
    request: id,
    token: `token of ${id}`,
    attempt: 1,
    result,
    nextToken: null,
    verdicts,
  });

const costing = (costMicros: number): AttemptResult => ({
  outcome: 'succeeded',
  output: { images: [] },
  costMicros,
  providerRequestId: null,
  warnings: [],
});
const change = (tenant: Tenant, limits: Partial<Limits>) =>
  tenant.foreman.changeAccount({ changes: { limits }, by });

/** Claimed while there was no money for it. */
async function waiting(tenant: Tenant, overrides: Partial<RequestSpec> = {}) {
  const id = await accepted(tenant, { ...patient, ...overrides });
  expect((await claim(tenant, id)).verdict).toBe('later');
  expect(await waitOf(tenant, id)).toBe('budget');
  return id;
}

async function waitOf(tenant: Tenant, id: RequestId) {
  const state = await stateOf(tenant, id);
  return state.status === 'queued' ? state.wait.for : state.status;
}

describe('an accepted request', () => {
  it('holds its money from the door, so that no more are accepted than can be paid for', async () => {
    const tenant = await newTenant({ max_running: 0, monthly_budget_usd: usdOf(2) });
    await accepted(tenant, paid);
    await accepted(tenant, paid);
    expect(await submitTo(tenant, paid)).toMatchObject({
      outcome: 'refused',
      refusal: {
        code: 'quota_exceeded',
        limit: 'monthly_budget_usd',
        allowed: usdOf(2),
        used: usdOf(2),
      },
    });
    expect(await usageOf(tenant)).toMatchObject({ reservedMicros: 2 * PRICE, leftMicros: 0 });
  });

  it('is paid for with what it holds, though nothing else is left', async () => {
    const tenant = await newTenant({ monthly_budget_usd: usdOf(1) });
    const id = await accepted(tenant, paid);
    expect((await claim(tenant, id)).verdict).toBe('run');
    expect(await usageOf(tenant)).toMatchObject({ reservedMicros: PRICE, spentMicros: 0 });
    await settle(tenant, id, costing(40_000));
    expect(await usageOf(tenant)).toMatchObject({ reservedMicros: 0, spentMicros: 40_000 });
  });

  it('gives back what it holds when it is canceled', async () => {
    const tenant = await newTenant({ max_running: 0, monthly_budget_usd: usdOf(1) });
    const id = await accepted(tenant, paid);
    await tenant.foreman.cancel({ credential: tenant.credential, id });
    expect(await usageOf(tenant)).toMatchObject({ reservedMicros: 0 });
    expect(await submitTo(tenant, paid)).toMatchObject({ outcome: 'accepted' });
  });

  it('holds nothing while it waits for an equal one', async () => {
    const tenant = await newTenant({ max_running: 0, monthly_budget_usd: usdOf(2) });
    await accepted(tenant, { ...paid, reuseKey: 'the same' });
    await accepted(tenant, { ...paid, reuseKey: 'the same' });
    expect(await usageOf(tenant)).toMatchObject({ reservedMicros: PRICE });
  });

  it('is accepted without money when an equal one is under way', async () => {
    const tenant = await newTenant({ max_running: 0, monthly_budget_usd: usdOf(1) });
    await accepted(tenant, { ...paid, reuseKey: 'the same' });
    const follower = await accepted(tenant, { ...paid, reuseKey: 'the same' });
    expect(await waitOf(tenant, follower)).toBe('request');
    expect(await submitTo(tenant, { ...paid, reuseKey: 'another' })).toMatchObject({
      refusal: { limit: 'monthly_budget_usd' },
    });
  });

  it('holds what it costs now when it is tried again, though it was cheaper once', async () => {
    const tenant = await newTenant({ max_running: 0, monthly_budget_usd: usdOf(1) });
    const retryOf = newId('req', 1);
    const id = await accepted(tenant, { ...paid, floorMicros: 1, retryOf });
    expect(await stateOf(tenant, id)).toMatchObject({ floorMicros: PRICE, holdMicros: PRICE });
    expect(await submitTo(tenant, { ...paid, floorMicros: 1, retryOf })).toMatchObject({
      refusal: { limit: 'monthly_budget_usd' },
    });
  });

  it('keeps its money when one that followed another has to be made after all', async () => {
    const tenant = await newTenant({ monthly_budget_usd: usdOf(2) });
    const once = { ...paid, maxAttempts: 1, reuseKey: 'the same' };
    const first = await accepted(tenant, once);
    await claim(tenant, first);
    const heir = await accepted(tenant, once);
    const other = await accepted(tenant, paid);
    await settle(tenant, first, failure('failed', { possiblyBilled: true }));
    expect(await waitOf(tenant, heir)).toBe('claim');
    expect(await usageOf(tenant)).toMatchObject({ spentMicros: PRICE, reservedMicros: PRICE });
    expect((await claim(tenant, other)).verdict).toBe('run');
    await claim(tenant, heir);
    expect(await stateOf(tenant, heir)).toMatchObject({ error: { code: 'budget_exceeded' } });
  });
});

describe('a request that waits for the budget', () => {
  it('is accepted without money, has no slot, and waits until the month turns', async () => {
    const tenant = await newTenant({ monthly_budget_usd: 0 });
    const id = await waiting(tenant);
    const state = await stateOf(tenant, id);
    const [year, month] = new Date().toISOString().split('-').map(Number);
    const until = Date.UTC(year ?? 0, month ?? 0, 1);
    expect(state).toMatchObject({ holdMicros: 0, wait: { for: 'budget', micros: PRICE, until } });
    expect(await usageOf(tenant)).toMatchObject({ running: 0, waiting: 1, reservedMicros: 0 });
    await evictDurableObject(tenant.stub);
    expect(await usageOf(tenant)).toMatchObject({ running: 0, waiting: 1 });
  });

  it('counts against max_waiting, though no slot is taken', async () => {
    const tenant = await newTenant({ monthly_budget_usd: 0, max_running: 1, max_waiting: 2 });
    await waiting(tenant);
    await waiting(tenant);
    expect(await submitTo(tenant, patient)).toMatchObject({
      refusal: { limit: 'max_waiting', allowed: 2, used: 2, retryAfterMs: 5_000 },
    });
    expect(await usageOf(tenant)).toMatchObject({ running: 0, waiting: 2 });
  });

  it('is one at the most where none may wait', async () => {
    const tenant = await newTenant({ monthly_budget_usd: 0, max_running: 1, max_waiting: 0 });
    await waiting(tenant);
    expect(await submitTo(tenant, patient)).toMatchObject({ refusal: { limit: 'max_waiting' } });
  });

  it('is woken best rank first, and no more of them than the money pays for', async () => {
    const tenant = await newTenant({ monthly_budget_usd: 0 });
    const low = await waiting(tenant, { priority: 'low' });
    const normal = await waiting(tenant);
    const high = await waiting(tenant, { priority: 'high' });
    const waits = () => Promise.all([low, normal, high].map((id) => waitOf(tenant, id)));
    await change(tenant, { monthly_budget_usd: usdOf(2.9) });
    expect(await waits()).toEqual(['budget', 'claim', 'claim']);
    // The same money wakes nobody twice.
    await change(tenant, { burst: 7 });
    expect(await waits()).toEqual(['budget', 'claim', 'claim']);
    expect((await claim(tenant, high)).verdict).toBe('run');
    expect((await claim(tenant, normal)).verdict).toBe('run');
    await settle(tenant, high, costing(1_000));
    expect(await waits()).toEqual(['claim', 'running', 'succeeded']);
    await change(tenant, { monthly_budget_usd: null });
    expect((await claim(tenant, low)).verdict).toBe('run');
  });

  it.each<[string, (tenant: Tenant, id: RequestId) => Promise<unknown>]>([
    ['ends', (tenant, id) => settle(tenant, id, failure('refused'))],
    ['is canceled', (tenant, id) => tenant.foreman.cancel({ credential: tenant.credential, id })],
  ])('is woken when one that holds money %s', async (_, end) => {
    const tenant = await newTenant({ monthly_budget_usd: usdOf(1) });
    const holder = await accepted(tenant, paid);
    if (_ === 'ends') await claim(tenant, holder);
    const id = await waiting(tenant);
    await end(tenant, holder);
    expect(await waitOf(tenant, id)).toBe('claim');
  });

  it('is not woken for less than it costs', async () => {
    const tenant = await newTenant({ monthly_budget_usd: 0 });
    const id = await waiting(tenant);
    await change(tenant, { monthly_budget_usd: usdOf(1) - 1e-6 });
    expect(await waitOf(tenant, id)).toBe('budget');
  });

  it('is woken by the new month, in order, and what is left over waits for the next', async () => {
    const tenant = await newTenant({ monthly_budget_usd: usdOf(1) });
    const spender = await accepted(tenant, paid);
    await claim(tenant, spender);
    await settle(tenant, spender, costing(PRICE));
    const later = await waiting(tenant, { priority: 'low' });
    const first = await waiting(tenant);
    await inForeman(tenant, (sql) => {
      sql.exec(
        `UPDATE usage SET state = json_set(state, '$.month', '2020-01', '$.day', '2020-01-31')`,
      );
      sql.exec(`UPDATE requests SET due_at = 1, state = json_set(state, '$.wait.until', 1)
                WHERE phase = 'budget'`);
    });
    await runAlarm(tenant);
    expect(await waitOf(tenant, first)).toBe('claim');
    const state = await stateOf(tenant, later);
    const until = 'wait' in state && state.wait.for === 'budget' ? state.wait.until : 0;
    expect(until).toBeGreaterThan(Date.now());
    expect(await usageOf(tenant)).toMatchObject({ spentMicros: 0, reservedMicros: PRICE });
  });

  it('expires at its deadline', async () => {
    const tenant = await newTenant({ monthly_budget_usd: 0 });
    const id = await waiting(tenant);
    await inForeman(tenant, (sql) => {
      sql.exec(`UPDATE requests SET state = json_set(state, '$.deadlineAt', 1) WHERE id = ?`, id);
    });
    await makeDue(tenant, id);
    expect(await waitOf(tenant, id)).toBe('expired');
    expect(await usageOf(tenant)).toMatchObject({ waiting: 0 });
  });

  it('and more than one change wakes, is woken all the same', async () => {
    const tenant = await newTenant({ max_running: 0, burst: 1000 });
    const left = await onDesk(tenant, (desk) => {
      const account = accounts.loadAccount(desk.sql);
      if (!account) throw new Error('no account');
      const limits = { ...account.limits, max_running: 250, monthly_budget_usd: 0 };
      accounts.saveAccount(desk.sql, { ...account, limits });
      for (let made = 0; made < 250; made += 1) {
        const spec = newSpec(tenant.userId, patient);
        const { credential } = tenant;
        intake.submit(desk, { credential, spec, warnings: [], fingerprint: 'f' });
        work.claim(desk, { request: spec.id, release: 1, token: spec.id, verdicts });
      }
      const unlimited = { ...account.limits, max_running: 0, monthly_budget_usd: null };
      accounts.saveAccount(desk.sql, { ...account, limits: unlimited });
      return [1, 2, 3].map(() => {
        fillSlots(desk);
        const { hasMoreToGive } = desk.memory;
        return [ledger.getFundable(desk.sql, { micros: null, limit: 999 }).length, hasMoreToGive];
      });
    });
    expect(left).toEqual([
      [150, true],
      [50, true],
      [0, false],
    ]);
  });
});

describe('what live requests hold', () => {
  it('is summed up anew when the object wakes, whatever the books had said', async () => {
    const tenant = await newTenant({ max_running: 2, monthly_budget_usd: usdOf(9) });
    const running = await accepted(tenant, paid);
    await claim(tenant, running);
    for (let n = 0; n < 3; n += 1) await accepted(tenant, paid);
    const ended = await accepted(tenant, paid);
    await tenant.foreman.cancel({ credential: tenant.credential, id: ended });
    for (const wrong of [0, 77 * PRICE]) {
      await inForeman(tenant, (sql) => {
        sql.exec(`UPDATE usage SET state = json_set(state, '$.reservedMicros', ?)`, wrong);
      });
      await evictDurableObject(tenant.stub);
      expect(await usageOf(tenant)).toMatchObject({ reservedMicros: 4 * PRICE });
    }
  });

  it('is nothing for rows of a version that knew no holds', async () => {
    const tenant = await newTenant({ max_running: 0, monthly_budget_usd: usdOf(1) });
    await accepted(tenant, paid);
    await inForeman(tenant, (sql) => {
      sql.exec(`UPDATE requests SET state = json_remove(state, '$.holdMicros')`);
    });
    await evictDurableObject(tenant.stub);
    expect(await usageOf(tenant)).toMatchObject({ reservedMicros: 0 });
  });

  it('is summed up beside a row that cannot be read', async () => {
    const tenant = await newTenant({ max_running: 0 });
    const broken = await accepted(tenant, paid);
    await accepted(tenant, paid);
    await inForeman(tenant, (sql) => {
      sql.exec(`UPDATE requests SET state = '{' WHERE id = ?`, broken);
    });
    await evictDurableObject(tenant.stub);
    expect(await usageOf(tenant)).toMatchObject({ waiting: 2, reservedMicros: PRICE });
  });
});

describe('the books of a month', () => {
  const BUDGET = 6 * PRICE;
  const start = Date.UTC(2026, 10, 30, 22, 30);
  const models = [
    modelOf('dear', targetOf('openai', 'dear', { price: [{ per: 'image', usd: 0.09 }] })),
    modelOf(
      'either',
      targetOf('openai', 'dear', { price: [{ per: 'image', usd: 0.09 }] }),
      targetOf('fal', 'cheap', { price: [{ per: 'image', usd: 0.03 }] }),
    ),
  ];
  const floors: Readonly<Record<string, number>> = { dear: 90_000, either: 30_000 };
  const open = { 'openai/dear': closed, 'fal/cheap': closed } as const;

  const someEvent = fc.record({
    do: fc.constantFrom(
      'submit',
      'submit',
      'claim',
      'claim',
      'settle',
      'settle',
      'cancel',
      'alarm',
    ),
    /** Minutes: mostly forward, at times back. */
    step: fc.oneof({ weight: 5, arbitrary: fc.nat(15) }, fc.integer({ min: -30, max: 0 })),
    which: fc.nat(9),
    model: fc.constantFrom('dear', 'either'),
    onBudget: fc.constantFrom('reject' as const, 'wait' as const),
    reuseKey: fc.constantFrom(null, null, 'k'),
    outcome: fc.constantFrom('succeeded', 'failed', 'unknown', 'refused', 'throttled'),
    goesOn: fc.boolean(),
    /** What it cost, of what was reserved for it. */
    share: fc.constantFrom(0, 0.5, 1, 1, 1.4),
  });
  type Event = typeof someEvent extends fc.Arbitrary<infer T> ? T : never;

  const resultOf = ({ outcome, share }: Event, reservedMicros: number): AttemptResult =>
    outcome === 'succeeded'
      ? costing(Math.round(reservedMicros * share))
      : failure(outcome as 'failed', { possiblyBilled: outcome === 'unknown' });

  const monthOf = (at: number) => new Date(at).toISOString().slice(0, 7);
  const statesOf = ({ sql }: Desk): RequestState[] =>
    sql
      .exec<{ id: RequestId }>('SELECT id FROM requests ORDER BY id')
      .toArray()
      .flatMap(({ id }) => {
        const state = ledger.getOne(sql, id)?.state;
        return state && state.status !== 'deleted' ? [state] : [];
      });

  function apply(desk: Desk, tenant: Tenant, event: Event): void {
    const states = statesOf(desk);
    const nth = <T>(list: readonly T[]) => list[event.which % Math.max(1, list.length)];
    if (event.do === 'submit') {
      const { model, onBudget, reuseKey } = event;
      const spec = newSpec(tenant.userId, {
        ...{
          id: newId('req', desk.now),
          createdAt: desk.now,
          deadlineAt: desk.now + 3 * 3_600_000,
        },
        ...{ model, onBudget, reuseKey, floorMicros: floors[model] ?? 0, input },
      });
      const { credential } = tenant;
      intake.submit(desk, { credential, spec, warnings: [], fingerprint: 'f' });
    } else if (event.do === 'claim') {
      const state = nth(
        states.filter((one) => one.status === 'queued' && one.wait.for === 'claim'),
      );
      if (!state) return;
      const { id: request, release } = state;
      work.claim(desk, { request, release, token: `${request}/${release}`, verdicts: open });
    } else if (event.do === 'alarm') {
      attendTo(desk, tenant.userId, (each) => {
        each();
        return true;
      });
    } else {
      const state = nth(states.filter((one) => one.status === 'running'));
      if (state?.status !== 'running') return;
      if (event.do === 'cancel') intake.cancel(desk, state.id);
      else {
        const { token, number: attempt, reservedMicros } = state.current;
        const nextToken = event.goesOn ? `${token}'` : null;
        const result = resultOf(event, reservedMicros);
        work.settle(desk, { request: state.id, token, attempt, result, nextToken, verdicts: open });
      }
      fillSlots(desk);
    }
  }

  /** What has been spent in the latest month that anything was counted in. */
  const emptyBooks = () => ({
    month: monthOf(start),
    spent: 0,
    excess: 0,
    known: new Set<string>(),
  });

  function check(desk: Desk, books: ReturnType<typeof emptyBooks>): void {
    const usage = accounts.loadUsage(desk.sql);
    if (!usage) throw new Error('no usage');
    const states = statesOf(desk);
    const held = states.reduce((sum, state) => sum + holdOf(state), 0);
    if (usage.month > books.month) {
      Object.assign(books, { month: usage.month, spent: 0, excess: 0 });
    }
    for (const { id, attempts } of states) {
      for (const { number, costMicros, reservedMicros } of attempts) {
        if (books.known.has(`${id}/${number}`)) continue;
        books.known.add(`${id}/${number}`);
        books.spent += costMicros;
        books.excess += Math.max(0, costMicros - reservedMicros);
      }
    }
    const { spentMicros, reservedMicros } = rollOver(usage, desk.now);
    const isOver = monthOf(desk.now) > books.month;
    expect({ spentMicros, reservedMicros }).toEqual({
      spentMicros: isOver ? 0 : books.spent,
      reservedMicros: held,
    });
    expect(spentMicros + reservedMicros).toBeLessThanOrEqual(BUDGET + books.excess);
  }

  it('are what live requests hold and ended calls cost, and never pass the budget', async () => {
    const tenant = await newTenant();
    const waited = await onDesk(tenant, (real) => {
      const account = accounts.loadAccount(real.sql);
      if (!account) throw new Error('no account');
      const limits: Limits = {
        ...DEFAULT_LIMITS,
        ...{ monthly_budget_usd: BUDGET / 1e6, max_running: 3, burst: 1000 },
      };
      accounts.saveAccount(real.sql, { ...account, limits });
      const kinds = createKinds({ catalog: catalogOf(models) });
      const met = new Set<string>();
      fc.assert(
        fc.property(fc.array(someEvent, { minLength: 30, maxLength: 80 }), (events) => {
          for (const table of ['requests', 'reusable', 'lease_grace']) {
            real.sql.exec(`DELETE FROM ${table}`);
          }
          accounts.saveUsage(real.sql, freshUsage(limits, start));
          const memory = recall(real.sql, start);
          const books = emptyBooks();
          let now = start;
          for (const event of events) {
            now += event.step * 60_000;
            const desk: Desk = { ...real, kinds, memory, effects: [], now };
            apply(desk, tenant, event);
            check(desk, books);
            for (const state of statesOf(desk)) {
              met.add(state.status === 'queued' ? state.wait.for : state.status);
            }
          }
          if (monthOf(now) === '2026-12') met.add('a new month');
        }),
        { numRuns: 25 },
      );
      return met;
    });
    const usual = ['budget', 'request', 'running', 'slot', 'succeeded', 'a new month'];
    expect([...waited]).toEqual(expect.arrayContaining(usual));
  });
});
