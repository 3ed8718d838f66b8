// A request ends while somebody is calling for it.
import { describe, expect, it } from 'vitest';
import { endLost, endOutliving, outlive } from '../../src/foreman/outliving';
import type { RequestId } from '../../src/platform/ids';
import { accepted, newTenant, stateOf, submitTo, type Tenant, usageOf } from '../support/foreman';
import { success } from '../support/states';
import { faults } from '../support/worker';

const closed = { state: 'closed', blockedUntil: null, reason: null, pace: null } as const;
const verdicts = { 'openai/gpt-image-1': closed };

/** No consumer takes part: what runs is run by the test. */
async function newLimited(limits: Parameters<typeof newTenant>[0]) {
  Object.assign(faults, { generation: 'swallow', events: 'swallow' });
  return newTenant({ max_running: 1, ...limits });
}

const paid = { model: 'gpt-image-1' };

async function calling(tenant: Tenant): Promise<RequestId> {
  const request = await accepted(tenant, paid);
  const { verdict } = await tenant.foreman.claim({ request, release: 1, token: request, verdicts });
  expect(verdict).toBe('run');
  return request;
}

const settle = ({ foreman }: Tenant, request: RequestId) =>
  foreman.settle({
    ...{ request, token: request, attempt: 1, result: success, nextToken: null, verdicts },
  });

const endings: Readonly<Record<string, (tenant: Tenant, id: RequestId) => Promise<unknown>>> = {
  canceled: ({ foreman, credential }, id) => foreman.cancel({ credential, id }),
  deleted: ({ foreman, credential }, id) => foreman.remove({ credential, id, archived: null }),
};

describe.each(Object.entries(endings))('the call of a request that is %s', (_, end) => {
  it('keeps its slot until its caller is heard of', async () => {
    const tenant = await newLimited({});
    const first = await calling(tenant);
    const next = await accepted(tenant, paid);
    await end(tenant, first);
    expect(await usageOf(tenant)).toMatchObject({ running: 1, waiting: 1 });
    expect(await stateOf(tenant, next)).toMatchObject({ wait: { for: 'slot' } });
    expect(await settle(tenant, first)).toMatchObject({ verdict: 'stale' });
    expect(await stateOf(tenant, next)).toMatchObject({ wait: { for: 'claim' } });
    expect(await usageOf(tenant)).toMatchObject({ running: 1, waiting: 0 });
    await settle(tenant, first);
    expect(await usageOf(tenant)).toMatchObject({ running: 1, waiting: 0 });
  });

  it('counts as an image of the day, as it may have been paid for', async () => {
    const tenant = await newLimited({ images_per_day: 1 });
    await end(tenant, await calling(tenant));
    expect(await usageOf(tenant)).toMatchObject({ unitsToday: 1 });
    expect(await submitTo(tenant, paid)).toMatchObject({
      outcome: 'refused',
      refusal: { limit: 'images_per_day', used: 1 },
    });
  });
});

describe('a slot that an ended request keeps', () => {
  it('is given back once, and with its lease at the latest', () => {
    const memory = { outliving: new Map<string, number>(), active: 0 };
    outlive(memory, { token: 'a', until: 10 });
    outlive(memory, { token: 'a', until: 10 });
    outlive(memory, { token: 'b', until: 20 });
    expect(memory.active).toBe(2);
    endLost(memory, 10);
    expect(memory.active).toBe(1);
    expect([endOutliving(memory, 'a'), endOutliving(memory, 'b')]).toEqual([false, true]);
    expect(memory.active).toBe(0);
  });

  it('is none where a request is canceled before its call', async () => {
    const tenant = await newLimited({ images_per_day: 1 });
    const id = await accepted(tenant, paid);
    await tenant.foreman.cancel({ credential: tenant.credential, id });
    expect(await usageOf(tenant)).toMatchObject({ running: 0, unitsToday: 0 });
  });
});
