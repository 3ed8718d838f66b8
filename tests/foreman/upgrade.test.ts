// An object whose tables are of an earlier version upgrades as it wakes.
import { evictDurableObject } from 'cloudflare:test';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type DeliveryId, newId } from '../../src/platform/ids';
import { deliveryTables } from '../../src/webhooks/deliveries';
import { LANE_IN_FLIGHT } from '../../src/webhooks/lanes';
import { answered, deliveriesIn, newEndpoint } from '../support/endpoints';
import { inForeman, newTenant, runAlarm, type Tenant } from '../support/foreman';
import { faults, resetFaults } from '../support/worker';

beforeEach(() => {
  Object.assign(faults, { generation: 'swallow', webhooks: 'swallow', events: 'swallow' });
});
afterEach(resetFaults);

const HOUR_MS = 3_600_000;

/** As written before there were endpoints and lanes. */
function earlier({ userId }: Tenant, index: number, overrides: object) {
  const now = Date.now();
  return {
    ...{ id: newId('dlv', index), userId, requestId: newId('req', index), body: '{}' },
    ...{ type: 'request.succeeded', url: 'https://hooks.example.com/hook?to=/a' },
    ...{ createdAt: now, correlationId: 'c', traceparent: null, attempts: [], status: 'pending' },
    ...{ nextAttemptAt: now, sends: 0, sentAt: now, lease: null },
    ...overrides,
  };
}

/** Takes the object back to the step before endpoints, with these deliveries. */
const downgrade = (tenant: Tenant, rows: readonly ReturnType<typeof earlier>[]) =>
  inForeman(tenant, (sql) => {
    const later = ['deliveries', 'webhook_endpoints', 'grants'];
    for (const table of later) sql.exec(`DROP TABLE ${table}`);
    sql.exec('DELETE FROM schema_steps WHERE step >= 3');
    for (const statement of deliveryTables) sql.exec(statement);
    for (const row of rows) {
      sql.exec(
        'INSERT INTO deliveries (id, request_id, due_at, finished, state) VALUES (?, ?, ?, ?, ?)',
        ...[row.id, row.requestId, row.nextAttemptAt, row.status === 'pending' ? 0 : 1],
        JSON.stringify(row),
      );
    }
  });

it('deliveries of before there were lanes are told to their end, more of them under way than a lane has places', async () => {
  const tenant = await newTenant();
  const { foreman } = tenant;
  const now = Date.now();
  const lease = { token: 'former', until: now + HOUR_MS, at: now };
  const leased = Array.from({ length: 7 }, (_, index) =>
    earlier(tenant, index, { sends: 1, lease }),
  );
  const due = Array.from({ length: 7 }, (_, index) => earlier(tenant, 10 + index, {}));
  const waits = earlier(tenant, 20, { nextAttemptAt: now + HOUR_MS });
  const ended = earlier(tenant, 30, { status: 'delivered', finishedAt: now });
  await downgrade(tenant, [...leased, ...due, waits, ended]);
  await evictDurableObject(tenant.stub);

  expect((await foreman.pullNews()).deliveries).toMatchObject([
    { id: ended.id, endpointId: null, reason: null, attemptsBefore: 0 },
  ]);
  await runAlarm(tenant);
  const claim = (delivery: DeliveryId) => foreman.claimDelivery({ delivery, token: delivery });
  // Who is under way keeps its place; the others wait until there are fewer than there may be.
  const [first, ...others] = due.map(({ id }) => id);
  expect(await claim(first as DeliveryId)).toEqual({ verdict: 'stale' });
  for (const { id: delivery } of leased) {
    const settled = { delivery, token: 'former', result: answered(204) };
    expect(await foreman.settleDelivery(settled)).toEqual({ verdict: 'settled' });
  }
  const open = [first, ...others.slice(0, LANE_IN_FLIGHT - 1)] as DeliveryId[];
  for (const id of open) expect(await claim(id)).toMatchObject({ verdict: 'deliver' });
  for (const id of open) {
    await foreman.settleDelivery({ delivery: id, token: id, result: answered(204) });
  }
  for (const id of others.slice(LANE_IN_FLIGHT - 1)) {
    expect(await claim(id)).toMatchObject({ verdict: 'deliver' });
    await foreman.settleDelivery({ delivery: id, token: id, result: answered(204) });
  }
  const left = (await deliveriesIn(tenant)).filter(({ status }) => status === 'pending');
  expect(left).toMatchObject([{ id: waits.id, lane: 'https://hooks.example.com' }]);
  expect(await newEndpoint(tenant)).toMatchObject({ disabled: null });
});
