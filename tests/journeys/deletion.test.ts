import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { createServices } from '../../src/services';
import { deletedKeys, faulted, faults } from '../support/worker';
import {
  advance,
  confirmed,
  count,
  held,
  http,
  indexed,
  indexRow,
  messagesTo,
  newClient,
  objectKeys,
  openai,
  projected,
  receiver,
  runCrons,
  until,
  useWorld,
} from './support';

useWorld();

const WEEK_MS = 7 * 86_400_000;

describe('DELETE', () => {
  it('of a finished request leaves nothing but a tombstone', async () => {
    const client = await newClient();
    const { id } = await client.submit({ n: 2 });
    const { images } = await client.reached(id, 'succeeded');
    await indexed(id, 'succeeded');
    await env.IMAGES.put(`images/${id}/1/0@thumbnail`, 'bytes');
    await env.IMAGES.put(`images/${id}/1/1.part`, 'bytes');
    expect(await objectKeys(id)).toHaveLength(4);
    expect((await client.call('DELETE', `/v1/requests/${id}`)).status).toBe(204);
    expect(await objectKeys(id)).toEqual([]);
    expect((await client.call('GET', `/v1/requests/${id}`)).status).toBe(404);
    for (const image of images) expect((await http('GET', image.signed_url)).status).toBe(404);
    await indexed(id, 'deleted');
    expect(await client.list()).toEqual([]);
    expect(await count('images', 'request_id = ?', id)).toBe(0);
  });

  it('of a running request cancels it, and what its call brings is not kept', async () => {
    const gate = held();
    const calls = openai(gate.answer);
    const hook = receiver();
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1', webhook_url: hook.url });
    await until(() => expect(calls).toHaveLength(1));
    expect((await client.call('DELETE', `/v1/requests/${id}`)).status).toBe(204);
    await until(() => expect(hook.posts).toHaveLength(1));
    expect(hook.posts[0]?.json()).toMatchObject({ type: 'request.canceled' });
    gate.open();
    await until(() => expect(deletedKeys).toContain(`images/${id}/1/0`));
    expect(await objectKeys(id)).toEqual([]);
    expect((await client.call('GET', `/v1/requests/${id}`)).status).toBe(404);
    await indexed(id, 'deleted');
  });

  it('of a waiting request lets the next one have its place', async () => {
    const client = await newClient({ max_running: 1 });
    faults.generation = 'swallow';
    const first = await client.submit();
    const second = await client.submit();
    faults.generation = null;
    expect((await client.call('DELETE', `/v1/requests/${first.id}`)).status).toBe(204);
    await client.reached(second.id, 'succeeded');
  });

  it('wins over news of the request that come after it', async () => {
    const client = await newClient();
    const { projector } = createServices(env);
    await projected(client);
    faults.events = 'swallow';
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    const late = await projector.foreman(client.userId).pullNews();
    expect(late.requests).toMatchObject([{ id, status: 'succeeded' }]);
    faults.events = null;
    await client.call('DELETE', `/v1/requests/${id}`);
    advance(15_001);
    await client.alarm();
    const row = await indexed(id, 'deleted');
    await projector.write(late);
    expect(await indexRow(id)).toEqual(row);
    expect(await count('images', 'request_id = ?', id)).toBe(0);
    expect(await client.list()).toEqual([]);
  });

  it('leaves no copy of the prompt in the log of a delivery that ends after it', async () => {
    const gate = held(() => new Response(null, { status: 204 }));
    const hook = receiver(gate.answer);
    const client = await newClient();
    const { id } = await client.submit({ prompt: 'a secret garden', webhook_url: hook.url });
    await until(() => expect(hook.posts).toHaveLength(1));
    await client.call('DELETE', `/v1/requests/${id}`);
    await indexed(id, 'deleted');
    gate.open();
    await until(async () => {
      const [row] = await client.sql((sql) =>
        sql.exec('SELECT count(*) AS n FROM deliveries').toArray(),
      );
      expect(row?.n).toBe(0);
    });
    expect(await count('webhook_deliveries', 'request_id = ?', id)).toBe(0);
  });

  it('answers a replay of its idempotency key with 410', async () => {
    const client = await newClient();
    const headers = { 'idempotency-key': 'deleted' };
    const { id } = await client.submit({}, headers);
    await client.call('DELETE', `/v1/requests/${id}`);
    const body = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };
    expect((await client.call('POST', '/v1/requests', { body, headers })).status).toBe(410);
  });

  it('is done while D1 is down, which learns of it afterwards', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    await indexed(id, 'succeeded');
    await confirmed(client, id);
    faults.d1 = 'fail';
    expect((await client.call('DELETE', `/v1/requests/${id}`)).status).toBe(204);
    expect((await client.call('GET', `/v1/requests/${id}`)).status).toBe(404);
    expect(await objectKeys(id)).toEqual([]);
    faults.d1 = null;
    advance(300_001);
    await client.alarm();
    await indexed(id, 'deleted');
  });
});

describe('while R2 is down', () => {
  it.each(['list', 'delete'])(
    '(%s) the purge is due again until the images are gone',
    async (method) => {
      const client = await newClient();
      const { id } = await client.submit();
      await client.reached(id, 'succeeded');
      Object.assign(faults, { r2: 'fail', only: [method] });
      expect((await client.call('DELETE', `/v1/requests/${id}`)).status).toBe(204);
      expect((await client.call('GET', `/v1/requests/${id}`)).status).toBe(404);
      expect(await objectKeys(id)).toHaveLength(1);
      const failed = faulted.r2;
      advance(15_001);
      await client.alarm();
      await until(() => expect(faulted.r2).toBeGreaterThan(failed));
      expect(await objectKeys(id)).toHaveLength(1);
      await client.evict();

      faults.r2 = null;
      advance(60_001);
      await client.alarm();
      await until(async () => expect(await objectKeys(id)).toEqual([]));
    },
  );
});

describe('a tombstone', () => {
  it('is forgotten after a week, by the foreman and by D1', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    await client.call('DELETE', `/v1/requests/${id}`);
    await indexed(id, 'deleted');
    await confirmed(client, id);
    const kept = () =>
      client.sql((sql) => sql.exec('SELECT id FROM requests WHERE id = ?', id).toArray().length);
    advance(WEEK_MS - 60_000);
    await client.alarm();
    await runCrons();
    expect([await kept(), (await indexRow(id))?.status]).toEqual([1, 'deleted']);
    advance(60_001);
    await client.alarm();
    await runCrons();
    expect([await kept(), await indexRow(id)]).toEqual([0, null]);
    expect(messagesTo('generation')).toHaveLength(1);
  });
});
