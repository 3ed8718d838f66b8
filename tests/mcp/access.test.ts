// Who may reach /mcp, by which name, from which page, with which key; and what bounds a message.
import { createExecutionContext } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../src/app';
import { type Reach, strangeness } from '../../src/mcp/reach';
import type { PresentRequest } from '../../src/requests/view';
import { createServices } from '../../src/services';
import { ADMIN, type Client, http, newClient, newKey, useWorld } from '../journeys/support';
import { faults } from '../support/worker';
import { type Agent, callOf, connect, MCP_URL, type RequestAnswer, send } from './support';

useWorld();

const SMALL = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };
const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} };

let user: Client;
let stranger: Client;
let agent: Agent;
let made: RequestAnswer['request'];
beforeAll(async () => {
  [user, stranger] = await Promise.all([newClient(), newClient()]);
  agent = await connect(user.key);
  made = (await agent.data<RequestAnswer>('generate_image', SMALL)).request;
});

const codeOf = async (response: Response) => (await response.json<{ code: string }>()).code;

describe('a name and a page', () => {
  const local: Reach = { publicOrigin: null, isLocal: true, corsOrigins: [] };
  const open: Reach = { publicOrigin: null, isLocal: false, corsOrigins: [] };
  const named: Reach = { ...open, publicOrigin: 'https://foreman.example.com' };
  const page = 'https://app.example.com';

  it.each<[string, Reach, string, string | null, 'host' | 'page' | null]>([
    ['a local server by name', local, 'http://localhost:8787/mcp', null, null],
    ['a local server by address', local, 'http://127.0.0.1:8787/mcp', null, null],
    ['a local server by IPv6', local, 'http://[::1]:8787/mcp', null, null],
    ['a local server by another name', local, 'http://evil.example.com/mcp', null, 'host'],
    ['a name that only begins so', local, 'http://localhost.evil.example/mcp', null, 'host'],
    ['its own page', local, 'http://localhost:8787/mcp', 'http://localhost:8787', null],
    ['a local page', local, 'http://localhost:8787/mcp', 'http://127.0.0.1:6274', null],
    ['any other page', local, 'http://localhost:8787/mcp', page, 'page'],
    ['a rebound page', local, 'http://evil.example/mcp', 'http://evil.example', 'host'],
    ['a page of no origin', local, 'http://localhost:8787/mcp', 'null', 'page'],
    ['whatever it is routed to', open, 'https://any.example.com/mcp', null, null],
    ['its own page there', open, 'https://any.example.com/mcp', 'https://any.example.com', null],
    ['a local page there', open, 'https://any.example.com/mcp', 'http://localhost:1', 'page'],
    ['the public name', named, 'https://foreman.example.com/mcp', null, null],
    [
      'behind a proxy',
      named,
      'http://foreman.example.com/mcp',
      'https://foreman.example.com',
      null,
    ],
    ['another name', named, 'https://foreman.example.net/mcp', null, 'host'],
    ['a named page', { ...named, corsOrigins: [page] }, 'https://foreman.example.com/', page, null],
    ['every page', { ...named, corsOrigins: '*' }, 'https://foreman.example.com/', page, null],
  ])('%s', (_, reach, url, from, strange) => {
    expect(strangeness({ url, page: from }, reach)).toBe(strange);
  });

  it('that are strange are turned away before a key is looked at', async () => {
    const calls: Record<string, string>[] = [{ url: 'http://foreman.test/mcp' }, { origin: page }];
    for (const strange of calls) {
      for (const key of [user.key, 'fm_wrong']) {
        const response = await send(key, LIST, strange);
        expect([response.status, await codeOf(response)]).toEqual([403, 'forbidden']);
      }
    }
    expect((await send(user.key, LIST, { origin: 'http://localhost:6274' })).status).toBe(200);
  });

  it('may be told beforehand what a browser of theirs may send', async () => {
    const app = createApp(createServices({ ...env, CORS_ORIGINS: page }));
    const headers = {
      origin: page,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'mcp-protocol-version,mcp-method,mcp-name,authorization',
    };
    const asked = new Request(MCP_URL, { method: 'OPTIONS', headers });
    const response = await app.fetch(asked, env, createExecutionContext());
    expect(response.status).toBe(204);
    const allowed = response.headers.get('access-control-allow-headers')?.split(', ');
    for (const name of headers['access-control-request-headers'].split(',')) {
      expect(allowed).toContain(name);
    }
  });
});

describe('a key', () => {
  it.each(['', 'fm_wrong', 'x'.repeat(40)])('that is none opens nothing: %j', async (key) => {
    for (const body of [LIST, '{"unclosed":', 'x'.repeat(2_000_000)]) {
      const response = await send(key, body);
      expect([response.status, await response.clone().text()]).toEqual([
        401,
        expect.not.stringContaining('Malformed'),
      ]);
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
      expect(await codeOf(response)).toBe('unauthorized');
    }
  });

  it('that was revoked opens nothing', async () => {
    const { id, key } = await newKey(user.userId);
    const path = `/v1/admin/users/${user.userId}/keys/${id}`;
    expect((await http('DELETE', path, { headers: ADMIN })).status).toBe(204);
    expect((await send(key, LIST)).status).toBe(401);
    expect((await send(env.ADMIN_TOKEN, LIST)).status).toBe(401);
  });

  it('without requests:read is let in nowhere', async () => {
    const { key } = await newKey(user.userId, ['requests:write']);
    const response = await send(key, LIST);
    expect([response.status, await codeOf(response)]).toEqual([403, 'forbidden']);
  });

  it('without requests:write reads, and changes nothing', async () => {
    const { key } = await newKey(user.userId, ['requests:read']);
    const reader = await connect(key);
    const [image] = made.images;
    await reader.data('get_request', { id: made.id });
    await reader.data('get_image', { id: image?.id });
    for (const [name, args] of [
      ['generate_image', SMALL],
      ['edit_image', { prompt: 'at night', image: image?.id }],
      ['cancel_request', { id: made.id }],
      ['delete_image', { id: image?.id }],
    ] as const) {
      const fault = await reader.fault(name, args);
      expect([name, fault.code, fault.message]).toEqual([
        name,
        'forbidden',
        expect.stringContaining('requests:write'),
      ]);
    }
    await agent.data('get_image', { id: image?.id });
  });

  it('of somebody else finds nothing', async () => {
    const other = await connect(stranger.key);
    const [image] = made.images;
    for (const [name, args] of [
      ['get_request', { id: made.id }],
      ['wait_for_request', { id: made.id }],
      ['cancel_request', { id: made.id }],
      ['get_request', { id: 'nothing' }],
      ['get_image', { id: image?.id }],
      ['get_image', { id: image?.id, max_width: 32 }],
      ['delete_image', { id: image?.id }],
      ['delete_image', { id: '../x' }],
      ['edit_image', { prompt: 'at night', model: 'gpt-image-1', image: image?.id }],
    ] as const) {
      const { code, text } = await other.fault(name, args);
      const isInput = name === 'edit_image';
      expect([name, code]).toEqual([name, isInput ? 'invalid_request' : 'not_found']);
      expect(text).not.toContain(user.userId);
    }
    expect(await other.data('list_images', {})).toMatchObject({ items: [] });
    expect(await other.data('list_requests', {})).toMatchObject({ items: [] });
  });
});

describe('a message', () => {
  it.each(['GET', 'DELETE', 'PUT'])('that is no POST is answered 405: %s', async (method) => {
    const headers = { authorization: `Bearer ${user.key}`, accept: 'text/event-stream' };
    const response = await exports.default.fetch(MCP_URL, { method, headers });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
  });

  it.each(['null', '42', '"text"', '[]', '{}', '{"jsonrpc":"2.0","id":1}', '[null]'])(
    'that is none is refused as such: %s',
    async (body) => {
      const response = await send(user.key, body);
      expect([response.status, await response.text()]).toEqual([
        400,
        expect.stringContaining('"error"'),
      ]);
    },
  );

  it('may have a mebibyte, 32 levels and 5 parts', async () => {
    const deep = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
    const batch = (length: number) => Array.from({ length }, (_, id) => ({ ...LIST, id }));
    const statusOf = async (message: unknown) => (await send(user.key, message)).status;
    expect(await statusOf(JSON.stringify(LIST).padEnd(1_048_576))).toBe(200);
    expect(await statusOf(JSON.stringify(LIST).padEnd(1_048_577))).toBe(413);
    expect(await statusOf(deep(33))).toBe(400);
    expect(await statusOf('{"unclosed":')).toBe(400);
    expect(await statusOf(batch(5))).toBe(200);
    expect(await statusOf(batch(6))).toBe(422);
    const text = await send(user.key, LIST, { 'content-type': 'text/plain' });
    expect(text.status).toBe(415);
  });

  it.each(['2025-06-18', '2025-11-25', '2026-07-28'])(
    'is alone in revisions without batches: %s',
    async (version) => {
      const headers = { 'mcp-protocol-version': version };
      const response = await send(user.key, [LIST], headers);
      expect([response.status, await response.json()]).toEqual([
        400,
        { jsonrpc: '2.0', id: null, error: { code: -32600, message: expect.any(String) } },
      ]);
      expect((await send(user.key, [LIST], { 'mcp-protocol-version': '2025-03-26' })).status).toBe(
        200,
      );
    },
  );

  it('of a revision that is not spoken is told of those that are', async () => {
    const response = await send(user.key, LIST, { 'mcp-protocol-version': '2020-01-01' });
    expect(response.status).toBe(400);
    const text = await response.text();
    for (const version of ['2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28']) {
      expect(text).toContain(version);
    }
  });

  it('is answered under its correlation id, with the headers that guard every answer', async () => {
    const given = { 'x-correlation-id': 'from-an-agent' };
    const response = await send(user.key, callOf('get_request', { id: 'nothing' }), given);
    expect(response.headers.get('x-correlation-id')).toBe('from-an-agent');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await response.text()).toContain('"correlation_id":"from-an-agent"');
  });

  it('that asks to listen is told that there is nothing to hear', async () => {
    const method = 'subscriptions/listen';
    const of = (name: string) => `io.modelcontextprotocol/${name}`;
    const _meta = {
      [of('protocolVersion')]: '2026-07-28',
      [of('clientInfo')]: { name: 'test', version: '1' },
      [of('clientCapabilities')]: {},
    };
    const params = { _meta, notifications: { toolsListChanged: true } };
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': method };
    const response = await send(user.key, { jsonrpc: '2.0', id: 1, method, params }, headers);
    expect(await response.json()).toMatchObject({ error: { code: -32603 } });
    expect(agent.client.getServerCapabilities()).toEqual({
      tools: { listChanged: false },
      resources: { listChanged: false },
    });
  });
});

describe('a fault of ours', () => {
  const logged = (level: 'warn' | 'error') =>
    vi.mocked(console[level]).mock.calls.map(([line]) => JSON.parse(String(line)));

  it('is told in constant words, and logged once under the correlation id', async () => {
    const broken: PresentRequest = () => {
      throw new TypeError('a state that nobody thought of');
    };
    const services = createServices(env);
    const app = createApp({ ...services, present: broken });
    const fault = await connect(user.key, undefined, async (input, init) =>
      app.fetch(new Request(input, init), env, createExecutionContext()),
    ).then((other) => other.fault('get_request', { id: made.id }));
    expect([fault.code, fault.message]).toEqual([
      'internal_error',
      expect.stringContaining('Something went wrong on our side'),
    ]);
    const lines = logged('error').filter(({ event }) => event === 'http.failed');
    expect(lines).toEqual([
      expect.objectContaining({
        correlation_id: fault.details.correlation_id,
        route: '/mcp',
        error_message: 'a state that nobody thought of',
      }),
    ]);
  });

  it('is data that is not as its schema says, too', async () => {
    const services = createServices(env);
    const present: PresentRequest = (...given) => ({
      ...services.present(...given),
      status: 'odd' as never,
    });
    const app = createApp({ ...services, present });
    const other = await connect(user.key, undefined, async (input, init) =>
      app.fetch(new Request(input, init), env, createExecutionContext()),
    );
    const fault = await other.fault('get_request', { id: made.id });
    expect(fault.code).toBe('internal_error');
    expect(logged('error').filter(({ event }) => event === 'http.failed')).toHaveLength(1);
  });

  it('that will pass says when to try again', async () => {
    Object.assign(faults, { d1: 'fail' });
    const fault = await agent.fault('list_requests');
    expect([fault.code, fault.details.retry_after_seconds]).toEqual(['unavailable', 5]);
    expect(fault.text).toContain('Try again in 5 s.');
    expect(logged('warn').filter(({ event }) => event === 'http.unavailable')).toHaveLength(1);
  });
});
