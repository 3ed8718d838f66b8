import { env, exports } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { issueKey } from '../../src/accounts/keys/text';
import { createApp } from '../../src/app';
import { newId } from '../../src/platform/ids';
import { createServices } from '../../src/services';
import { faults } from '../support/worker';
import {
  ADMIN,
  advance,
  type Client,
  http,
  newClient,
  newKey,
  ORIGIN,
  until,
  useWorld,
} from './support';

useWorld();

interface KeyView {
  readonly id: string;
  readonly key: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly mac_version: number;
  readonly expires_at: string | null;
  readonly last_used_at: string | null;
  readonly revoked_at: string | null;
  readonly replaces: string | null;
  readonly user_id: string;
}

const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
const inked = {
  ...{ model: 'sketch', prompt: 'a boat', width: 64, height: 64 },
  image: `data:image/png;base64,${PIXEL.toString('base64')}`,
};

const keysPath = ({ userId }: Pick<Client, 'userId'>) => `/v1/admin/users/${userId}/keys`;
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const iso = (at: number) => new Date(at).toISOString();
const issue = (client: Client, body: object) =>
  http('POST', keysPath(client), { body: { name: 'ci', ...body }, headers: ADMIN });
const rotate = (client: Client, id: string, body?: object) =>
  http('POST', `${keysPath(client)}/${id}/rotate`, { body, headers: ADMIN });
const keysOf = async (client: Client): Promise<KeyView[]> => {
  const response = await http('GET', keysPath(client), { headers: ADMIN });
  return (await response.json<{ items: KeyView[] }>()).items;
};
/** Of an id that the foreman has to look for: 404 to whoever may ask. */
const nobodys = newId('req', 0);
const read = async (key: string) =>
  (await http('GET', `/v1/requests/${nobodys}`, { headers: bearer(key) })).status;
const write = async (key: string) =>
  (await http('POST', `/v1/requests/${nobodys}/cancel`, { headers: bearer(key) })).status;

describe('a key with the scope admin', () => {
  it('opens what the operator’s token opens, and signs for what it does', async () => {
    const client = await newClient();
    const { id, key } = await newKey(client.userId, ['admin']);
    for (const path of ['/v1/admin/users', '/v1/admin/keys', keysPath(client)]) {
      expect((await http('GET', path, { headers: bearer(key) })).status).toBe(200);
    }
    faults.events = 'swallow';
    const body = { name: 'made by a key', scopes: ['requests:read'] };
    const made = await http('POST', keysPath(client), { body, headers: bearer(key) });
    expect(made.status).toBe(201);
    const { id: madeId } = await made.json<KeyView>();
    const events = await client.sql((sql) =>
      sql.exec<{ state: string }>('SELECT state FROM audit_events').toArray(),
    );
    const actors = events
      .map(({ state }) => JSON.parse(state))
      .filter(({ target }) => target === madeId)
      .map(({ actor }) => actor);
    expect(actors).toEqual([{ type: 'key', id }]);
  });

  it('is needed: another key is told which scope it lacks, and may do nothing more by it', async () => {
    const client = await newClient();
    const response = await http('GET', '/v1/admin/users', { headers: bearer(client.key) });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain('admin');
    const { key } = await newKey(client.userId, ['admin']);
    expect((await http('GET', '/v1/me', { headers: bearer(key) })).status).toBe(403);
  });

  it('ends at once when it is revoked, and so when its account is suspended', async () => {
    const client = await newClient();
    const keys = await Promise.all([1, 2].map(() => newKey(client.userId, ['admin'])));
    const ask = async ({ key }: { key: string }) =>
      (await http('GET', '/v1/admin/users', { headers: bearer(key) })).status;
    expect(await Promise.all(keys.map(ask))).toEqual([200, 200]);
    const [first, second] = keys as [KeyView, KeyView];
    await http('DELETE', `${keysPath(client)}/${first.id}`, { headers: ADMIN });
    expect([await ask(first), await ask(second)]).toEqual([401, 200]);
    await client.sql((sql) =>
      sql.exec(`UPDATE account SET state = json_set(state, '$.status', 'suspended')`).toArray(),
    );
    expect([await ask(first), await ask(second)]).toEqual([401, 403]);
  });

  it('is not to be had by the name of worker, which opens nothing yet', async () => {
    const client = await newClient();
    expect((await issue(client, { scopes: ['worker'] })).status).toBe(422);
  });
});

describe('a key is shown once', () => {
  it('when it is issued and when it is rotated, and nobody may keep the answer', async () => {
    const client = await newClient();
    const issued = await issue(client, {});
    const { id, key, ...rest } = await issued.json<KeyView>();
    expect(rest).toMatchObject({ name: 'ci', mac_version: 1, expires_at: null, replaces: null });
    const rotated = await rotate(client, id);
    const successor = await rotated.json<KeyView>();
    for (const response of [issued, rotated]) {
      expect(response.status).toBe(201);
      expect(response.headers.get('cache-control')).toBe('no-store');
    }
    const listed = JSON.stringify(await keysOf(client));
    const rows = await client.sql((sql) =>
      sql.exec<{ state: string }>('SELECT state FROM api_keys').toArray(),
    );
    for (const shown of [key, successor.key]) {
      expect(listed + JSON.stringify(rows)).not.toContain(shown.slice(3, 135));
    }
    expect(listed).not.toContain('hash');
  });
});

describe('a key that is no good any more, in an isolate that trusts it', () => {
  const ends: Record<string, [end: (client: Client, id: string) => Promise<Response>, number]> = {
    'is revoked': [
      (client, id) => http('DELETE', `${keysPath(client)}/${id}`, { headers: ADMIN }),
      401,
    ],
    'is of a suspended user': [
      ({ userId }) => http('POST', `/v1/admin/users/${userId}/suspend`, { headers: ADMIN }),
      403,
    ],
  };

  it.each(Object.entries(ends))('writes nothing from then on: it %s', async (_, [end, status]) => {
    const client = await newClient();
    const headers = bearer(client.key);
    const statusOf = async (method: string, path: string, call: object = {}) =>
      (await http(method, path, { headers, ...call })).status;
    const models = () => statusOf('GET', '/v1/models');
    const all = async () => [
      (await exports.default.fetch(`${ORIGIN}/v1/images`, { method: 'POST', headers, body: PIXEL }))
        .status,
      await statusOf('POST', '/v1/requests', { body: inked }),
      await statusOf('POST', '/v1/requests/batch', { body: { items: [inked] } }),
      await statusOf('POST', '/v1/requests?dry_run=true', { body: inked }),
      await statusOf('GET', '/v1/webhooks/default-secret'),
    ];
    expect([await models(), ...(await all())]).not.toContain(status);
    const [{ id }] = (await keysOf(client)) as [KeyView];
    expect((await end(client, id)).ok).toBe(true);
    expect(await models()).toBe(200);
    const { objects } = await env.IMAGES.list({ prefix: `uploads/${client.userId}/` });
    await env.IMAGES.delete(objects.map(({ key }) => key));
    expect(await all()).toEqual(Array.from({ length: 5 }, () => status));
    const kept = await env.IMAGES.list({ prefix: `uploads/${client.userId}/` });
    expect(kept.objects).toEqual([]);
  });
});

describe('a key that expires', () => {
  it('is refused from then on, also where a verdict on it was kept', async () => {
    const client = await newClient();
    const expiresAt = Date.now() + 20_000;
    const response = await issue(client, { expires_at: iso(expiresAt) });
    const { key, expires_at: told } = await response.json<KeyView>();
    expect(told).toBe(iso(expiresAt));
    expect([await read(key), await write(key)]).toEqual([404, 404]);
    expect((await http('GET', '/v1/models', { headers: bearer(key) })).status).toBe(200);
    advance(20_001);
    expect([await read(key), await write(key)]).toEqual([401, 401]);
    expect((await http('GET', '/v1/models', { headers: bearer(key) })).status).toBe(401);
  });

  it.each([
    ['in the past', () => iso(Date.now() - 1)],
    ['in eleven years', () => iso(Date.now() + 11 * 366 * 86_400_000)],
    ['at no time', () => 'tomorrow'],
    ['on a day without an hour', () => '2040-01-01'],
  ])('%s is refused, when issued and when rotated', async (_, at) => {
    const client = await newClient();
    const [first] = await keysOf(client);
    const body = { expires_at: at() };
    for (const response of [
      await issue(client, body),
      await rotate(client, `${first?.id}`, body),
    ]) {
      expect(response.status).toBe(422);
      const { errors } = await response.json<{ errors: unknown }>();
      expect(errors).toMatchObject([{ path: 'expires_at' }]);
    }
    expect(await keysOf(client)).toHaveLength(1);
  });
});

describe('the rotation of a key', () => {
  it('leaves two that are good, until the first has had its time', async () => {
    const client = await newClient();
    const [old] = (await keysOf(client)) as [KeyView];
    const response = await rotate(client, old.id, { overlap_seconds: 60 });
    const successor = await response.json<KeyView>();
    expect(successor).toMatchObject({ name: old.name, scopes: old.scopes, replaces: old.id });
    expect([await write(client.key), await write(successor.key)]).toEqual([404, 404]);
    advance(60_001);
    expect([await write(client.key), await write(successor.key)]).toEqual([401, 404]);
    expect(await keysOf(client)).toMatchObject([{ id: old.id }, { expires_at: null }]);
  });

  it.each([
    ['has the expiry of the old one', undefined, (old: number) => old],
    ['has another expiry if it is told so', { expires_at: iso(Date.now() + 60_000_000) }, null],
    ['never expires if it is told so', { expires_at: null }, null],
  ])('%s', async (_, body, expected) => {
    const client = await newClient();
    const expiresAt = Date.now() + 3_600_000;
    const { id } = await (await issue(client, { expires_at: iso(expiresAt) })).json<KeyView>();
    const { expires_at: told } = await (await rotate(client, id, body)).json<KeyView>();
    expect(told).toBe(expected ? iso(expected(expiresAt)) : (body?.expires_at ?? null));
  });

  it('whose answer got lost on its way from the foreman made one key only', async () => {
    const client = await newClient();
    const [old] = (await keysOf(client)) as [KeyView];
    Object.assign(faults, { foreman: 'lose_answer', only: ['rotateKey'], times: 1 });
    const successor = await (await rotate(client, old.id)).json<KeyView>();
    expect(await write(successor.key)).toBe(404);
    expect((await keysOf(client)).map(({ id }) => id)).toEqual([old.id, successor.id]);
  });

  it('is refused a second time, with the key that took its place', async () => {
    const client = await newClient();
    const [old] = (await keysOf(client)) as [KeyView];
    const successor = await (await rotate(client, old.id)).json<KeyView>();
    const again = await rotate(client, old.id);
    expect(again.status).toBe(409);
    expect(await again.json()).toMatchObject({ code: 'conflict', replaced_by: successor.id });
    await http('DELETE', `${keysPath(client)}/${successor.id}`, { headers: ADMIN });
    expect((await rotate(client, successor.id)).status).toBe(409);
    expect((await rotate(client, old.id, { overlap_seconds: 604_801 })).status).toBe(422);
  });
});

describe('the list of active keys', () => {
  const listed = async (query: string) => {
    const response = await http('GET', `/v1/admin/keys${query}`, { headers: ADMIN });
    expect(response.status).toBe(200);
    return response.json<{ items: KeyView[]; next_cursor: string | null }>();
  };
  const all = async (query = '') => {
    const found: KeyView[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page = await listed(`?limit=2${query}${cursor && `&cursor=${cursor}`}`);
      found.push(...page.items);
      cursor = page.next_cursor;
    }
    return found;
  };

  it('has those of every user with their last use, and none that has ended', async () => {
    const clients = await Promise.all([newClient(), newClient()]);
    const [{ id: revoked }] = await Promise.all([newKey(clients[0].userId)]);
    await http('DELETE', `${keysPath(clients[0])}/${revoked}`, { headers: ADMIN });
    for (const client of clients) await read(client.key);
    await until(async () => {
      const found = await all();
      for (const { userId } of clients) {
        const own = found.filter((key) => key.user_id === userId);
        expect(own).toMatchObject([{ name: 'test', mac_version: 1 }]);
        expect(own[0]?.last_used_at).toBeTypeOf('string');
      }
      expect(new Set(found.map(({ id }) => id)).size).toBe(found.length);
    });
    expect(await all('&mac_version=2')).toEqual([]);
  });

  it.each(['mac_version=0', 'mac_version=128', 'mac_version=x', 'cursor=x', 'user=1'])(
    'takes no %s',
    async (query) => {
      const response = await http('GET', `/v1/admin/keys?${query}`, { headers: ADMIN });
      expect(response.status).toBe(422);
    },
  );

  it('cannot be read while D1 is away, which keys do not mind', async () => {
    const client = await newClient();
    faults.d1 = 'fail';
    expect((await http('GET', '/v1/admin/keys', { headers: ADMIN })).status).toBe(503);
    const [{ id }] = (await keysOf(client)) as [KeyView];
    expect((await rotate(client, id)).status).toBe(201);
    await client.submit();
  });
});

describe('a new signing secret', () => {
  const newer = { KEY_SIGNING_SECRET: 'n'.repeat(40), KEY_SIGNING_VERSION: '2' };
  const old = { KEY_SIGNING_SECRETS_OLD: JSON.stringify({ 1: env.KEY_SIGNING_SECRET }) };
  const statusWith = async (settings: object, key: string) => {
    const app = createApp(createServices({ ...env, ...settings }));
    const request = new Request(`${ORIGIN}/v1/me`, { headers: bearer(key) });
    return (await app.fetch(request, env)).status;
  };

  it('ends no key as long as the old one is known, and all of them without it', async () => {
    const client = await newClient();
    expect(await statusWith({ ...newer, ...old }, client.key)).toBe(200);
    expect(await statusWith(newer, client.key)).toBe(401);
  });

  it('signs the keys that are issued from then on', async () => {
    const client = await newClient();
    const services = createServices({ ...env, ...newer, ...old });
    const from = { address: null, correlationId: 'c' };
    const { key, record } = await services.keys.createKey({
      ...{ userId: client.userId, name: 'new', scopes: undefined, expiresAt: undefined },
      by: { actor: { type: 'operator', id: null }, from },
    });
    expect(record.macVersion).toBe(2);
    expect(await statusWith({ ...newer, ...old }, key)).toBe(200);
    expect(await statusWith(newer, key)).toBe(200);
    expect(await statusWith({}, key)).toBe(401);
  });

  it('makes nobody a key whom the foreman does not know', async () => {
    const client = await newClient();
    const signing = { newest: 1, secrets: new Map([[1, env.KEY_SIGNING_SECRET]]) };
    const keyId = newId('key', Date.now());
    expect(await read(issueKey({ userId: client.userId, keyId, signing }).key)).toBe(401);
  });
});
