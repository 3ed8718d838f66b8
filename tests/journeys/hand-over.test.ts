import { describe, expect, it } from 'vitest';
import { faults } from '../support/worker';
import {
  advance,
  type Client,
  confirmed,
  count,
  http,
  indexed,
  indexRow,
  newClient,
  objectKeys,
  receiver,
  until,
  useWorld,
} from './support';

useWorld();

const inForeman = (client: Client, id: string) =>
  client.sql((sql) => sql.exec('SELECT id FROM requests WHERE id = ?', id).toArray().length);

const makeDue = async (client: Client, id: string) => {
  await client.sql((sql) => sql.exec('UPDATE requests SET due_at = 1 WHERE id = ?', id));
  await client.alarm();
};

/** A finished request that has left the foreman for D1. */
async function handedOver(client: Client, fields: object = {}, headers = {}) {
  const { id } = await client.submit(fields, headers);
  const request = await client.reached(id, 'succeeded');
  await indexed(id, 'succeeded');
  await confirmed(client, id);
  await makeDue(client, id);
  expect(await inForeman(client, id)).toBe(0);
  return request;
}

describe('a finished request', () => {
  it('stays in the foreman for its hot time, and leaves by itself after it', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    await confirmed(client, id);
    advance(23 * 3_600_000);
    await client.alarm();
    expect(await inForeman(client, id)).toBe(1);
    advance(3_600_001);
    await client.alarm();
    expect(await inForeman(client, id)).toBe(0);
  });

  it('does not leave before D1 has confirmed its last version', async () => {
    const client = await newClient();
    faults.d1 = 'fail';
    const { id } = await client.submit();
    const request = await client.reached(id, 'succeeded');
    await makeDue(client, id);
    expect(await inForeman(client, id)).toBe(1);
    expect(await client.get(id)).toEqual(request);

    faults.d1 = null;
    advance(300_001);
    await client.alarm();
    await confirmed(client, id);
    await makeDue(client, id);
    expect(await inForeman(client, id)).toBe(0);
    expect(await client.get(id)).toEqual(request);
  });
});

describe('a request that has left the foreman', () => {
  it('is read, listed, cancelled in vain, retried and replayed as before', async () => {
    const hook = receiver();
    const client = await newClient();
    const headers = { 'idempotency-key': 'left' };
    const request = await handedOver(client, { webhook_url: hook.url }, headers);
    const path = `/v1/requests/${request.id}`;
    expect(await client.get(request.id)).toEqual(request);
    expect(await client.list()).toEqual([request]);
    const known = { headers: { 'if-none-match': `"${request.version}"` } };
    expect((await client.call('GET', path, known)).status).toBe(304);
    expect(await (await client.call('POST', `${path}/cancel`)).json()).toEqual(request);
    expect((await client.call('GET', request.images[0]?.url ?? '')).status).toBe(200);
    await until(async () =>
      expect(await client.deliveries(request.id)).toMatchObject([{ status: 'delivered' }]),
    );
    const events = await (await client.call('GET', `${path}/events`)).text();
    expect(events.match(/^event: .*$/gm)).toEqual([
      'event: request.queued',
      'event: request.running',
      'event: request.succeeded',
    ]);

    const body = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };
    const replay = await client.call('POST', '/v1/requests', {
      body: { ...body, webhook_url: hook.url },
      headers,
    });
    expect([replay.status, replay.headers.get('idempotent-replayed')]).toEqual([200, 'true']);
    expect(await replay.json()).toEqual(request);
    const mismatch = await client.call('POST', '/v1/requests', { body, headers });
    expect(mismatch.status).toBe(422);

    const retried = await client.call('POST', `${path}/retry`);
    expect(retried.status).toBe(202);
    expect(await retried.json()).toMatchObject({ retry_of: request.id });
    await until(() => expect(hook.posts).toHaveLength(2));
  });

  it('answers 503 while D1 is down, as nobody can say that it is not there', async () => {
    const client = await newClient();
    const { id } = await handedOver(client, {}, { 'idempotency-key': 'dark' });
    const path = `/v1/requests/${id}`;
    faults.d1 = 'fail';
    for (const [method, target] of [
      ['GET', path],
      ['GET', `${path}/events`],
      ['GET', `${path}/deliveries`],
      ['POST', `${path}/cancel`],
      ['POST', `${path}/retry`],
      ['DELETE', path],
    ] as const) {
      const response = await client.call(method, target);
      expect([method, target, response.status]).toEqual([method, target, 503]);
    }
    const body = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };
    const headers = { 'idempotency-key': 'dark' };
    expect((await client.call('POST', '/v1/requests', { body, headers })).status).toBe(503);
    faults.d1 = null;
    expect((await client.call('GET', path)).status).toBe(200);
  });

  it('is deleted through the foreman: gone from reads, lists, images and D1', async () => {
    const client = await newClient();
    const headers = { 'idempotency-key': 'gone' };
    const { id, images, version } = await handedOver(client, {}, headers);
    expect((await client.call('DELETE', `/v1/requests/${id}`)).status).toBe(204);
    expect((await client.call('GET', `/v1/requests/${id}`)).status).toBe(404);
    expect(await objectKeys(id)).toEqual([]);
    expect((await http('GET', images[0]?.signed_url ?? '')).status).toBe(404);
    const row = await indexed(id, 'deleted');
    expect(row).toMatchObject({ version: version + 1, state: '{}' });
    expect(await client.list()).toEqual([]);
    expect(await count('images', 'request_id = ?', id)).toBe(0);
    expect((await client.call('DELETE', `/v1/requests/${id}`)).status).toBe(204);
    const body = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };
    expect((await client.call('POST', '/v1/requests', { body, headers })).status).toBe(410);
  });

  it('is nobody else’s', async () => {
    const [owner, other] = await Promise.all([newClient(), newClient()]);
    const { id } = await handedOver(owner);
    const path = `/v1/requests/${id}`;
    for (const [method, target] of [
      ['GET', path],
      ['GET', `${path}/deliveries`],
      ['POST', `${path}/cancel`],
      ['POST', `${path}/retry`],
      ['DELETE', path],
    ] as const) {
      expect((await other.call(method, target)).status).toBe(404);
    }
    expect((await indexRow(id))?.status).toBe('succeeded');
    expect(await objectKeys(id)).toHaveLength(1);
  });
});
