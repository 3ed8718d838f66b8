// The whole schedule of a delivery at a real foreman, with a clock that is moved. No consumer takes
// part: what is claimed and settled, the test claims and settles.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RequestId } from '../../src/platform/ids';
import { RETRY_DELAYS_MS } from '../../src/webhooks/schedule';
import type { Delivery, DeliveryResult } from '../../src/webhooks/types';
import { answered, deliveriesIn, newEndpoint } from '../support/endpoints';
import { accepted, newTenant, runAlarm, type Tenant } from '../support/foreman';
import { faults, resetFaults, sent } from '../support/worker';

/** So late that no alarm runs by itself. */
const START = Date.UTC(2099, 10, 21);
const HOUR_MS = 3_600_000;
const LEASE_MS = 30_000;
const JITTER = 0.1;
const TRIES = 10;

let clock = START;

beforeEach(() => {
  clock = START;
  vi.spyOn(Date, 'now').mockImplementation(() => clock);
  Object.assign(faults, { generation: 'swallow', webhooks: 'swallow', events: 'swallow' });
});
afterEach(() => {
  resetFaults();
  vi.restoreAllMocks();
});

const wakeUps = () => sent.filter(({ queue }) => queue === 'webhooks').length;

async function told(tenant: Tenant): Promise<Delivery> {
  const [delivery] = await deliveriesIn(tenant);
  if (!delivery) throw new Error('there is no delivery');
  return delivery;
}

const claim = async (tenant: Tenant, token: string) =>
  tenant.foreman.claimDelivery({ delivery: (await told(tenant)).id, token });
const settle = async (tenant: Tenant, token: string, result: DeliveryResult) =>
  tenant.foreman.settleDelivery({ delivery: (await told(tenant)).id, token, result });

/** To the URL of the request, or to an endpoint. */
async function newDelivery(to: string): Promise<{ tenant: Tenant; request: RequestId }> {
  const tenant = await newTenant();
  const events = ['request.queued'] as const;
  if (to === 'an endpoint') await newEndpoint(tenant, { events });
  const webhook = to === 'an endpoint' ? null : { url: 'https://own.example.com/', events };
  return { tenant, request: await accepted(tenant, { webhook }) };
}

/** Until a moment before, nothing; then one wake-up, which can be claimed. */
async function tryAt(tenant: Tenant, dueAt: number, token: string): Promise<void> {
  const before = wakeUps();
  clock = dueAt - 1;
  await runAlarm(tenant);
  expect(await claim(tenant, token)).toEqual({ verdict: 'stale' });
  expect(wakeUps()).toBe(before);
  clock = dueAt;
  await runAlarm(tenant);
  expect(wakeUps()).toBe(before + 1);
  expect(await claim(tenant, token)).toMatchObject({ verdict: 'deliver', job: { token } });
}

async function nextAt(tenant: Tenant): Promise<number> {
  const delivery = await told(tenant);
  if (delivery.status !== 'pending') throw new Error(`it is ${delivery.status}`);
  return delivery.nextAttemptAt;
}

type Way = (tenant: Tenant, token: string) => Promise<unknown>;
const fails: Way = (tenant, token) => settle(tenant, token, answered(500));
const dies: Way = (tenant) => {
  clock += LEASE_MS;
  return runAlarm(tenant);
};

describe('a delivery that never succeeds', () => {
  it.each([
    ['an endpoint', 'answers 500', fails, 500],
    ['the URL of its request', 'answers 500', fails, 500],
    ['the URL of its request', 'loses its process in the middle of every POST', dies, null],
  ] as const)(
    'to %s that %s is tried ten times, each in its time and none before, and then fails',
    async (to, _, way, status) => {
      const { tenant } = await newDelivery(to);
      expect(wakeUps()).toBe(1);
      expect(await claim(tenant, 'token-0')).toMatchObject({ verdict: 'deliver' });
      for (const [index, delay] of RETRY_DELAYS_MS.entries()) {
        await way(tenant, `token-${index}`);
        const wait = (await nextAt(tenant)) - clock;
        expect(wait).toBeGreaterThanOrEqual(delay * (1 - JITTER));
        expect(wait).toBeLessThanOrEqual(delay * (1 + JITTER));
        expect((await told(tenant)).attempts).toHaveLength(index + 1);
        await tryAt(tenant, clock + wait, `token-${index + 1}`);
      }
      expect(await told(tenant)).toMatchObject({ status: 'pending' });
      await way(tenant, `token-${TRIES - 1}`);
      const last = await told(tenant);
      expect(last).toMatchObject({ status: 'failed', reason: 'schedule_over' });
      expect(last.attempts.map((attempt) => attempt.status)).toEqual(Array(TRIES).fill(status));
      expect(wakeUps()).toBe(TRIES);
      clock += 100 * HOUR_MS;
      await runAlarm(tenant);
      expect(wakeUps()).toBe(TRIES);
    },
  );
});

describe('Retry-After', () => {
  it.each([
    ['is waited for', HOUR_MS, HOUR_MS],
    ['of more than 24 hours counts as 24', 400 * HOUR_MS, 24 * HOUR_MS],
    ['of less than the schedule changes nothing', 1, 5_000 * (1 - JITTER)],
  ])('%s', async (_, asked, floor) => {
    const { tenant } = await newDelivery('an endpoint');
    await claim(tenant, 'token-0');
    await settle(tenant, 'token-0', answered(503, asked));
    const wait = (await nextAt(tenant)) - clock;
    expect(wait).toBeGreaterThanOrEqual(floor);
    expect(wait).toBeLessThanOrEqual(Math.max(floor, 5_000) * (1 + JITTER));
    await tryAt(tenant, clock + wait, 'token-1');
    expect(await settle(tenant, 'token-1', answered(204))).toEqual({ verdict: 'settled' });
    expect(await told(tenant)).toMatchObject({ status: 'delivered' });
  });
});

it('a process that dies in the middle of one POST costs that try and its wait, no more', async () => {
  const { tenant } = await newDelivery('an endpoint');
  await claim(tenant, 'token-0');
  const { attempts } = await told(tenant);
  expect(attempts).toEqual([]);
  await dies(tenant, 'token-0');
  await tryAt(tenant, await nextAt(tenant), 'token-1');
  // The first caller was only slow: its word comes too late.
  expect(await settle(tenant, 'token-0', answered(204))).toEqual({ verdict: 'stale' });
  await settle(tenant, 'token-1', answered(204));
  expect(await told(tenant)).toMatchObject({
    status: 'delivered',
    attempts: [
      { status: null, durationMs: LEASE_MS, error: 'The process that made this call went away.' },
      { status: 204 },
    ],
  });
});
