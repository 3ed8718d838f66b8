// What every answer tells a browser, whatever its kind.
import { createExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, expect, it } from 'vitest';
import { createApp } from '../../src/app';
import { createServices } from '../../src/services';
import { ADMIN, type Client, http, newClient, useWorld } from './support';

useWorld();

const NOTHING = "default-src 'none'; frame-ancestors 'none'";
const IMAGE = "default-src 'none'; sandbox";

let client: Client;
let id: string;
let link: string;
let etag: string;
beforeAll(async () => {
  client = await newClient();
  ({ id } = await client.submit());
  const [image] = (await client.reached(id, 'succeeded')).images;
  const { pathname, search } = new URL(image?.signed_url ?? '');
  link = pathname + search;
  const content = await http('GET', link);
  etag = content.headers.get('etag') ?? '';
  await content.body?.cancel();
});

const cases: readonly {
  readonly what: string;
  readonly ask: () => Promise<Response>;
  readonly status: number;
  readonly policy: string;
}[] = [
  { what: 'JSON', ask: () => client.call('GET', '/v1/me'), status: 200, policy: NOTHING },
  { what: 'a problem', ask: () => http('GET', '/v1/me'), status: 401, policy: NOTHING },
  { what: 'an unknown path', ask: () => http('GET', '/nothing'), status: 404, policy: NOTHING },
  {
    what: 'a request with a faulty header',
    ask: () => http('GET', '/health', { headers: { 'x-correlation-id': 'not one word' } }),
    status: 400,
    policy: NOTHING,
  },
  {
    what: 'an answer to the operator',
    ask: () => http('DELETE', '/v1/admin/styles/none', { headers: ADMIN }),
    status: 404,
    policy: NOTHING,
  },
  {
    what: 'an event stream',
    ask: () => client.call('GET', `/v1/requests/${id}/events`),
    status: 200,
    policy: NOTHING,
  },
  {
    what: 'a request that has not changed',
    ask: async () => {
      const read = await client.call('GET', `/v1/requests/${id}`);
      const known = { 'if-none-match': read.headers.get('etag') ?? '' };
      return client.call('GET', `/v1/requests/${id}`, { headers: known });
    },
    status: 304,
    policy: NOTHING,
  },
  {
    what: 'the OpenAPI document',
    ask: () => http('GET', '/openapi.json'),
    status: 200,
    policy: NOTHING,
  },
  { what: 'an image', ask: () => http('GET', link), status: 200, policy: IMAGE },
  {
    what: 'a part of an image',
    ask: () => http('GET', link, { headers: { range: 'bytes=0-9' } }),
    status: 206,
    policy: IMAGE,
  },
  {
    what: 'an image that has not changed',
    ask: () => http('GET', link, { headers: { 'if-none-match': etag } }),
    status: 304,
    policy: IMAGE,
  },
];

it.each(cases)(
  '$what says that nothing may run, frame or guess',
  async ({ ask, status, policy }) => {
    const response = await ask();
    await response.arrayBuffer();
    expect(response.status).toBe(status);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
      'content-security-policy': policy,
      'cross-origin-resource-policy': policy === IMAGE ? 'cross-origin' : 'same-origin',
      'strict-transport-security': 'max-age=31536000',
      'permissions-policy': 'camera=(), geolocation=(), microphone=()',
    });
  },
);

it('the page of the documentation may have its own style, and nothing else', async () => {
  const response = await http('GET', '/docs');
  const page = await response.text();
  expect(response.headers.get('content-security-policy')).toBe(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  );
  expect(page).toContain('<style>');
  expect(page).not.toMatch(/<(script|img|link|iframe|form)\b|style="/);
});

it.each([
  ['http://127.0.0.1:8787', '', false],
  ['https://foreman.test', '', true],
  ['http://127.0.0.1:8787', 'https://images.example.com', true],
])('%s with PUBLIC_URL "%s" promises https: %s', async (origin, publicUrl, promised) => {
  const app = createApp(createServices(Object.assign({ ...env }, { PUBLIC_URL: publicUrl })));
  const request = new Request(`${origin}/health`);
  const response = await app.fetch(request, env, createExecutionContext());
  expect(response.headers.has('strict-transport-security')).toBe(promised);
});
