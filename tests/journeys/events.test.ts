// What a browser does: a ticket, an EventSource on one request, a WebSocket on all.
import { createExecutionContext } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import { createApp } from '../../src/app';
import { Foreman } from '../../src/foreman/object';
import { newId } from '../../src/platform/ids';
import { createServices } from '../../src/services';
import { ACROSS_A_MINUTE, newAddress, spend } from '../support/shield';
import { faults } from '../support/worker';
import {
  ADMIN,
  advance,
  type Client,
  http,
  newClient,
  newKey,
  ORIGIN,
  receiver,
  until,
  useWorld,
} from './support';

useWorld();

interface Ticket {
  readonly ticket: string;
  readonly expires_at: string;
  readonly urls: { readonly events: string };
}

const ENDED = { code: 'unauthorized', detail: 'The ticket is not valid or has ended.' };

async function ticketOf(client: Client, body: object = {}): Promise<Ticket> {
  const response = await client.call('POST', '/v1/tickets', { body });
  expect(response.status).toBe(201);
  expect(response.headers.get('cache-control')).toBe('no-store');
  return response.json<Ticket>();
}

interface Message {
  readonly id?: string;
  readonly type: string;
  readonly timestamp: string;
  readonly data: object;
}

const upgrade = (url: string, headers: Record<string, string> = {}) =>
  exports.default.fetch(url.replace(/^ws/, 'http'), {
    headers: { upgrade: 'websocket', ...headers },
  });

async function connect(url: string, headers: Record<string, string> = {}) {
  const { status, webSocket } = await upgrade(url, headers);
  expect(status).toBe(101);
  const messages: Message[] = [];
  const closed = Promise.withResolvers<number>();
  webSocket?.addEventListener('message', ({ data }) => messages.push(JSON.parse(String(data))));
  webSocket?.addEventListener('close', ({ code }) => closed.resolve(code));
  webSocket?.accept();
  return { messages, closed: closed.promise };
}

const allOf = (query = '') => `${ORIGIN}/v1/events${query}`;
const keyOf = ({ key }: Client) => ({ authorization: `Bearer ${key}` });
const codeOf = async (response: Response) => [
  response.status,
  (await response.json<{ code: string }>()).code,
];

describe('a WebSocket on all events', () => {
  it('tells what the webhook of the same event tells, with an id', async () => {
    const hook = receiver();
    const client = await newClient();
    const { urls } = await ticketOf(client);
    expect(urls.events).toMatch(/^wss:\/\/foreman\.test\/v1\/events\?ticket=[\w.-]+$/);
    const { messages } = await connect(urls.events);
    const { id } = await client.submit({ webhook_url: hook.url });
    await client.reached(id, 'succeeded');
    await until(() => expect(hook.posts).toHaveLength(1));
    await until(() => expect(messages).toHaveLength(4));
    expect(messages.map(({ type }) => type)).toEqual([
      ...['stream.opened', 'request.queued', 'request.running', 'request.succeeded'],
    ]);
    expect(messages.map((message) => message.id)).toEqual([
      ...[undefined, `${id}:1`, `${id}:2`, `${id}:3`],
    ]);
    const { id: _, ...last } = messages[3] ?? {};
    expect(last).toEqual(hook.posts[0]?.json());
  });

  it('is opened by a key in a header, and hears of its user’s things only', async () => {
    const [client, stranger] = [await newClient(), await newClient()];
    faults.generation = 'swallow';
    const { messages } = await connect(allOf('?events=request.queued'), keyOf(client));
    await stranger.submit();
    const { id } = await client.submit();
    await until(() => expect(messages).toHaveLength(2));
    expect(messages).toMatchObject([
      { type: 'stream.opened', data: { events: ['request.queued'] } },
      { type: 'request.queued', data: { id } },
    ]);
  });

  it('goes on after its ticket has ended, and is over with the key of it', async () => {
    const client = await newClient();
    faults.generation = 'swallow';
    const { id: keyId, key } = await newKey(client.userId);
    const made = await http('POST', '/v1/tickets', {
      body: { expires_in_seconds: 60 },
      headers: { authorization: `Bearer ${key}` },
    });
    const { ticket } = await made.json<Ticket>();
    const { messages, closed } = await connect(allOf(`?ticket=${ticket}`));
    advance(60_000);
    const late = await upgrade(allOf(`?ticket=${ticket}`));
    expect(late.headers.get('www-authenticate')).toBe('Bearer');
    expect([late.status, await late.json()]).toMatchObject([401, ENDED]);
    await client.submit();
    await until(() => expect(messages).toHaveLength(2));
    await http('DELETE', `/v1/admin/users/${client.userId}/keys/${keyId}`, { headers: ADMIN });
    expect(await closed).toBe(1008);
  });

  it.each([
    ['?events=request.done', 'request.done'],
    ['?events=', ''],
    ['?events=request.queued,,*', ''],
  ])('names what is no event in %s', async (query, name) => {
    const response = await upgrade(allOf(query), keyOf(await newClient()));
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({
      code: 'invalid_request',
      errors: [{ path: 'events', message: expect.stringContaining(JSON.stringify(name)) }],
    });
  });

  it('is nothing but a WebSocket', async () => {
    const client = await newClient();
    const response = await client.call('GET', '/v1/events');
    expect(response.headers.get('upgrade')).toBe('websocket');
    expect(await codeOf(response)).toEqual([426, 'upgrade_required']);
    // `fetch` makes a GET of whatever asks for a WebSocket.
    const headers = { upgrade: 'websocket', ...keyOf(client) };
    const asked = new Request(allOf(), { method: 'HEAD', headers });
    const app = createApp(createServices(env));
    const head = await app.fetch(asked, env, createExecutionContext());
    expect([head.status, head.webSocket]).toEqual([426, null]);
  });

  it('is refused to pages of origins that nobody has named, whatever they bring', async () => {
    const client = await newClient();
    const { ticket } = await ticketOf(client);
    const own = { origin: ORIGIN };
    expect((await upgrade(allOf(`?ticket=${ticket}`), own)).status).toBe(101);
    const strange = { origin: 'https://evil.example' };
    const byTicket = await upgrade(allOf(`?ticket=${ticket}`), strange);
    expect(await codeOf(byTicket)).toEqual([403, 'forbidden']);
    const byKey = await upgrade(allOf(), { ...strange, ...keyOf(client) });
    expect(await codeOf(byKey)).toEqual([403, 'forbidden']);
    const open = createApp(createServices({ ...env, CORS_ORIGINS: 'https://app.example.com' }));
    const statusOf = async (origin: string) => {
      const headers = { upgrade: 'websocket', origin };
      const request = new Request(allOf(`?ticket=${ticket}`), { headers });
      return (await open.fetch(request, env, createExecutionContext())).status;
    };
    expect(await statusOf('https://app.example.com')).toBe(101);
    expect(await statusOf('https://evil.example')).toBe(403);
    expect(await statusOf('null')).toBe(403);
  });
});

describe('a ticket', () => {
  const getBy = (path: string, { ticket }: Pick<Ticket, 'ticket'>) =>
    http('GET', `${path}?ticket=${ticket}`);

  it('opens the event stream of its request, and reads it, and no other', async () => {
    const [client, stranger] = [await newClient(), await newClient()];
    const { id } = await client.submit();
    const others = [await client.submit(), await stranger.submit()];
    const one = await ticketOf(client, { request_id: id });
    expect(one.urls.events).toBe(`${ORIGIN}/v1/requests/${id}/events?ticket=${one.ticket}`);
    const stream = await (await exports.default.fetch(one.urls.events)).text();
    expect(stream).toContain('event: request.succeeded');
    expect(await (await getBy(`/v1/requests/${id}`, one)).json()).toMatchObject({ id });
    for (const other of [...others.map((request) => request.id), newId('req', 0), 'nothing']) {
      const answers = [`/v1/requests/${other}`, `/v1/requests/${other}/events`];
      for (const path of answers) {
        expect(await codeOf(await getBy(path, one))).toEqual([404, 'not_found']);
      }
    }
    expect(await codeOf(await upgrade(allOf(`?ticket=${one.ticket}`)))).toEqual([403, 'forbidden']);
    const all = await ticketOf(client);
    expect((await getBy(`/v1/requests/${others[0]?.id}`, all)).status).toBe(200);
    expect((await getBy(`/v1/requests/${others[1]?.id}`, all)).status).toBe(404);
  });

  it('opens nothing else, and makes no further ticket', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    const { ticket } = await ticketOf(client);
    const closed: [string, string][] = [
      ['GET', '/v1/requests'],
      ['GET', '/v1/me'],
      ['GET', '/v1/models'],
      ['GET', `/v1/requests/${id}/deliveries`],
      ['POST', `/v1/requests/${id}/cancel`],
      ['DELETE', `/v1/requests/${id}`],
      ['POST', '/v1/requests'],
      ['POST', '/v1/tickets'],
      ['GET', '/v1/admin/users'],
    ];
    for (const [method, path] of closed) {
      const response = await http(method, `${path}?ticket=${ticket}`);
      expect([method, path, ...(await codeOf(response))]).toEqual([
        ...[method, path, 401, 'unauthorized'],
      ]);
      const asKey = await http(method, path, { headers: { authorization: `Bearer ${ticket}` } });
      expect([method, path, asKey.status]).toEqual([method, path, 401]);
    }
    expect(await client.get(id)).toMatchObject({ id });
  });

  it('is for a request of one’s own', async () => {
    const [client, stranger] = [await newClient(), await newClient()];
    const { id } = await stranger.submit();
    for (const request_id of [id, newId('req', Date.now()), 'nothing']) {
      const response = await client.call('POST', '/v1/tickets', { body: { request_id } });
      expect(await codeOf(response)).toEqual([404, 'not_found']);
    }
  });

  it.each([
    { expires_in_seconds: 59 },
    { expires_in_seconds: 86_401 },
    { for: 'all' },
    { request_id: '' },
  ])('is not made of %o', async (body) => {
    const response = await (await newClient()).call('POST', '/v1/tickets', { body });
    expect(await codeOf(response)).toEqual([422, 'invalid_request']);
  });

  it('ends with its key, if that is sooner', async () => {
    const client = await newClient();
    const expiresAt = new Date(Date.now() + 120_000).toISOString();
    const issued = await http('POST', `/v1/admin/users/${client.userId}/keys`, {
      body: { name: 'short', expires_at: expiresAt },
      headers: ADMIN,
    });
    const { key } = await issued.json<{ key: string }>();
    const made = await http('POST', '/v1/tickets', { headers: { authorization: `Bearer ${key}` } });
    expect((await made.json<Ticket>()).expires_at).toBe(expiresAt);
    const { expires_at } = await ticketOf(client);
    expect(Date.parse(expires_at) - Date.now()).toBeGreaterThan(3_590_000);
  });

  it('is nothing once its key is revoked', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    const { id: keyId, key } = await newKey(client.userId);
    const made = await http('POST', '/v1/tickets', { headers: { authorization: `Bearer ${key}` } });
    const ticket = await made.json<Ticket>();
    expect((await getBy(`/v1/requests/${id}`, ticket)).status).toBe(200);
    await http('DELETE', `/v1/admin/users/${client.userId}/keys/${keyId}`, { headers: ADMIN });
    const late = await getBy(`/v1/requests/${id}`, ticket);
    expect([late.status, await late.json()]).toMatchObject([401, ENDED]);
  });

  it('goes behind a key in the header', async () => {
    const [client, stranger] = [await newClient(), await newClient()];
    const { id } = await client.submit();
    const { ticket } = await ticketOf(client);
    const path = `/v1/requests/${id}?ticket=${ticket}`;
    expect((await stranger.call('GET', path)).status).toBe(404);
    expect((await http('GET', path, { headers: { authorization: 'Bearer x' } })).status).toBe(401);
  });

  it('that is none counts against its address', ACROSS_A_MINUTE, async () => {
    const client = await newClient();
    const { id } = await client.submit();
    const address = newAddress();
    await spend('auth', address, 1);
    const ask = () =>
      http('GET', `/v1/requests/${id}?ticket=x.y`, { headers: { 'cf-connecting-ip': address } });
    expect([(await ask()).status, (await ask()).status]).toEqual([401, 429]);
  });

  it('is in no log line', async () => {
    const lines: string[] = [];
    for (const level of ['info', 'warn', 'error'] as const) {
      vi.spyOn(console, level).mockImplementation((line: unknown) => void lines.push(String(line)));
    }
    const client = await newClient();
    const { id } = await client.submit();
    const made = await ticketOf(client);
    await getBy(`/v1/requests/${id}`, made);
    await getBy(`/v1/requests/${id}`, { ticket: `${made.ticket}x` });
    await connect(made.urls.events);
    expect(lines.length).toBeGreaterThan(3);
    expect(lines.join('\n')).not.toContain(made.ticket.slice(0, 40));
  });
});

describe('too many streams', () => {
  it('are refused with when to try again, and nothing but waiting is', async () => {
    const client = await newClient();
    faults.generation = 'swallow';
    const { id } = await client.submit();
    // As the foreman answers when it is full: tests/foreman/streams.test.ts has when that is.
    vi.spyOn(Foreman.prototype, 'fetch').mockResolvedValue(new Response(null, { status: 429 }));
    const refused = [
      await upgrade(allOf(), keyOf(client)),
      await client.call('GET', `/v1/requests/${id}/events`),
      await client.call('GET', `/v1/requests/${id}`, { headers: { prefer: 'wait=5' } }),
    ];
    for (const response of refused) {
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(await codeOf(response)).toEqual([429, 'too_many_streams']);
    }
    expect((await client.call('GET', `/v1/requests/${id}`)).status).toBe(200);
    const headers = { prefer: 'wait=5' };
    expect((await client.submit({}, headers)).status).toBe('queued');
  });
});
