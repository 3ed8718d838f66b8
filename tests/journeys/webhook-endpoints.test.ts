import { env } from 'cloudflare:workers';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { createApp } from '../../src/app';
import { createServices } from '../../src/services';
import type { EndpointView } from '../../src/webhooks/endpoints/view';
import type { Script } from '../support/scripted-fetch';
import { faults } from '../support/worker';
import {
  ADMIN,
  advance,
  type Client,
  count,
  held,
  http,
  newClient,
  ORIGIN,
  type Receiver,
  receiver,
  until,
  useWorld,
} from './support';

useWorld();

const HOUR = 3_600_000;
const DAY_SECONDS = 86_400;
interface Refused {
  readonly errors?: readonly { readonly path: string }[];
}
interface Entry {
  readonly action: string;
  readonly actor: { readonly type: string };
  readonly target: string | null;
}
type Made = EndpointView & { readonly secret: string };
type Call = Parameters<Client['call']>[2];

async function ask<T>(
  client: Client,
  status: number,
  path: string,
  call: Call & { via?: string } = {},
) {
  const { via = 'GET', ...rest } = call;
  const response = await client.call(via, `/v1/webhooks${path}`, rest);
  expect([path, response.status]).toEqual([path, status]);
  return (status === 204 ? null : await response.json()) as T;
}

const add = (client: Client, fields: object, headers: Record<string, string> = {}) =>
  ask<Made>(client, 201, '', { via: 'POST', body: fields, headers });
const list = async (client: Client) =>
  (await ask<{ items: EndpointView[]; next_cursor: null }>(client, 200, '')).items;
const read = (client: Client, id: string) => ask<EndpointView>(client, 200, `/${id}`);
const act = <T>(client: Client, status: number, id: string, verb: string, call: Call = {}) =>
  ask<T>(client, status, `/${id}/${verb}`, { via: 'POST', ...call });
const withKey = (key: string) => ({ 'idempotency-key': key });

/** The types that a receiver was told of. */
const typesAt = (hook: Receiver) =>
  hook.posts.map((post) => (post.json() as { type: string }).type);
const firstAt = (hook: Receiver) =>
  until(() => {
    const post = hook.posts[0];
    if (!post) throw new Error('nothing came');
    return post;
  });
/** Which of these secrets the receiver of its last post could verify it with. */
function verifiers(hook: Receiver, ...secrets: readonly string[]): string[] {
  const post = hook.posts.at(-1);
  return secrets.filter((secret) => {
    try {
      new Webhook(secret).verify(post?.text() ?? '', Object.fromEntries(post?.headers ?? []));
      return true;
    } catch {
      return false;
    }
  });
}

describe('an endpoint', () => {
  it('is made with a secret that is shown once, read, listed, changed and deleted', async () => {
    const client = await newClient();
    const hook = receiver();
    const response = await client.call('POST', '/v1/webhooks', {
      body: { url: hook.url, events: ['request.*', 'request.*'], description: 'the shop' },
    });
    const { secret, ...shown } = await response.json<Made>();
    expect(response.status).toBe(201);
    expect(response.headers.get('location')).toBe(`${ORIGIN}/v1/webhooks/${shown.id}`);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(secret).toMatch(/^whsec_/);
    expect(shown).toMatchObject({
      ...{ url: hook.url, events: ['request.*'], description: 'the shop', status: 'active' },
      ...{ disabled: null, failing_since: null, previous_secret_expires_at: null },
    });
    const other = await add(client, { url: receiver().url });
    expect(other).toMatchObject({ events: ['*'], description: '' });
    expect(await read(client, shown.id)).toEqual(shown);
    expect((await list(client)).map(({ id }) => id)).toEqual([shown.id, other.id]);
    expect(JSON.stringify(await list(client))).not.toContain('whsec_');

    advance(1_000);
    const changes = { events: ['request.failed'], description: 'our shop' };
    const changed = await ask<EndpointView>(client, 200, `/${shown.id}`, {
      via: 'PATCH',
      body: changes,
    });
    expect(changed).toEqual({ ...shown, ...changes, updated_at: changed.updated_at });
    expect(changed.updated_at > shown.updated_at).toBe(true);
    await ask(client, 204, `/${shown.id}`, { via: 'DELETE' });
    await ask(client, 404, `/${shown.id}`);
    await ask(client, 404, `/${shown.id}`, { via: 'DELETE' });
    expect((await list(client)).map(({ id }) => id)).toEqual([other.id]);
  });

  it('hears everything unless it says otherwise, signed with its own secret', async () => {
    const client = await newClient();
    const [all, failures] = [receiver(), receiver()];
    const { secret } = await add(client, { url: all.url });
    const { secret: another } = await add(client, {
      url: failures.url,
      events: ['request.failed'],
    });
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    await until(() => expect(all.posts).toHaveLength(3));
    expect(typesAt(all).sort()).toEqual(['request.queued', 'request.running', 'request.succeeded']);
    expect(verifiers(all, secret, another, await client.secret())).toEqual([secret]);
    expect(failures.posts).toEqual([]);
  });

  it('is no longer told of anything once it is deleted, what was on its way included', async () => {
    const client = await newClient();
    const hook = receiver(500);
    const { id } = await add(client, { url: hook.url, events: ['request.succeeded'] });
    const request = await client.submit();
    await client.reached(request.id, 'succeeded');
    await until(async () => {
      const [delivery] = await client.deliveries(request.id);
      expect(delivery?.attempts).toHaveLength(1);
    });
    await ask(client, 204, `/${id}`, { via: 'DELETE' });
    const [delivery] = await client.deliveries(request.id);
    expect(delivery).toMatchObject({ status: 'failed', next_attempt_at: null });
    expect(hook.posts).toHaveLength(1);
  });

  it('is one of fifty at the most', async () => {
    const client = await newClient();
    const url = 'https://hooks.example.com/many';
    for (let made = 0; made < 50; made += 1) await add(client, { url });
    const refused = await ask(client, 403, '', { via: 'POST', body: { url } });
    expect(refused).toMatchObject({ code: 'limit_exceeded', allowed: 50, used: 50 });
    const items = await list(client);
    expect(items).toHaveLength(50);
    await ask(client, 204, `/${items[7]?.id}`, { via: 'DELETE' });
    await add(client, { url });
  });

  it('leaves a record of all that is done to it, without its path or its secrets', async () => {
    const client = await newClient();
    const { id } = await add(client, { url: receiver().url, events: ['endpoint.*'] });
    await ask(client, 200, `/${id}`, { via: 'PATCH', body: { url: `${receiver().url}?token=t` } });
    await ask(client, 200, `/${id}`, { via: 'PATCH', body: { url: receiver().url } });
    await act(client, 200, id, 'rotate-secret');
    await act(client, 200, id, 'disable');
    await act(client, 200, id, 'enable');
    await ask(client, 204, `/${id}`, { via: 'DELETE' });
    await ask(client, 200, '/default-secret/rotate', { via: 'POST' });
    const recorded = async () => {
      const path = `/v1/admin/audit?limit=100&user_id=${client.userId}`;
      const page = await (await http('GET', path, { headers: ADMIN })).json<{ items: Entry[] }>();
      return page.items.filter(({ action }) => action.startsWith('webhook.'));
    };
    const entries = await until(async () => {
      const found = await recorded();
      expect(found).toHaveLength(8);
      return found;
    });
    const actions = entries.filter(({ target }) => target === id).map(({ action }) => action);
    expect(actions.sort()).toEqual([
      'webhook.changed',
      'webhook.changed',
      'webhook.created',
      'webhook.deleted',
      'webhook.disabled',
      'webhook.enabled',
      'webhook.secret_rotated',
    ]);
    const [other] = entries.filter(({ target }) => target !== id);
    expect(other).toMatchObject({ action: 'webhook.secret_rotated', target: null });
    expect(new Set(entries.map(({ actor }) => actor.type))).toEqual(new Set(['key']));
    expect(JSON.stringify(entries)).not.toMatch(/token=|whsec_|hooks\.example\.com\//);
    expect(JSON.stringify(entries)).toContain('hooks.example.com');
  });

  it('of somebody else is none at all', async () => {
    const [owner, stranger] = await Promise.all([newClient(), newClient()]);
    const { id } = await add(owner, { url: receiver().url });
    expect(await list(stranger)).toEqual([]);
    for (const verb of ['ping', 'disable', 'enable', 'rotate-secret']) {
      await act(stranger, 404, id, verb);
    }
    await ask(stranger, 404, `/${id}`, { via: 'PATCH', body: { description: 'mine' } });
    await ask(stranger, 404, `/${id}`, { via: 'DELETE' });
    expect(await read(owner, id)).toMatchObject({ description: '', status: 'active' });
  });

  const url = 'https://hooks.example.com/a';
  /** One for all that is refused: nothing changes it. */
  let shared: Promise<Client> | null = null;
  const someClient = () => {
    shared ??= newClient().then(async (client) => {
      await add(client, { url });
      return client;
    });
    return shared;
  };
  it.each<[string, object, string]>([
    ['no URL', {}, 'url'],
    ['a URL that is none', { url: 'hooks' }, 'url'],
    ['a URL that is no text', { url: 7 }, 'url'],
    ['another scheme', { url: 'ftp://hooks.example.com/' }, 'url'],
    ['a script', { url: 'javascript:alert(1)' }, 'url'],
    ['a password', { url: 'https://me:secret@hooks.example.com/' }, 'url'],
    ['white space', { url: 'https://hooks.example.com/ a' }, 'url'],
    ['a line break', { url: 'https://hooks.example.com/\r\nx: y' }, 'url'],
    ['the metadata of a cloud', { url: 'https://169.254.169.254/latest' }, 'url'],
    ['a mapped address', { url: 'https://[::ffff:127.0.0.1]/' }, 'url'],
    ['an address in another spelling', { url: 'https://0xa9fea9fe/' }, 'url'],
    ['a URL without end', { url: `https://hooks.example.com/${'x'.repeat(2_048)}` }, 'url'],
    ['no events', { url, events: [] }, 'events'],
    ['an event that there is not', { url, events: ['request.*', 'request.done'] }, 'events.1'],
    ['the ping', { url, events: ['endpoint.ping'] }, 'events.0'],
    ['events that are no list', { url, events: '*' }, 'events'],
    ['more events than there are', { url, events: Array(40).fill('*') }, 'events'],
    ['a long description', { url, description: 'x'.repeat(257) }, 'description'],
    ['control characters', { url, description: 'a\u0000b' }, 'description'],
    ['a field that there is not', { url, retries: 3 }, 'retries'],
    ['a secret of its own', { url, secret: 'whsec_bXk=' }, 'secret'],
    ['a status', { url, status: 'active' }, 'status'],
  ])('with %s is refused, named, and not there', async (_, body, path) => {
    const client = await someClient();
    const before = await list(client);
    const refused = await ask<Refused>(client, 422, '', { via: 'POST', body });
    expect(refused.errors?.map((error) => error.path)).toContain(path);
    const changing = { via: 'PATCH', body };
    expect(await ask<Refused>(client, 422, `/${before[0]?.id}`, changing)).toMatchObject({
      code: 'invalid_request',
    });
    expect(await list(client)).toEqual(before);
  });

  it.each([
    `${ORIGIN}/v1/requests`,
    'http://hooks.example.com/a',
    'https://hooks.example.com:8443/a',
    'https://localhost/',
    'https://10.0.0.1/',
    'https://[::1]/',
    'https://router.internal/',
  ])('is not at %s where local URLs are closed', async (closed) => {
    const client = await someClient();
    const app = createApp(createServices({ ...env, ALLOW_LOCAL_URLS: 'false' }));
    const response = await app.request(`${ORIGIN}/v1/webhooks`, {
      method: 'POST',
      headers: { authorization: `Bearer ${client.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ url: closed }),
    });
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ errors: [{ path: 'url' }] });
    expect(await list(client)).toHaveLength(1);
  });
});

it('the list is one page, and says so to whoever asks for another', async () => {
  const client = await newClient();
  const refused = await ask<Refused>(client, 422, '?limit=3&page=2');
  expect(refused.errors?.map(({ path }) => path)).toEqual(['limit', 'page']);
});

describe('an Idempotency-Key', () => {
  it('makes one endpoint, whatever becomes of the answers', async () => {
    const client = await newClient();
    const fields = { url: receiver().url };
    const first = await add(client, fields, withKey('k'));
    const again = await client.call('POST', '/v1/webhooks', {
      body: fields,
      headers: withKey('k'),
    });
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([200, 'true']);
    expect(await again.json()).toEqual(first);
    const other = { via: 'POST', body: { ...fields, description: 'x' }, headers: withKey('k') };
    expect(await ask(client, 422, '', other)).toMatchObject({ code: 'idempotency_mismatch' });
    await ask(client, 400, '', { via: 'POST', body: fields, headers: withKey('k'.repeat(256)) });
    expect(await list(client)).toHaveLength(1);
    advance(24 * HOUR);
    expect((await add(client, fields, withKey('k'))).id).not.toBe(first.id);
  });

  it('gives the secret of one rotation again, and does not end the one before it', async () => {
    const client = await newClient();
    const hook = receiver();
    const { id, secret } = await add(client, { url: hook.url }, withKey('k'));
    const rotate = () => act<Made>(client, 200, id, 'rotate-secret', { headers: withKey('k') });
    const first = await rotate();
    expect(await rotate()).toEqual(first);
    await act(client, 200, id, 'ping');
    expect(verifiers(hook, secret, first.secret)).toEqual([secret, first.secret]);
  });

  it.each(['endpoint', 'default'])(
    'of a rotation of the %s secret outlives the next one',
    async (whose) => {
      const client = await newClient();
      const { id } = await add(client, { url: receiver().url });
      const path = whose === 'default' ? '/default-secret/rotate' : `/${id}/rotate-secret`;
      const rotate = <T = { secret: string }>(key: string, status = 200, overlap_seconds = 3_600) =>
        ask<T>(client, status, path, {
          ...{ via: 'POST', headers: withKey(key), body: { overlap_seconds } },
        });
      const [a, b] = [await rotate('a'), await rotate('b')];
      expect((await rotate('a')).secret).toBe(a.secret);
      expect(await rotate('a', 422, 60)).toMatchObject({ code: 'idempotency_mismatch' });
      expect(await rotate('b')).toEqual(b);
      advance(HOUR);
      expect(await rotate('a', 409)).toMatchObject({ code: 'conflict' });
      expect((await rotate('b')).secret).toBe(b.secret);
      advance(23 * HOUR);
      expect([a.secret, b.secret]).not.toContain((await rotate('a')).secret);
    },
  );

  it('of a rotation by an earlier version counts as one of now', async () => {
    const client = await newClient();
    const { id } = await add(client, { url: receiver().url });
    const paths = [`/${id}/rotate-secret`, '/default-secret/rotate'];
    const rotate = (path: string, status = 200, overlap_seconds = 60) => {
      const call = { via: 'POST', headers: withKey('k'), body: { overlap_seconds } };
      return ask<{ secret: string }>(client, status, path, call);
    };
    const made = [await rotate(paths[0] ?? ''), await rotate(paths[1] ?? '')];
    await client.sql((sql) => {
      sql.exec("UPDATE webhook_endpoints SET state = json_remove(state, '$.rotations')");
      const of = '$.webhookSecretRotation';
      sql.exec(
        'UPDATE account SET state = json_remove(state, ?, ?)',
        ...[`${of}.rotations`, `${of}.previous.madeBy`],
      );
    });
    await client.evict();
    for (const [index, path] of paths.entries()) {
      expect((await rotate(path)).secret).toBe(made[index]?.secret);
      await rotate(path, 422, 61);
    }
  });

  it('is not needed by a call whose answer is lost on its way from the foreman', async () => {
    const client = await newClient();
    const hook = receiver();
    const lose = () => Object.assign(faults, { foreman: 'lose_answer', only: ['ask'], times: 1 });
    lose();
    const { id } = await add(client, { url: hook.url, events: ['endpoint.*'] });
    expect(await list(client)).toHaveLength(1);
    lose();
    await act(client, 200, id, 'rotate-secret');
    const { previous_secret_expires_at: ends } = await read(client, id);
    expect(ends).not.toBeNull();
    lose();
    expect(await act(client, 200, id, 'disable')).toMatchObject({ status: 'disabled' });
    lose();
    expect(await act(client, 200, id, 'enable')).toMatchObject({ status: 'active' });
    lose();
    await ask(client, 204, `/${id}`, { via: 'DELETE' });
    expect(await list(client)).toEqual([]);
    expect(faults.times).toBe(0);
  });
});

describe('a rotated secret', () => {
  it('signs beside the one before it until the overlap ends; a third ends the first at once', async () => {
    const client = await newClient();
    const hook = receiver();
    const { id, secret: first } = await add(client, { url: hook.url, events: ['endpoint.*'] });
    const rotate = async (overlap?: number) => {
      const body = overlap === undefined ? {} : { body: { overlap_seconds: overlap } };
      const rotated = await act<Made>(client, 200, id, 'rotate-secret', body);
      const ends = rotated.previous_secret_expires_at;
      const left = ends === null ? 0 : (Date.parse(ends) - Date.parse(rotated.updated_at)) / 1_000;
      return { secret: rotated.secret, left };
    };
    const signed = async (...secrets: string[]) => {
      await act(client, 200, id, 'ping');
      return verifiers(hook, ...secrets);
    };

    const second = await rotate();
    expect(second.left).toBe(DAY_SECONDS);
    expect(await signed(first, second.secret)).toEqual([first, second.secret]);
    const third = await rotate(60);
    expect(third.left).toBe(60);
    const all = [first, second.secret, third.secret];
    expect(await signed(...all)).toEqual([second.secret, third.secret]);
    advance(60_000);
    expect(await signed(...all)).toEqual([third.secret]);
    const fourth = await rotate(0);
    expect(fourth.left).toBe(0);
    expect(await signed(...all, fourth.secret)).toEqual([fourth.secret]);
  });

  it('of the user itself signs what goes to the URL that a request names', async () => {
    const client = await newClient();
    // As an earlier version has written it.
    await client.sql((sql) => {
      sql.exec("UPDATE account SET state = json_remove(state, '$.webhookSecretRotation')");
    });
    const before = await client.secret();
    const rotated = await ask<{ secret: string; previous_secret_expires_at: string }>(
      client,
      200,
      '/default-secret/rotate',
      { via: 'POST', body: { overlap_seconds: 3_600 } },
    );
    expect(await client.secret()).toBe(rotated.secret);
    const told = async () => {
      const hook = receiver();
      await client.reached((await client.submit({ webhook_url: hook.url })).id);
      await firstAt(hook);
      return verifiers(hook, before, rotated.secret);
    };
    expect(await told()).toEqual([before, rotated.secret]);
    advance(HOUR);
    expect(await told()).toEqual([rotated.secret]);
    const account = await http('GET', `/v1/admin/users/${client.userId}`, { headers: ADMIN });
    expect(await account.text()).not.toContain('whsec_');
  });

  it.each([-1, 604_801, 1.5, '60', null])('does not overlap for %j seconds', async (seconds) => {
    const client = await newClient();
    const { id } = await add(client, { url: receiver().url });
    const body = { overlap_seconds: seconds };
    for (const path of [`/${id}/rotate-secret`, '/default-secret/rotate']) {
      const refused = await ask(client, 422, path, { via: 'POST', body });
      expect(refused).toMatchObject({ errors: [{ path: 'overlap_seconds' }] });
    }
  });
});

describe('a ping', () => {
  it('is sent at once, signed like a delivery, answered with what came back, and logged', async () => {
    const client = await newClient();
    const hook = receiver(() => new Response('thanks', { status: 202 }));
    const { id, secret } = await add(client, { url: hook.url, events: ['request.failed'] });
    const headers = { 'x-correlation-id': 'my-ping' };
    const result = await act(client, 200, id, 'ping', { headers });
    expect(result).toEqual({
      ...{
        ok: true,
        status: 202,
        duration_ms: expect.any(Number),
        response: 'thanks',
        error: null,
      },
    });
    const post = await firstAt(hook);
    expect(post.json()).toMatchObject({ type: 'endpoint.ping', data: { id, status: 'active' } });
    expect(post.text()).not.toContain('whsec_');
    expect(post.headers.get('x-correlation-id')).toBe('my-ping');
    expect(verifiers(hook, secret)).toEqual([secret]);
    await until(async () => {
      const where =
        "endpoint_id = ? AND type = 'endpoint.ping' AND status = 'delivered' AND id = ?";
      const delivery = post.headers.get('webhook-id') ?? '';
      expect(await count('webhook_deliveries', where, id, delivery)).toBe(1);
    });
  });

  it.each<[string, number | Script, object]>([
    ['an error', 500, { status: 500, error: null }],
    ['a redirect', 302, { status: 302, error: null }],
    ['gone', 410, { status: 410, error: null }],
    ['nothing', () => Promise.reject(new Error('refused')), { status: null, response: null }],
  ])(
    'that is answered with %s is not tried again, and changes nothing',
    async (_, answer, shown) => {
      const client = await newClient();
      const hook = receiver(answer);
      const {
        id,
        secret: _s,
        ...made
      } = await add(client, { url: hook.url, events: ['endpoint.*'] });
      expect(await act(client, 200, id, 'ping')).toMatchObject({ ok: false, ...shown });
      expect(await read(client, id)).toEqual({ id, ...made });
      await until(async () => {
        const where = "endpoint_id = ? AND status = 'failed' AND reason IS NULL";
        expect(await count('webhook_deliveries', where, id)).toBe(1);
      });
      expect(hook.posts).toHaveLength(1);
    },
  );
});

it('pings, those of an enabling too, count against the rate limit, and what is refused sends none', async () => {
  const client = await newClient({ requests_per_minute: 1, burst: 2 });
  const hook = receiver(500);
  const { id } = await add(client, { url: hook.url, events: ['endpoint.disabled'] });
  await act(client, 200, id, 'ping');
  await act(client, 200, id, 'disable');
  await act(client, 409, id, 'enable');
  for (const verb of ['ping', 'enable']) {
    const response = await client.call('POST', `/v1/webhooks/${id}/${verb}`);
    expect(response.status).toBe(429);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await response.json()).toMatchObject({
      ...{ code: 'rate_limited', limit: 'requests_per_minute' },
    });
  }
  expect(hook.posts).toHaveLength(2);
});

describe('a disabled endpoint', () => {
  it('gets pings and nothing else, and is enabled by one that it answers', async () => {
    const client = await newClient();
    const hook = receiver(500, 500, 204, 204);
    const { id } = await add(client, { url: hook.url });
    const off = await act<EndpointView>(client, 200, id, 'disable');
    expect(off).toMatchObject({ status: 'disabled', disabled: { reason: 'requested' } });
    expect(await act(client, 200, id, 'disable')).toEqual(off);
    await client.reached((await client.submit()).id);
    expect(await act(client, 200, id, 'ping')).toMatchObject({ ok: false });
    const refused = await act(client, 409, id, 'enable');
    expect(refused).toMatchObject({
      code: 'endpoint_not_reachable',
      probe: { status: 500, duration_ms: expect.any(Number), response: '', error: null },
    });
    expect(await read(client, id)).toEqual(off);
    expect(await act(client, 200, id, 'enable')).toMatchObject({
      status: 'active',
      disabled: null,
    });
    expect(typesAt(hook)).toEqual(['endpoint.ping', 'endpoint.ping', 'endpoint.ping']);
    await act(client, 200, id, 'enable');
    expect(hook.posts).toHaveLength(3);
    await client.reached((await client.submit()).id);
    await until(() => expect(typesAt(hook)).toContain('request.succeeded'));
  });

  it('is not enabled by an answer from where it no longer is', async () => {
    const client = await newClient();
    const gate = held(() => new Response(null, { status: 204 }));
    const hook = receiver(gate.answer);
    const { id } = await add(client, { url: hook.url });
    await act(client, 200, id, 'disable');
    const enabling = act(client, 409, id, 'enable');
    await firstAt(hook);
    await ask(client, 200, `/${id}`, { via: 'PATCH', body: { url: receiver(500).url } });
    gate.open();
    expect(await enabling).toMatchObject({ code: 'conflict' });
    expect(await read(client, id)).toMatchObject({ status: 'disabled' });
  });
});

describe('an endpoint that fails', () => {
  const succeeded = async (client: Client) =>
    client.reached((await client.submit()).id, 'succeeded');
  const disabledAs = (client: Client, id: string, reason: string) =>
    until(async () => {
      expect(await read(client, id)).toMatchObject({ status: 'disabled', disabled: { reason } });
    });
  /** The time of its first failure, as if it had been so long ago. */
  const failedFor = async (client: Client, id: string, ms: number) => {
    const since = Date.now() - ms;
    await client.sql((sql) => {
      const change = "json_set(state, '$.failingSince', ?)";
      sql.exec(`UPDATE webhook_endpoints SET state = ${change} WHERE id = ?`, since, id);
    });
    await client.evict();
  };

  it('with 410 is disabled at once; the others that want to know are told, and it is on record', async () => {
    const client = await newClient();
    const [gone, watching, deaf] = [receiver(410), receiver(), receiver()];
    const { id } = await add(client, {
      url: `${gone.url}`,
      events: ['request.succeeded', 'endpoint.*'],
    });
    const { secret } = await add(client, { url: watching.url, events: ['endpoint.disabled'] });
    await add(client, { url: deaf.url, events: ['request.failed', 'endpoint.enabled'] });
    await succeeded(client);
    await disabledAs(client, id, 'gone');
    const post = await firstAt(watching);
    expect(post.json()).toMatchObject({
      type: 'endpoint.disabled',
      data: { id, status: 'disabled', disabled: { reason: 'gone' } },
    });
    expect(verifiers(watching, secret)).toEqual([secret]);
    await succeeded(client);
    expect([gone.posts.length, watching.posts.length, deaf.posts.length]).toEqual([1, 1, 0]);
    await until(async () => {
      const where =
        "action = 'webhook.disabled' AND target = ? AND actor_type = 'system' AND details NOT LIKE ?";
      const path = new URL(gone.url).pathname;
      expect(await count('audit_events', where, id, `%${path}%`)).toBe(1);
    });
  });

  it('goes on for five days, is then disabled, and a success in between begins anew', async () => {
    const client = await newClient();
    const hook = receiver(500, 500, 204, 500, 500);
    const { id } = await add(client, { url: hook.url, events: ['request.succeeded'] });
    const attempted = async (posts: number) => {
      await succeeded(client);
      await until(() => expect(hook.posts).toHaveLength(posts));
    };
    const failing = (since: unknown) =>
      until(async () => expect((await read(client, id)).failing_since).toEqual(since));
    await attempted(1);
    await failing(expect.any(String));
    await failedFor(client, id, 120 * HOUR - 60_000);
    await attempted(2);
    await attempted(3);
    await failing(null);
    await attempted(4);
    await failing(expect.any(String));
    expect(await read(client, id)).toMatchObject({ status: 'active' });
    await failedFor(client, id, 120 * HOUR);
    await attempted(5);
    await disabledAs(client, id, 'failing');
    expect(await read(client, id)).toMatchObject({
      disabled: { message: 'Every attempt of five days failed.' },
    });
  });

  it('is told to have been enabled again to the others', async () => {
    const client = await newClient();
    const [own, watching] = [receiver(), receiver()];
    const { id } = await add(client, { url: own.url });
    await add(client, { url: watching.url, events: ['endpoint.*'] });
    await act(client, 200, id, 'disable');
    await act(client, 200, id, 'enable');
    await until(() =>
      expect(typesAt(watching).sort()).toEqual(['endpoint.disabled', 'endpoint.enabled']),
    );
    expect(typesAt(own)).toEqual(['endpoint.ping']);
  });
});

describe('an account that is', () => {
  const admin = (client: Client, method: string, path = '') =>
    http(method, `/v1/admin/users/${client.userId}${path}`, { headers: ADMIN });

  it('suspended changes and pings nothing, and has its endpoints when it is resumed', async () => {
    const client = await newClient();
    const hook = receiver();
    const { id } = await add(client, { url: hook.url, events: ['endpoint.*'] });
    await admin(client, 'POST', '/suspend');
    const refused = { code: 'account_suspended' };
    expect(await ask(client, 403, '')).toMatchObject(refused);
    expect(await ask(client, 403, '', { via: 'POST', body: { url: hook.url } })).toMatchObject(
      refused,
    );
    for (const verb of ['ping', 'disable', 'enable', 'rotate-secret']) {
      expect(await act(client, 403, id, verb)).toMatchObject(refused);
    }
    expect(hook.posts).toEqual([]);
    await admin(client, 'POST', '/resume');
    expect(await list(client)).toMatchObject([{ id, status: 'active' }]);
  });

  it('deleted leaves no endpoint and no secret', async () => {
    const client = await newClient();
    const { id } = await add(client, { url: receiver().url, events: ['endpoint.*'] });
    await admin(client, 'DELETE');
    await ask(client, 401, `/${id}`);
    await until(async () => {
      const { status } = await (await admin(client, 'GET', '/deletion')).json<{ status: string }>();
      expect(status).toBe('completed');
    });
    expect(
      await client.sql((sql) => sql.exec('SELECT * FROM webhook_endpoints').toArray()),
    ).toEqual([]);
  });
});
