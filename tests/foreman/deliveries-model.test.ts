// Deliveries at a real foreman, held against what must be true whatever happens: requests, consumers
// that answer, die or ask twice, replays, endpoints that come, move and go, a projector in between,
// clocks that jump and an object that is evicted.
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import type { Foreman } from '../../src/foreman/object';
import { type DeliveryId, newId } from '../../src/platform/ids';
import * as deliveries from '../../src/webhooks/deliveries';
import { NEVER } from '../../src/webhooks/delivery';
import type { Endpoint } from '../../src/webhooks/endpoints/types';
import { LANE_IN_FLIGHT, nextLane, USER_IN_FLIGHT } from '../../src/webhooks/lanes';
import type { FinishedDelivery } from '../../src/webhooks/types';
import { answered, newEndpoint } from '../support/endpoints';
import { accepted, inForeman, newTenant, runAlarm, type Tenant } from '../support/foreman';
import { faults, resetFaults, sent } from '../support/worker';

/** So late that no alarm runs by itself. */
const START = Date.UTC(2099, 10, 21);
const HOUR_MS = 3_600_000;

let clock = START;

beforeAll(() => {
  vi.spyOn(Date, 'now').mockImplementation(() => clock);
  Object.assign(faults, { generation: 'swallow', webhooks: 'swallow', events: 'swallow' });
});
afterEach(() => {
  clock = START;
});
afterAll(() => {
  resetFaults();
  vi.restoreAllMocks();
});

const which = fc.nat(40);
const someCommand = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      is: fc.constant('submit' as const),
      own: fc.option(fc.nat(3)),
      times: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      is: fc.constant('post' as const),
      which,
      status: fc.constantFrom(204, 204, 500, 410),
      twice: fc.boolean(),
    }),
  },
  // What is claimed is settled later, or never.
  { weight: 3, arbitrary: fc.record({ is: fc.constantFrom('claim', 'settle', 'confirm'), which }) },
  {
    weight: 2,
    arbitrary: fc.record({
      is: fc.constant('replay' as const),
      which,
      // Between what the projector reads and what it confirms.
      late: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      is: fc.constantFrom('add', 'move', 'disable', 'enable', 'delete'),
      which,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      is: fc.constant('pass' as const),
      ms: fc.constantFrom(-5_000, -1, 1_000, 16_000, 31_000, 400_000, 24 * HOUR_MS),
    }),
  },
  { weight: 1, arbitrary: fc.record({ is: fc.constant('evict' as const) }) },
);
type Command = typeof someCommand extends fc.Arbitrary<infer T> ? T : never;

interface World {
  readonly tenant: Tenant;
  readonly endpoints: Endpoint[];
  /** Wake-ups that nobody has taken yet. */
  readonly wakeUps: DeliveryId[];
  /** Claimed, and not settled yet: by then the lease may be over. */
  readonly claimed: { readonly delivery: DeliveryId; readonly token: string }[];
  /** Every delivery that there ever was. */
  readonly seen: Set<DeliveryId>;
  /** What D1 has. */
  readonly archive: Map<DeliveryId, FinishedDelivery>;
  /** How many messages to the queue have been looked at. */
  read: number;
}

const pick = <T>(list: readonly T[], index: number): T | undefined => list[index % list.length];

function takeWakeUps(world: World): void {
  for (const { queue, body } of sent.slice(world.read)) {
    const { user, delivery } = body as { user: string; delivery: DeliveryId };
    if (queue === 'webhooks' && user === world.tenant.userId) world.wakeUps.push(delivery);
  }
  world.read = sent.length;
}

const take = <T>(list: T[], index: number): T | undefined =>
  list.splice(index % Math.max(1, list.length), 1)[0];

/** `status`: null for one that is settled later. */
async function post(world: World, index: number, status: number | null, twice = false) {
  const { foreman } = world.tenant;
  const delivery = take(world.wakeUps, index);
  if (delivery === undefined) return;
  const token = crypto.randomUUID();
  let claimed = await foreman.claimDelivery({ delivery, token });
  if (twice && claimed.verdict === 'deliver') {
    claimed = await foreman.claimDelivery({ delivery, token });
    expect(claimed.verdict).toBe('deliver');
  }
  if (claimed.verdict !== 'deliver') return;
  expect(claimed.job.secrets.length).toBeGreaterThan(0);
  if (status === null) return void world.claimed.push({ delivery, token });
  const settled = { delivery, token, result: answered(status) };
  expect(await foreman.settleDelivery(settled)).toEqual({ verdict: 'settled' });
  if (twice) expect(await foreman.settleDelivery(settled)).toEqual({ verdict: 'stale' });
}

/** What the projector does; `between`: what happens while D1 is writing. */
async function project(
  world: World,
  between: (read: readonly DeliveryId[]) => Promise<unknown> = async () => {},
) {
  const { foreman } = world.tenant;
  const news = await foreman.pullNews();
  await between(news.deliveries.map(({ id }) => id));
  for (const delivery of news.deliveries) world.archive.set(delivery.id, delivery);
  return foreman.confirmNews({
    requests: [],
    deliveries: news.deliveries,
    accountVersion: null,
    audit: [],
    last: true,
  });
}

async function replay(
  world: World,
  index: number,
  among: readonly DeliveryId[] = [...world.seen],
): Promise<void> {
  const { foreman, credential } = world.tenant;
  const id = pick(among, index);
  if (id === undefined) return;
  const held = await inForeman(world.tenant, (sql) => deliveries.getOne(sql, id));
  const archived = world.archive.get(id);
  const endpointId = (held ?? archived)?.endpointId ?? null;
  const answer = await foreman.replayDeliveries({
    ...{ credential, endpointId, ids: [id] },
    archived: archived ? [archived] : [],
  });
  if (answer && 'found' in answer) expect(answer.found).toBe(true);
}

async function changeEndpoint(
  world: World,
  { is, which: index }: { readonly is: string; readonly which: number },
): Promise<void> {
  const { tenant, endpoints } = world;
  const { foreman, credential } = tenant;
  if (is === 'add') {
    if (endpoints.length < 12) endpoints.push(await newEndpoint(tenant));
    return;
  }
  const endpoint = pick(endpoints, index);
  if (!endpoint) return;
  const { id } = endpoint;
  if (is === 'disable') await foreman.disableEndpoint({ credential, id });
  else if (is === 'move') {
    const changes = { url: `https://moved-${index}.example.com/` };
    await foreman.changeEndpoint({ credential, id, changes });
  } else if (is === 'delete') {
    await foreman.deleteEndpoint({ credential, id });
    endpoints.splice(endpoints.indexOf(endpoint), 1);
  } else {
    const present = await foreman.getEndpoint({ credential, id });
    if (!present || 'outcome' in present) throw new Error('expected an endpoint');
    const ping: FinishedDelivery & { endpointId: Endpoint['id'] } = {
      ...{ id: newId('dlv', clock), userId: tenant.userId, requestId: null, endpointId: id },
      ...{ type: 'endpoint.ping', url: present.url, body: '{}', attempts: [], attemptsBefore: 0 },
      ...{ createdAt: clock, correlationId: 'c', traceparent: null },
      ...{ status: 'delivered', reason: null, finishedAt: clock },
    };
    await foreman.enableEndpoint({ credential, ping });
  }
}

async function run(world: World, command: Command): Promise<unknown> {
  const { tenant } = world;
  switch (command.is) {
    case 'submit': {
      const url = `https://own-${command.own}.example.com/`;
      const webhook = command.own === null ? null : { url, events: ['request.*'] as const };
      for (let time = 0; time < command.times; time += 1) await accepted(tenant, { webhook });
      return;
    }
    case 'post':
      return post(world, command.which, command.status, command.twice);
    case 'claim':
      return post(world, command.which, null);
    case 'settle': {
      const claimed = take(world.claimed, command.which);
      return claimed && tenant.foreman.settleDelivery({ ...claimed, result: answered(204) });
    }
    case 'confirm':
      return project(world);
    case 'replay':
      if (command.late) return project(world, (read) => replay(world, command.which, read));
      return replay(world, command.which);
    case 'pass':
      clock += command.ms;
      return runAlarm(tenant);
    case 'evict':
      return evictDurableObject(tenant.stub);
    default:
      return changeEndpoint(world, command);
  }
}

interface Row {
  readonly [column: string]: SqlStorageValue;
  readonly id: DeliveryId;
  readonly finished: number;
  readonly place: number;
  readonly lane: string;
  readonly due_at: number;
}

/** While it runs by itself, as after an eviction, it is not set. */
async function alarmOf({ tenant }: World): Promise<number> {
  for (let look = 0; look < 100; look += 1) {
    const alarm = await runInDurableObject(tenant.stub, (_: Foreman, { storage }) =>
      storage.getAlarm(),
    );
    if (alarm !== null) return alarm;
  }
  throw new Error('there is no alarm');
}

/** What must be true between any two changes. */
async function check(world: World): Promise<readonly Row[]> {
  const { rows, free } = await inForeman(world.tenant, (sql) => ({
    rows: sql.exec<Row>('SELECT id, finished, place, lane, due_at FROM deliveries').toArray(),
    free: nextLane(deliveries.countLanes(sql)),
  }));
  const pending = rows.filter(({ finished }) => finished === 0);
  const inFlight = Map.groupBy(
    pending.filter(({ place }) => place === 1 || place === 2),
    ({ lane }) => lane,
  );
  const counts = [...inFlight.values()].map((list) => list.length);
  expect(Math.max(0, ...counts)).toBeLessThanOrEqual(LANE_IN_FLIGHT);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(USER_IN_FLIGHT);
  expect(free).toBeNull();
  const dues = pending.map((row) => row.due_at).filter((due) => due !== NEVER);
  // Who has no time of its own is waited for by somebody who has.
  if (pending.length > 0) expect(dues.length).toBeGreaterThan(0);
  if (dues.length > 0) expect(await alarmOf(world)).toBeLessThanOrEqual(Math.min(...dues));
  for (const { id } of rows) world.seen.add(id);
  const there = new Set([...rows.map(({ id }) => id), ...world.archive.keys()]);
  expect([...world.seen].filter((id) => !there.has(id))).toEqual([]);
  return pending;
}

it('whatever happens, deliveries keep to their places, none vanishes, and all are tried to their end', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(someCommand, { minLength: 10, maxLength: 30 }), async (commands) => {
      clock = START;
      const tenant = await newTenant({ max_running: 0, max_waiting: 10_000, burst: 10_000 });
      const world: World = {
        ...{ tenant, endpoints: [], wakeUps: [], claimed: [], seen: new Set(), archive: new Map() },
        read: sent.length,
      };
      for (let made = 0; made < 3; made += 1) world.endpoints.push(await newEndpoint(tenant));
      for (const command of commands) {
        await run(world, command);
        takeWakeUps(world);
        await check(world);
      }
      // Receivers are well again.
      for (let turn = 0; turn < 100; turn += 1) {
        if ((await check(world)).length === 0) return;
        clock += HOUR_MS;
        await runAlarm(tenant);
        takeWakeUps(world);
        while (world.wakeUps.length > 0) {
          await post(world, 0, 204);
          takeWakeUps(world);
        }
      }
      expect(await check(world)).toEqual([]);
    }),
    { numRuns: 4 },
  );
}, 60_000);
