/**
 * An app that knows nothing but the URL of /mcp: the official client finds out the rest, registers,
 * sends its user to the consent page and calls tools with what it gets.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  Client,
  type OAuthClientInformationMixed,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  type OAuthTokens,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { launchBrowser } from './support/browser.ts';
import { type Server, startServer, type User } from './support/server.ts';

let server: Server;
let user: User;
let key: string;
let browser: Browser;

beforeAll(async () => {
  const launching = launchBrowser();
  server = await startServer();
  user = await server.createUser();
  const path = `/v1/admin/users/${user.id}/keys`;
  key = (await server.admin.post<{ key: string }>(path, { name: 'consent' })).body.key;
  browser = await launching;
}, 300_000);

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

interface Kept {
  information?: OAuthClientInformationMixed;
  tokens?: OAuthTokens;
  discovery?: OAuthDiscoveryState;
  verifier: string;
  sentTo: URL | null;
}

/** Keeps in memory what an app keeps on disk, and notes where it would open the browser. */
function newApp(redirectUrl: string, kept: Kept = { verifier: '', sentTo: null }) {
  const provider: OAuthClientProvider = {
    redirectUrl,
    clientMetadata: {
      client_name: 'Painter',
      redirect_uris: [redirectUrl],
      token_endpoint_auth_method: 'none',
    },
    state: () => 'state-1',
    clientInformation: () => kept.information,
    saveClientInformation: (information) => {
      kept.information = information;
    },
    tokens: () => kept.tokens,
    saveTokens: (tokens) => {
      kept.tokens = tokens;
    },
    redirectToAuthorization: (url) => {
      kept.sentTo = url;
    },
    saveCodeVerifier: (verifier) => {
      kept.verifier = verifier;
    },
    codeVerifier: () => kept.verifier,
    saveDiscoveryState: (state) => {
      kept.discovery = state;
    },
    discoveryState: () => kept.discovery,
    invalidateCredentials: (which) => {
      if (which === 'all' || which === 'tokens') delete kept.tokens;
    },
  };
  return { provider, kept };
}
type App = ReturnType<typeof newApp>;

const transportOf = ({ provider }: App, origin: string) =>
  new StreamableHTTPClientTransport(new URL('/mcp', origin), { authProvider: provider });

/** The app comes with nothing, and has its user's browser opened. */
async function knock(app: App, origin: string): Promise<URL> {
  const transport = transportOf(app, origin);
  const client = new Client({ name: 'e2e', version: '1' });
  await expect(client.connect(transport)).rejects.toThrow(UnauthorizedError);
  await transport.close();
  if (!app.kept.sentTo) throw new Error('the app opened no browser');
  return app.kept.sentTo;
}

/** With what the browser came back with, the app gets in and draws. */
async function enter(app: App, origin: string, back: URLSearchParams): Promise<void> {
  expect(back.get('state')).toBe('state-1');
  const transport = transportOf(app, origin);
  await transport.finishAuth(back);
  const client = new Client({ name: 'e2e', version: '1' });
  await client.connect(transport);
  const { tools } = await client.listTools();
  expect(tools.map(({ name }) => name)).toContain('generate_image');
  const drawn = await client.callTool({
    name: 'generate_image',
    arguments: { model: 'sketch', prompt: 'a boat', width: 64, height: 64 },
  });
  expect(drawn.isError ?? false).toBe(false);
  await client.close();
}

it('is let in by its user, renews its tokens, and is out when its user says so', async () => {
  const app = newApp('http://127.0.0.1:9/callback');
  const page = await fetch(await knock(app, server.origin));
  const text = await page.text();
  expect(text).toContain('Painter');
  const [, handle = ''] = /name="handle" value="([^"]+)"/.exec(text) ?? [];
  const cookie = page.headers.getSetCookie().map((line) => line.split(';')[0]);
  const decided = await fetch(`${server.origin}/oauth/authorize`, {
    method: 'POST',
    headers: { cookie: cookie.join('; ') },
    redirect: 'manual',
    body: new URLSearchParams([
      ...Object.entries({ handle, key, decision: 'approve' }),
      ...['requests:read', 'requests:write'].map((scope): [string, string] => ['scope', scope]),
    ]),
  });
  expect(decided.status).toBe(302);
  await enter(app, server.origin, new URL(decided.headers.get('location') ?? '').searchParams);

  // What an hour does: the client renews what has ended by itself.
  const before = app.kept.tokens;
  if (!before) throw new Error('the app has no tokens');
  app.kept.tokens = { ...before, access_token: `${before.access_token.slice(0, -4)}AAAA` };
  const again = new Client({ name: 'e2e', version: '1' });
  await again.connect(transportOf(app, server.origin));
  expect(app.kept.tokens?.refresh_token).not.toBe(before.refresh_token);
  await again.close();

  const { body } = await user.api.get<{ items: { id: string }[] }>('/v1/me/grants');
  const ended = await user.api.delete(`/v1/me/grants/${body.items[0]?.id}`);
  expect(ended.status).toBe(204);
  app.kept.sentTo = null;
  await knock(app, server.origin);
});

it.each(['127.0.0.1', 'localhost'])(
  'is let in by a person with a real browser, on http://%s',
  async (name) => {
    const origin = server.origin.replace('127.0.0.1', name);
    const calls: URL[] = [];
    const listener = createServer((request, response) => {
      calls.push(new URL(request.url ?? '', 'http://127.0.0.1'));
      response.end('You may close this page.');
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    try {
      const app = newApp(`http://127.0.0.1:${port}/callback`);
      const page = await browser.newPage({ viewport: { width: 360, height: 640 } });
      await page.goto(String(await knock(app, origin)));
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
      await page.getByLabel('Your Foreman API key').fill('a wrong one');
      await page.getByRole('button', { name: 'Allow' }).click();
      await page.getByRole('alert').waitFor();
      await page.getByLabel('Your Foreman API key').fill(key);
      await page.getByRole('button', { name: 'Allow' }).click();
      await page.getByText('You may close this page.').waitFor();
      const back = calls.find(({ pathname }) => pathname === '/callback');
      if (!back) throw new Error('the browser was not sent back');
      await enter(app, origin, back.searchParams);
    } finally {
      listener.close();
    }
  },
);
