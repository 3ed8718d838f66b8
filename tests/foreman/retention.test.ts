import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RequestId } from '../../src/requests/types';
import { accepted, inForeman, newTenant, stateOf, submitTo, type Tenant } from '../support/foreman';
import { HOUR, makersOf, same, standingOf, succeed } from '../support/reuse';
import { faults, resetFaults } from '../support/worker';

const SETTING = 30 * 24 * HOUR;

// Messages are lost here: what consumers do, the tests do by hand.
beforeEach(() => {
  Object.assign(faults, { generation: 'swallow' });
});
afterEach(resetFaults);

const keptFor = async (tenant: Tenant, id: RequestId) => (await stateOf(tenant, id)).retentionMs;

describe('how long what comes out is kept is fixed at admission', () => {
  it.each([
    [null, null, SETTING],
    [null, 24 * HOUR, 24 * HOUR],
    [24, null, 24 * HOUR],
    [24, HOUR, HOUR],
    [87_600, 87_600 * HOUR, 87_600 * HOUR],
  ])('with the limit %s and %s asked it is %s', async (retention_hours, retentionMs, expected) => {
    const tenant = await newTenant({ retention_hours });
    expect(await keptFor(tenant, await accepted(tenant, { retentionMs }))).toBe(expected);
  });

  it.each([
    [24, 25],
    [null, 721],
  ])('and with the limit %s, %s hours are refused, at no cost', async (retention_hours, hours) => {
    const tenant = await newTenant({ retention_hours });
    const answer = await submitTo(tenant, { retentionMs: hours * HOUR });
    expect(answer).toMatchObject({
      outcome: 'refused',
      refusal: {
        code: 'limit_exceeded',
        limit: 'retention_hours',
        allowed: retention_hours ?? 720,
        used: hours,
      },
    });
  });

  it('a retry has the time of the first, cut to what the user may have now, and is told so', async () => {
    const tenant = await newTenant({ retention_hours: 24 });
    const retryOf = 'req_0aaaaaaaaaaaaaaaaaaaaaaaaaa';
    const [short, long] = [
      await accepted(tenant, { retryOf, retentionMs: HOUR }),
      await accepted(tenant, { retryOf, retentionMs: 720 * HOUR }),
    ];
    expect(await stateOf(tenant, short)).toMatchObject({ retentionMs: HOUR, warnings: [] });
    expect(await stateOf(tenant, long)).toMatchObject({
      retentionMs: 24 * HOUR,
      warnings: [
        'what comes out is kept for 24 hours, the most of this account now, and not for 720 hours',
      ],
    });
  });

  it('of a request that an earlier version admitted nothing is said, and the setting holds', async () => {
    const tenant = await newTenant();
    const id = await accepted(tenant);
    await inForeman(tenant, (sql) => {
      sql.exec("UPDATE requests SET state = json_remove(state, '$.retentionMs')");
    });
    expect(await keptFor(tenant, id)).toBeNull();
  });
});

describe('an equal request', () => {
  it('that names a time has a ready output only if it lasts as long', async () => {
    const tenant = await newTenant();
    const first = await same(tenant);
    await succeed(tenant, first, 10 * HOUR);
    const [unnamed, shorter, longer] = [
      await same(tenant),
      await same(tenant, { retentionMs: 9 * HOUR }),
      await same(tenant, { retentionMs: 11 * HOUR }),
    ];
    expect(await standingOf(tenant, unnamed)).toEqual(['succeeded', first]);
    expect(await standingOf(tenant, shorter)).toEqual(['succeeded', first]);
    expect(await standingOf(tenant, longer)).toEqual(['claim', null]);
    expect(await makersOf(tenant)).toEqual([longer]);
  });

  it('that names a time waits for no output that will be kept for less, and takes it from nobody', async () => {
    const tenant = await newTenant();
    const first = await same(tenant, { retentionMs: 10 * HOUR });
    const [unnamed, longer] = [await same(tenant), await same(tenant, { retentionMs: 11 * HOUR })];
    expect(await standingOf(tenant, unnamed)).toEqual(['request', null]);
    expect(await standingOf(tenant, longer)).toEqual(['claim', null]);
    expect(await makersOf(tenant)).toEqual([first]);
    await succeed(tenant, longer);
    expect(await standingOf(tenant, unnamed)).toEqual(['request', null]);
    await succeed(tenant, first);
    expect(await standingOf(tenant, unnamed)).toEqual(['succeeded', first]);
  });

  it('makes it for the others when the first does not, if its own is kept longest', async () => {
    const tenant = await newTenant({ retention_hours: 24, max_running: 1 });
    const first = await same(tenant);
    const short = await same(tenant, { retentionMs: HOUR, priority: 'high' });
    const long = await same(tenant, { retentionMs: 24 * HOUR, priority: 'low' });
    const other = await accepted(tenant);
    await tenant.foreman.cancel({ credential: tenant.credential, id: first });
    expect(await makersOf(tenant)).toEqual([long]);
    // In the place of the most urgent of those that wait for it.
    expect(await standingOf(tenant, long)).toEqual(['claim', null]);
    expect(await standingOf(tenant, other)).toEqual(['slot', null]);
    await succeed(tenant, long);
    expect(await standingOf(tenant, short)).toEqual(['succeeded', long]);
  });
});
