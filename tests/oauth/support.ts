/** An app, and the browser of its user, played by hand-written requests. */

import { exports } from 'cloudflare:workers';
import { createHash, randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import type { Client } from '../journeys/support';

/** A local server has /mcp under no other kind of name. */
export const HERE = 'http://localhost';

export const RESOURCE = `${HERE}/mcp`;
export const REDIRECT = 'https://app.example.com/callback';

export const go = (path: string, init: RequestInit = {}, origin = HERE): Promise<Response> =>
  exports.default.fetch(new Request(new URL(path, origin), { redirect: 'manual', ...init }));

const form = (
  fields: Readonly<Record<string, string>>,
  headers: HeadersInit = {},
): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  body: new URLSearchParams(fields).toString(),
});

export const register = (metadata: object = {}, headers: HeadersInit = {}): Promise<Response> =>
  go('/oauth/register', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({
      client_name: 'Painter',
      redirect_uris: [REDIRECT],
      token_endpoint_auth_method: 'none',
      ...metadata,
    }),
  });

export interface App {
  readonly clientId: string;
  readonly verifier: string;
  readonly redirectUri: string;
}

export async function newApp(metadata: object = {}, redirectUri = REDIRECT): Promise<App> {
  const answer = await register({ redirect_uris: [redirectUri], ...metadata });
  expect(answer.status).toBe(201);
  const { client_id: clientId } = await answer.json<{ client_id: string }>();
  return { clientId, verifier: randomBytes(32).toString('base64url'), redirectUri };
}

/** Where an app sends the browser of its user. A field that is '' is left out. */
export function authorizationOf(app: App, changes: Readonly<Record<string, string>> = {}): string {
  const challenge = createHash('sha256').update(app.verifier).digest('base64url');
  const fields = {
    response_type: 'code',
    client_id: app.clientId,
    redirect_uri: app.redirectUri,
    scope: 'requests:read requests:write',
    state: 'state-1',
    resource: RESOURCE,
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...changes,
  };
  const given = Object.entries(fields).filter(([, value]) => value !== '');
  return `/oauth/authorize?${new URLSearchParams(given)}`;
}

export interface Page {
  readonly text: string;
  readonly handle: string;
  readonly cookie: string;
  readonly headers: Headers;
}

export async function readPage(answer: Response): Promise<Page> {
  const text = await answer.text();
  const handle = /name="handle" value="([^"]+)"/.exec(text)?.[1] ?? '';
  const cookie = answer.headers
    .getSetCookie()
    .map((line) => line.split(';')[0] ?? '')
    .filter((pair) => !pair.endsWith('='))
    .join('; ');
  return { text, handle, cookie, headers: answer.headers };
}

export async function openPage(app: App, changes: Readonly<Record<string, string>> = {}) {
  const answer = await go(authorizationOf(app, changes));
  expect(answer.status).toBe(200);
  return readPage(answer);
}

export function decide(
  { handle, cookie }: Pick<Page, 'handle' | 'cookie'>,
  fields: { key?: string; decision?: string; scopes?: readonly string[] },
  headers: HeadersInit = {},
): Promise<Response> {
  const { key = '', decision = 'approve' } = fields;
  const { scopes = ['requests:read', 'requests:write'] } = fields;
  const body = new URLSearchParams({ handle, decision, key });
  for (const scope of scopes) body.append('scope', scope);
  return go('/oauth/authorize', {
    ...form({}, { cookie, ...headers }),
    body: body.toString(),
  });
}

/** Where the browser is sent back to, with what. */
export function sentBack(answer: Response): URL {
  expect(answer.status).toBe(302);
  return new URL(answer.headers.get('location') ?? '');
}

export async function codeFor(app: App, client: Client, scopes?: readonly string[]) {
  const page = await openPage(app);
  const back = sentBack(await decide(page, { key: client.key, ...(scopes ? { scopes } : {}) }));
  expect(back.searchParams.get('error')).toBeNull();
  return back.searchParams.get('code') ?? '';
}

export const askToken = (fields: Readonly<Record<string, string>>) =>
  go('/oauth/token', form(fields));

export const exchange = (app: App, code: string, changes: Readonly<Record<string, string>> = {}) =>
  askToken({
    grant_type: 'authorization_code',
    client_id: app.clientId,
    redirect_uri: app.redirectUri,
    code_verifier: app.verifier,
    code,
    ...changes,
  });

export const refresh = (app: App, refreshToken: string) =>
  askToken({
    grant_type: 'refresh_token',
    client_id: app.clientId,
    refresh_token: refreshToken,
  });

export interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly scope: string;
  readonly expires_in: number;
}

export async function tokensIn(answer: Response): Promise<Tokens> {
  expect(answer.status).toBe(200);
  return answer.json<Tokens>();
}

export async function letIn(client: Client, app?: App, scopes?: readonly string[]) {
  const used = app ?? (await newApp());
  const tokens = await tokensIn(await exchange(used, await codeFor(used, client, scopes)));
  return { app: used, ...tokens };
}

/** `initialize`, which whoever may be there at all may do. */
export const mcp = (token: string | null, headers: HeadersInit = {}, origin = HERE) =>
  callMcp(token, 'initialize', INITIALIZE, headers, origin);

const INITIALIZE = {
  protocolVersion: '2025-06-18',
  capabilities: {},
  clientInfo: { name: 'test', version: '1' },
};

export const callMcp = (
  token: string | null,
  method: string,
  params: object,
  headers: HeadersInit = {},
  origin = HERE,
): Promise<Response> =>
  go(
    '/mcp',
    {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    },
    origin,
  );
