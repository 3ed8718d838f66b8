import { describe, expect, it } from 'vitest';
import type { RequestView } from '../../src/requests/view';
import {
  advance,
  type Client,
  held,
  http,
  image,
  newClient,
  openai,
  receiver,
  serverError,
  until,
  useWorld,
} from './support';

useWorld();

const DAY = 86_400_000;
const equal = { model: 'gpt-image-1', prompt: 'a boat', seed: 7, reuse: 'exact' };
const ask = (client: Client, fields: object = {}, headers = {}) =>
  client.call('POST', '/v1/requests', { body: { ...equal, ...fields }, headers });

const moderated = () =>
  Response.json(
    {
      error: {
        message: 'rejected',
        type: 'image_generation_user_error',
        code: 'moderation_blocked',
      },
    },
    { status: 400 },
  );

/** The first of its kind, made to its end. */
async function made(client: Client, fields: object = {}): Promise<RequestView> {
  const { id } = await client.submit({ ...equal, ...fields });
  return client.reached(id, 'succeeded');
}

/** One whose call is out, and as many that wait for it. */
async function joined(client: Client, followers: number) {
  const first = await client.submit({ ...equal, max_attempts: 1 });
  await client.reached(first.id, 'running');
  const others: RequestView[] = [];
  for (let index = 0; index < followers; index += 1) {
    others.push(await client.submit({ ...equal, max_attempts: 1 }));
  }
  return [first, ...others].map(({ id }) => id);
}

describe('an equal request while the first is under way', () => {
  it('waits for it, and has its images at no cost and without a call', async () => {
    const gate = held();
    const calls = openai(gate.answer);
    const client = await newClient();
    const [first = '', second = ''] = await joined(client, 1);
    expect(await client.get(second)).toMatchObject({
      status: 'queued',
      reused_from: null,
      waiting: { reason: 'reuse', position: null, next_attempt_at: null, eta: null },
    });
    gate.open();
    const [one, other] = [await client.reached(first), await client.reached(second)];
    expect(one).toMatchObject({ status: 'succeeded', cost_usd: 0.042, reused_from: null });
    expect(other).toMatchObject({
      status: 'succeeded',
      cost_usd: 0,
      reused_from: first,
      attempts: [],
      started_at: null,
      waiting: null,
    });
    expect(other.images).toEqual(one.images);
    expect(other.warnings).toEqual(one.warnings);
    expect((await http('GET', other.images[0]?.signed_url ?? '')).status).toBe(200);
    expect(calls).toHaveLength(1);
  });

  it('is told of the end like the one that is made', async () => {
    const gate = held();
    openai(gate.answer);
    const client = await newClient();
    await joined(client, 0);
    const waiting = ask(client, {}, { prefer: 'wait=15' });
    await until(async () => expect(await client.list()).toHaveLength(2));
    gate.open();
    const response = await waiting;
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ status: 'succeeded', cost_usd: 0 });
  });

  it('has an event stream of its own', async () => {
    const gate = held();
    openai(gate.answer);
    const client = await newClient();
    const [, second = ''] = await joined(client, 1);
    const stream = await client.call('GET', `/v1/requests/${second}/events`);
    gate.open();
    const text = await stream.text();
    expect(text).toContain('request.succeeded');
    expect(text).toContain(second);
  });

  it('takes no slot, so that another can be made meanwhile', async () => {
    const gate = held();
    openai(gate.answer);
    const client = await newClient({ max_running: 2 });
    await joined(client, 3);
    const { id } = await client.submit();
    expect((await client.reached(id)).status).toBe('succeeded');
    gate.open();
  });

  it('survives an eviction of the object', async () => {
    const gate = held();
    const calls = openai(gate.answer);
    const client = await newClient();
    const [first, second = ''] = await joined(client, 1);
    await client.evict();
    expect((await client.get(second)).waiting).toMatchObject({ reason: 'reuse' });
    gate.open();
    expect(await client.reached(second)).toMatchObject({ status: 'succeeded', reused_from: first });
    expect(calls).toHaveLength(1);
  });
});

describe('an equal request after the first has ended', () => {
  it('is answered at once with what was made', async () => {
    const calls = openai(image);
    const client = await newClient();
    const first = await made(client);
    const response = await ask(client);
    expect(response.status).toBe(200);
    const second = await response.json<RequestView>();
    expect(second).toMatchObject({
      status: 'succeeded',
      reused_from: first.id,
      cost_usd: 0,
      attempts: [],
      version: 2,
    });
    expect(second.id).not.toBe(first.id);
    expect(second.images).toEqual(first.images);
    expect(await client.get(second.id)).toEqual(second);
    expect(calls).toHaveLength(1);
  });

  it('is so after an eviction of the object', async () => {
    const calls = openai(image);
    const client = await newClient();
    const first = await made(client);
    await client.evict();
    expect(await (await ask(client)).json()).toMatchObject({ reused_from: first.id });
    expect(calls).toHaveLength(1);
  });

  it.each<[string, object]>([
    ['a default spelled out', { n: 1 }],
    [
      'other metadata, priority, deadline and webhook',
      {
        metadata: { a: 'b' },
        priority: 'high',
        deadline_seconds: 60,
        webhook_url: 'https://hooks.example.com/none',
        webhook_events: ['request.failed'],
      },
    ],
  ])('is equal with %s', async (_, fields) => {
    const calls = openai(image);
    const client = await newClient();
    const first = await made(client);
    expect(await (await ask(client, fields)).json()).toMatchObject({ reused_from: first.id });
    expect(calls).toHaveLength(1);
  });

  it.each<[string, object]>([
    ['another seed', { seed: 8 }],
    ['another prompt', { prompt: 'a ship' }],
    ['another model', { model: 'gpt-image-1-mini' }],
    ['another size', { width: 1024, height: 1024 }],
    ['another option', { provider_options: { openai: { quality: 'low' } } }],
    ['a fallback', { fallback_models: ['sketch'] }],
    ['no wish to reuse', { reuse: 'off' }],
  ])('is none with %s', async (_, fields) => {
    const calls = openai(image);
    const client = await newClient();
    await made(client);
    expect((await made(client, fields)).reused_from).toBeNull();
    expect(calls).toHaveLength(2);
  });

  it('is none without a seed, and the answer says so', async () => {
    const calls = openai(image);
    const client = await newClient();
    const seedless = { seed: undefined };
    const first = await made(client, seedless);
    const second = await made(client, seedless);
    expect(second).toMatchObject({ reused_from: null });
    for (const { warnings } of [first, second]) {
      expect(warnings).toContain('reuse has no effect without seed');
    }
    expect(calls).toHaveLength(2);
  });

  it('is none of another user', async () => {
    const calls = openai(image);
    await made(await newClient());
    expect((await made(await newClient())).reused_from).toBeNull();
    expect(calls).toHaveLength(2);
  });

  it('is none when the first did not ask for it', async () => {
    const calls = openai(image);
    const client = await newClient();
    await made(client, { reuse: 'off' });
    expect((await made(client)).reused_from).toBeNull();
    expect(calls).toHaveLength(2);
  });

  it('is none once the output is about to expire', async () => {
    const calls = openai(image);
    const client = await newClient();
    await made(client);
    advance(30 * DAY - 1_800_000);
    const second = await made(client);
    expect(second.reused_from).toBeNull();
    expect(calls).toHaveLength(2);
    expect(await (await ask(client)).json()).toMatchObject({ reused_from: second.id });
  });

  it('is none of a retry, which is to be made again', async () => {
    const calls = openai(image);
    const client = await newClient();
    const first = await made(client);
    const response = await client.call('POST', `/v1/requests/${first.id}/retry`);
    const { id } = await response.json<RequestView>();
    expect(await client.reached(id, 'succeeded')).toMatchObject({
      retry_of: first.id,
      reused_from: null,
    });
    expect(calls).toHaveLength(2);
  });
});

describe('a first request that brings nothing', () => {
  it('and fails has its follower make it', async () => {
    const gate = held(serverError);
    const calls = openai(gate.answer, image);
    const client = await newClient();
    const [first = '', second = ''] = await joined(client, 1);
    gate.open();
    expect((await client.reached(first)).status).toBe('failed');
    expect(await client.reached(second)).toMatchObject({
      status: 'succeeded',
      reused_from: null,
      cost_usd: 0.042,
    });
    expect(calls).toHaveLength(2);
  });

  it('and fails has one of its followers make it, and the other follow that one', async () => {
    const gate = held(serverError);
    const calls = openai(gate.answer, image);
    const client = await newClient();
    const [, second = '', third = ''] = await joined(client, 2);
    gate.open();
    expect(await client.reached(second)).toMatchObject({ status: 'succeeded', reused_from: null });
    expect(await client.reached(third)).toMatchObject({ status: 'succeeded', reused_from: second });
    expect(calls).toHaveLength(2);
  });

  it.each([
    ['canceled', 'POST', '/cancel'],
    ['deleted', 'DELETE', ''],
  ])('and is %s has its follower make it', async (_, method, path) => {
    const gate = held();
    const calls = openai(gate.answer, image);
    const client = await newClient();
    const [first = '', second = ''] = await joined(client, 1);
    expect((await client.call(method, `/v1/requests/${first}${path}`)).ok).toBe(true);
    expect(await client.reached(second)).toMatchObject({ status: 'succeeded', reused_from: null });
    expect(calls).toHaveLength(2);
    gate.open();
  });
});

describe('a refused first request', () => {
  it('is refused for its followers, too, with one call for all', async () => {
    const gate = held(moderated);
    const calls = openai(gate.answer, image);
    const client = await newClient();
    const [first = '', ...others] = await joined(client, 2);
    gate.open();
    const { error } = await client.reached(first, 'failed');
    expect(error).toMatchObject({ code: 'content_refused' });
    for (const id of others) {
      const shared = { error, attempts: [], cost_usd: 0, reused_from: first };
      expect(await client.reached(id, 'failed')).toMatchObject(shared);
    }
    expect(calls).toHaveLength(1);
  });
});

describe('a first request that is deleted', () => {
  it('takes its output with it: an equal one is made anew', async () => {
    const calls = openai(image);
    const client = await newClient();
    const first = await made(client);
    expect((await client.call('DELETE', `/v1/requests/${first.id}`)).status).toBe(204);
    const second = await made(client);
    expect(second.reused_from).toBeNull();
    expect(calls).toHaveLength(2);
    expect((await http('GET', second.images[0]?.signed_url ?? '')).status).toBe(200);
  });

  it('is not the one whose follower is deleted: its images stay', async () => {
    openai(image);
    const client = await newClient();
    const first = await made(client);
    const { id } = await (await ask(client)).json<RequestView>();
    expect((await client.call('DELETE', `/v1/requests/${id}`)).status).toBe(204);
    expect((await http('GET', first.images[0]?.signed_url ?? '')).status).toBe(200);
    expect(await (await ask(client)).json()).toMatchObject({ reused_from: first.id });
  });
});

describe('each of several equal requests', () => {
  it('has its own webhook, metadata and idempotency', async () => {
    const gate = held();
    openai(gate.answer);
    const client = await newClient();
    const names = ['one', 'two', 'three'];
    const hooks = names.map(() => receiver());
    const ids: string[] = [];
    for (const [index, name] of names.slice(0, 2).entries()) {
      const fields = { metadata: { name }, webhook_url: hooks[index]?.url };
      ids.push((await client.submit({ ...equal, ...fields })).id);
    }
    gate.open();
    for (const id of ids) await client.reached(id, 'succeeded');
    const fields = { metadata: { name: 'three' }, webhook_url: hooks[2]?.url };
    const key = { 'idempotency-key': 'key' };
    const third = await (await ask(client, fields, key)).json<RequestView>();
    const replay = await ask(client, fields, key);
    expect(replay.headers.get('idempotent-replayed')).toBe('true');
    expect(await replay.json()).toMatchObject({ id: third.id });
    ids.push(third.id);
    for (const [index, id] of ids.entries()) {
      await until(() => expect(hooks[index]?.posts).toHaveLength(1));
      const event = hooks[index]?.posts[0]?.text() ?? '';
      expect(event).toContain(id);
      expect(event).toContain(`"name":"${names[index]}"`);
    }
  });

  it('is not refused what is made already when the day has no images left', async () => {
    openai(image);
    const client = await newClient({ images_per_day: 1 });
    const first = await made(client);
    expect((await ask(client, { seed: 8 })).status).toBe(429);
    expect(await (await ask(client)).json()).toMatchObject({ reused_from: first.id });
  });

  it('is told what its provider ignored', async () => {
    openai(image);
    const client = await newClient();
    const first = await made(client);
    expect(first.warnings).toContain('openai ignores seed');
    expect(await (await ask(client)).json()).toMatchObject({ warnings: first.warnings });
  });

  it('uses no image of the day but the first', async () => {
    openai(image);
    const client = await newClient({ images_per_day: 2 });
    await made(client);
    for (let index = 0; index < 3; index += 1) expect((await ask(client)).status).toBe(200);
    const other = await client.submit({ ...equal, seed: 8 });
    expect((await client.reached(other.id)).status).toBe('succeeded');
    expect((await ask(client, { seed: 9 })).status).toBe(429);
  });

  it('is told of its origin in lists too', async () => {
    openai(image);
    const client = await newClient();
    const first = await made(client);
    const { id } = await (await ask(client)).json<RequestView>();
    await until(async () => {
      const listed = (await client.list()).find((request) => request.id === id);
      expect(listed).toMatchObject({ status: 'succeeded', reused_from: first.id, cost_usd: 0 });
    });
  });
});
