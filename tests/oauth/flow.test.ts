// OAuth 2.1 from the bare URL to a call of /mcp, by requests as any app could write them.
import { beforeAll, describe, expect, it } from 'vitest';
import { type Client, http, newClient, useWorld } from '../journeys/support';
import { ACROSS_A_MINUTE, newAddress, spend } from '../support/shield';
import {
  askToken,
  authorizationOf,
  codeFor,
  decide,
  exchange,
  go,
  HERE,
  letIn,
  mcp,
  newApp,
  openPage,
  RESOURCE,
  refresh,
  register,
  sentBack,
  tokensIn,
} from './support';

useWorld();

let client: Client;
beforeAll(async () => {
  client = await newClient();
});

const METADATA = `Bearer resource_metadata="${HERE}/.well-known/oauth-protected-resource/mcp"`;
const CHALLENGE = `${METADATA}, scope="requests:read requests:write"`;

const errorOf = async (answer: Response) => {
  const { error } = await answer.json<{ error: string }>();
  return [answer.status, error];
};

describe('who comes without a token', () => {
  it('is told where to get one, and finds all the rest from there', async () => {
    const denied = await mcp(null);
    expect(denied.status).toBe(401);
    expect(denied.headers.get('content-type')).toBe('application/problem+json');
    expect(denied.headers.get('www-authenticate')).toBe(CHALLENGE);
    const [, url = ''] = /resource_metadata="([^"]+)"/.exec(CHALLENGE) ?? [];
    const resource = await (await go(url)).json<Record<string, unknown>>();
    expect(resource).toMatchObject({ resource: RESOURCE, authorization_servers: [HERE] });
    const server = await (await go('/.well-known/oauth-authorization-server')).json();
    expect(server).toMatchObject({
      issuer: HERE,
      authorization_endpoint: `${HERE}/oauth/authorize`,
      token_endpoint: `${HERE}/oauth/token`,
      registration_endpoint: `${HERE}/oauth/register`,
      revocation_endpoint: `${HERE}/oauth/token`,
      scopes_supported: ['requests:read', 'requests:write'],
      code_challenge_methods_supported: ['S256'],
      protected_resources: [RESOURCE],
    });
    const bare = await go('/.well-known/oauth-protected-resource');
    expect(await bare.json()).toEqual(resource);
  });

  it('hears that its token is wrong, on /mcp only in these words', async () => {
    const app = `${client.userId}:grant:secret`;
    for (const token of ['fm_short', 'anything', app]) {
      const denied = await mcp(token);
      expect(denied.status).toBe(401);
      expect(denied.headers.get('www-authenticate')).toBe(`${CHALLENGE}, error="invalid_token"`);
    }
    const elsewhere = await http('GET', '/v1/me', { headers: { authorization: `Bearer ${app}` } });
    expect([elsewhere.status, elsewhere.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
  });

  it('with a token that may not read is told which scope it lacks', async () => {
    const app = await newApp();
    const page = await openPage(app, { scope: 'requests:write' });
    const back = sentBack(await decide(page, { key: client.key, scopes: ['requests:write'] }));
    const code = back.searchParams.get('code') ?? '';
    const { access_token: token } = await tokensIn(await exchange(app, code));
    const denied = await mcp(token);
    const fault = 'error="insufficient_scope", scope="requests:read"';
    expect(denied.status).toBe(403);
    expect(denied.headers.get('www-authenticate')).toBe(`${METADATA}, ${fault}`);
  });

  it('is not led anywhere over plain http, but to this machine', async () => {
    const path = '/.well-known/oauth-authorization-server';
    expect((await go(path, {}, 'http://foreman.test')).status).toBe(404);
    const local = await go(path, {}, 'http://127.0.0.1:8787');
    expect(await local.json()).toMatchObject({ issuer: 'http://127.0.0.1:8787' });
  });

  it('may be a page of any origin while it looks around, and sends no cookie', async () => {
    const page = { origin: 'https://inspector.example.com' };
    for (const path of ['/.well-known/oauth-protected-resource/mcp', '/oauth/token']) {
      const asked = await go(path, {
        method: 'OPTIONS',
        headers: { ...page, 'access-control-request-method': 'POST' },
      });
      expect([asked.status, asked.headers.get('access-control-allow-origin')]).toEqual([204, '*']);
    }
    const server = await go('/.well-known/oauth-authorization-server', { headers: page });
    expect(server.headers.get('access-control-allow-origin')).toBe('*');
    expect(server.headers.get('access-control-allow-credentials')).toBeNull();
  });
});

describe('an app that its user lets in', () => {
  it('gets a code, tokens for it, and into /mcp with those', async () => {
    const app = await newApp();
    const back = sentBack(await decide(await openPage(app), { key: client.key }));
    expect(`${back.origin}${back.pathname}`).toBe(app.redirectUri);
    expect([back.searchParams.get('state'), back.searchParams.get('iss')]).toEqual([
      'state-1',
      HERE,
    ]);
    const tokens = await tokensIn(await exchange(app, back.searchParams.get('code') ?? ''));
    expect(tokens).toMatchObject({ scope: 'requests:read requests:write', expires_in: 3_600 });
    expect((await mcp(tokens.access_token)).status).toBe(200);
  });

  it('gets in nowhere else', async () => {
    const { access_token: token } = await letIn(client);
    for (const path of ['/v1/me', '/v1/requests', '/v1/me/grants', '/openai/v1/models']) {
      const answer = await http('GET', path, { headers: { authorization: `Bearer ${token}` } });
      expect([path, answer.status]).toEqual([path, 401]);
    }
  });

  it('has a token for one origin, and a forged Host makes it one for no other', async () => {
    const { access_token: token } = await letIn(client);
    expect((await mcp(token, {}, 'http://127.0.0.1:9')).status).toBe(401);
    expect((await mcp(token, { host: '127.0.0.1:9' })).status).toBe(200);
    const forged = authorizationOf(await newApp(), { resource: 'http://127.0.0.1:9/mcp' });
    expect(sentBack(await go(forged)).searchParams.get('error')).toBe('invalid_target');
  });

  it('renews its tokens: the new one works, and once it did the old one does not', async () => {
    const { app, refresh_token: first } = await letIn(client);
    const second = await tokensIn(await refresh(app, first));
    expect(second.refresh_token).not.toBe(first);
    expect((await mcp(second.access_token)).status).toBe(200);
    const third = await tokensIn(await refresh(app, second.refresh_token));
    expect(third.refresh_token).not.toBe(second.refresh_token);
    expect(await errorOf(await refresh(app, first))).toEqual([400, 'invalid_grant']);
  });

  it('gives its access back, and has none any more', async () => {
    const { app, access_token, refresh_token } = await letIn(client);
    const given = await askToken({ client_id: app.clientId, token: refresh_token });
    expect(given.status).toBe(200);
    expect((await mcp(access_token)).status).toBe(401);
    expect(await errorOf(await refresh(app, refresh_token))).toEqual([400, 'invalid_grant']);
  });
});

describe('a code', () => {
  it('is worth nothing with another verifier, at another place, or by another app', async () => {
    const app = await newApp();
    const other = await newApp();
    const wrong: readonly Record<string, string>[] = [
      { code_verifier: 'x'.repeat(43) },
      { redirect_uri: 'https://app.example.com/other' },
      { client_id: other.clientId },
    ];
    for (const changes of wrong) {
      const code = await codeFor(app, client);
      const [status] = await errorOf(await exchange(app, code, changes));
      expect([changes, status]).toEqual([changes, 400]);
    }
  });

  it('is good once: a second use ends what the first one got', async () => {
    const app = await newApp();
    const code = await codeFor(app, client);
    const { access_token: token } = await tokensIn(await exchange(app, code));
    expect((await mcp(token)).status).toBe(200);
    expect(await errorOf(await exchange(app, code))).toEqual([400, 'invalid_grant']);
    expect((await mcp(token)).status).toBe(401);
  });

  it('is not to be had without PKCE, not even by an app with a secret', async () => {
    const pkce = { code_challenge: '', code_challenge_method: '' };
    for (const method of ['none', 'client_secret_basic']) {
      const app = await newApp({ token_endpoint_auth_method: method });
      const back = sentBack(await go(authorizationOf(app, pkce)));
      expect([method, back.searchParams.get('error')]).toEqual([method, 'invalid_request']);
      expect(back.searchParams.get('state')).toBe('state-1');
    }
    const plain = authorizationOf(await newApp(), { code_challenge_method: 'plain' });
    expect(sentBack(await go(plain)).searchParams.get('error')).toBe('invalid_request');
  });
});

describe('a registration', () => {
  it.each([
    ['plain http to elsewhere', { redirect_uris: ['http://app.example.com/callback'] }],
    ['a script', { redirect_uris: ['javascript:alert(1)'] }],
    ['no place at all', { redirect_uris: [] }],
  ])('with %s to be sent back to is refused', async (_, metadata) => {
    expect((await register(metadata)).status).toBe(400);
  });

  it('of an app on the user’s machine is taken, whatever port it listens on', async () => {
    const app = await newApp({}, 'http://127.0.0.1/callback');
    const page = await openPage(app, { redirect_uri: 'http://127.0.0.1:51234/callback' });
    expect(page.text).toContain('an app on this computer');
  });

  it('has a bound', async () => {
    const tooLong = await register({ client_name: 'x'.repeat(20_000) });
    expect(await errorOf(tooLong)).toEqual([413, 'invalid_request']);
  });

  it('is not to be had any number of times from one address', ACROSS_A_MINUTE, async () => {
    const address = newAddress();
    await spend('oauth', address, 1);
    const headers = { 'cf-connecting-ip': address };
    expect((await register({}, headers)).status).toBe(201);
    const refused = await register({}, { ...headers, origin: 'https://inspector.example.com' });
    expect(refused.headers.get('access-control-allow-origin')).toBe('*');
    expect(await errorOf(refused)).toEqual([429, 'temporarily_unavailable']);
  });
});
