// Web pages of other origins, as a browser would ask on their behalf.
import { createExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../src/app';
import { createServices } from '../../src/services';
import { ADMIN, type Client, http, newClient, ORIGIN, useWorld } from './support';

useWorld();

const PAGE = 'https://app.example.com';
const STRANGE = 'https://evil.example';

/** The Worker as it is with the setting. */
function opened(origins: string) {
  const app = createApp(createServices({ ...env, CORS_ORIGINS: origins }));
  return (method: string, path: string, headers: Record<string, string>) =>
    Promise.resolve(
      app.fetch(new Request(ORIGIN + path, { method, headers }), env, createExecutionContext()),
    );
}

const preflightOf = (origin: string, method = 'POST') => ({
  origin,
  'access-control-request-method': method,
  'access-control-request-headers': 'authorization,content-type',
});
const corsHeaders = (response: Response) =>
  [...response.headers.keys()].filter((name) => name.startsWith('access-control-'));
const listOf = (value: string | null) => (value ?? '').split(', ').sort();

let client: Client;
beforeAll(async () => {
  client = await newClient();
});

describe('closed, as it is by default', () => {
  it('answers a preflight as any method that a path does not take', async () => {
    const response = await http('OPTIONS', '/v1/models', { headers: preflightOf(PAGE, 'GET') });
    expect([response.status, corsHeaders(response)]).toEqual([405, []]);
  });

  it('has no word on origins in any answer', async () => {
    const response = await client.call('GET', '/v1/models', { headers: { origin: PAGE } });
    expect([response.status, corsHeaders(response), response.headers.get('vary')]).toEqual([
      200,
      [],
      null,
    ]);
  });
});

describe('open to the origins that are named', () => {
  const call = opened(`https://other.example.com,${PAGE}`);

  it('answers a preflight without a key', async () => {
    const response = await call('OPTIONS', '/v1/requests', preflightOf(PAGE));
    expect([response.status, await response.text()]).toEqual([204, '']);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'access-control-allow-origin': PAGE,
      'access-control-max-age': '600',
      vary: 'Origin',
      'x-correlation-id': expect.any(String),
    });
    expect(response.headers.has('access-control-allow-credentials')).toBe(false);
    expect(listOf(response.headers.get('access-control-allow-methods'))).toEqual([
      'DELETE',
      'GET',
      'HEAD',
      'PATCH',
      'POST',
      'PUT',
    ]);
    expect(listOf(response.headers.get('access-control-allow-headers'))).toEqual([
      'authorization',
      'content-type',
      'idempotency-key',
      'if-modified-since',
      'if-none-match',
      'if-range',
      'last-event-id',
      'mcp-method',
      'mcp-name',
      'mcp-protocol-version',
      'mcp-session-id',
      'openai-organization',
      'openai-project',
      'prefer',
      'range',
      'traceparent',
      'x-correlation-id',
      'x-request-id',
      'x-stainless-arch',
      'x-stainless-helper-method',
      'x-stainless-lang',
      'x-stainless-os',
      'x-stainless-package-version',
      'x-stainless-retry-count',
      'x-stainless-runtime',
      'x-stainless-runtime-version',
      'x-stainless-timeout',
    ]);
  });

  it('lets a page read an answer, and the headers that clients need', async () => {
    const authorization = `Bearer ${client.key}`;
    const response = await call('GET', '/v1/models', { authorization, origin: PAGE });
    expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([
      200,
      PAGE,
    ]);
    expect(listOf(response.headers.get('access-control-expose-headers'))).toEqual([
      'content-range',
      'etag',
      'idempotent-replayed',
      'link',
      'location',
      'preference-applied',
      'ratelimit',
      'ratelimit-policy',
      'retry-after',
      'www-authenticate',
      'x-correlation-id',
      'x-foreman-request-id',
      'x-request-id',
      'x-should-retry',
    ]);
  });

  it.each([
    ['/v1/me', 401, {}],
    ['/v1/nothing', 404, {}],
    ['/v1/me', 400, { 'x-correlation-id': 'not one word' }],
    ['/v1/me', 431, { 'x-long': 'x'.repeat(9_000) }],
  ])('lets a page read why %s is answered %i', async (path, status, headers) => {
    const response = await call('GET', path, { origin: PAGE, ...headers });
    expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([
      status,
      PAGE,
    ]);
  });

  it('lets a page read an image, whose other headers stay', async () => {
    const { id } = await client.submit();
    const [image] = (await client.reached(id, 'succeeded')).images;
    const { pathname, search } = new URL(image?.signed_url ?? '');
    const first = await call('GET', pathname + search, { origin: PAGE });
    await first.body?.cancel();
    const etag = first.headers.get('etag') ?? '';
    for (const [headers, status] of [
      [{ range: 'bytes=0-9' }, 206],
      [{ 'if-none-match': etag }, 304],
    ] as const) {
      const response = await call('GET', pathname + search, { origin: PAGE, ...headers });
      expect([response.status, response.headers.get('vary')]).toEqual([status, 'Origin']);
      expect(response.headers.get('access-control-allow-origin')).toBe(PAGE);
      await response.body?.cancel();
    }
    const authorization = `Bearer ${client.key}`;
    const own = await call('GET', pathname, { origin: PAGE, authorization });
    expect(own.headers.get('vary')).toBe('Authorization, Origin');
    await own.body?.cancel();
  });

  it.each([STRANGE, 'null', `${PAGE}.evil.example`, 'http://app.example.com'])(
    'says nothing to %s but that answers differ by origin',
    async (origin) => {
      const asked = await call('OPTIONS', '/v1/models', preflightOf(origin, 'GET'));
      const answer = await call('GET', '/v1/models', { origin });
      expect([asked.status, answer.status]).toEqual([405, 401]);
      for (const response of [asked, answer]) {
        expect([corsHeaders(response), response.headers.get('vary')]).toEqual([[], 'Origin']);
      }
    },
  );

  it.each(['/v1/admin/users', '/v1/admin/breakers', '/v1/admin'])(
    'is closed at %s all the same',
    async (path) => {
      const asked = await call('OPTIONS', path, preflightOf(PAGE));
      expect([asked.status === 204, corsHeaders(asked)]).toEqual([false, []]);
      const answer = await call('GET', path, { ...ADMIN, origin: PAGE });
      expect(corsHeaders(answer)).toEqual([]);
    },
  );
});

describe('open to any origin', () => {
  const call = opened('*');

  it('says so, whoever asks', async () => {
    const asked = await call('OPTIONS', '/v1/models', preflightOf(STRANGE, 'GET'));
    const answer = await call('GET', '/v1/models', { origin: STRANGE });
    for (const response of [asked, answer]) {
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      expect(response.headers.has('access-control-allow-credentials')).toBe(false);
    }
    expect([asked.status, answer.status]).toEqual([204, 401]);
  });

  it('answers who names no origin alike, as a cache may keep it for who does', async () => {
    const headersWith = async (headers: Record<string, string>) => {
      const response = await call('GET', '/v1/models', headers);
      return [...corsHeaders(response), response.headers.get('access-control-allow-origin')];
    };
    const named = await headersWith({ origin: STRANGE });
    expect(named).toHaveLength(3);
    expect(await headersWith({})).toEqual(named);
  });

  it('is closed at the operator’s routes all the same', async () => {
    const asked = await call('OPTIONS', '/v1/admin/users', preflightOf(STRANGE));
    expect([asked.status, corsHeaders(asked)]).toEqual([405, []]);
    for (const headers of [ADMIN, { ...ADMIN, origin: STRANGE }]) {
      expect(corsHeaders(await call('GET', '/v1/admin/users', headers))).toEqual([]);
    }
  });
});
