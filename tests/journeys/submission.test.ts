import { expect, it, vi } from 'vitest';
import type { RequestView } from '../../src/requests/view';
import { faults } from '../support/worker';
import {
  ADMIN,
  advance,
  type Client,
  held,
  http,
  image,
  newClient,
  newKey,
  openai,
  page,
  serverError,
  until,
  useWorld,
} from './support';

useWorld();

const ask = (client: Client, body: object, headers = {}) =>
  client.call('POST', '/v1/requests', { body: { prompt: 'a boat', ...body }, headers });

const operate = (method: string, path: string) =>
  http(method, `/v1/admin/${path}`, { headers: ADMIN });

it('a key that may only write holds the line too, and hears the id of what it submitted', async () => {
  const client = await newClient();
  const { key } = await newKey(client.userId, ['requests:write']);
  const response = await http('POST', '/v1/requests', {
    body: { prompt: 'a boat', model: 'sketch', width: 64, height: 64 },
    headers: { authorization: `Bearer ${key}`, prefer: 'wait=1' },
  });
  expect(response.status).toBe(202);
  const { id } = await response.json<RequestView>();
  await client.reached(id, 'succeeded');
});

it('an accepted request is answered 202 even when the waiting fails', async () => {
  const client = await newClient();
  Object.assign(faults, { foreman: 'fail', only: ['fetch'] });
  const response = await ask(client, { model: 'sketch' }, { prefer: 'wait=5' });
  expect(response.status).toBe(202);
});

it.each([
  ['more than 16 providers', Object.fromEntries(range(17).map((n) => [`p${n}`, {}]))],
  ['more than 16 kB', { openai: { user: 'x'.repeat(16_400) } }],
  ['numbers that grow when they are written', { openai: { list: range(1_000).map(() => 1e20) } }],
])('provider_options with %s are refused by name', async (_, provider_options) => {
  const client = await newClient();
  const response = await ask(client, { model: 'sketch', provider_options });
  expect(response.status).toBe(422);
  expect(await response.json()).toMatchObject({ errors: [{ path: 'provider_options' }] });
});

it.each(['constructor', 'toString', 'nonsense'])(
  'the quality "%s" has the price of no quality',
  async (quality) => {
    openai();
    const client = await newClient({ monthly_budget_usd: 1 });
    const { id } = await client.submit({
      model: 'gpt-image-1',
      provider_options: { openai: { quality } },
    });
    expect((await client.reached(id, 'succeeded')).cost_usd).toBe(0.042);
  },
);

it('a key that was used is replayed even if the same body would be refused by now', async () => {
  const client = await newClient();
  const first = await client.submit({ model: 'sketch' });
  const made = await client.reached(first.id, 'succeeded');
  const body = { model: 'gpt-image-1', image: made.images[0]?.id, prompt: 'the same boat' };
  openai();
  const key = { 'idempotency-key': 'k' };
  const { id } = await client.submit(body, key);
  await client.reached(id, 'succeeded');
  expect((await client.call('DELETE', `/v1/requests/${first.id}`)).status).toBe(204);
  expect((await ask(client, body)).status).toBe(422);
  const replayed = await ask(client, body, key);
  expect(replayed.status).toBe(200);
  expect(replayed.headers.get('idempotent-replayed')).toBe('true');
  expect((await replayed.json<RequestView>()).id).toBe(id);
});

it('an input that cannot be read costs nothing, and is tried again', async () => {
  const client = await newClient();
  const made = await client.reached((await client.submit()).id, 'succeeded');
  const calls = openai(image);
  Object.assign(faults, { r2: 'fail', only: ['get'] });
  const { id } = await client.submit({ model: 'gpt-image-1', image: made.images[0]?.id });
  await until(async () =>
    expect((await client.get(id)).attempts).toMatchObject([
      { outcome: 'not_sent', cost_usd: 0, possibly_billed: false },
    ]),
  );
  expect(calls).toHaveLength(0);
  Object.assign(faults, { r2: null });
  advance(1_001);
  await client.alarm();
  const request = await client.reached(id, 'succeeded');
  expect(request.cost_usd).toBe(0.042);
});

it('an input whose URL has nothing ends the request in the client’s own terms', async () => {
  const url = 'https://pictures.example.com/x';
  page(url, () => new Response('nothing here', { status: 404 }));
  const client = await newClient();
  const { id } = await client.submit({ model: 'gpt-image-1', image: url });
  const request = await client.reached(id);
  expect(request).toMatchObject({ status: 'failed', cost_usd: 0 });
  expect(request.error?.code).toBe('input_unavailable');
});

it('a row that cannot be read does not keep the alarm from the others', async () => {
  const client = await newClient({ max_running: 0 });
  const ids: string[] = [];
  for (const _ of range(3)) ids.push((await client.submit()).id);
  await client.sql((sql) => {
    sql.exec(`UPDATE requests SET due_at = 1, state = json_set(state, '$.deadlineAt', 1)`);
    sql.exec('UPDATE requests SET state = ? WHERE id = ?', '{', ids[1] ?? '');
  });
  await client.alarm();
  for (const id of [ids[0], ids[2]]) expect((await client.get(id ?? '')).status).toBe('expired');
  const [row] = await client.sql((sql) =>
    sql
      .exec<{ due: number }>('SELECT due_at AS due FROM requests WHERE id = ?', ids[1] ?? '')
      .toArray(),
  );
  expect(row?.due).toBeGreaterThan(1);
});

it('a provider that refuses its key is the operator’s business, and logged as such', async () => {
  const logged = vi.spyOn(console, 'error').mockImplementation(() => {});
  const refused = { error: { message: 'bad key', type: 'invalid_request_error' } };
  openai(() => Response.json(refused, { status: 401 }));
  const client = await newClient();
  const { id } = await client.submit({ model: 'gpt-image-1' });
  expect((await client.reached(id)).attempts).toMatchObject([{ outcome: 'rejected' }]);
  const line = expect.stringMatching(/"provider\.needs_operator".*"reason":"auth"/);
  expect(logged).toHaveBeenCalledWith(line);
});

it('a held line outlives its foreman', async () => {
  const gate = held();
  openai(gate.answer);
  const client = await newClient();
  const { id } = await client.submit({ model: 'gpt-image-1' });
  await client.reached(id, 'running');
  const waiting = client.call('GET', `/v1/requests/${id}`, { headers: { prefer: 'wait=20' } });
  await until(() =>
    client.sql((_, state) => expect(state.getWebSockets(id).length).toBeGreaterThan(0)),
  );
  await client.abort();
  gate.open();
  expect(await (await waiting).json()).toMatchObject({ id, status: 'succeeded' });
});

it('a revoked key watches nothing any more', async () => {
  const gate = held(serverError);
  openai(gate.answer);
  const client = await newClient();
  const { id: keyId, key } = await newKey(client.userId);
  const { id } = await client.submit({ model: 'gpt-image-1', max_attempts: 1 });
  const stream = await http('GET', `/v1/requests/${id}/events`, {
    headers: { authorization: `Bearer ${key}` },
  });
  const revoked = await http('DELETE', `/v1/admin/users/${client.userId}/keys/${keyId}`, {
    headers: { authorization: ADMIN.authorization },
  });
  expect(revoked.status).toBe(204);
  await stream.text().catch(() => 'cut off');
  gate.open();
  expect((await client.reached(id)).status).toBe('failed');
});

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index);
}

it.each<[string, number, (client: Client, keyId: string) => Promise<unknown>]>([
  ['of a suspended account', 403, ({ userId }) => operate('POST', `users/${userId}/suspend`)],
  ['that is revoked', 401, ({ userId }, id) => operate('DELETE', `users/${userId}/keys/${id}`)],
])('a key %s is told so, and not what is wrong with its request', async (_, status, end) => {
  const client = await newClient();
  const { id, key } = await newKey(client.userId);
  const wrong = { prompt: 'a boat', model: 'there is none' };
  const post = (path: string, body: object, headers = {}) =>
    http('POST', path, { body, headers: { authorization: `Bearer ${key}`, ...headers } });
  const all = async () => {
    const answers = [
      await post('/v1/requests', wrong),
      await post('/v1/requests', wrong, { 'idempotency-key': 'k' }),
      await post('/v1/requests/batch', { items: [wrong, wrong] }),
      await post('/v1/requests/batch', { items: [wrong, { prompt: 'a boat', model: 'sketch' }] }),
    ];
    return answers.map((answer) => answer.status);
  };
  expect(await all()).toEqual([422, 422, 200, 200]);
  await end(client, id);
  expect(await all()).toEqual([status, status, status, status]);
});

it('a key that may not write is told so, and not what is wrong with its request', async () => {
  const client = await newClient();
  const { key } = await newKey(client.userId, ['requests:read']);
  const headers = { authorization: `Bearer ${key}` };
  const answer = await http('POST', '/v1/requests', { body: { prompt: 'a', model: 'x' }, headers });
  expect([answer.status, (await answer.json<{ code: string }>()).code]).toEqual([403, 'forbidden']);
});
