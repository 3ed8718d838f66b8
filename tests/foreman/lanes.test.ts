// Deliveries and the places they take, held against what must be true whatever happens.
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Desk } from '../../src/foreman/desk';
import { addDelivery } from '../../src/foreman/lanes';
import { recall, snapshot } from '../../src/foreman/memory';
import { attendDelivery, claim, settle } from '../../src/foreman/posting';
import { type DeliveryId, newId } from '../../src/platform/ids';
import * as deliveries from '../../src/webhooks/deliveries';
import { createDelivery } from '../../src/webhooks/delivery';
import { LANE_IN_FLIGHT, type Lanes, nextLane, USER_IN_FLIGHT } from '../../src/webhooks/lanes';
import { onDesk } from '../support/desk';
import { answered } from '../support/endpoints';
import { inForeman, newTenant, type Tenant } from '../support/foreman';
import { faults, resetFaults } from '../support/worker';

beforeEach(() => {
  Object.assign(faults, { webhooks: 'swallow', events: 'swallow' });
});
afterEach(resetFaults);

const urlOf = (lane: number | string) => `https://lane-${lane}.example.com/hook`;

function add(desk: Desk, { userId }: Tenant, lane: number | string, at = desk.now): DeliveryId {
  const id = newId('dlv', at);
  const delivery = createDelivery(
    {
      ...{ id, userId, requestId: null, endpointId: null, type: 'request.succeeded' },
      ...{ url: urlOf(lane), body: '{}', correlationId: 'correlation-1', traceparent: null },
    },
    desk.now,
  );
  addDelivery(desk, delivery);
  return id;
}

/** What has left for the queue since it was last looked at. */
const takeSent = (desk: Desk): DeliveryId[] =>
  desk.effects
    .splice(0)
    .flatMap((effect) => ('send' in effect && effect.send === 'deliver' ? [effect.message] : []))
    .map(({ delivery }) => delivery);

/** Claimed and answered at once. */
function post(desk: Desk, delivery: DeliveryId, status = 204): void {
  expect(claim(desk, { delivery, token: delivery })).toMatchObject({ verdict: 'deliver' });
  settle(desk, { delivery, token: delivery, result: answered(status) });
}

const countsOf = (lanes: Lanes) => [
  [...lanes.inFlight].sort(),
  [...lanes.waiting].sort(([a], [b]) => (a < b ? -1 : 1)),
];

describe('a lane', () => {
  it('has five under way, and the next goes when one of them has ended', async () => {
    const tenant = await newTenant();
    await onDesk(tenant, (desk) => {
      const ids = Array.from({ length: 8 }, (_, index) => add(desk, tenant, 'a', index));
      const [first = ids[0], second] = takeSent(desk);
      expect(desk.memory.lanes.waiting.get('https://lane-a.example.com')).toBe(3);
      expect(deliveries.getDueIds(desk.sql, { now: desk.now + 3_600_000, limit: 100 })).toEqual(
        ids.slice(0, LANE_IN_FLIGHT),
      );
      post(desk, first as DeliveryId);
      expect(takeSent(desk)).toEqual([ids[5]]);
      post(desk, second as DeliveryId, 500);
      expect(takeSent(desk)).toEqual([ids[6]]);
    });
  });

  it('lets first tries go before repeated ones', async () => {
    const tenant = await newTenant();
    await onDesk(tenant, (desk) => {
      const failed = add(desk, tenant, 'a', 0);
      post(desk, failed, 500);
      const ids = Array.from({ length: 7 }, (_, index) => add(desk, tenant, 'a', index + 1));
      takeSent(desk);
      const later = { ...desk, now: desk.now + 10_000 };
      attendDelivery(later, failed);
      expect(takeSent(desk)).toEqual([]);
      for (const id of ids.slice(0, 3)) post(later, id);
      expect(takeSent(desk)).toEqual([ids[5], ids[6], failed]);
    });
  });

  it('gets its place back when the process of a POST has gone away', async () => {
    const tenant = await newTenant();
    await onDesk(tenant, (desk) => {
      const ids = Array.from({ length: 6 }, (_, index) => add(desk, tenant, 'a', index));
      const [lost = newId('dlv', 0)] = takeSent(desk);
      claim(desk, { delivery: lost, token: 'lost' });
      attendDelivery({ ...desk, now: desk.now + 30_000 }, lost);
      expect(takeSent(desk)).toEqual([ids[5]]);
    });
  });

  it('keeps a place for what was sent and not claimed: it is sent again, and no other', async () => {
    const tenant = await newTenant();
    await onDesk(tenant, (desk) => {
      const [first = newId('dlv', 0)] = Array.from({ length: 6 }, (_, index) =>
        add(desk, tenant, 'a', index),
      );
      takeSent(desk);
      attendDelivery({ ...desk, now: desk.now + 15_000 }, first);
      expect(takeSent(desk)).toEqual([first]);
    });
  });

  it('that hangs holds up no other, and a wake-up that comes late takes no place', async () => {
    const tenant = await newTenant();
    await onDesk(tenant, (desk) => {
      const hanging = Array.from({ length: 100 }, (_, index) => add(desk, tenant, 'a', index));
      takeSent(desk);
      expect(claim(desk, { delivery: hanging[50] as DeliveryId, token: 't' })).toEqual({
        verdict: 'stale',
      });
      for (let index = 0; index < 20; index += 1) {
        const id = add(desk, tenant, 'b', 200 + index);
        expect(takeSent(desk)).toEqual([id]);
        post(desk, id);
      }
    });
  });

  it('serves who waits though the clock was set back, and comes to an end of it', async () => {
    const tenant = await newTenant();
    await onDesk(tenant, (desk) => {
      const ids = Array.from({ length: 7 }, (_, index) => add(desk, tenant, 'a', index));
      const [first = newId('dlv', 0)] = takeSent(desk);
      expect(claim(desk, { delivery: first, token: 't' })).toMatchObject({ verdict: 'deliver' });
      const earlier = { ...desk, now: desk.now - 5_000 };
      settle(earlier, { delivery: first, token: 't', result: answered(204) });
      expect(takeSent(desk)).toEqual([ids[5]]);
    });
  });

  it('whose first cannot be read serves the others', async () => {
    const tenant = await newTenant();
    await onDesk(tenant, (desk) => {
      const ids = Array.from({ length: 7 }, (_, index) => add(desk, tenant, 'a', index));
      desk.sql.exec("UPDATE deliveries SET state = '{' WHERE id = ?", ids[5]);
      const [first = newId('dlv', 0)] = takeSent(desk);
      post(desk, first);
      expect(takeSent(desk)).toEqual([ids[6]]);
    });
  });
});

type Command =
  | { readonly is: 'add'; readonly lane: number; readonly count: number }
  | { readonly is: 'post'; readonly which: number; readonly status: number }
  | { readonly is: 'hang'; readonly which: number }
  | { readonly is: 'pass'; readonly ms: number }
  | { readonly is: 'evict' | 'roll back' };

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      is: fc.constant('add' as const),
      lane: fc.nat(14),
      count: fc.integer({ min: 1, max: 9 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      is: fc.constant('post' as const),
      which: fc.nat(60),
      status: fc.constantFrom(204, 500, 410),
    }),
  },
  { weight: 2, arbitrary: fc.record({ is: fc.constant('hang' as const), which: fc.nat(60) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      is: fc.constant('pass' as const),
      ms: fc.constantFrom(1_000, 16_000, 31_000, 400_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ is: fc.constantFrom('evict', 'roll back') }) },
);

/** All that the alarm would attend to. */
function attendDue(desk: Desk): void {
  for (const id of deliveries.getDueIds(desk.sql, { now: desk.now, limit: 100 })) {
    attendDelivery(desk, id);
  }
}

function run(first: Desk, tenant: Tenant, commands: readonly Command[]): void {
  let desk = first;
  let made = 0;
  const sent: DeliveryId[] = [];
  const check = () => {
    const { lanes } = desk.memory;
    const counts = [...lanes.inFlight.values()];
    expect(Math.max(0, ...counts)).toBeLessThanOrEqual(LANE_IN_FLIGHT);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(USER_IN_FLIGHT);
    expect(countsOf(lanes)).toEqual(countsOf(deliveries.countLanes(desk.sql)));
    expect(nextLane(lanes)).toBeNull();
  };
  const obey = (one: Command) => {
    sent.push(...takeSent(desk));
    switch (one.is) {
      case 'add':
        for (let index = 0; index < one.count; index += 1) {
          made += 1;
          add(desk, tenant, one.lane);
        }
        return;
      case 'post':
      case 'hang': {
        const [id] = sent.splice(one.which % Math.max(1, sent.length), 1);
        if (id === undefined) return;
        const { verdict } = claim(desk, { delivery: id, token: `${id} ${one.which}` });
        if (verdict !== 'deliver' || one.is === 'hang') return;
        settle(desk, { delivery: id, token: `${id} ${one.which}`, result: answered(one.status) });
        return;
      }
      case 'pass':
        desk = { ...desk, now: desk.now + one.ms };
        attendDue(desk);
        return;
      case 'evict':
        desk = { ...desk, memory: recall(desk.sql, desk.now) };
        return;
      case 'roll back': {
        const before = countsOf(desk.memory.lanes);
        const undo = snapshot(desk.memory);
        desk.memory.lanes.inFlight.set('x', 1);
        desk.memory.lanes.waiting.clear();
        undo();
        expect(countsOf(desk.memory.lanes)).toEqual(before);
      }
    }
  };
  for (const one of commands) {
    obey(one);
    check();
  }
  // Receivers are well again: everything comes to an end.
  const ended = () =>
    desk.sql.exec<{ n: number }>('SELECT count(*) AS n FROM deliveries WHERE finished = 1').one().n;
  for (let turn = 0; turn < 200 && ended() < made; turn += 1) {
    obey({ is: 'pass', ms: 3_600_000 });
    for (let index = 0; index < USER_IN_FLIGHT; index += 1) {
      obey({ is: 'post', which: 0, status: 204 });
    }
    check();
  }
  expect(ended()).toBe(made);
  expect(countsOf(desk.memory.lanes)).toEqual([[], []]);
}

it('whatever happens, no lane has more than its places, none is left waiting beside a free one, and all comes to an end', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 10, maxLength: 60 }), async (commands) => {
      const tenant = await newTenant();
      await onDesk(tenant, (desk) => run(desk, tenant, commands));
    }),
    { numRuns: 15 },
  );
}, 60_000);

describe('rows', () => {
  it('of a lone delivery are written as often as before there were lanes', async () => {
    const tenant = await newTenant();
    await onDesk(tenant, (desk) => {
      const cursors: { readonly rowsWritten: number }[] = [];
      const exec: SqlStorage['exec'] = (query, ...bindings) => {
        const cursor = desk.sql.exec(query, ...bindings);
        cursors.push(cursor);
        return cursor as never;
      };
      const counted = { ...desk, sql: { exec } as SqlStorage };
      post(counted, add(counted, tenant, 'a'));
      const written = cursors.reduce((sum, cursor) => sum + cursor.rowsWritten, 0);
      // The row and one index entry, each time: created, claimed, settled.
      expect(written).toBe(6);
    });
  });

  it('of earlier versions get a lane and the place they have, beside one that cannot be read', async () => {
    const tenant = await newTenant();
    const base = { endpointId: null, url: 'https://a.example.com/hook?x=/', attempts: [] };
    const lease = { token: 't', until: 1, at: 0 };
    const rows = [
      { ...base, status: 'pending', sends: 1, lease: null },
      { ...base, status: 'pending', sends: 1, lease },
      { ...base, status: 'pending', sends: 0, lease: null },
      { ...base, status: 'pending', sends: 2, lease: null, url: 'http://b:8080' },
      { ...base, status: 'delivered', url: 'https://c.example.com' },
    ];
    const unreadable = "INSERT INTO deliveries VALUES ('dlv_', '', 1, 0, '{')";
    const found = await inForeman(tenant, (sql) => {
      sql.exec('DROP TABLE deliveries');
      for (const statement of deliveries.deliveryTables) sql.exec(statement);
      for (const [index, row] of rows.entries()) {
        sql.exec(
          "INSERT INTO deliveries (id, request_id, due_at, finished, state) VALUES (?, '', 1, ?, ?)",
          `dlv_${index}`,
          row.status === 'pending' ? 0 : 1,
          JSON.stringify({ ...row, id: `dlv_${index}` }),
        );
      }
      sql.exec(unreadable);
      for (const statement of deliveries.laneTables) sql.exec(statement);
      return {
        lanes: countsOf(deliveries.countLanes(sql)),
        third: deliveries.getOne(sql, 'dlv_2' as DeliveryId),
        last: deliveries.getOne(sql, 'dlv_4' as DeliveryId),
      };
    });
    expect(found.lanes).toEqual([
      [
        ['http://b:8080', 1],
        ['https://a.example.com', 2],
      ],
      [],
    ]);
    expect(found.third).toMatchObject({ lane: 'https://a.example.com', waitsForLane: false });
    expect(found.last).toMatchObject({ status: 'delivered', reason: null, attemptsBefore: 0 });
  });
});
