// The guard suite: every route, every way of having no business there. A route that is not in the
// table fails the last tests.
import { env, exports } from 'cloudflare:workers';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { issueKey } from '../src/accounts/keys/text';
import type { Scope, UserId } from '../src/accounts/types';
import { createApp } from '../src/app';
import { callbackUrl } from '../src/generation/callbacks';
import { newId, type RequestId } from '../src/platform/ids';
import { createServices } from '../src/services';
import { ADMIN, type Client, http, newClient, newKey, ORIGIN } from './journeys/support';
import { openRoutes } from './support/open-routes';
import { ACROSS_A_MINUTE, newAddress, spend } from './support/shield';

interface Guarded {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly scope: Scope;
  readonly body?: unknown;
  /** Something that no validator would let pass, after the path. */
  readonly faulty?: string;
}

const body = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };
const hook = { url: 'https://example.com/hook' };
const read = 'requests:read';
const write = 'requests:write';

const byKey: readonly Guarded[] = [
  { method: 'POST', path: '/v1/requests', scope: write, body },
  { method: 'POST', path: '/v1/requests/batch', scope: write, body: { items: [body] } },
  { method: 'GET', path: '/v1/requests', scope: read, faulty: '?limit=none' },
  { method: 'GET', path: '/v1/requests/{id}', scope: read },
  { method: 'GET', path: '/v1/requests/{id}/events', scope: read },
  { method: 'GET', path: '/v1/requests/{id}/deliveries', scope: read },
  { method: 'POST', path: '/v1/requests/{id}/cancel', scope: write },
  { method: 'POST', path: '/v1/requests/{id}/retry', scope: write },
  { method: 'DELETE', path: '/v1/requests/{id}', scope: write },
  { method: 'GET', path: '/v1/events', scope: read, faulty: '?events=none' },
  { method: 'POST', path: '/v1/tickets', scope: read, body: {} },
  { method: 'GET', path: '/v1/models', scope: read },
  { method: 'POST', path: '/v1/images', scope: write, body },
  { method: 'GET', path: '/v1/images', scope: read, faulty: '?limit=none' },
  { method: 'GET', path: '/v1/images/{id}', scope: read },
  { method: 'DELETE', path: '/v1/images/{id}', scope: write },
  { method: 'POST', path: '/v1/images/{id}/links', scope: read, body: { expires_in_seconds: 60 } },
  { method: 'GET', path: '/v1/images/{id}/content', scope: read },
  { method: 'GET', path: '/v1/images/{id}/manifest', scope: read },
  { method: 'GET', path: '/v1/styles', scope: read, faulty: '?limit=none' },
  { method: 'GET', path: '/v1/styles/{id}', scope: read },
  { method: 'GET', path: '/v1/me', scope: read },
  { method: 'GET', path: '/v1/me/grants', scope: read },
  { method: 'DELETE', path: '/v1/me/grants/{id}', scope: write },
  { method: 'GET', path: '/v1/me/usage', scope: read, faulty: '?limit=none' },
  { method: 'GET', path: '/v1/webhooks/default-secret', scope: write },
  { method: 'GET', path: '/v1/webhooks/{id}/deliveries', scope: read, faulty: '?limit=none' },
  {
    method: 'POST',
    path: '/v1/webhooks/{id}/replay',
    scope: write,
    body: { from: '2026-01-01T00:00:00Z', to: '2026-02-01T00:00:00Z' },
  },
  { method: 'POST', path: '/v1/webhooks/default-secret/rotate', scope: write, body: {} },
  { method: 'POST', path: '/v1/webhooks', scope: write, body: hook },
  { method: 'GET', path: '/v1/webhooks', scope: read, faulty: '?limit=3' },
  { method: 'GET', path: '/v1/webhooks/{id}', scope: read },
  { method: 'PATCH', path: '/v1/webhooks/{id}', scope: write, body: { description: 'ours' } },
  { method: 'DELETE', path: '/v1/webhooks/{id}', scope: write },
  { method: 'POST', path: '/v1/webhooks/{id}/rotate-secret', scope: write, body: {} },
  { method: 'POST', path: '/v1/webhooks/{id}/ping', scope: write },
  { method: 'POST', path: '/v1/webhooks/{id}/disable', scope: write },
  { method: 'POST', path: '/v1/webhooks/{id}/enable', scope: write },
];

const name = { name: 'tenant' };
const template = { prompt_template: '{prompt}, in ink' };
const byToken: readonly Omit<Guarded, 'scope'>[] = [
  { method: 'POST', path: '/v1/admin/users', body: name },
  { method: 'GET', path: '/v1/admin/users', faulty: '?limit=none' },
  { method: 'GET', path: '/v1/admin/users/{id}' },
  { method: 'DELETE', path: '/v1/admin/users/{id}' },
  { method: 'GET', path: '/v1/admin/users/{id}/deletion' },
  { method: 'PATCH', path: '/v1/admin/users/{id}', body: { limits: { burst: 1 } } },
  { method: 'POST', path: '/v1/admin/users/{id}/suspend' },
  { method: 'POST', path: '/v1/admin/users/{id}/resume' },
  { method: 'POST', path: '/v1/admin/users/{id}/keys', body: name },
  { method: 'GET', path: '/v1/admin/users/{id}/keys' },
  { method: 'POST', path: '/v1/admin/users/{id}/keys/{key_id}/rotate', body: {} },
  { method: 'GET', path: '/v1/admin/keys', faulty: '?limit=none' },
  { method: 'DELETE', path: '/v1/admin/users/{id}/keys/{key_id}' },
  { method: 'POST', path: '/v1/admin/styles', body: { id: 'ink', ...template } },
  { method: 'PUT', path: '/v1/admin/styles/{id}', body: template },
  { method: 'DELETE', path: '/v1/admin/styles/{id}' },
  { method: 'GET', path: '/v1/admin/dead-letters', faulty: '?limit=none' },
  { method: 'GET', path: '/v1/admin/dead-letters/{id}' },
  { method: 'POST', path: '/v1/admin/dead-letters/{id}/replay' },
  { method: 'DELETE', path: '/v1/admin/dead-letters/{id}' },
  { method: 'GET', path: '/v1/admin/breakers' },
  { method: 'GET', path: '/v1/admin/users/{id}/usage', faulty: '?limit=none' },
  { method: 'GET', path: '/v1/admin/audit', faulty: '?limit=none' },
  { method: 'POST', path: '/v1/admin/breakers/{id}/reset' },
];

/** An image's content is, too, by a signed link; these two are about the document itself. */
const open = [...openRoutes, 'GET /openapi.json', 'GET /docs'];

/** Of no API: it answers under the names of its own server only, as tests/mcp/access.test.ts has it. */
const forAgents = ['POST /mcp'];

/** They deny in another shape: tests/openai/guards.test.ts has them. */
const inOpenAiShape = [
  'POST /openai/v1/images/generations',
  'POST /openai/v1/images/edits',
  'POST /openai/v1/images/variations',
  'GET /openai/v1/models',
  'GET /openai/v1/models/{model}',
];

const routes = [...byKey, ...byToken];
const byRoute = (route: Omit<Guarded, 'scope'>) => `${route.method} ${route.path}`;
const cases = <T extends Omit<Guarded, 'scope'>>(table: readonly T[]) =>
  table.map((route) => [byRoute(route), route] as const);

let owner: Client;
let stranger: Client;
let requestId: string;
let imageId: string;
let endpointId: string;

beforeAll(async () => {
  for (const level of ['info', 'warn', 'error'] as const) {
    vi.spyOn(console, level).mockImplementation(() => {});
  }
  [owner, stranger] = await Promise.all([newClient(), newClient()]);
  requestId = (await owner.submit()).id;
  imageId = (await owner.reached(requestId, 'succeeded')).images[0]?.id ?? '';
  const made = await owner.call('POST', '/v1/webhooks', {
    body: { ...hook, events: ['endpoint.*'] },
  });
  endpointId = (await made.json<{ id: string }>()).id;
});

function target({ path }: Pick<Guarded, 'path'>): string {
  const id = path.includes('/images/')
    ? imageId
    : path.includes('/users/')
      ? owner.userId
      : path.includes('/webhooks/')
        ? endpointId
        : requestId;
  return path.replace('{id}', id).replace('{key_id}', newId('key', Date.now()));
}

/** What the suite shares is not to be changed. */
function ofNobody(path: string): string {
  const now = Date.now();
  const id = path.includes('/users/') ? newId('usr', now) : newId('req', now);
  return path.replace('{id}', id).replace('{key_id}', newId('key', now));
}

const ask = (
  route: Omit<Guarded, 'scope'>,
  authorization: string | null,
  address: string | null = null,
) =>
  http(route.method, target(route), {
    ...(route.body === undefined ? {} : { body: route.body }),
    headers: {
      ...(authorization === null ? {} : { authorization }),
      ...(address === null ? {} : { 'cf-connecting-ip': address }),
    },
  });

const PROBLEM_TYPES = 'https://iana.org/assignments/http-problem-types#';

/** Of the type that 429s have; all others are told by their status. */
async function expectProblem(
  response: Response,
  status: number,
  code: string,
  type = 'about:blank',
): Promise<void> {
  const problem = await response.json<Record<string, unknown>>();
  expect([response.status, problem.code]).toEqual([status, code]);
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  expect(problem).toMatchObject({ status, type });
  expect(problem.correlation_id).toBe(response.headers.get('x-correlation-id'));
}

/** Whoever is not let in learns nothing of the user's rate, and reads nothing of what was sent. */
async function expectDenied(
  response: Response,
  status: 401 | 403,
  authorization: string | null = null,
): Promise<void> {
  const said = [...response.headers].flat().join('\n') + (await response.clone().text());
  const [, credential = ''] = authorization?.split(' ') ?? [];
  if (credential !== '') expect(said).not.toContain(credential);
  expect([response.headers.get('ratelimit'), response.headers.get('ratelimit-policy')]).toEqual([
    null,
    null,
  ]);
  expect(response.headers.get('www-authenticate')).toBe(status === 401 ? 'Bearer' : null);
  await expectProblem(response, status, status === 401 ? 'unauthorized' : 'forbidden');
}

function issued(userId: UserId, signingSecret: string): string {
  const signing = { newest: 1, secrets: new Map([[1, signingSecret]]) };
  return issueKey({ userId, keyId: newId('key', Date.now()), signing }).key;
}

/** Each makes an Authorization header that must open nothing. */
const wrongKeys: Readonly<Record<string, () => string | null | Promise<string>>> = {
  'no key': () => null,
  'an empty header': () => '',
  'another scheme': () => `Basic ${owner.key}`,
  'a malformed key': () => 'Bearer fm_short',
  'two keys': () => `Bearer ${owner.key} ${owner.key}`,
  'a key with another MAC': () => `Bearer ${owner.key.slice(0, -4)}AAAA`,
  'a key with another secret': () => `Bearer ${owner.key.slice(0, 90)}AAAA${owner.key.slice(94)}`,
  'a key signed by someone else': () => `Bearer ${issued(owner.userId, 'x'.repeat(40))}`,
  'a key that was never stored': () => `Bearer ${issued(owner.userId, env.KEY_SIGNING_SECRET)}`,
  'a key of nobody': () => `Bearer ${issued(newId('usr', Date.now()), env.KEY_SIGNING_SECRET)}`,
  'the admin token': () => ADMIN.authorization,
  'a revoked key': () => revokedKey([read, write]),
};

/** Each kind is made once: a suite of hundreds of tests is not to make as many keys. */
const onceEach = (make: (scopes: readonly Scope[]) => Promise<string>) => {
  const made = new Map<string, Promise<string>>();
  return (scopes: readonly Scope[]): Promise<string> => {
    const known = made.get(scopes.join()) ?? make(scopes);
    made.set(scopes.join(), known);
    return known;
  };
};
const keyWith = onceEach(async (scopes) => `Bearer ${(await newKey(owner.userId, scopes)).key}`);
const revokedKey = onceEach(async (scopes) => {
  const { id, key } = await newKey(owner.userId, scopes);
  const path = `/v1/admin/users/${owner.userId}/keys/${id}`;
  expect((await http('DELETE', path, { headers: ADMIN })).status).toBe(204);
  return `Bearer ${key}`;
});

describe.each(cases(byKey))('%s', (_, route) => {
  it.each(Object.entries(wrongKeys))('answers 401 to %s', async (_name, key) => {
    const authorization = await key();
    await expectDenied(await ask(route, authorization), 401, authorization);
  });

  it('answers 403 to a key without its scope, and names the scope', async () => {
    const lacking = await keyWith(route.scope === read ? [write] : [read]);
    const response = await ask(route, lacking);
    expect(await response.clone().text()).toContain(route.scope);
    await expectDenied(response, 403, lacking);
  });

  it('says how the rate limit stands to whom it lets in, whatever the answer', async () => {
    // A new key: of one that was seen a moment ago, nobody is asked.
    const { key } = await newKey(owner.userId);
    const response = await ask({ ...route, path: ofNobody(route.path) }, `Bearer ${key}`);
    expect([401, 403].includes(response.status) || response.status >= 500).toBe(false);
    expect(response.headers.get('ratelimit')).toMatch(/^"requests";r=\d+/);
    expect(response.headers.get('ratelimit-policy')).toMatch(/^"requests";q=\d+/);
  });

  if (route.path.includes('{id}')) {
    it('answers 404 to someone else, as to an id that never was', async () => {
      const theirs = await ask(route, `Bearer ${stranger.key}`);
      const text = await theirs.clone().text();
      await expectProblem(theirs, 404, 'not_found');
      const unknown = `${imageId || requestId}`.slice(0, -8).concat('00000000');
      expect(text).not.toContain(owner.userId);
      for (const id of ['nothing', unknown, '..%2F..%2Fx', 'req_%00', 'x'.repeat(300)]) {
        const path = route.path.replace('{id}', id);
        const call = route.body === undefined ? {} : { body: route.body };
        await expectProblem(await stranger.call(route.method, path, call), 404, 'not_found');
      }
    });
  }
});

/** Each makes an Authorization header that must open nothing of the operator's. */
const wrongTokens: typeof wrongKeys = {
  'no token': () => null,
  'a wrong token': () => `Bearer ${'x'.repeat(40)}`,
  'the start of the token': () => ADMIN.authorization.slice(0, -1),
  'a key signed by someone else': () => `Bearer ${issued(owner.userId, 'x'.repeat(40))}`,
  'a key that was never stored': () => `Bearer ${issued(owner.userId, env.KEY_SIGNING_SECRET)}`,
  'a revoked key with the scope admin': () => revokedKey(['admin']),
};

describe.each(cases(byToken))('%s', (_, route) => {
  it.each(Object.entries(wrongTokens))('answers 401 to %s', async (_name, token) => {
    const authorization = await token();
    await expectDenied(await ask(route, authorization), 401, authorization);
  });

  it('answers 403 to a key without the scope admin, and names it', async () => {
    const lacking = await keyWith([read, write]);
    const response = await ask(route, lacking);
    expect(await response.clone().text()).toContain('scope admin');
    await expectDenied(response, 403, lacking);
  });

  it('lets a key with the scope admin in', async () => {
    const response = await ask({ ...route, path: ofNobody(route.path) }, await keyWith(['admin']));
    expect([200, 201, 404, 409]).toContain(response.status);
  });

  if (route.path.includes('{id}')) {
    it.each(['nothing', newId('usr', 0), requestLike()])('answers 404 for %s', async (id) => {
      const path = route.path.replace('{id}', id).replace('{key_id}', newId('key', 0));
      const call = { headers: ADMIN, ...(route.body === undefined ? {} : { body: route.body }) };
      await expectProblem(await http(route.method, path, call), 404, 'not_found');
    });
  }
});

function requestLike(): string {
  return newId('req', 0);
}

describe('before anything else', () => {
  it.each(cases(routes.filter((route) => route.body !== undefined)))(
    '%s looks at the key, not at the body',
    async (_, route) => {
      for (const wrong of ['{"unclosed":', '[]', 'x'.repeat(2_000_000)]) {
        const response = await http(route.method, target(route), { body: wrong });
        await expectDenied(response, 401);
      }
    },
  );

  it.each(cases(routes.filter((route) => route.faulty !== undefined)))(
    '%s looks at the key, not at the query',
    async (_, route) => {
      await expectDenied(await http(route.method, `${target(route)}${route.faulty}`), 401);
    },
  );
});

describe('from an address that has done too much', () => {
  const expectTurnedAway = async (response: Response) => {
    expect(response.headers.get('retry-after')).toBe('60');
    const type = `${PROBLEM_TYPES}abnormal-usage-detected`;
    await expectProblem(response, 429, 'too_many_from_address', type);
  };

  it.each(cases(byKey))(
    '%s answers 429 without a key, and lets a key in',
    ACROSS_A_MINUTE,
    async (_, route) => {
      const address = newAddress();
      await spend('auth', address);
      const path = ofNobody(route.path);
      await expectTurnedAway(await ask({ ...route, path }, null, address));
      const answer = await ask({ ...route, path }, `Bearer ${owner.key}`, address);
      expect([401, 403, 429]).not.toContain(answer.status);
    },
  );

  it.each(cases(byToken))(
    '%s answers 429, whatever the token',
    ACROSS_A_MINUTE,
    async (_, route) => {
      const address = newAddress();
      await spend('admin', address);
      const path = ofNobody(route.path);
      for (const authorization of [null, ADMIN.authorization]) {
        await expectTurnedAway(await ask({ ...route, path }, authorization, address));
      }
    },
  );
});

describe('a body', () => {
  const capOf = ({ path }: Pick<Guarded, 'path'>) =>
    path.startsWith('/v1/admin/') ? 65_536 : 1_048_576;
  const allowed = ({ path }: Pick<Guarded, 'path'>) =>
    path.startsWith('/v1/admin/') ? ADMIN.authorization : `Bearer ${owner.key}`;
  const send = (route: Omit<Guarded, 'scope'>, content: BodyInit) =>
    exports.default.fetch(ORIGIN + ofNobody(route.path), {
      method: route.method,
      headers: { authorization: allowed(route), 'content-type': 'application/json' },
      body: content,
    });
  /** Images are no JSON: tests/images/uploads.test.ts has their bounds. */
  const taking = routes.filter(({ body, path }) => body !== undefined && path !== '/v1/images');
  const ignoring = routes.filter(({ body, method }) => body === undefined && method !== 'GET');

  it.each(cases(taking))('%s has a cap, with or without a Content-Length', async (_, route) => {
    const cap = capOf(route);
    const text = JSON.stringify(route.body);
    const filled = (bytes: number) => text + ' '.repeat(bytes - text.length);
    const atCap = await send(route, filled(cap));
    expect([400, 413]).not.toContain(atCap.status);
    await expectProblem(await send(route, filled(cap + 1)), 413, 'payload_too_large');

    let given = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        given += 16_384;
        controller.enqueue(new Uint8Array(16_384).fill(32));
      },
    });
    await expectProblem(await send(route, endless), 413, 'payload_too_large');
    expect(given).toBeLessThan(cap + 10 * 16_384);
  });

  it.each(cases(ignoring))('%s does not look at one', async (_, route) => {
    for (const content of ['{"unclosed":', 'x'.repeat(2_000_000)]) {
      const answer = await send(route, content);
      expect([400, 401, 413, 415, 422]).not.toContain(answer.status);
      expect(answer.status).toBeLessThan(500);
    }
  });
});

describe('over the limit', () => {
  it.each(['/v1/requests', '/v1/requests/{id}/retry'])(
    'POST %s answers 429 with when',
    async (path) => {
      const client = await newClient({ burst: 1, requests_per_minute: 1 });
      const { id } = await client.submit();
      await client.reached(id, 'succeeded');
      const response = await client.call('POST', path.replace('{id}', id), { body });
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(response.headers.get('ratelimit')).toMatch(/^"requests";r=0;t=\d+$/);
      await expectProblem(response, 429, 'rate_limited', `${PROBLEM_TYPES}quota-exceeded`);
      expect((await client.call('GET', `/v1/requests/${id}`)).status).toBe(200);
    },
  );
});

describe('a callback', () => {
  const secret = env.LINK_SIGNING_SECRET;
  const urlOf = (overrides: Partial<Parameters<typeof callbackUrl>[0]> = {}) => {
    // The one request of the suite: its id is one.
    const place = { userId: owner.userId, requestId: requestId as RequestId, attempt: 1 };
    return new URL(callbackUrl({ ...place, origin: ORIGIN, secret, ...overrides }));
  };
  const call = ({ pathname, search }: URL, body?: unknown) =>
    http('POST', pathname + search, body === undefined ? {} : { body });

  it.each([undefined, {}, { status: 'failed' }, 'x'.repeat(2_000_000)])(
    'with its signature is heard, whatever it says',
    async (body) => {
      const before = await owner.get(requestId);
      const response = await call(urlOf(), body);
      expect([response.status, await response.text()]).toEqual([204, '']);
      expect(await owner.get(requestId)).toEqual(before);
    },
  );

  it.each<[string, (href: string) => string]>([
    ['no signature', (href) => href.replace(/\?.*/, '')],
    ['an empty signature', (href) => href.replace(/=.*/, '=')],
    ['a wrong signature', (href) => href.replace(/=.*/, `=${'A'.repeat(43)}`)],
    ['the signature of another attempt', (href) => href.replace('/1?', '/2?')],
    ['an attempt that is none', (href) => href.replace('/1?', '/0?')],
    ['an attempt that is no number', (href) => href.replace('/1?', '/x?')],
    ['a user that is none', (href) => href.replace('usr_', 'nobody_')],
    ['a request that is none', (href) => href.replace('req_', 'img_')],
    ['another user', (href) => href.replace(owner.userId, stranger.userId)],
  ])('with %s is answered like an unknown path', async (_, spoil) => {
    const response = await call(new URL(spoil(urlOf().href)));
    expect((await response.clone().json<{ detail: string }>()).detail).toBe(
      'There is nothing at this path.',
    );
    await expectProblem(response, 404, 'not_found');
  });

  it('is not opened by a key, by the operator’s token or by another secret', async () => {
    const { pathname } = urlOf();
    for (const authorization of [`Bearer ${owner.key}`, ADMIN.authorization]) {
      const response = await http('POST', pathname, { headers: { authorization } });
      await expectProblem(response, 404, 'not_found');
    }
    const forged = urlOf({ secret: env.KEY_SIGNING_SECRET });
    await expectProblem(await call(forged), 404, 'not_found');
  });
});

describe('a method that a path does not take', () => {
  const all = [...routes.map(byRoute), ...open].map(
    (route) => route.split(' ') as [string, string],
  );
  /** By every route that the path fits: `batch` could be the id of a request. */
  const methodsOf = (path: string) => [
    ...new Set(all.flatMap(([method, route]) => (patternOf(route).test(path) ? [method] : []))),
  ];
  const patternOf = (route: string) => new RegExp(`^${route.replace(/\{\w+\}/g, '[^/]+')}$`);

  it.each([...new Set(all.map(([, path]) => path))])(
    '%s answers 405 and says which it takes',
    async (path) => {
      const taken = methodsOf(path);
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
        if (taken.includes(method)) continue;
        const response = await http(method, target({ path }), {
          headers: { authorization: `Bearer ${owner.key}` },
        });
        const allow = (response.headers.get('allow') ?? '').split(', ').sort();
        expect(allow).toEqual([...taken, ...(taken.includes('GET') ? ['HEAD'] : [])].sort());
        await expectProblem(response, 405, 'method_not_allowed');
      }
    },
  );

  it.each(['/', '/v1', '/v1/request', '/v1/requests/a/b/c', '/v1/admin', '/%2e%2e'])(
    '%s is no path at all: 404',
    async (path) => {
      await expectProblem(await owner.call('GET', path), 404, 'not_found');
    },
  );
});

describe('the table', () => {
  it('has every route of the OpenAPI document, and the document every route of the table', async () => {
    const { paths } = await (await http('GET', '/openapi.json')).json<{ paths: object }>();
    const documented = Object.entries(paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const described = open.filter((route) => !/openapi|docs/.test(route));
    expect(documented.sort()).toEqual(
      [...routes.map(byRoute), ...described, ...inOpenAiShape].sort(),
    );
  });

  it('has every route that is registered', () => {
    const registered = createApp(createServices(env))
      .routes.filter(({ method }) => method !== 'ALL')
      .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`);
    expect([...new Set(registered)].sort()).toEqual(
      [...routes.map(byRoute), ...open, ...forAgents, ...inOpenAiShape].sort(),
    );
  });
});
