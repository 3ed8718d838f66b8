import { evictDurableObject } from 'cloudflare:test';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { DeletionWork } from '../../src/foreman/deleting';
import { newId } from '../../src/platform/ids';
import {
  accepted,
  by,
  inForeman,
  newSpec,
  newTenant,
  runAlarm,
  stateOf,
  type Tenant,
} from '../support/foreman';
import { success } from '../support/states';
import { faults, resetFaults } from '../support/worker';

const MINUTE_MS = 60_000;
const nothing = { requests: 0, objects: 0, rows: 0, more: false, failed: null };

/** The test does by hand what consumers do: no message of the foreman arrives. */
beforeEach(() => {
  resetFaults();
  Object.assign(faults, { generation: 'swallow', events: 'swallow' });
  vi.useRealTimers();
});

const tablesOf = (tenant: Tenant) =>
  inForeman(tenant, (sql) => {
    const tables = sql
      .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'")
      .toArray()
      .map(({ name }) => name)
      .filter((name) => !/^(_cf|sqlite)_/.test(name) && name !== 'schema_steps');
    return tables.filter(
      (name) => sql.exec<{ n: number }>(`SELECT count(*) AS n FROM ${name}`).one().n > 0,
    );
  });

/** D1 takes whatever there is. */
async function tellD1({ foreman }: Tenant): Promise<void> {
  const news = await foreman.pullNews();
  await foreman.confirmNews({
    requests: news.requests.map(({ id, version }) => ({ id, version })),
    deliveries: news.deliveries,
    accountVersion: news.account?.account.version ?? null,
    audit: news.audit.map(({ id }) => id),
    last: false,
  });
}

const report = (
  tenant: Tenant,
  work: DeletionWork,
  of: { token?: string; result?: object; goesOn?: boolean } = {},
) =>
  tenant.foreman.reportDeletion({
    token: of.token ?? 'consumer',
    work,
    result: { ...nothing, ...of.result },
    goesOn: of.goesOn ?? true,
  });

/** Takes every page, each of which finds nothing but what the foreman has. */
async function goOn(tenant: Tenant): Promise<string[]> {
  const stages: string[] = [];
  let work = await tenant.foreman.claimDeletion('consumer');
  while (work) {
    stages.push(work.stage);
    work = await report(tenant, work);
  }
  return stages;
}

/** A user with one request whose call is under way, and one that waits. */
async function busyTenant() {
  const tenant = await newTenant();
  const running = await accepted(tenant);
  const token = 'call';
  const { release } = await stateOf(tenant, running);
  const claim = { request: running, release, token, verdicts: {} };
  expect((await tenant.foreman.claim(claim)).verdict).toBe('run');
  return { tenant, running, token, waiting: await accepted(tenant) };
}

async function deleted(): Promise<Tenant> {
  const tenant = await newTenant();
  await accepted(tenant);
  await tenant.foreman.beginDeletion(by);
  await tellD1(tenant);
  await goOn(tenant);
  await tellD1(tenant);
  expect((await tenant.foreman.getDeletion())?.completedAt).not.toBeNull();
  return tenant;
}

describe('a user who is being deleted', () => {
  it('has nothing live, and starts nothing', async () => {
    const { tenant, running, token, waiting } = await busyTenant();
    const { foreman } = tenant;
    await foreman.beginDeletion(by);
    const live = await inForeman(tenant, (sql) =>
      sql.exec('SELECT id FROM requests WHERE live = 1').toArray(),
    );
    expect(live).toEqual([]);
    for (const request of [running, waiting]) {
      const claim = { request, release: 1, token: 'late', verdicts: {} };
      expect(await foreman.claim(claim)).toEqual({ verdict: 'stale' });
    }
    expect(await foreman.renew([{ request: running, token }])).toEqual({ stale: [token] });
    expect(await foreman.pullNews()).toMatchObject({ requests: [], deliveries: [] });
    const account = await foreman.getAccount();
    expect(account?.status).toBe('deleting');
    expect(await foreman.changeAccount({ changes: { name: 'other' }, by })).toEqual(account);
    expect(await foreman.changeStatus({ status: 'active', by })).toEqual(account);
    expect(await foreman.getAccount()).toEqual(account);
  });

  it('has all its running calls noted at once, however many they are', async () => {
    const tenant = await newTenant();
    const calls = [];
    for (const token of ['first', 'second', 'third']) {
      const request = await accepted(tenant);
      const { release } = await stateOf(tenant, request);
      await tenant.foreman.claim({ request, release, token, verdicts: {} });
      calls.push({ request, token, isOpen: true });
    }
    await inForeman(tenant, (sql) => {
      sql.exec('CREATE TABLE noted (n INTEGER)');
      sql.exec(`CREATE TRIGGER noting AFTER UPDATE ON deletion BEGIN
        INSERT INTO noted VALUES (1); END`);
    });
    const deletion = await tenant.foreman.beginDeletion(by);
    expect(deletion?.calls).toHaveLength(3);
    expect(deletion?.calls).toEqual(expect.arrayContaining(calls));
    const noted = await inForeman(tenant, (sql) => sql.exec('SELECT n FROM noted').toArray());
    expect(noted).toHaveLength(1);
  });

  it('is gone only when D1 has heard of it and every call has come to its end', async () => {
    const { tenant, running, token } = await busyTenant();
    const { foreman } = tenant;
    await foreman.beginDeletion(by);
    expect(await goOn(tenant)).toEqual(['requests', 'archive', 'uploads']);
    await tellD1(tenant);
    expect(await goOn(tenant)).toEqual(['index']);
    const call = { request: running, token, attempt: 1, result: success, nextToken: null };
    expect(await foreman.settle({ ...call, verdicts: {} })).toEqual({
      verdict: 'stale',
      orphaned: true,
    });
    // Once more what it may have stored since.
    expect(await goOn(tenant)).toEqual(['calls', 'account']);
    expect(await foreman.getDeletion()).toMatchObject({ deleted: { requests: 2 }, by: null });
    expect(await tablesOf(tenant)).toEqual(['audit_events', 'deletion']);
  });

  it('does not wait for a call that the platform has ended', async () => {
    const { tenant, running: request, token } = await busyTenant();
    const { foreman } = tenant;
    await foreman.beginDeletion(by);
    await tellD1(tenant);
    expect(await goOn(tenant)).toEqual(['requests', 'archive', 'uploads', 'index']);
    const now = Date.now();
    vi.spyOn(Date, 'now').mockImplementation(() => now + 16 * MINUTE_MS + 1);
    const work = await foreman.claimDeletion('consumer');
    if (work?.stage !== 'calls') throw new Error(`expected calls: ${work?.stage}`);
    // One that is heard of after all takes the page from nobody.
    const call = { request, token, attempt: 1, result: success, nextToken: null, verdicts: {} };
    expect(await foreman.settle(call)).toEqual({ verdict: 'stale', orphaned: true });
    expect(await report(tenant, work)).toMatchObject({ stage: 'account' });
    expect(await goOn(tenant)).toEqual(['account']);
    vi.restoreAllMocks();
  });

  it('is not gone before a job that nobody wants is canceled at its provider', async () => {
    const { tenant, running, token } = await busyTenant();
    const { foreman, userId } = tenant;
    await foreman.beginDeletion(by);
    await tellD1(tenant);
    const job = { userId, request: running, token, attempt: 1, provider: 'fal', model: 'm' };
    const progress = {
      handle: { id: 'job' },
      providerRequestId: null,
      warnings: [],
      queue: null,
      checkAfterMs: 1_000,
    };
    const kept = await foreman.keepJob({ ...job, correlationId: 'c', progress } as never);
    expect(kept).toEqual({ verdict: 'stale' });
    expect(await goOn(tenant)).toEqual(['requests', 'archive', 'uploads', 'index', 'calls']);
    expect(await foreman.claimAbandoned(token)).not.toBeNull();
    await foreman.forgetAbandoned(token);
    expect(await goOn(tenant)).toEqual(['account']);
  });

  it('loses a row that nobody can read, too', async () => {
    const { tenant, waiting } = await busyTenant();
    const { foreman } = tenant;
    await inForeman(tenant, (sql) =>
      sql.exec("UPDATE requests SET state = '{' WHERE id = ?", waiting).toArray(),
    );
    vi.spyOn(console, 'error').mockImplementation(() => {});
    await foreman.beginDeletion(by);
    const work = await foreman.claimDeletion('consumer');
    expect(work).toMatchObject({ stage: 'requests' });
    expect(work && 'ids' in work ? work.ids : []).toContain(waiting);
    vi.restoreAllMocks();
  });
});

describe('a page', () => {
  it('belongs to one consumer, until its time is over', async () => {
    const tenant = await newTenant();
    await accepted(tenant);
    const { foreman } = tenant;
    await foreman.beginDeletion(by);
    const work = await foreman.claimDeletion('first');
    expect(work).toMatchObject({ stage: 'requests', page: 1 });
    expect(await foreman.claimDeletion('second')).toBeNull();
    await evictDurableObject(tenant.stub);
    expect(await foreman.claimDeletion('first')).toEqual(work);
    const now = Date.now();
    vi.spyOn(Date, 'now').mockImplementation(() => now + MINUTE_MS + 1);
    expect(await foreman.claimDeletion('second')).toEqual(work);
    if (!work) throw new Error('expected a page');
    expect(await report(tenant, work, { token: 'first', result: { objects: 1 } })).toBeNull();
    expect((await foreman.getDeletion())?.deleted.objects).toBe(0);
    vi.restoreAllMocks();
  });

  it('that is told twice counts once', async () => {
    const tenant = await newTenant();
    await accepted(tenant);
    const { foreman } = tenant;
    await foreman.beginDeletion(by);
    const work = await foreman.claimDeletion('consumer');
    if (!work) throw new Error('expected a page');
    const next = await report(tenant, work, { result: { objects: 3, rows: 2 } });
    expect(next).toMatchObject({ stage: 'archive', page: 2 });
    expect(await report(tenant, work, { result: { objects: 3, rows: 2 } })).toEqual(next);
    expect((await foreman.getDeletion())?.deleted).toEqual({ requests: 1, objects: 3, rows: 2 });
  });

  it('that fails counts what it did, is done again, and each time later', async () => {
    const tenant = await newTenant();
    const { foreman } = tenant;
    await foreman.beginDeletion(by);
    const waits: number[] = [];
    for (let failures = 1; failures <= 7; failures += 1) {
      const work = await foreman.claimDeletion('consumer');
      if (!work) throw new Error('expected a page');
      expect(work).toMatchObject({ stage: 'archive', page: failures });
      const result = { objects: 1, more: true, failed: 'r2' };
      expect(await report(tenant, work, { result })).toBeNull();
      const { nextAt } = (await foreman.getDeletion()) ?? {};
      waits.push(Math.round(((nextAt ?? 0) - Date.now()) / 1000));
      await inForeman(tenant, (sql) =>
        sql.exec("UPDATE deletion SET state = json_set(state, '$.nextAt', 1)").toArray(),
      );
      await evictDurableObject(tenant.stub);
      await runAlarm(tenant);
    }
    expect(waits).toEqual([15, 30, 60, 120, 240, 300, 300]);
    expect(await foreman.getDeletion()).toMatchObject({ lastError: 'r2', deleted: { objects: 7 } });
  });
});

describe('a user who has been deleted', () => {
  it('is not brought back by anything that comes late', async () => {
    const tenant = await deleted();
    const { foreman, userId, credential } = tenant;
    const request = newId('req', Date.now());
    const verdicts = {};
    const spec = newSpec(userId);
    const submission = { credential, spec, warnings: [], fingerprint: 'f' };
    const call = { request, token: 'late', attempt: 1, result: success, nextToken: null };
    const archived = { ...spec, status: 'failed', error: { code: 'dead_lettered' } } as never;
    const as = { id: newId('req', Date.now()), createdAt: Date.now() };
    const [delivery, keyId] = [newId('dlv', Date.now()), newId('key', Date.now())];
    const account = {
      ...{ userId, name: 'again', externalId: null, region: null, status: 'active' as const },
      ...{ limits: {} as never, webhookSecret: 'whsec_again', createdAt: Date.now() },
    };
    const answers = [
      await foreman.submit(submission),
      await foreman.claim({ request, release: 1, token: 'late', verdicts }),
      await foreman.settle({ ...call, verdicts }),
      await foreman.deadLetter({ request, release: 1 }),
      await foreman.revive({ request, release: 1, as, archived }),
      await foreman.claimDelivery({ delivery, token: 'late' }),
      await foreman.changeAccount({ changes: { name: 'again' }, by }),
      await foreman.revokeKey({ id: keyId, by }),
      await foreman.pullNews(),
      await foreman.createAccount({ account, by }),
      await foreman.claimDeletion('late'),
    ];
    await foreman.nudge({ request, attempt: 1 });
    await foreman.recheck([request]);
    await foreman.confirmNews({
      ...{ requests: [{ id: request, version: 3 }], deliveries: [{ id: delivery, finishedAt: 1 }] },
      ...{ accountVersion: 2, audit: [], last: true },
    });
    expect(answers).toEqual([
      { outcome: 'unauthorized' },
      { verdict: 'stale' },
      { verdict: 'stale', orphaned: true },
      { settled: false },
      { outcome: 'absent' },
      { verdict: 'stale' },
      null,
      null,
      expect.objectContaining({ requests: [], deliveries: [], account: null, audit: [] }),
      { account: expect.objectContaining({ userId, status: 'deleting' }), made: false },
      null,
    ]);
    await runAlarm(tenant);
    await evictDurableObject(tenant.stub);
    expect(await foreman.getAccount()).toBeNull();
    expect(await tablesOf(tenant)).toEqual(['deletion']);
  });

  it('is looked for twice more, and then no alarm is left', async () => {
    const tenant = await deleted();
    const { foreman } = tenant;
    const start = Date.now();
    for (const [minutes, left] of [
      [1, true],
      [16, false],
    ] as const) {
      vi.spyOn(Date, 'now').mockImplementation(() => start + minutes * MINUTE_MS - 5_000);
      expect(await goOn(tenant)).toEqual([]);
      vi.spyOn(Date, 'now').mockImplementation(() => start + minutes * MINUTE_MS + 5_000);
      expect(await goOn(tenant)).toEqual(['archive', 'uploads', 'index', 'account']);
      expect((await foreman.getDeletion())?.nextAt !== null).toBe(left);
    }
    vi.restoreAllMocks();
    expect(await foreman.getDeletion()).toMatchObject({ stage: 'over', nextAt: null });
  });
});
