import { env } from 'cloudflare:workers';
import { expect, it, vi } from 'vitest';
import { newId } from '../../src/platform/ids';
import { faults } from '../support/worker';
import {
  ADMIN,
  advance,
  type Client,
  deliver,
  http,
  newClient,
  newKey,
  until,
  useWorld,
} from './support';

useWorld();

interface Entry {
  readonly id: string;
  readonly action: string;
  readonly actor: { type: string; id: string | null };
  readonly address: string | null;
  readonly correlation_id: string;
  readonly user_id: string | null;
  readonly target: string | null;
  readonly details: Record<string, unknown>;
}
interface Page {
  readonly items: readonly Entry[];
  readonly next_cursor: string | null;
}

/** Each its own: one address is counted, and stopped. */
const someAddress = () => crypto.getRandomValues(new Uint8Array(4)).join('.');

async function trail(query: Record<string, string>): Promise<readonly Entry[]> {
  const path = `/v1/admin/audit?${new URLSearchParams({ limit: '100', ...query })}`;
  const response = await http('GET', path, { headers: ADMIN });
  expect(response.status).toBe(200);
  return (await response.json<Page>()).items;
}

/** A call from somewhere, with the mark by which its event is found. */
async function traced(method: string, path: string, call: Parameters<typeof http>[2] = {}) {
  const [correlationId, address] = [crypto.randomUUID(), someAddress()];
  const where = { 'cf-connecting-ip': address, 'x-correlation-id': correlationId };
  const response = await http(method, path, { ...call, headers: { ...call.headers, ...where } });
  expect(response.status).toBeLessThan(300);
  const answer =
    response.status === 204 ? {} : await response.json<{ id?: string; key?: string }>();
  return { correlationId, address, answer };
}

const asAdmin = (method: string, path: string, body?: unknown) =>
  traced(method, path, { headers: ADMIN, ...(body === undefined ? {} : { body }) });

/** The one event that this call has left. */
const eventOf = (correlationId: string, query: Record<string, string>) =>
  until(async () => {
    const found = (await trail(query)).filter((event) => event.correlation_id === correlationId);
    expect(found).toHaveLength(1);
    return found[0] as Entry;
  });

const actor = { type: 'operator', id: null };

async function storedLetter(): Promise<string> {
  await deliver('dead-letters', [
    { type: 'projection.wake', v: 1, user: newId('usr', Date.now()) },
  ]);
  const { items } = await (
    await http('GET', '/v1/admin/dead-letters?limit=1', { headers: ADMIN })
  ).json<{ items: { id: string }[] }>();
  return items[0]?.id ?? '';
}

it('each change of an account is on record once: what, whose, by whom, from where', async () => {
  const made = await asAdmin('POST', '/v1/admin/users', { name: 'tenant' });
  const userId = made.answer.id ?? '';
  const user = `/v1/admin/users/${userId}`;
  const changed = await asAdmin('PATCH', user, { limits: { burst: 7 } });
  const issued = await asAdmin('POST', `${user}/keys`, { name: 'first' });
  const keyId = issued.answer.id ?? '';
  const rotated = await asAdmin('POST', `${user}/keys/${keyId}/rotate`, {});
  const suspended = await asAdmin('POST', `${user}/suspend`);
  const resumed = await asAdmin('POST', `${user}/resume`);
  const revoked = await asAdmin('DELETE', `${user}/keys/${keyId}`);

  const expected = [
    [made, 'user.created', null, { limits: { burst: 100 } }],
    [changed, 'user.changed', null, { burst: { from: 100, to: 7 } }],
    [issued, 'key.created', keyId, { name: 'first' }],
    [rotated, 'key.rotated', keyId, { replaced_by: rotated.answer.id }],
    [suspended, 'user.suspended', null, {}],
    [resumed, 'user.resumed', null, {}],
    [revoked, 'key.revoked', keyId, {}],
  ] as const;
  for (const [{ correlationId, address }, action, target, details] of expected) {
    const event = await eventOf(correlationId, { user_id: userId });
    expect(event).toMatchObject({ actor, address, action, user_id: userId, target, details });
  }
  const all = await trail({ user_id: userId });
  expect(all.map(({ action }) => action)).toEqual(expected.map(([, action]) => action).reverse());
  for (const { answer } of [issued, rotated]) {
    const secret = answer.key ?? '';
    expect(secret.length).toBeGreaterThan(20);
    expect(JSON.stringify(all)).not.toContain(secret.slice(3, 40));
  }
  expect(JSON.stringify(all)).not.toMatch(/fm_|whsec_|secretHash/);
});

it('a change that changes nothing, and one that is repeated, leave no second event', async () => {
  const { userId } = await newClient({ burst: 7 });
  const user = `/v1/admin/users/${userId}`;
  await asAdmin('PATCH', user, { limits: { burst: 7 } });
  const { id } = await newKey(userId);
  for (const _ of [1, 2]) await asAdmin('DELETE', `${user}/keys/${id}`);
  await until(async () => expect(await trail({ target: id })).toHaveLength(2));
  expect(await trail({ user_id: userId, action: 'user.changed' })).toEqual([]);
});

it('the first use of a key is on record, and no later one', async () => {
  const { userId } = await newClient();
  const { id, key } = await newKey(userId);
  const headers = { authorization: `Bearer ${key}` };
  const { correlationId, address } = await traced('GET', '/v1/me', { headers });
  await traced('GET', '/v1/me', { headers });
  const event = await eventOf(correlationId, { user_id: userId });
  const itself = { type: 'key', id };
  expect(event).toMatchObject({ action: 'key.first_used', actor: itself, target: id, address });
  expect(await trail({ user_id: userId, action: 'key.first_used' })).toHaveLength(1);
});

async function deleteRequest(client: Client, id: string) {
  const headers = { authorization: `Bearer ${client.key}` };
  return traced('DELETE', `/v1/requests/${id}`, { headers });
}

it('what a client deletes is on record with its key, once', async () => {
  const client = await newClient();
  const { id } = await client.submit({ prompt: 'a secret garden' });
  await client.reached(id, 'succeeded');
  const { correlationId, address } = await deleteRequest(client, id);
  expect((await client.call('DELETE', `/v1/requests/${id}`)).status).toBeLessThan(500);
  const event = await eventOf(correlationId, { target: id });
  expect(event).toMatchObject({
    action: 'request.deleted',
    user_id: client.userId,
    address,
    details: {},
  });
  expect(event.actor.type).toBe('key');
  expect(await trail({ actor_id: event.actor.id ?? '', action: 'request.deleted' })).toEqual([
    event,
  ]);
  expect(JSON.stringify(event)).not.toContain('garden');
});

it('an outage of D1 delays the record, and loses and doubles nothing', async () => {
  const client = await newClient();
  const { id } = await client.submit();
  await client.reached(id, 'succeeded');
  faults.d1 = 'fail';
  const limits = { limits: { burst: 7 } };
  const changed = await asAdmin('PATCH', `/v1/admin/users/${client.userId}`, limits);
  const deleted = await deleteRequest(client, id);
  expect((await http('GET', '/v1/admin/audit', { headers: ADMIN })).status).toBe(503);
  expect(await client.sql((sql) => sql.exec('SELECT id FROM audit_events').toArray())).not.toEqual(
    [],
  );
  await client.evict();
  faults.d1 = null;
  advance(300_001);
  await client.alarm();
  const query = { user_id: client.userId };
  expect(await eventOf(changed.correlationId, query)).toMatchObject({ action: 'user.changed' });
  expect(await eventOf(deleted.correlationId, query)).toMatchObject({ action: 'request.deleted' });
  await until(async () =>
    expect(await client.sql((sql) => sql.exec('SELECT id FROM audit_events').toArray())).toEqual(
      [],
    ),
  );
});

it('styles, dead letters and breakers belong to nobody, and what is done to them is on record', async () => {
  const style = { id: `ink-${Date.now()}`, prompt_template: '{prompt}, in secret ink' };
  const { id: styleId, ...fields } = style;
  const created = await asAdmin('POST', '/v1/admin/styles', style);
  const twice = await http('POST', '/v1/admin/styles', { headers: ADMIN, body: style });
  expect(twice.status).toBe(409);
  const changed = await asAdmin('PUT', `/v1/admin/styles/${styleId}`, fields);
  const removed = await asAdmin('DELETE', `/v1/admin/styles/${styleId}`);
  const again = await http('DELETE', `/v1/admin/styles/${styleId}`, { headers: ADMIN });
  expect(again.status).toBe(404);

  const letterId = await storedLetter();
  const letter = `/v1/admin/dead-letters/${letterId}`;
  const replayed = await asAdmin('POST', `${letter}/replay`);
  await asAdmin('POST', `${letter}/replay`);
  const dropped = await asAdmin('DELETE', letter);

  const breakerId = 'openai/gpt-image-1';
  const path = `/v1/admin/breakers/${encodeURIComponent(breakerId)}/reset`;
  const reset = await asAdmin('POST', path);

  const expected = [
    [created, 'style.created', styleId],
    [changed, 'style.changed', styleId],
    [removed, 'style.deleted', styleId],
    [replayed, 'dead_letter.replayed', letterId],
    [dropped, 'dead_letter.deleted', letterId],
    [reset, 'breaker.reset', breakerId],
  ] as const;
  for (const [{ correlationId, address }, action, target] of expected) {
    const event = await eventOf(correlationId, { target });
    expect(event).toMatchObject({ actor, address, action, target });
    expect(await trail({ target, action })).toEqual([event]);
  }
  expect(JSON.stringify(await trail({}))).not.toContain('secret ink');
});

it('while D1 is down a style is not changed, and a breaker is reset', async () => {
  faults.d1 = 'fail';
  const logged = vi.spyOn(console, 'error').mockImplementation(() => {});
  const body = { id: `oil-${Date.now()}`, prompt_template: '{prompt}' };
  expect((await http('POST', '/v1/admin/styles', { headers: ADMIN, body })).status).toBe(503);
  const reset = await asAdmin('POST', '/v1/admin/breakers/openai%2Fgpt-image-1/reset');
  faults.d1 = null;
  expect(await trail({ target: body.id })).toEqual([]);
  const lines = logged.mock.calls.map(([line]) => JSON.parse(String(line)));
  expect(lines.filter(({ event }) => event === 'audit.not_stored')).toMatchObject([
    { action: 'breaker.reset', correlation_id: reset.correlationId },
  ]);
});

it('an admin who has a key is named by it', async () => {
  const { userId } = await newClient();
  const admin = await newKey(userId, ['admin']);
  const headers = { authorization: `Bearer ${admin.key}` };
  const body = { name: 'renamed' };
  const { correlationId } = await traced('PATCH', `/v1/admin/users/${userId}`, { headers, body });
  const event = await eventOf(correlationId, { user_id: userId, action: 'user.changed' });
  expect(event.actor).toEqual({ type: 'key', id: admin.id });
  expect(await trail({ actor_id: admin.id, action: 'user.changed' })).toEqual([event]);
});

it('the trail comes in pages, and takes no query that it does not know', async () => {
  const { userId } = await newClient();
  await until(async () => expect(await trail({ user_id: userId })).toHaveLength(2));
  const read = async (query: string) =>
    http('GET', `/v1/admin/audit?user_id=${userId}${query}`, { headers: ADMIN });
  const first = await (await read('&limit=1')).json<Page>();
  const second = await (await read(`&limit=1&cursor=${first.next_cursor}`)).json<Page>();
  const seen = [...first.items, ...second.items].map(({ action }) => action);
  expect([seen, second.next_cursor]).toEqual([['key.created', 'user.created'], null]);
  for (const fault of ['&actor=x', '&action=user.hugged', '&cursor=x', '&created_after=today']) {
    expect((await read(fault)).status).toBe(422);
  }
  const row = env.DB.prepare('DELETE FROM audit_events WHERE user_id = ?').bind(userId);
  await expect(row.run()).rejects.toThrow('append-only');
});
