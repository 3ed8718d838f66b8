// Sockets at one foreman: who is let in, what each hears, and when it is sent away.
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Minter, TicketCredential, TokenCredential } from '../../src/accounts/types';
import { createKinds, createPresenter } from '../../src/foreman/kinds';
import { recall } from '../../src/foreman/memory';
import type { Foreman } from '../../src/foreman/object';
import { createStreams, type Streams } from '../../src/foreman/streams';
import { fetchForeman } from '../../src/foreman/stub';
import { type StreamInput, watchRequest } from '../../src/foreman/watch';
import { readSettings } from '../../src/settings';
import { newEndpoint } from '../support/endpoints';
import { accepted, by, inForeman, newTenant, stateOf, type Tenant } from '../support/foreman';
import { faults, resetFaults } from '../support/worker';

// Messages are lost here: a request changes only when a test changes it.
beforeEach(() => {
  Object.assign(faults, { generation: 'swallow', webhooks: 'swallow', events: 'swallow' });
});
afterEach(() => {
  resetFaults();
  vi.restoreAllMocks();
});

interface Message {
  readonly id?: string;
  readonly type: string;
  readonly data: { readonly status?: string; readonly version?: number };
}

async function listen(
  { userId, credential: own }: Tenant,
  { credential = own, events = ['*'] }: Partial<StreamInput> = {},
) {
  const answer = await fetchForeman(env, userId, () => watchRequest({ credential, events }));
  const socket = answer.webSocket;
  const messages: Message[] = [];
  const closed = Promise.withResolvers<number>();
  socket?.addEventListener('message', ({ data }) => {
    messages.push(data === 'pong' ? { type: 'pong', data: {} } : JSON.parse(String(data)));
  });
  socket?.addEventListener('close', ({ code }) => {
    closed.resolve(code);
  });
  socket?.accept();
  const types = () => messages.map(({ type }) => type);
  return { status: answer.status, socket, messages, types, closed: closed.promise };
}

/** Streams of the object as they are just after it woke. */
const withStreams = <T>(tenant: Tenant, maxSockets: number, work: (streams: Streams) => T) =>
  runInDurableObject(tenant.stub, (_: Foreman, ctx) => {
    const { settings, generation } = readSettings(env);
    const now = Date.now();
    const { sql } = ctx.storage;
    const desk = { sql, kinds: createKinds(generation), memory: recall(sql, now), now };
    const present = createPresenter(settings);
    return work(createStreams({ ctx, present, view: () => desk, maxSockets }));
  });

const ticketBy = ({ userId }: Tenant, mintedBy: Minter): TicketCredential => ({
  ...{ via: 'ticket', userId, from: by.from, mintedBy },
});

const cancelOne = async (tenant: Tenant) => {
  const id = await accepted(tenant);
  await tenant.foreman.cancel({ credential: tenant.credential, id });
  return id;
};

describe('a stream', () => {
  it('hears of each event once, with the request as it was then', async () => {
    const tenant = await newTenant();
    const { messages, types } = await listen(tenant);
    const id = await cancelOne(tenant);
    await expect.poll(types).toEqual(['stream.opened', 'request.queued', 'request.canceled']);
    expect(messages.slice(1)).toMatchObject([
      { id: `${id}:1`, sequence: 1, data: { id, status: 'queued', version: 1 } },
      { id: `${id}:2`, sequence: 2, data: { id, status: 'canceled', version: 2 } },
    ]);
  });

  it('hears of what it asked for, and of nothing from before it came', async () => {
    const tenant = await newTenant();
    await accepted(tenant);
    const [ends, endpoints] = [
      await listen(tenant, { events: ['request.canceled'] }),
      await listen(tenant, { events: ['endpoint.*'] }),
    ];
    const all = await listen(tenant);
    await cancelOne(tenant);
    await expect.poll(ends.types).toEqual(['stream.opened', 'request.canceled']);
    await expect.poll(all.types).toEqual(['stream.opened', 'request.queued', 'request.canceled']);
    expect(endpoints.types()).toEqual(['stream.opened']);
  });

  it('hears of endpoints that are disabled and enabled, which no webhook need want', async () => {
    const tenant = await newTenant();
    const { messages, types } = await listen(tenant, { events: ['endpoint.*'] });
    const { id } = await newEndpoint(tenant);
    await tenant.foreman.disableEndpoint({ credential: tenant.credential, id });
    await expect.poll(types).toEqual(['stream.opened', 'endpoint.disabled']);
    expect(messages[1]).toMatchObject({
      id: expect.stringMatching(`^${id}:\\d+$`),
      sequence: null,
      data: { id },
    });
  });

  it('goes on after its object was away, and is kept alive without waking it', async () => {
    const tenant = await newTenant();
    const { socket, types } = await listen(tenant);
    await expect.poll(types).toEqual(['stream.opened']);
    await evictDurableObject(tenant.stub);
    socket?.send('ping');
    await expect.poll(types).toEqual(['stream.opened', 'pong']);
    await cancelOne(tenant);
    await expect.poll(types).toContain('request.canceled');
  });

  it('of many events hears of all in order, as all others do', async () => {
    const tenant = await newTenant({ burst: 1_000, max_running: 0 });
    const streams = await Promise.all(Array.from({ length: 10 }, () => listen(tenant)));
    const ids: string[] = [];
    for (let nth = 0; nth < 60; nth += 1) ids.push(await accepted(tenant));
    for (const { messages } of streams) {
      await expect
        .poll(() => messages.slice(1).map(({ id }) => id))
        .toEqual(ids.map((id) => `${id}:1`));
    }
  });
});

it('a stream that cannot be kept up with is closed with 1013, a watcher is not', async () => {
  const tenant = await newTenant();
  const [stream, id] = [await listen(tenant), await accepted(tenant)];
  const { credential, userId } = tenant;
  const { webSocket } = await fetchForeman(env, userId, () => watchRequest({ credential, id }));
  const heard: string[] = [];
  webSocket?.addEventListener('message', ({ data }) => {
    heard.push(JSON.parse(String(data)).state.status);
  });
  webSocket?.accept();
  await withStreams(tenant, 2, (streams) => {
    const broadcast = { id: 'x:1', type: 'endpoint.disabled', body: '{"type":"x"}' };
    streams.tell(Array.from({ length: 1_001 }, () => ({ broadcast })));
  });
  expect(await stream.closed).toBe(1013);
  await tenant.foreman.cancel({ credential, id });
  await expect.poll(() => heard).toEqual(['queued', 'canceled']);
});

describe('a stream is closed with 1008', () => {
  it.each(['key', 'ticket'] as const)('at once when its %s has lost its key', async (via) => {
    const tenant = await newTenant();
    const { keyId } = tenant.credential;
    const credential = via === 'key' ? tenant.credential : ticketBy(tenant, { via: 'key', keyId });
    const { closed } = await listen(tenant, { credential });
    await tenant.foreman.revokeKey({ id: keyId, by });
    expect(await closed).toBe(1008);
  });

  it('at once when the account is suspended', async () => {
    const tenant = await newTenant();
    const { closed } = await listen(tenant);
    await tenant.foreman.changeStatus({ status: 'suspended', by });
    expect(await closed).toBe(1008);
  });

  it('before its next message when its key has expired, while another hears on', async () => {
    const tenant = await newTenant();
    const { keyId } = tenant.credential;
    const gone = await listen(tenant, { credential: ticketBy(tenant, { via: 'key', keyId }) });
    const signedIn: TokenCredential = {
      ...{ via: 'token', userId: tenant.userId, from: by.from },
      ...{ issuer: 'https://login.test/', subject: 'ada' },
      ...{ scopes: ['requests:read', 'requests:write'], expiresAt: Date.now() + 600_000 },
    };
    const stays = await listen(tenant, { credential: ticketBy(tenant, signedIn) });
    const id = await accepted(tenant);
    await expect.poll(gone.types).toEqual(['stream.opened', 'request.queued']);
    await inForeman(tenant, (sql) =>
      sql.exec("UPDATE api_keys SET state = json_set(state, '$.expiresAt', 1)").toArray(),
    );
    await tenant.foreman.cancel({ credential: signedIn, id });
    expect(await gone.closed).toBe(1008);
    expect(gone.types()).not.toContain('request.canceled');
    await expect.poll(stays.types).toContain('request.canceled');
  });

  it('when its client talks, and with 1009 when it talks at length', async () => {
    const tenant = await newTenant();
    const [chatty, long] = [await listen(tenant), await listen(tenant)];
    for (let nth = 0; nth < 16; nth += 1) chatty.socket?.send('hello');
    await cancelOne(tenant);
    await expect.poll(chatty.types).toContain('request.canceled');
    chatty.socket?.send('hello');
    long.socket?.send('x'.repeat(1_025));
    expect([await chatty.closed, await long.closed]).toEqual([1008, 1009]);
  });
});

describe('who may listen', () => {
  it.each<[string, (tenant: Tenant) => Minter]>([
    ['a key that is not there', () => ({ via: 'key', keyId: 'key_0' })],
    [
      'a token that has expired',
      () => ({
        ...{ via: 'token', issuer: 'https://login.test/', subject: 'ada' },
        ...{ scopes: ['requests:read'], expiresAt: Date.now() - 1 },
      }),
    ],
    [
      'a token that may not read',
      () => ({
        ...{ via: 'token', issuer: 'https://login.test/', subject: 'ada' },
        ...{ scopes: ['requests:write'], expiresAt: Date.now() + 60_000 },
      }),
    ],
  ])('is not who has a ticket by %s', async (_, minter) => {
    const tenant = await newTenant();
    const { status } = await listen(tenant, { credential: ticketBy(tenant, minter(tenant)) });
    expect(status).toBe(404);
  });

  it('does nothing but read, whatever the key of its ticket may do', async () => {
    const tenant = await newTenant();
    const id = await accepted(tenant);
    const { keyId } = tenant.credential;
    const credential = ticketBy(tenant, { via: 'key', keyId });
    expect(await tenant.foreman.cancel({ credential, id })).toEqual({ outcome: 'forbidden' });
    expect(await tenant.foreman.read({ credential, id })).toMatchObject({ outcome: 'found' });
    expect((await stateOf(tenant, id)).status).toBe('queued');
  });

  it('are so many at a time, watchers among them, and one more once one has left', async () => {
    const tenant = await newTenant();
    const { credential } = tenant;
    const id = await accepted(tenant);
    const listening = (maxSockets: number) =>
      withStreams(tenant, maxSockets, (streams) =>
        [
          { credential, id },
          { credential, events: ['*' as const] },
        ].map((input) => {
          const { status, webSocket } = streams.answer(watchRequest(input));
          webSocket?.accept();
          return status;
        }),
      );
    const { socket } = await listen(tenant);
    expect(await listening(2)).toEqual([101, 429]);
    expect(await listening(2)).toEqual([429, 429]);
    socket?.close(1000);
    await expect.poll(() => listening(2)).toEqual([101, 429]);
  });
});
