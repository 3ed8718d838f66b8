// The page on which a user lets an app in: what it shows, whom it believes, and what the app gets.
import { beforeAll, describe, expect, it } from 'vitest';
import { consentPage, shownName } from '../../src/oauth/consent-page';
import { ADMIN, type Client, http, newClient, newKey, useWorld } from '../journeys/support';
import { ACROSS_A_MINUTE, newAddress, spend } from '../support/shield';
import { faults } from '../support/worker';
import {
  authorizationOf,
  decide,
  exchange,
  go,
  HERE,
  mcp,
  newApp,
  openPage,
  type Page,
  REDIRECT,
  readPage,
  sentBack,
  tokensIn,
} from './support';

useWorld();

let client: Client;
beforeAll(async () => {
  client = await newClient();
});

const tokensFor = async (app: Awaited<ReturnType<typeof newApp>>, answer: Response) =>
  tokensIn(await exchange(app, sentBack(answer).searchParams.get('code') ?? ''));

describe('the page', () => {
  it('says who asks, where access goes, and what for', async () => {
    const { text, headers } = await openPage(await newApp());
    expect(text).toContain('Painter');
    expect(text).toContain('the name is not verified');
    expect(text).toContain('app.example.com');
    expect(text.match(/type="checkbox" name="scope" value="[^"]+" checked/g)).toHaveLength(2);
    expect(text).not.toContain('on this computer');
    expect(text).not.toContain('<script');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-frame-options')).toBe('DENY');
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("form-action 'self' https:");
    expect(headers.getSetCookie()[0]).toMatch(/^__Host-.*; Path=\/; Secure; HttpOnly; SameSite/);
  });

  it('shows whole where access goes: whose a host is stands at its end', async () => {
    const host = `accounts.example.com.${'x'.repeat(60)}.${'y'.repeat(60)}.evil.example`;
    const { text } = await openPage(await newApp({}, `https://${host}/callback`));
    expect(text).toContain(`<bdi>${host}</bdi>`);
  });

  it('lets the browser go back to an app on this machine, and to no other', async () => {
    const app = await newApp({}, 'http://127.0.0.1/callback');
    const { headers } = await openPage(app, { redirect_uri: 'http://127.0.0.1:5123/callback' });
    const policy = headers.get('content-security-policy');
    expect(policy).toContain("form-action 'self' https: http://127.0.0.1:5123;");
  });

  it('names the domain of an app that a document speaks for', async () => {
    const page = await consentPage({
      ...{ app: 'Painter', domain: 'painter.example', redirectHost: 'painter.example' },
      ...{ isLocalApp: false, scopes: [], handle: 'h', fault: null },
    });
    expect(String(page)).toContain('Published by <strong><bdi>painter.example</bdi></strong>');
    expect(String(page)).not.toContain('not verified');
  });

  it.each([
    ['markup', '<script>alert(1)</script>"><img src=x>'],
    ['marks that turn the text', '\u202eretniaP\u2066 \u200b'],
    ['ten thousand characters', 'x'.repeat(10_000)],
    ['nothing to be seen', '\u200b\u200d'],
  ])(
    'shows a name of %s as text, cut, and with nothing in it that is not seen',
    async (_, name) => {
      const { text } = await openPage(await newApp({ client_name: name }));
      expect(text).not.toContain('<script');
      expect(text).not.toContain('<img');
      expect(text).not.toMatch(/[\u200b-\u200f\u202a-\u202e\u2066-\u2069]/);
      expect(text.length).toBeLessThan(4_000);
      expect(shownName(name).length).toBeLessThanOrEqual(81);
    },
  );

  it('offers what the app asks for and no more: never admin', async () => {
    const app = await newApp();
    const offered = async (scope: string) =>
      [...(await openPage(app, { scope })).text.matchAll(/name="scope" value="([^"]+)"/g)].map(
        ([, value]) => value,
      );
    expect(await offered('requests:read admin')).toEqual(['requests:read']);
    const both = ['requests:read', 'requests:write'];
    expect(await offered('')).toEqual(both);
    expect(await offered('admin worker openid')).toEqual(both);
  });
});

describe('who cannot be trusted with the answer', () => {
  it.each([
    ['an unknown app', { client_id: 'nobody' }],
    ['another place', { redirect_uri: 'https://evil.example.com/callback' }],
    ['a longer path', { redirect_uri: `${REDIRECT}/../evil` }],
    ['a name longer than any', { client_id: 'x'.repeat(600) }],
  ])('gets none: %s is told here', async (_, changes) => {
    const answer = await go(authorizationOf(await newApp(), changes));
    expect([answer.status, answer.headers.get('location')]).toEqual([400, null]);
    expect(answer.headers.get('content-type')).toContain('text/html');
  });
});

describe('a decision', () => {
  it('to deny goes back to the app in the words of the standard', async () => {
    const back = sentBack(await decide(await openPage(await newApp()), { decision: 'deny' }));
    const told = Object.fromEntries(back.searchParams);
    expect(told).toMatchObject({ error: 'access_denied', state: 'state-1', iss: HERE });
    expect(told.code).toBeUndefined();
  });

  it('is one for each page, and in the browser that has opened it', async () => {
    const page = await openPage(await newApp());
    const stolen: Page = { ...page, cookie: '' };
    const other = { ...page, cookie: (await openPage(await newApp())).cookie };
    for (const wrong of [stolen, other, { ...page, handle: 'x' }, { ...page, handle: '' }]) {
      expect((await decide(wrong, { key: client.key })).status).toBe(400);
    }
    expect((await decide(page, { key: client.key })).status).toBe(302);
    expect((await decide(page, { key: client.key })).status).toBe(400);
  });

  it('gives what was ticked, and lets the app do no more', async () => {
    const app = await newApp();
    const answer = await decide(await openPage(app), {
      key: client.key,
      scopes: ['requests:read', 'admin'],
    });
    const tokens = await tokensFor(app, answer);
    expect(tokens.scope).toBe('requests:read');
    expect((await mcp(tokens.access_token)).status).toBe(200);
  });

  it('gives no more than the key may do itself', async () => {
    const app = await newApp();
    const { key } = await newKey(client.userId, ['requests:read', 'admin']);
    const tokens = await tokensFor(app, await decide(await openPage(app), { key }));
    expect(tokens.scope).toBe('requests:read');
  });

  interface Wrong {
    readonly what: string;
    readonly status: number;
    readonly key: () => string | Promise<string>;
    readonly scopes?: readonly string[];
  }
  const unreading = async () => (await newKey(client.userId, ['admin'])).key;
  const wrong: readonly Wrong[] = [
    { what: 'no key', status: 401, key: () => '' },
    { what: 'what is none', status: 401, key: () => 'fm_short' },
    { what: 'a revoked key', status: 401, key: () => revoked() },
    { what: 'a key that may not read', status: 403, key: unreading },
    { what: 'nothing ticked', status: 422, key: () => client.key, scopes: [] },
    { what: 'no reading ticked', status: 422, key: () => client.key, scopes: ['requests:write'] },
  ];
  it.each(wrong)('with $what shows the page again, good for one more try', async (how) => {
    const { status, key, scopes = ['requests:read'] } = how;
    const app = await newApp();
    const given = await key();
    const answer = await decide(await openPage(app), { key: given, scopes });
    expect(answer.status).toBe(status);
    const again = await readPage(answer);
    expect(again.text).toContain('role="alert"');
    if (given !== '') expect(again.text).not.toContain(given);
    const tokens = await tokensFor(app, await decide(again, { key: client.key }));
    expect(tokens.scope).toBe('requests:read requests:write');
  });

  it('of a suspended account is none', async () => {
    const other = await newClient();
    const path = `/v1/admin/users/${other.userId}/suspend`;
    expect((await http('POST', path, { headers: ADMIN })).status).toBe(200);
    const answer = await decide(await openPage(await newApp()), { key: other.key });
    expect([answer.status, await answer.text()]).toEqual([
      403,
      expect.stringContaining('suspended'),
    ]);
  });

  it('with a wrong key counts like any failure to say who one is', ACROSS_A_MINUTE, async () => {
    const address = newAddress();
    await spend('auth', address);
    const headers = { 'cf-connecting-ip': address };
    expect((await decide(await openPage(await newApp()), { key: 'x' }, headers)).status).toBe(429);
    const good = await decide(await openPage(await newApp()), { key: client.key }, headers);
    expect(good.status).toBe(302);
  });

  it('that the foreman does not hear of gives the app nothing', async () => {
    const page = await openPage(await newApp());
    faults.foreman = 'fail';
    faults.only = ['ask'];
    const answer = await decide(page, { key: client.key });
    expect([answer.status, answer.headers.get('location')]).toEqual([503, null]);
  });
});

async function revoked(): Promise<string> {
  const { id, key } = await newKey(client.userId);
  const path = `/v1/admin/users/${client.userId}/keys/${id}`;
  expect((await http('DELETE', path, { headers: ADMIN })).status).toBe(204);
  return key;
}
