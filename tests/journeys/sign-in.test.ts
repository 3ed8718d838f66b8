// Clients that bring a token of another issuer: the issuer is scripted, the key pairs, signatures and
// requests are true, and each request has a context of its own in workerd.
import { exports } from 'cloudflare:workers';
import type { JWTPayload } from 'jose';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import type { UserId } from '../../src/accounts/types';
import type { RequestView } from '../../src/requests/view';
import { keySet, newSigning, type Signing, signed } from '../support/issuer';
import { ADMIN, count, http, newClient, ORIGIN, page, until, useWorld } from './support';

const trueFetch = globalThis.fetch;
useWorld();

// As vitest.config.ts has them.
const ISSUER = 'https://login.test/';
const KEYS = 'https://login.test/keys';
const TEAM = 'https://acme.cloudflareaccess.com';
let signing: Signing;
let keysRead = 0;
let isIssuerSlow = false;

beforeAll(async () => {
  signing = await newSigning('EdDSA');
  page(`${ISSUER}.well-known/openid-configuration`, () =>
    Response.json({ issuer: ISSUER, jwks_uri: KEYS }),
  );
  page(KEYS, async () => {
    keysRead += 1;
    // True sockets of the request's own, which end with it and which no other request can read from.
    const wait = async () => (await trueFetch(`${inject('fakes').kserve}/control`)).text();
    do await wait();
    while (isIssuerSlow);
    return Response.json(keySet(signing));
  });
  page(`${TEAM}/cdn-cgi/access/certs`, () => Response.json(keySet(signing)));
});

const tokenOf = (sub: string, claims: JWTPayload = {}) =>
  signed({ iss: ISSUER, aud: 'foreman', sub, exp: Date.now() / 1000 + 600, ...claims }, signing);
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const asSubject = async (sub: string, claims?: JWTPayload) => bearer(await tokenOf(sub, claims));
const access = async (sub: string) => ({
  'cf-access-jwt-assertion': await tokenOf(sub, { iss: TEAM, aud: ['tag'] }),
});

interface MeView {
  readonly user: { id: UserId; name: string };
  readonly key: { id: string | null; name: string; scopes: string[] };
}
async function me(headers: Record<string, string>): Promise<MeView> {
  const response = await http('GET', '/v1/me', { headers });
  expect(response.status).toBe(200);
  return response.json<MeView>();
}

const body = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };

describe('somebody who signs in for the first time', () => {
  it('becomes one user, however many requests come at once and whichever client leaves', async () => {
    const headers = await asSubject('ada', { name: 'Ada Lovelace' });
    const leaving = new AbortController();
    const url = new URL('/v1/me', ORIGIN);
    isIssuerSlow = true;
    const left = exports.default.fetch(url, { headers, signal: leaving.signal });
    await until(() => expect(keysRead).toBe(1));
    const all = Array.from({ length: 50 }, () => me(headers));
    leaving.abort();
    await expect(left).rejects.toThrow();
    isIssuerSlow = false;
    const users = new Set((await Promise.all(all)).map(({ user }) => JSON.stringify(user)));
    expect([...users]).toEqual([expect.stringContaining('"name":"Ada Lovelace"')]);
    expect(keysRead).toBe(1);
    const { id } = JSON.parse([...users].join()) as MeView['user'];
    await until(async () => {
      const where = "action = 'user.created' AND user_id = ? AND actor_type = 'token'";
      expect(await count('audit_events', `${where} AND actor_id = ?`, id, `${ISSUER}|ada`)).toBe(1);
      expect(await count('users', 'external_id = ?', `${ISSUER}|ada`)).toBe(1);
    });
  });
});

describe('whoever has signed in', () => {
  it('works like one with a key, and has none', async () => {
    const headers = await asSubject('ada');
    const submitted = await http('POST', '/v1/requests', { body, headers });
    expect(submitted.status).toBe(202);
    const { id } = await submitted.json<RequestView>();
    await until(async () => {
      const read = await http('GET', `/v1/requests/${id}`, { headers });
      expect(await read.json()).toMatchObject({ id, status: 'succeeded' });
    });
    const scopes = ['requests:read', 'requests:write'];
    expect((await me(headers)).key).toEqual({ id: null, name: 'ada', scopes });
  });

  it('sees nothing of another subject’s', async () => {
    const submitted = await http('POST', '/v1/requests', { body, headers: await asSubject('ada') });
    const { id } = await submitted.json<RequestView>();
    const headers = await asSubject('bob');
    const foreign = await http('GET', `/v1/requests/${id}`, { headers });
    expect(foreign.status).toBe(404);
    const list = await http('GET', '/v1/requests', { headers });
    expect(await list.json()).toMatchObject({ items: [] });
  });

  it('may do what the token’s scopes say, and nothing of the operator’s', async () => {
    const headers = await asSubject('ada', { scope: 'openid requests:read admin' });
    expect((await http('GET', '/v1/requests', { headers })).status).toBe(200);
    expect((await http('POST', '/v1/requests', { body, headers })).status).toBe(403);
    expect((await http('GET', '/v1/admin/users', { headers })).status).toBe(401);
  });

  it('is the user whom the operator has made for the subject', async () => {
    const made = await http('POST', '/v1/admin/users', {
      body: { name: 'Grace', external_id: `${ISSUER}|grace` },
      headers: ADMIN,
    });
    const { id } = await made.json<{ id: string }>();
    expect((await me(await asSubject('grace', { name: 'Somebody' }))).user.id).toBe(id);
  });

  it('is refused as long as the account is suspended', async () => {
    const headers = await asSubject('mallory');
    const { user } = await me(headers);
    const suspend = await http('POST', `/v1/admin/users/${user.id}/suspend`, { headers: ADMIN });
    expect(suspend.status).toBe(200);
    const refused = await http('POST', '/v1/requests', { body, headers });
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ code: 'account_suspended' });
  });
});

describe('a request with Access before it', () => {
  it('is the user’s of Access’s subject, who is not the other issuer’s', async () => {
    const { user, key } = await me(await access('ada'));
    expect(key).toMatchObject({ id: null, name: 'ada' });
    expect(user.id).not.toBe((await me(await asSubject('ada'))).user.id);
  });

  it('is on record by a name that no other issuer can give', async () => {
    const headers = await access('ada');
    const submitted = await http('POST', '/v1/requests', { body, headers });
    const { id } = await submitted.json<RequestView>();
    expect((await http('DELETE', `/v1/requests/${id}`, { headers })).status).toBe(204);
    await until(async () => {
      const where = "action = 'request.deleted' AND target = ? AND actor_id = ?";
      expect(await count('audit_events', where, id, `${TEAM}|ada`)).toBe(1);
    });
  });

  it('is nobody’s when a page of a neighbouring host has it made', async () => {
    const headers = { ...(await access('ada')), 'sec-fetch-site': 'same-site' };
    expect((await http('POST', '/v1/requests', { body, headers })).status).toBe(401);
  });

  it('is shown no image out of a cache that another may have filled', async () => {
    const headers = await access('ada');
    const submitted = await http('POST', '/v1/requests', {
      body,
      headers: { ...headers, prefer: 'wait=10' },
    });
    const { images } = await submitted.json<RequestView>();
    const { pathname } = new URL(images[0]?.url ?? '');
    const shown = await http('GET', pathname, { headers });
    expect([shown.status, shown.headers.get('cache-control')]).toEqual([200, 'private, no-cache']);
    await shown.body?.cancel();
    const again = { 'if-none-match': shown.headers.get('etag') ?? '' };
    const kept = await http('GET', pathname, { headers: { ...headers, ...again } });
    expect([kept.status, kept.headers.get('cache-control')]).toEqual([304, 'private, no-cache']);
    const other = { ...(await access('bob')), ...again };
    expect((await http('GET', pathname, { headers: other })).status).toBe(404);
  });

  it('is the key’s, if it brings one', async () => {
    const client = await newClient();
    const both = { ...bearer(client.key), ...(await access('ada')) };
    expect((await me(both)).user.id).toBe(client.userId);
  });
});

describe('a token that is not good', () => {
  it('is answered as no token at all', async () => {
    const stranger = await newSigning('EdDSA');
    const answerTo = async (headers: Record<string, string>) => {
      const response = await http('GET', '/v1/me', { headers });
      const { detail, code } = await response.json<{ detail: string; code: string }>();
      return [response.status, response.headers.get('www-authenticate'), code, detail];
    };
    const answers = await Promise.all([
      answerTo({}),
      answerTo(await asSubject('ada', { exp: 1 })),
      answerTo(await asSubject('ada', { aud: 'other' })),
      answerTo(bearer(await signed({ iss: ISSUER, sub: 'ada' }, stranger))),
      answerTo({ 'cf-access-jwt-assertion': await tokenOf('ada') }),
    ]);
    expect(answers[0]?.[0]).toBe(401);
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  });
});
