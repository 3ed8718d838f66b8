// Apps whose client id is the URL of a document (draft-ietf-oauth-client-id-metadata-document): in
// production only, so the authorization server is asked as it is wired there.
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { createConsent } from '../../src/oauth/consent';
import { createOAuth } from '../../src/oauth/server';
import { consoleLogger as log } from '../../src/platform/log';
import { page, useWorld } from '../journeys/support';
import { authorizationOf, go, newApp, REDIRECT } from './support';

useWorld();

const ORIGIN = 'https://foreman.example';
const CLIENT_ID = 'https://painter.example.com/oauth/client.json';

const now = () => Date.now();
const refused = async () => ({ ok: false, code: 'unauthorized' }) as const;
const oauth = createOAuth({
  ...{ kv: env.OAUTH_KV, clientDocuments: true, authorize: refused, now, log },
  forget: async () => null,
});
const consent = createConsent({
  ...{ oauth, authorize: refused, now, log, readKey: () => null },
  addGrant: async () => {},
  countFailure: async () => {},
});

async function ask(document: object): Promise<Response> {
  page(CLIENT_ID, () => Response.json(document));
  const { verifier } = await newApp();
  const app = { clientId: CLIENT_ID, verifier, redirectUri: REDIRECT };
  const path = authorizationOf(app, { resource: `${ORIGIN}/mcp` });
  return consent.ask(new Request(ORIGIN + path), ORIGIN);
}

const document = { client_id: CLIENT_ID, client_name: 'Painter', redirect_uris: [REDIRECT] };

describe('an app that a document speaks for', () => {
  it('is let ask without registering, and named with its domain', async () => {
    const answer = await ask(document);
    expect(answer.status).toBe(200);
    const text = await answer.text();
    expect(text).toContain('Published by <strong><bdi>painter.example.com</bdi></strong>');
    expect(text).not.toContain('not verified');
  });

  it.each([
    ['another app', { ...document, client_id: 'https://other.example.com/client.json' }],
    ['another place', { ...document, redirect_uris: ['https://evil.example.com/callback'] }],
    ['too much', { ...document, client_uri: `https://x.example.com/${'x'.repeat(6_000)}` }],
  ])('is told here when the document is of %s', async (_, changed) => {
    const answer = await ask(changed);
    expect([answer.status, answer.headers.get('location')]).toEqual([400, null]);
  });

  it('is known by what is published of the server, and not on a local machine', async () => {
    const path = '/.well-known/oauth-authorization-server';
    const known = 'client_id_metadata_document_supported';
    const there = await oauth.at(ORIGIN)?.answer(new Request(ORIGIN + path));
    expect(await there?.json()).toMatchObject({ [known]: true });
    expect(await (await go(path)).json()).toMatchObject({ [known]: false });
  });
});
