import { env, exports } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import type { UserId } from '../../src/accounts/types';
import { createServices } from '../../src/services';
import { faulted, faults } from '../support/worker';
import {
  ADMIN,
  advance,
  type Client,
  confirmed,
  count,
  deliver,
  held,
  http,
  indexed,
  messagesTo,
  newClient,
  newKey,
  ORIGIN,
  objectKeys,
  openai,
  receiver,
  runCrons,
  until,
  useWorld,
} from './support';

useWorld();

const MINUTE_MS = 60_000;
const sketch = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };

interface DeletionView {
  readonly status: string;
  readonly completed_at: string | null;
  readonly requests_deleted: number;
  readonly objects_deleted: number;
  readonly last_error: string | null;
}

const pathOf = ({ userId }: Pick<Client, 'userId'>) => `/v1/admin/users/${userId}`;
const admin = (method: string, path: string, body?: unknown) =>
  http(method, path, { headers: ADMIN, ...(body === undefined ? {} : { body }) });

async function deletionOf(client: Pick<Client, 'userId'>): Promise<DeletionView> {
  const response = await admin('GET', `${pathOf(client)}/deletion`);
  expect(response.status).toBe(200);
  return response.json<DeletionView>();
}

async function remove(client: Client): Promise<void> {
  expect((await admin('DELETE', pathOf(client))).status).toBe(202);
}

const completed = (client: Client) =>
  until(async () => {
    const deletion = await deletionOf(client);
    expect(deletion.status).toBe('completed');
    return deletion;
  });

const failedAt = (client: Client, part: string) =>
  until(async () => {
    expect(await deletionOf(client)).toMatchObject({ status: 'running', last_error: part });
  });

/** A finished request that has left the foreman for D1. */
async function handedOver(client: Client, fields: object = {}) {
  const { id } = await client.submit(fields);
  const request = await client.reached(id, 'succeeded');
  await indexed(id, 'succeeded');
  await confirmed(client, id);
  await client.sql((sql) => sql.exec('UPDATE requests SET due_at = 1 WHERE id = ?', id));
  await client.alarm();
  const left = await client.sql((sql) =>
    sql.exec('SELECT id FROM requests WHERE id = ?', id).toArray(),
  );
  expect(left).toEqual([]);
  return request;
}

/** D1 has the account as it is, and the projector pulls nothing any more. */
const settled = (client: Client) =>
  until(async () => {
    const [row] = await client.sql((sql) =>
      sql
        .exec(`SELECT projected_version - json_extract(state, '$.version') AS behind FROM account`)
        .toArray(),
    );
    expect(row?.behind).toBe(0);
  });

async function upload(client: Client): Promise<void> {
  const drawn = await client.submit({ width: 80 });
  const { images } = await client.reached(drawn.id, 'succeeded');
  const bytes = await (await http('GET', images[0]?.signed_url ?? '')).arrayBuffer();
  const response = await exports.default.fetch(new URL('/v1/images', ORIGIN), {
    method: 'POST',
    headers: { authorization: `Bearer ${client.key}`, 'content-type': 'image/png' },
    body: bytes,
  });
  expect(response.status).toBe(201);
}

/** How many rows each table of D1 has of the user, but for the record of who did what. */
async function indexedRows(userId: UserId): Promise<Record<string, number>> {
  const { results } = await env.DB.prepare(
    `SELECT name FROM sqlite_master
     WHERE type = 'table' AND sql LIKE '%user_id%' AND name <> 'audit_events'`,
  ).all<{ name: string }>();
  const tables = results.map(({ name }) => [name, 'user_id'] as const);
  expect(tables.length).toBeGreaterThan(4);
  const counts = [...tables, ['users', 'id'] as const].map(
    async ([table, column]) => [table, await count(table, `${column} = ?`, userId)] as const,
  );
  return Object.fromEntries(await Promise.all(counts));
}

/** How many rows each table of the user's foreman has. */
const rowsInForeman = (client: Client) =>
  client.sql((sql) => {
    const tables = sql
      .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'")
      .toArray()
      .map(({ name }) => name)
      .filter((name) => !/^(_cf|sqlite)_/.test(name));
    return Object.fromEntries(
      tables.map((name) => {
        const { n } = sql.exec<{ n: number }>(`SELECT count(*) AS n FROM ${name}`).one();
        return [name, n];
      }),
    );
  });

async function uploadsOf({ userId }: Client): Promise<string[]> {
  const { objects } = await env.IMAGES.list({ prefix: `uploads/${userId}/` });
  return objects.map(({ key }) => key);
}

/** Nothing is left but the fact. */
async function expectGone(client: Client, requests: readonly string[]): Promise<void> {
  for (const id of requests) expect(await objectKeys(id)).toEqual([]);
  expect(await uploadsOf(client)).toEqual([]);
  const index = await indexedRows(client.userId);
  expect(Object.entries(index).filter(([, rows]) => rows > 0)).toEqual([]);
  // What is on record stays until D1 has it.
  await until(async () => {
    const rows = await rowsInForeman(client);
    const full = Object.entries(rows).filter(([name, n]) => n > 0 && name !== 'schema_steps');
    expect(full).toEqual([['deletion', 1]]);
  });
}

describe('the deletion of a user', () => {
  it('takes everything of the user with it, and nothing of anybody else', async () => {
    const [client, other] = await Promise.all([newClient(), newClient()]);
    const theirs = await handedOver(other);
    await upload(other);
    const gate = held();
    const hook = receiver();
    const broken = receiver(500);

    const archived = await handedOver(client, { webhook_url: hook.url });
    await upload(client);
    const [image, brought] = [...(await objectKeys(archived.id)), ...(await uploadsOf(client))];
    for (const key of [image, brought]) await env.IMAGES.put(`${key}@thumbnail`, 'bytes');
    const made = await client.submit({ reuse: 'exact' }, { 'idempotency-key': 'one' });
    await client.reached(made.id, 'succeeded');
    const told = await client.submit({ webhook_url: broken.url });
    await client.reached(told.id, 'succeeded');
    const deleted = await client.submit();
    expect((await client.call('DELETE', `/v1/requests/${deleted.id}`)).status).toBe(204);
    const calls = openai(gate.answer);
    const running = await client.submit({ model: 'gpt-image-1', seed: 7, reuse: 'exact' });
    const follower = await client.submit({ model: 'gpt-image-1', seed: 7, reuse: 'exact' });
    await until(() => expect(calls).toHaveLength(1));
    await until(() => expect(broken.posts.length).toBeGreaterThan(0));
    const letter = { type: 'generation.run', v: 1, user: client.userId, request: made.id };
    await deliver('dead-letters', [{ ...letter, release: 1, correlation_id: 'c' }]);

    const response = await admin('DELETE', pathOf(client));
    expect(response.status).toBe(202);
    expect(response.headers.get('location')).toBe(`${ORIGIN}${pathOf(client)}/deletion`);
    expect(await response.json()).toMatchObject({ user_id: client.userId, status: 'running' });
    expect(await (await admin('GET', pathOf(client))).json()).toMatchObject({ status: 'deleting' });
    expect((await client.call('GET', `/v1/requests/${made.id}`)).status).toBe(401);
    expect((await client.call('POST', '/v1/requests', { body: sketch })).status).toBe(401);
    // A call that runs may yet store something, so the end waits for it.
    await until(async () => expect(await objectKeys(archived.id)).toEqual([]));
    expect((await deletionOf(client)).status).toBe('running');
    gate.open();

    const ids = [archived, made, told, deleted, running, follower].map(({ id }) => id);
    const deletion = await completed(client);
    // `upload` has made one more.
    expect(deletion).toMatchObject({ requests_deleted: 6, objects_deleted: 7, last_error: null });
    await expectGone(client, ids);
    expect(calls).toHaveLength(1);

    expect(await other.get(theirs.id)).toEqual(theirs);
    expect(await objectKeys(theirs.id)).toHaveLength(1);
    expect(await uploadsOf(other)).toHaveLength(1);
    expect((await indexedRows(other.userId)).api_keys).toBe(1);
  });

  it('reaches the bucket of the European Union', async () => {
    const client = await newClient({}, { jurisdiction: 'eu' });
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    await upload(client);
    const keys = async () =>
      (await env.IMAGES_EU.list()).objects
        .map(({ key }) => key)
        .filter((key) => key.includes(id) || key.includes(client.userId));
    expect(await keys()).toHaveLength(2);
    await remove(client);
    expect((await completed(client)).objects_deleted).toBe(3);
    expect(await keys()).toEqual([]);
    await expectGone(client, []);
  });

  it('is on record, with who began it', async () => {
    const client = await newClient();
    await remove(client);
    await completed(client);
    await until(async () => {
      const { results } = await env.DB.prepare(
        'SELECT action, actor_type FROM audit_events WHERE user_id = ? ORDER BY at, id',
      )
        .bind(client.userId)
        .all();
      expect(results.map(({ action, actor_type }) => [action, actor_type])).toEqual([
        ['user.created', 'operator'],
        ['key.created', 'operator'],
        ['user.deletion_started', 'operator'],
        ['user.deleted', 'operator'],
      ]);
    });
  });

  it('ends hundreds of waiting requests, in more than one change', async () => {
    const client = await newClient({ max_running: 1, burst: 1000 });
    faults.generation = 'swallow';
    const items = Array.from({ length: 50 }, () => sketch);
    for (let batch = 0; batch < 5; batch += 1) {
      const response = await client.call('POST', '/v1/requests/batch', { body: { items } });
      expect(response.status).toBe(200);
    }
    faults.generation = null;
    await remove(client);
    const deletion = await completed(client);
    expect(deletion.requests_deleted).toBe(250);
    await expectGone(client, []);
  });

  it('asked for again answers the same, and begins nothing', async () => {
    const client = await newClient();
    faults.events = 'swallow';
    const first = await admin('DELETE', pathOf(client));
    const again = await admin('DELETE', pathOf(client));
    expect([first.status, again.status]).toEqual([202, 202]);
    expect(await again.json()).toEqual(await first.json());
    faults.events = null;
    advance(15_001);
    await client.alarm();
    const deletion = await completed(client);
    const after = await admin('DELETE', pathOf(client));
    expect([after.status, await after.json()]).toEqual([200, deletion]);
  });

  it('is the end for whoever waits for a request', async () => {
    const client = await newClient({ max_running: 0 });
    const { id } = await client.submit();
    const waiting = client.call('GET', `/v1/requests/${id}`, {
      headers: { prefer: 'wait=60', 'if-none-match': '"1"' },
    });
    await remove(client);
    expect((await waiting).status).toBe(401);
  });
});

describe('a deletion goes on', () => {
  it('after D1 was down', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    const archived = await handedOver(client);
    faults.d1 = 'fail';
    await remove(client);
    await failedAt(client, 'd1');
    // What the foreman knows of needs no index.
    expect(await objectKeys(id)).toEqual([]);
    expect(await objectKeys(archived.id)).toHaveLength(1);
    advance(15_001);
    await client.alarm();
    await failedAt(client, 'd1');

    faults.d1 = null;
    advance(5 * MINUTE_MS);
    await client.alarm();
    const deletion = await completed(client);
    expect(deletion).toMatchObject({ requests_deleted: 2, objects_deleted: 2, last_error: null });
    await expectGone(client, [id, archived.id]);
  });

  it.each(['list', 'delete'])('after R2 has failed once to %s', async (method) => {
    const client = await newClient();
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    Object.assign(faults, { r2: 'fail', only: [method], times: 1 });
    await remove(client);
    await failedAt(client, 'r2');
    expect(faulted.r2).toBe(1);
    expect(await objectKeys(id)).toHaveLength(1);
    advance(30_001);
    await client.alarm();
    await completed(client);
    await expectGone(client, [id]);
  });

  it('after its message was lost, and the object evicted', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    await settled(client);
    faults.events = 'swallow';
    await remove(client);
    await client.evict();
    expect((await client.call('GET', `/v1/requests/${id}`)).status).toBe(401);
    expect(await objectKeys(id)).toHaveLength(1);
    faults.events = null;
    advance(15_001);
    await client.alarm();
    await completed(client);
    await expectGone(client, [id]);
  });

  it('after its consumer died in the middle', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    Object.assign(faults, { foreman: 'fail', only: ['reportDeletion'], times: 1 });
    await remove(client);
    await until(() => expect(faulted.foreman).toBe(1));
    expect((await deletionOf(client)).status).toBe('running');
    // Nobody else takes the page before its time is over.
    await deliver('events', [{ type: 'account.delete', v: 1, user: client.userId }]);
    expect((await deletionOf(client)).status).toBe('running');
    advance(MINUTE_MS + 1);
    await client.alarm();
    await completed(client);
    await expectGone(client, [id]);
  });

  it('once, however many consumers take its message and whatever answers are lost', async () => {
    const client = await newClient();
    const ids = [];
    for (let made = 0; made < 3; made += 1) ids.push((await client.submit()).id);
    for (const id of ids) await client.reached(id, 'succeeded');
    Object.assign(faults, { foreman: 'lose_answer', only: ['claimDeletion', 'reportDeletion'] });
    faults.times = 2;
    await remove(client);
    const message = { type: 'account.delete', v: 1, user: client.userId };
    await deliver('events', [message, message]);
    await deliver('events', [message]);
    const deletion = await completed(client);
    expect(deletion).toMatchObject({ requests_deleted: 3, objects_deleted: 3 });
    await deliver('events', [message]);
    expect(await deletionOf(client)).toEqual(deletion);
    await expectGone(client, ids);
  });

  it('with what was under way when it began: late news and a late upload are gone again', async () => {
    const client = await newClient();
    const { projector } = createServices(env);
    await settled(client);
    faults.events = 'swallow';
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    const late = await projector.foreman(client.userId).pullNews();
    expect(late.requests).toMatchObject([{ id, status: 'succeeded' }]);
    faults.events = null;
    await remove(client);
    // The projector's wake-up was lost, and is sent again.
    advance(15_001);
    await client.alarm();
    const before = await completed(client);
    for (const minutes of [1, 16]) {
      await projector.write(late);
      await env.IMAGES.put(`uploads/${client.userId}/${'a'.repeat(64)}`, 'late');
      advance(minutes * MINUTE_MS + 1);
      await client.alarm();
      await until(async () => {
        expect(await count('requests', 'user_id = ?', client.userId)).toBe(0);
        expect(await uploadsOf(client)).toEqual([]);
      });
    }
    // The stages after the one that was seen are still to come.
    await until(() => expectGone(client, [id]));
    const { status, completed_at } = await deletionOf(client);
    expect([status, completed_at]).toEqual(['completed', before.completed_at]);
  });
});

describe('whoever is being deleted', () => {
  it('is changed by nothing, and whoever tries is told why until the end', async () => {
    const client = await newClient();
    const path = pathOf(client);
    const { id: keyId } = await newKey(client.userId);
    const key = `${path}/keys/${keyId}`;
    await settled(client);
    // Nobody comes to go on with it.
    faults.events = 'swallow';
    await remove(client);
    const tries: readonly [method: string, path: string, body?: object][] = [
      ['PATCH', path, { name: 'other' }],
      ['POST', `${path}/suspend`],
      ['POST', `${path}/resume`],
      ['POST', `${path}/keys`, { name: 'other' }],
      ['POST', `${key}/rotate`, {}],
    ];
    for (const [method, to, body] of tries) {
      const response = await admin(method, to, body);
      expect([to, response.status]).toEqual([to, 409]);
      const detail = 'This user is being deleted.';
      expect(await response.json()).toMatchObject({ code: 'conflict', detail });
    }
    const unknown = `${path}/keys/key_${'0'.repeat(27)}`;
    expect((await admin('POST', `${unknown}/rotate`, {})).status).toBe(404);
    expect((await admin('DELETE', unknown)).status).toBe(404);
    for (const _ of [1, 2]) {
      expect((await admin('DELETE', key)).status).toBe(204);
      await remove(client);
    }
    expect(await (await admin('GET', path)).json()).toMatchObject({
      ...{ status: 'deleting', name: 'tenant' },
    });

    faults.events = null;
    advance(15_001);
    await client.alarm();
    await completed(client);
    for (const [method, to, body] of tries) {
      expect((await admin(method, to, body)).status).toBe(404);
    }
    expect((await admin('DELETE', key)).status).toBe(404);
    expect((await admin('DELETE', path)).status).toBe(200);
  });
});

describe('whoever is deleted', () => {
  it('is nobody any more', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    const { images } = await client.reached(id, 'succeeded');
    const [picture] = images;
    await client.call('GET', picture?.url ?? '');
    await remove(client);
    await completed(client);
    // Reads may trust a verdict for 30 s, and a signed link is cached for 60 s.
    advance(MINUTE_MS);
    const path = pathOf(client);
    const answers = [
      await admin('GET', path),
      await admin('PATCH', path, { name: 'again' }),
      await admin('POST', `${path}/keys`, { name: 'again' }),
      await admin('GET', `${path}/keys`),
      await http('GET', picture?.signed_url ?? ''),
      await client.call('POST', '/v1/requests', { body: sketch }),
      await client.call('GET', `/v1/requests/${id}`),
      await client.call('GET', picture?.url ?? ''),
      await client.call('GET', '/v1/me'),
    ];
    expect(answers.map(({ status }) => status)).toEqual([
      404, 404, 404, 404, 404, 401, 401, 401, 401,
    ]);
    const other = await newClient();
    expect((await other.call('GET', `/v1/requests/${id}`)).status).toBe(404);
    await runCrons();
    await expectGone(client, [id]);
  });

  it('leaves the name to others', async () => {
    const body = { name: 'tenant', external_id: `customer-${crypto.randomUUID()}` };
    const made = await (await admin('POST', '/v1/admin/users', body)).json<{ id: UserId }>();
    const gone = { userId: made.id };
    expect((await admin('POST', '/v1/admin/users', body)).status).toBe(409);
    expect((await admin('DELETE', pathOf(gone))).status).toBe(202);
    await until(async () => expect((await deletionOf(gone)).status).toBe('completed'));
    const again = await admin('POST', '/v1/admin/users', body);
    expect(again.status).toBe(201);
    expect((await again.json<{ id: UserId }>()).id).not.toBe(made.id);
  });

  it('was somebody: an unknown user has no deletion', async () => {
    const client = await newClient();
    expect((await admin('GET', `${pathOf(client)}/deletion`)).status).toBe(404);
    for (const id of [`usr_${'0'.repeat(27)}`, 'nobody']) {
      expect((await admin('DELETE', `/v1/admin/users/${id}`)).status).toBe(404);
      expect((await admin('GET', `/v1/admin/users/${id}/deletion`)).status).toBe(404);
    }
    expect(messagesTo('events').filter((m) => JSON.stringify(m).includes('account.'))).toEqual([]);
  });
});
