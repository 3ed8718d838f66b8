import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import type { RequestView } from '../../src/requests/view';
import { faults } from '../support/worker';
import {
  ADMIN,
  advance,
  type Client,
  count,
  deliver,
  http,
  indexed,
  messagesTo,
  newClient,
  objectKeys,
  runCrons,
  useWorld,
} from './support';

useWorld();

const HOUR_MS = 3_600_000;

const change = async (client: Client, limits: object) => {
  const path = `/v1/admin/users/${client.userId}`;
  expect((await http('PATCH', path, { body: { limits }, headers: ADMIN })).status).toBe(200);
};

const hoursOf = ({ images }: RequestView) =>
  images.map((image) => (Date.parse(image.expires_at) - Date.parse(image.created_at)) / HOUR_MS);

const made = async (client: Client, fields: object) => {
  const { id } = await client.submit(fields);
  return client.reached(id, 'succeeded');
};

it('an image is kept for as long as its request asked, and goes with all that lies beside it', async () => {
  const client = await newClient();
  const request = await made(client, { n: 2, retention_hours: 2 });
  const { id, images } = request;
  expect(hoursOf(request)).toEqual([2, 2]);
  await indexed(id, 'succeeded');
  const beside = { customMetadata: { expires_at: String(Date.now() + 2 * HOUR_MS) } };
  await env.IMAGES.put(`images/${id}/1/0@thumbnail`, 'bytes', beside);
  advance(2 * HOUR_MS - 60_000);
  await runCrons();
  expect(await objectKeys(id)).toHaveLength(3);
  advance(60_001);
  expect((await http('GET', images[0]?.signed_url ?? '')).status).toBe(410);
  await runCrons();
  expect(await objectKeys(id)).toEqual([]);
  expect(await count('images', 'request_id = ?', id)).toBe(0);
  // What there was stays on record.
  expect((await client.get(id)).images.map((image) => image.id)).toEqual(
    images.map((one) => one.id),
  );
});

it('the user’s limit is what a request has that asks for nothing, and the most it may ask for', async () => {
  const client = await newClient({ retention_hours: 48 });
  const first = await made(client, {});
  expect(hoursOf(first)).toEqual([48]);
  await change(client, { retention_hours: 24 });
  const me = await (await client.call('GET', '/v1/me')).json();
  expect(me).toMatchObject({ limits: { retention_hours: 24 } });
  const body = { model: 'sketch', prompt: 'a boat', width: 64, height: 64, retention_hours: 25 };
  const refused = await client.call('POST', '/v1/requests', { body });
  expect(refused.status).toBe(403);
  expect(await refused.json()).toMatchObject({
    code: 'limit_exceeded',
    limit: 'retention_hours',
    allowed: 24,
    used: 25,
  });
  expect(hoursOf(await made(client, { retention_hours: 24 }))).toEqual([24]);
  expect(hoursOf(await client.get(first.id))).toEqual([48]);
  await change(client, { retention_hours: null });
  expect(hoursOf(await made(client, {}))).toEqual([720]);
});

it('a retry takes the time over', async () => {
  const client = await newClient();
  const { id } = await made(client, { retention_hours: 3 });
  const again = await client.call('POST', `/v1/requests/${id}/retry`);
  expect(again.status).toBe(202);
  const { id: retryId } = await again.json<RequestView>();
  expect(hoursOf(await client.reached(retryId, 'succeeded'))).toEqual([3]);
});

it('a request that an earlier version accepted has what is set up', async () => {
  const client = await newClient({ retention_hours: 24 });
  faults.generation = 'swallow';
  const { id } = await client.submit();
  await client.sql((sql) => {
    sql.exec("UPDATE requests SET state = json_remove(state, '$.retentionMs') WHERE id = ?", id);
  });
  await deliver('generation', messagesTo('generation'));
  expect(hoursOf(await client.reached(id, 'succeeded'))).toEqual([720]);
});

it.each([0, 1.5, 87_601, '24'])('retention_hours %s is refused', async (retention_hours) => {
  const client = await newClient();
  const body = { model: 'sketch', prompt: 'a boat', retention_hours };
  const response = await client.call('POST', '/v1/requests', { body });
  expect(response.status).toBe(422);
  expect(await response.json()).toMatchObject({ errors: [{ path: 'retention_hours' }] });
});
