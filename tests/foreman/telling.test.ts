// Who is told of what: each delivery is claimed and settled by the test.
import { evictDurableObject } from 'cloudflare:test';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addDelivery } from '../../src/foreman/lanes';
import { tellEndpoints } from '../../src/foreman/telling';
import { type DeliveryId, newId, type RequestId } from '../../src/platform/ids';
import { endEventTypes } from '../../src/requests/options';
import { createDelivery } from '../../src/webhooks/delivery';
import type { Endpoint } from '../../src/webhooks/endpoints/types';
import type { Delivery } from '../../src/webhooks/types';
import { onDesk } from '../support/desk';
import { answered, deliveriesIn, newEndpoint } from '../support/endpoints';
import { accepted, by, newTenant, runAlarm, type Tenant } from '../support/foreman';
import { equal } from '../support/reuse';
import { failure, success } from '../support/states';
import { faults, resetFaults, sent } from '../support/worker';

beforeEach(() => {
  Object.assign(faults, { generation: 'swallow', webhooks: 'swallow', events: 'swallow' });
});
afterEach(resetFaults);

const closed = { state: 'closed', blockedUntil: null, reason: null, pace: null } as const;
const verdicts = { 'openai/gpt-image-1': closed };
const url = 'https://own.example.com/hook';
const webhook = { url, events: endEventTypes };

async function ran(
  tenant: Tenant,
  overrides: Parameters<typeof accepted>[1] = {},
  result: Parameters<Tenant['foreman']['settle']>[0]['result'] = success,
): Promise<RequestId> {
  const request = await accepted(tenant, { model: 'gpt-image-1', ...overrides });
  await tenant.foreman.claim({ request, release: 1, token: 't', verdicts });
  const settled = { token: 't', attempt: 1, nextToken: null, verdicts };
  await tenant.foreman.settle({ request, ...settled, result });
  return request;
}

const claim = ({ foreman }: Tenant, { id }: Pick<Delivery, 'id'>, token: string = id) =>
  foreman.claimDelivery({ delivery: id, token });

/** @throws unless there is something to post. */
async function job(tenant: Tenant, delivery: Pick<Delivery, 'id'>) {
  const claimed = await claim(tenant, delivery);
  if (claimed.verdict !== 'deliver') throw new Error(claimed.verdict);
  return claimed.job;
}

const settle = ({ foreman }: Tenant, { id }: Pick<Delivery, 'id'>, status: number) =>
  foreman.settleDelivery({ delivery: id, token: id, result: answered(status) });

const sequenceOf = ({ body }: Delivery): number => JSON.parse(body).sequence;

/** In the order in which they happened: ids of one millisecond say nothing of it. */
const typesFor = (all: readonly Delivery[], endpoint: Pick<Endpoint, 'id'> | null) =>
  all
    .filter(({ endpointId }) => endpointId === (endpoint?.id ?? null))
    .sort((a, b) => a.createdAt - b.createdAt || sequenceOf(a) - sequenceOf(b))
    .map(({ type }) => type.replace('request.', ''));

async function only(tenant: Tenant): Promise<Delivery> {
  const [delivery, ...rest] = await deliveriesIn(tenant);
  if (!delivery || rest.length > 0) throw new Error(`expected one, not ${rest.length + 1}`);
  return delivery;
}

describe('every version of a request', () => {
  it('goes to the endpoints that want it, and to the URL that it names itself', async () => {
    const tenant = await newTenant();
    const all = await newEndpoint(tenant);
    const noun = await newEndpoint(tenant, { events: ['request.*'] });
    const ends = await newEndpoint(tenant, { events: ['request.succeeded', 'request.queued'] });
    const others = await newEndpoint(tenant, { events: ['endpoint.*', 'request.failed'] });
    await ran(tenant, { webhook });
    const deliveries = await deliveriesIn(tenant);
    const every = ['queued', 'running', 'succeeded'];
    expect(typesFor(deliveries, all)).toEqual(every);
    expect(typesFor(deliveries, noun)).toEqual(every);
    expect(typesFor(deliveries, ends)).toEqual(['queued', 'succeeded']);
    expect(typesFor(deliveries, others)).toEqual([]);
    expect(typesFor(deliveries, null)).toEqual(['succeeded']);
  });

  it('has one body for all, with its place in the order', async () => {
    const tenant = await newTenant();
    await newEndpoint(tenant);
    await newEndpoint(tenant);
    await ran(tenant, { webhook: { url, events: ['request.*'] } });
    const bodies = [...new Set((await deliveriesIn(tenant)).map(({ body }) => body))];
    expect(bodies.map((body) => JSON.parse(body))).toMatchObject([
      { type: 'request.queued', sequence: 1, data: { status: 'queued' } },
      { type: 'request.running', sequence: 2, data: { status: 'running' } },
      { type: 'request.succeeded', sequence: 3, data: { status: 'succeeded' } },
    ]);
    const ids = (await deliveriesIn(tenant)).map(({ id }) => id);
    expect(new Set(ids).size).toBe(9);
  });

  it.each([
    ['fails', failure('refused'), ['queued', 'running', 'failed']],
    ['waits for another attempt', failure('failed'), ['queued', 'running', 'queued']],
  ])('is told when it %s', async (_, result, types) => {
    const tenant = await newTenant();
    const endpoint = await newEndpoint(tenant);
    await ran(tenant, {}, result);
    expect(typesFor(await deliveriesIn(tenant), endpoint)).toEqual(types);
  });

  it('is told of one that has its output at once, and of its cancellation by deletion', async () => {
    const tenant = await newTenant();
    await ran(tenant, equal);
    const endpoint = await newEndpoint(tenant);
    await accepted(tenant, { model: 'gpt-image-1', ...equal });
    const id = await accepted(tenant, { model: 'gpt-image-1' });
    const { foreman, credential } = tenant;
    await foreman.remove({ credential, id, archived: null });
    const types = typesFor(await deliveriesIn(tenant), endpoint);
    expect(types).toEqual(['queued', 'succeeded', 'queued', 'canceled']);
  });

  it('costs a user without endpoints nothing', async () => {
    const tenant = await newTenant();
    await ran(tenant);
    expect(await deliveriesIn(tenant)).toEqual([]);
    expect(sent.filter(({ queue }) => queue === 'webhooks')).toEqual([]);
  });

  it('is nobody’s business once the user is being deleted', async () => {
    const tenant = await newTenant({ max_running: 0 });
    await newEndpoint(tenant, { events: ['request.canceled'] });
    await accepted(tenant, { webhook });
    await tenant.foreman.beginDeletion(by);
    expect(await deliveriesIn(tenant)).toEqual([]);
  });
});

describe('a disabled endpoint', () => {
  it('gets nothing; what it would have got is kept as skipped, and told to D1', async () => {
    const tenant = await newTenant();
    const { id } = await newEndpoint(tenant, { events: ['request.succeeded'] });
    const { foreman, credential } = tenant;
    await foreman.disableEndpoint({ credential, id });
    const request = await ran(tenant);
    const skipped = { status: 'skipped', reason: 'endpoint_disabled', attempts: [] };
    expect(await only(tenant)).toMatchObject({ ...skipped, endpointId: id, requestId: request });
    expect((await foreman.pullNews()).deliveries).toMatchObject([skipped]);
    expect(await claim(tenant, await only(tenant))).toEqual({ verdict: 'stale' });
    expect(sent.filter(({ queue }) => queue === 'webhooks')).toEqual([]);
  });

  it('ends what was on its way, and lets a POST that is under way come to its own end', async () => {
    const tenant = await newTenant();
    const { id } = await newEndpoint(tenant);
    await ran(tenant);
    const [first, second] = (await deliveriesIn(tenant)) as [Delivery, Delivery];
    await claim(tenant, first);
    await claim(tenant, second);
    const { foreman, credential } = tenant;
    await foreman.disableEndpoint({ credential, id });
    await settle(tenant, first, 204);
    await settle(tenant, second, 500);
    const ended = { status: 'failed', reason: 'endpoint_disabled' };
    expect(await deliveriesIn(tenant)).toMatchObject([
      { status: 'delivered', reason: null, attempts: [{ status: 204 }] },
      { ...ended, attempts: [{ status: 500 }] },
      { ...ended, attempts: [] },
    ]);
  });
});

describe('an endpoint', () => {
  it('is posted to where it is now, signed with what is valid now', async () => {
    const tenant = await newTenant();
    const { foreman, credential } = tenant;
    const endpoint = await newEndpoint(tenant, { events: ['request.succeeded'] });
    await ran(tenant);
    const { id, secrets } = endpoint;
    const rotation = { secret: 'whsec_bmV3', overlapMs: 60_000, madeBy: null };
    await foreman.changeEndpoint({ credential, id, changes: { url: 'https://b.example.com/' } });
    await foreman.rotateEndpointSecret({ credential, id, rotation });
    expect(await job(tenant, await only(tenant))).toMatchObject({
      ...{ url: 'https://b.example.com/', secrets: ['whsec_bmV3', secrets[0]?.secret] },
      ...{ endpointId: id, attempt: 1 },
    });
  });

  it('that answers 410 is disabled, and its delivery fails', async () => {
    const tenant = await newTenant();
    const { foreman, credential } = tenant;
    const { id } = await newEndpoint(tenant, { events: ['request.succeeded'] });
    await ran(tenant);
    await job(tenant, await only(tenant));
    await settle(tenant, await only(tenant), 410);
    expect(await only(tenant)).toMatchObject({ status: 'failed', reason: 'gone' });
    const stored = await foreman.getEndpoint({ credential, id });
    expect(stored).toMatchObject({ disabled: { reason: 'gone' } });
  });

  it.each([
    ['410', 410],
    ['500', 500],
  ])('that has moved is not judged by its former place, which answers %s', async (_, status) => {
    const tenant = await newTenant({ max_running: 0 });
    const { foreman, credential } = tenant;
    const endpoint = await newEndpoint(tenant);
    await accepted(tenant);
    const { url: former } = await job(tenant, await only(tenant));
    const url = 'https://elsewhere.example.com/';
    await foreman.changeEndpoint({ credential, id: endpoint.id, changes: { url } });
    expect(await settle(tenant, await only(tenant), status)).toEqual({ verdict: 'settled' });
    expect(former).toBe(endpoint.url);
    expect(await foreman.getEndpoint({ credential, id: endpoint.id })).toMatchObject({
      ...{ url, disabled: null, failingSince: null },
    });
    // It is tried again, at the new place.
    expect(await only(tenant)).toMatchObject({ status: 'pending', attempts: [{ status }] });
  });

  it('that is deleted while a claim is answered leaves nothing to post to whoever asks again', async () => {
    const tenant = await newTenant({ max_running: 0 });
    const { foreman, credential } = tenant;
    const { id } = await newEndpoint(tenant);
    await accepted(tenant);
    const delivery = await only(tenant);
    await job(tenant, delivery);
    await foreman.deleteEndpoint({ credential, id });
    expect(await claim(tenant, delivery)).toEqual({ verdict: 'stale' });
  });

  it('that is deleted ends its deliveries by the hundred, and goes on after an eviction', async () => {
    const tenant = await newTenant();
    const { foreman, credential, userId } = tenant;
    const { id, url } = await newEndpoint(tenant, { events: ['request.failed'] });
    await onDesk(tenant, (desk) => {
      for (let index = 0; index < 250; index += 1) {
        const about = { userId, requestId: null, endpointId: id, type: 'request.failed', url };
        const event = { ...about, body: '{}', correlationId: 'c', traceparent: null };
        addDelivery(desk, createDelivery({ ...event, id: newId('dlv', index) }, desk.now));
      }
    });
    await evictDurableObject(tenant.stub);
    await foreman.deleteEndpoint({ credential, id });
    const endedNow = async () =>
      (await deliveriesIn(tenant)).filter(({ status }) => status === 'failed').length;
    expect(await endedNow()).toBeGreaterThanOrEqual(100);
    await evictDurableObject(tenant.stub);
    for (let turn = 0; turn < 3; turn += 1) await runAlarm(tenant);
    const ended = await deliveriesIn(tenant);
    expect(ended).toHaveLength(250);
    expect(new Set(ended.map((one) => one.status !== 'pending' && one.reason))).toEqual(
      new Set(['endpoint_deleted']),
    );
  });

  it('that is gone without a word ends a delivery when it is claimed', async () => {
    const tenant = await newTenant();
    await newEndpoint(tenant, { events: ['request.succeeded'] });
    await ran(tenant);
    await onDesk(tenant, ({ sql }) => sql.exec('DELETE FROM webhook_endpoints').toArray());
    await evictDurableObject(tenant.stub);
    expect(await claim(tenant, await only(tenant))).toEqual({ verdict: 'stale' });
    expect(await only(tenant)).toMatchObject({ status: 'failed', reason: 'endpoint_deleted' });
  });

  it('is told of the others, and not of itself', async () => {
    const tenant = await newTenant();
    const first = await newEndpoint(tenant);
    const second = await newEndpoint(tenant, { events: ['endpoint.*'] });
    await newEndpoint(tenant, { events: ['request.*'] });
    await onDesk(tenant, (desk) => {
      const at = Date.UTC(2026, 10, 21);
      const what = { about: first.id, data: { id: first.id }, correlationId: 'c' };
      tellEndpoints(desk, { type: 'endpoint.disabled', at, ...what });
    });
    const { body, ...told } = await only(tenant);
    expect(told).toMatchObject({ endpointId: second.id, requestId: null, correlationId: 'c' });
    expect(JSON.parse(body)).toEqual({
      ...{ type: 'endpoint.disabled', timestamp: '2026-11-21T00:00:00.000Z', sequence: null },
      data: { id: first.id },
    });
  });
});

it('an object that is half full keeps nothing more for who is behind, and tells the others on', async () => {
  const tenant = await newTenant();
  const well = await newEndpoint(tenant);
  const failing = await newEndpoint(tenant, { failingSince: 1 });
  const told = await onDesk(tenant, (desk) => {
    const tell = (databaseSize: number) => {
      const sql = { exec: desk.sql.exec.bind(desk.sql), databaseSize } as SqlStorage;
      const about = newId('whk', desk.now);
      const what = { type: 'endpoint.disabled', at: desk.now, about, data: {} };
      tellEndpoints({ ...desk, sql }, { ...what, correlationId: 'c' });
    };
    tell(5_000_000_000);
    tell(5_000_000_001);
    for (let slow = 0; slow < 5; slow += 1) tell(5_000_000_001);
    return desk.effects.filter((effect) => 'send' in effect && effect.send === 'deliver').length;
  });
  const all = await deliveriesIn(tenant);
  const statuses = (id: string) =>
    all.filter(({ endpointId }) => endpointId === id).map(({ status }) => status);
  const skipped = Array(6).fill('skipped');
  expect(statuses(failing.id).sort()).toEqual(['pending', ...skipped]);
  // Five are on their way and one waits: from then on it is behind, too.
  expect(statuses(well.id).sort()).toEqual([...Array(6).fill('pending'), 'skipped']);
  expect(all.find(({ status }) => status === 'skipped')).toMatchObject({ reason: 'backlog' });
  expect(told).toBe(6);
});

describe('a delivery', () => {
  it('to a request’s own URL ends with a 410, and other URLs are none the wiser', async () => {
    const tenant = await newTenant();
    await ran(tenant, { webhook });
    await job(tenant, await only(tenant));
    await settle(tenant, await only(tenant), 410);
    expect(await only(tenant)).toMatchObject({ status: 'failed', reason: 'gone' });
    await ran(tenant, { webhook });
    expect((await deliveriesIn(tenant)).map(({ status }) => status)).toEqual(['failed', 'pending']);
  });

  it('is claimed and settled by one caller, who may ask twice', async () => {
    const tenant = await newTenant();
    await ran(tenant, { webhook });
    const { id } = await only(tenant);
    const first = await claim(tenant, { id });
    expect(await claim(tenant, { id })).toEqual(first);
    expect(await claim(tenant, { id }, 'another')).toEqual({ verdict: 'busy' });
    expect(await settle(tenant, { id }, 204)).toEqual({ verdict: 'settled' });
    expect(await settle(tenant, { id }, 500)).toEqual({ verdict: 'stale' });
    expect(await only(tenant)).toMatchObject({ status: 'delivered', attempts: [{ status: 204 }] });
  });

  it('of a suspended account is made like any other', async () => {
    const tenant = await newTenant();
    await newEndpoint(tenant, { events: ['request.succeeded'] });
    await ran(tenant, { webhook });
    await tenant.foreman.changeStatus({ status: 'suspended', by });
    const ids = (await deliveriesIn(tenant)).map(({ id }): { id: DeliveryId } => ({ id }));
    for (const one of ids) {
      await job(tenant, one);
      await settle(tenant, one, 204);
    }
    const after = await deliveriesIn(tenant);
    expect(after.map(({ status }) => status)).toEqual(['delivered', 'delivered']);
  });
});
