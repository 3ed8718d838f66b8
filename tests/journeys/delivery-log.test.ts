import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { foremanFor } from '../../src/foreman/stub';
import { newId } from '../../src/platform/ids';
import { faults } from '../support/worker';
import {
  advance,
  type Client,
  count,
  http,
  newClient,
  newKey,
  type Receiver,
  receiver,
  runCrons,
  until,
  useWorld,
} from './support';

useWorld();

const DAY = 86_400_000;
const SUCCEEDED = { events: ['request.succeeded'] };

interface Entry {
  readonly id: string;
  readonly type: string;
  readonly status: string;
  readonly reason: string | null;
  readonly request_id: string | null;
  readonly endpoint_id: string | null;
  readonly attempts: readonly { readonly status: number | null; readonly response: string }[];
  readonly next_attempt_at: string | null;
}
interface Page {
  readonly items: readonly Entry[];
  readonly next_cursor: string | null;
}
interface Replayed {
  readonly replayed: number;
  readonly next_cursor: string | null;
}
interface Refused {
  readonly code: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

async function add(client: Client, url: string, fields: object = SUCCEEDED): Promise<string> {
  const response = await client.call('POST', '/v1/webhooks', { body: { url, ...fields } });
  expect(response.status).toBe(201);
  return (await response.json<{ id: string }>()).id;
}

async function log(client: Client, id: string, query = ''): Promise<Page> {
  const response = await client.call('GET', `/v1/webhooks/${id}/deliveries${query}`);
  expect(response.status).toBe(200);
  return response.json<Page>();
}

async function replay<T = Replayed>(client: Client, id: string, body: object, status = 200) {
  const response = await client.call('POST', `/v1/webhooks/${id}/replay`, { body });
  expect(response.status).toBe(status);
  return response.json<T>();
}

/** So many requests that succeeded, oldest first. */
async function succeeded(client: Client, many: number, fields: object = {}): Promise<string[]> {
  const ids: string[] = [];
  for (let made = 0; made < many; made += 1) {
    advance(1);
    const { id } = await client.submit(fields);
    await client.reached(id, 'succeeded');
    ids.push(id);
  }
  return ids;
}

const inLog = (client: Client, many: number, status: string) =>
  until(async () =>
    expect(
      await count('webhook_deliveries', 'user_id = ? AND status = ?', client.userId, status),
    ).toBe(many),
  );
const idsAt = (hook: Receiver) => hook.posts.map(({ headers }) => headers.get('webhook-id'));
const ever = () => ({ from: '2020-01-01T00:00:00Z', to: new Date(Date.now() + DAY).toISOString() });

describe('the log of an endpoint', () => {
  it('has every delivery with its attempts, newest first, page by page', async () => {
    const client = await newClient();
    const hook = receiver(() => new Response('thank you', { status: 200 }));
    const id = await add(client, hook.url);
    const requests = await succeeded(client, 3);
    await inLog(client, 3, 'delivered');
    const first = await log(client, id, '?limit=2');
    const second = await log(client, id, `?limit=2&cursor=${first.next_cursor}`);
    const items = [...first.items, ...second.items];
    expect(items.map((entry) => entry.request_id)).toEqual(requests.reverse());
    expect(second.next_cursor).toBeNull();
    expect(items[0]).toMatchObject({
      ...{ type: 'request.succeeded', status: 'delivered', reason: null, endpoint_id: id },
      ...{ attempts: [{ status: 200, response: 'thank you' }], next_attempt_at: null },
    });
    expect((await log(client, id, '?status=failed')).items).toEqual([]);
    expect((await log(client, id, '?type=request.failed')).items).toEqual([]);
    expect((await log(client, 'default')).items).toEqual([]);
  });

  it('has what waits for its next try as well, which D1 knows nothing of', async () => {
    const client = await newClient();
    const id = await add(client, receiver(500).url);
    const [request] = await succeeded(client, 1);
    const pending = await until(async () => {
      const { items } = await log(client, id, '?status=pending&type=request.succeeded');
      expect(items[0]?.attempts).toHaveLength(1);
      return items;
    });
    expect(pending).toMatchObject([{ request_id: request, status: 'pending' }]);
    expect(pending[0]?.next_attempt_at).not.toBeNull();
  });

  it('of URLs that requests name themselves is under default', async () => {
    const client = await newClient();
    const hook = receiver();
    const [request] = await succeeded(client, 1, { webhook_url: hook.url });
    await inLog(client, 1, 'delivered');
    const { items } = await log(client, 'default');
    expect(items).toMatchObject([{ request_id: request, endpoint_id: null }]);
  });

  it('is nobody else’s, and says so of what is no endpoint', async () => {
    const [client, stranger] = [await newClient(), await newClient()];
    const id = await add(client, receiver().url);
    for (const other of [id, newId('whk', 0), 'whk_1', 'defaults']) {
      const response = await stranger.call('GET', `/v1/webhooks/${other}/deliveries`);
      expect([other, response.status]).toEqual([other, 404]);
      await replay(stranger, other, ever(), 404);
    }
  });

  it('answers 503 while D1 is away, and deliveries go on', async () => {
    const client = await newClient();
    const hook = receiver();
    const id = await add(client, hook.url);
    faults.d1 = 'fail';
    await succeeded(client, 1);
    await until(() => expect(hook.posts).toHaveLength(1));
    const response = await client.call('GET', `/v1/webhooks/${id}/deliveries`);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).not.toBeNull();
  });

  it('keeps what has ended for 90 days', async () => {
    const client = await newClient();
    await add(client, receiver().url);
    await succeeded(client, 1);
    await inLog(client, 1, 'delivered');
    advance(89 * DAY);
    await runCrons();
    await inLog(client, 1, 'delivered');
    advance(2 * DAY);
    await runCrons();
    await inLog(client, 0, 'delivered');
  });
});

describe('a replay', () => {
  it('of one sends the same id and body once more, to where the endpoint is now', async () => {
    const client = await newClient();
    const [old, moved] = [receiver(), receiver()];
    const id = await add(client, old.url);
    await succeeded(client, 1);
    await inLog(client, 1, 'delivered');
    const change = { body: { url: moved.url } };
    expect((await client.call('PATCH', `/v1/webhooks/${id}`, change)).status).toBe(200);
    const [delivery] = (await log(client, id)).items;
    expect(await replay(client, id, { delivery_id: delivery?.id })).toEqual({
      ...{ replayed: 1, next_cursor: null },
    });
    await until(() => expect(moved.posts).toHaveLength(1));
    expect(idsAt(moved)).toEqual(idsAt(old));
    expect(moved.posts[0]?.text()).toBe(old.posts[0]?.text());
    const twice = {
      items: [{ status: 'delivered', attempts: [{ status: 204 }, { status: 204 }] }],
    };
    await until(async () => expect(await log(client, id)).toMatchObject(twice));
    await until(async () => {
      const row = env.DB.prepare('SELECT attempts FROM webhook_deliveries WHERE id = ?');
      const stored = await row.bind(delivery?.id).first<string>('attempts');
      expect(JSON.parse(stored ?? '')).toHaveLength(2);
    });
  });

  it('begins the schedule anew', async () => {
    const client = await newClient();
    const hook = receiver(410, 500);
    const [request] = await succeeded(client, 1, { webhook_url: hook.url });
    await inLog(client, 1, 'failed');
    const [delivery] = (await log(client, 'default')).items;
    await replay(client, 'default', { delivery_id: delivery?.id });
    const again = await until(async () => {
      const [entry] = (await log(client, 'default', '?status=pending')).items;
      expect(entry?.attempts).toHaveLength(2);
      return entry;
    });
    expect(again?.request_id).toBe(request);
    // The first wait of the schedule, 5 s give or take a tenth, and not the second.
    expect(Date.parse(again?.next_attempt_at ?? '') - Date.now()).toBeLessThan(5_500);
  });

  it('tries at once what waits for its next try, and nothing twice at a time', async () => {
    const client = await newClient();
    const hook = receiver(500, 204);
    const id = await add(client, hook.url);
    await succeeded(client, 1);
    const waiting = await until(async () => {
      const [entry] = (await log(client, id)).items;
      expect(entry?.attempts).toHaveLength(1);
      return entry;
    });
    const both = await Promise.all(
      [1, 2].map(() => replay(client, id, { delivery_id: waiting?.id })),
    );
    expect(both.map(({ replayed }) => replayed).sort()).toEqual([0, 1]);
    await inLog(client, 1, 'delivered');
    expect(hook.posts).toHaveLength(2);
  });

  it('of a range sends what never arrived, the oldest first, and is safe to make again', async () => {
    const client = await newClient();
    const hook = receiver();
    const id = await add(client, hook.url);
    await succeeded(client, 1);
    await until(() => expect(hook.posts).toHaveLength(1));
    await client.call('POST', `/v1/webhooks/${id}/disable`);
    const from = new Date(Date.now()).toISOString();
    advance(10);
    const missed = await succeeded(client, 2);
    advance(10);
    const to = new Date(Date.now()).toISOString();
    await inLog(client, 2, 'skipped');
    await replay(client, id, { from, to }, 409);
    expect((await client.call('POST', `/v1/webhooks/${id}/enable`)).status).toBe(200);
    await succeeded(client, 1);
    expect(await replay(client, id, { from, to })).toEqual({ replayed: 2, next_cursor: null });
    await inLog(client, 0, 'skipped');
    const told = hook.posts
      .map((post) => post.json() as { data: { id?: string } })
      .map(({ data }) => data.id);
    expect(told.filter((request) => missed.includes(request ?? ''))).toHaveLength(2);
    expect(await replay(client, id, { from, to })).toEqual({ replayed: 0, next_cursor: null });
    expect(await replay(client, id, { from, to, include_delivered: true })).toMatchObject({
      replayed: 2,
    });
  });

  it('goes on where the call before ended, a thousand at a time', async () => {
    const client = await newClient();
    const id = await add(client, receiver().url);
    // Ids in order, as they are made; bodies as short as they may be.
    const ids = Array.from({ length: 1_005 }, (_, index) => newId('dlv', index + 1)).sort();
    await env.DB.prepare(
      `INSERT INTO webhook_deliveries (id, user_id, request_id, endpoint_id, type, url, status,
         attempts, body, created_at, finished_at)
       SELECT value, ?2, '', ?3, 'endpoint.disabled', 'https://hooks.example.com', 'failed', '[]',
         '{}', key + 1, key + 1 FROM json_each(?1)`,
    )
      .bind(JSON.stringify(ids), client.userId, id)
      .run();
    const range = { from: '1970-01-01T00:00:00Z', to: '1971-01-01T00:00:00Z' };
    const first = await replay(client, id, range);
    expect(first.replayed).toBe(1_000);
    const last = await replay(client, id, { ...range, cursor: first.next_cursor });
    expect(last).toEqual({ replayed: 5, next_cursor: null });
    // Most of them are still on their way.
    await client.call('POST', `/v1/webhooks/${id}/disable`);
  });

  it('finds nothing of a request that was deleted', async () => {
    const client = await newClient();
    const id = await add(client, receiver().url);
    const [request] = await succeeded(client, 1);
    await inLog(client, 1, 'delivered');
    const [delivery] = (await log(client, id)).items;
    faults.events = 'swallow';
    expect((await client.call('DELETE', `/v1/requests/${request}`)).status).toBe(204);
    await replay(client, id, { delivery_id: delivery?.id }, 404);
    expect(await replay(client, id, { ...ever(), include_delivered: true })).toMatchObject({
      replayed: 0,
    });
  });

  it('ends anew: that D1 has heard of its first end says nothing of the second', async () => {
    const client = await newClient();
    const hook = receiver();
    const id = await add(client, hook.url);
    faults.events = 'swallow';
    await succeeded(client, 1);
    const foreman = foremanFor(env, client.userId);
    const news = await until(async () => {
      const pulled = await foreman.pullNews();
      expect(pulled.deliveries).toHaveLength(1);
      return pulled;
    });
    advance(1_000);
    const [delivery] = (await log(client, id)).items;
    await replay(client, id, { delivery_id: delivery?.id });
    const twice = { items: [{ status: 'delivered', attempts: [{}, {}] }] };
    await until(async () => expect(await log(client, id)).toMatchObject(twice));
    const nothing = { requests: [], accountVersion: null, audit: [], last: true };
    await foreman.confirmNews({ ...nothing, deliveries: news.deliveries });
    expect(await log(client, id)).toMatchObject(twice);
  });

  it.each([
    [{}, 'from'],
    [{ from: '2026-01-01T00:00:00Z' }, 'to'],
    [{ from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z' }, 'to'],
    [{ from: 'yesterday', to: '2026-01-01T00:00:00Z' }, 'from'],
    [{ delivery_id: 'dlv_1', from: '2026-01-01T00:00:00Z' }, 'from'],
    [{ ...{ from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z' }, cursor: 'x' }, 'cursor'],
    [{ since: 1 }, 'since'],
  ])('is refused with what is wrong: %j', async (body, path) => {
    const client = await newClient();
    const id = await add(client, receiver().url);
    const refused = await replay<Refused>(client, id, body, 422);
    expect(refused.errors?.map((error) => error.path)).toContain(path);
    await replay(client, id, { delivery_id: 'dlv_1' }, 404);
  });
});

it('a key that may only read sees the log and replays nothing', async () => {
  const client = await newClient();
  const id = await add(client, receiver().url);
  const { key } = await newKey(client.userId, ['requests:read']);
  const headers = { authorization: `Bearer ${key}` };
  expect((await http('GET', `/v1/webhooks/${id}/deliveries`, { headers })).status).toBe(200);
  const refused = await http('POST', `/v1/webhooks/${id}/replay`, { headers, body: ever() });
  expect(refused.status).toBe(403);
});
