import { describe, expect, it } from 'vitest';
import type { RequestView } from '../../src/requests/view';
import { faulted, faults, foremanCalls } from '../support/worker';
import type { Client } from './support';
import {
  http,
  image,
  newClient,
  newKey,
  ORIGIN,
  openai,
  receiver,
  until,
  useWorld,
} from './support';

useWorld();

interface Answer {
  readonly status: number;
  readonly request?: RequestView;
  readonly error?: {
    readonly status: number;
    readonly code: string;
    readonly errors?: readonly { path: string }[];
    readonly correlation_id: string;
  };
}

const item = (fields: object = {}) => ({
  model: 'sketch',
  prompt: 'a boat',
  width: 64,
  height: 64,
  ...fields,
});
const range = (length: number) => Array.from({ length }, (_, index) => index);
const post = (client: Client, items: unknown, headers = {}) =>
  client.call('POST', '/v1/requests/batch', { body: { items }, headers });

async function batch(client: Client, items: readonly unknown[], headers = {}): Promise<Answer[]> {
  const response = await post(client, items, headers);
  expect(response.status).toBe(200);
  const answer = await response.json<{ items: Answer[] }>();
  expect(answer.items).toHaveLength(items.length);
  return answer.items;
}

const codesOf = (answers: readonly Answer[]) =>
  answers.map(({ status, error }) => (error ? [status, error.code] : [status]));
const rowsOf = (client: Client) =>
  client.sql((sql) => sql.exec<{ n: number }>('SELECT count(*) AS n FROM requests').one().n);

describe('a batch', () => {
  it('of a hundred is accepted in one call of the foreman, and answered in order', async () => {
    const client = await newClient({ max_running: 0 });
    const items = range(100).map((index) => item({ metadata: { index: String(index) } }));
    foremanCalls.length = 0;
    const answers = await batch(client, items);
    const ofClients = ['submit', 'submitAll', 'read', 'replayOf', 'authorize'];
    expect(foremanCalls.filter((name) => ofClients.includes(name))).toEqual(['submitAll']);
    expect(answers.map(({ status }) => status)).toEqual(items.map(() => 202));
    expect(answers.map(({ request }) => request?.metadata.index)).toEqual(range(100).map(String));
    expect(new Set(answers.map(({ request }) => request?.id)).size).toBe(100);
    expect(await rowsOf(client)).toBe(100);
  });

  it('whose answer got lost is accepted once', async () => {
    const client = await newClient({ max_running: 0 });
    Object.assign(faults, { foreman: 'lose_answer', only: ['submitAll'], times: 1 });
    expect(codesOf(await batch(client, [item(), item()]))).toEqual([[202], [202]]);
    expect(faulted.foreman).toBe(1);
    expect(await rowsOf(client)).toBe(2);
  });

  it('is one transaction: a fault of ours in the last leaves nothing of the first', async () => {
    const client = await newClient();
    await client.sql((sql) =>
      sql.exec(
        `CREATE TRIGGER poison BEFORE INSERT ON requests WHEN NEW.state LIKE '%"poison"%'
         BEGIN SELECT RAISE(ABORT, 'poison'); END`,
      ),
    );
    const items = [item(), item({ metadata: { poison: 'yes' } })];
    expect((await post(client, items)).status).toBe(500);
    expect(await rowsOf(client)).toBe(0);
    expect(await (await client.call('GET', '/v1/me')).json()).toMatchObject({
      usage: { running: 0, waiting: 0 },
    });
  });

  it('answers each item as it would have been answered alone', async () => {
    const client = await newClient();
    const bodies = [
      item(),
      item({ n: 0 }),
      item({ model: 'gone' }),
      item({ model: 'dall-e-3', n: 2 }),
      item({ colour: 'red' }),
      item({ webhook_url: 'ftp://a.test/' }),
      item({ model: 'gpt-image-1', width: 1024, height: 1024, max_cost_usd: 0 }),
      item({ metadata: { last: 'yes' } }),
    ];
    const answers = await batch(client, bodies);
    expect(codesOf(answers)).toEqual([
      [202],
      [422, 'invalid_request'],
      [422, 'unknown_model'],
      [422, 'no_target_available'],
      [422, 'invalid_request'],
      [422, 'invalid_request'],
      [422, 'budget_exceeded'],
      [202],
    ]);
    expect(answers[1]?.error?.errors?.map(({ path }) => path)).toEqual(['n']);
    expect(answers[4]?.error?.errors?.map(({ path }) => path)).toEqual(['colour']);
    expect(answers[7]?.request?.metadata).toEqual({ last: 'yes' });
    for (const [index, answer] of answers.entries()) {
      if (!answer.error) continue;
      const alone = await client.call('POST', '/v1/requests', { body: bodies[index] });
      const { correlation_id: _, ...problem } = await alone.json<Record<string, unknown>>();
      expect([alone.status, answer.error]).toEqual([
        answer.status,
        { ...problem, correlation_id: expect.any(String) },
      ]);
    }
    expect(await rowsOf(client)).toBe(2);
  });

  it('has one correlation id, which its refusals name', async () => {
    const client = await newClient();
    const response = await post(client, [item({ n: 0 })], { 'x-correlation-id': 'mine' });
    expect(response.headers.get('x-correlation-id')).toBe('mine');
    expect(await response.json()).toMatchObject({ items: [{ error: { correlation_id: 'mine' } }] });
  });

  it.each([null, 5, 'a boat', [], [[]]])(
    'refuses an item that is %o, and takes the others',
    async (odd) => {
      const client = await newClient();
      const answers = await batch(client, [item(), odd, item()]);
      expect(codesOf(answers)).toEqual([[202], [422, 'invalid_request'], [202]]);
    },
  );

  it('counts each item against the rate, and refuses those beyond it', async () => {
    const client = await newClient({ burst: 3, requests_per_minute: 0.001, max_running: 0 });
    const answers = await batch(client, [item(), item({ n: 0 }), ...range(4).map(() => item())]);
    expect(codesOf(answers)).toEqual([
      [202],
      [422, 'invalid_request'],
      [202],
      [202],
      [429, 'rate_limited'],
      [429, 'rate_limited'],
    ]);
    expect(await rowsOf(client)).toBe(3);
  });

  it.each([
    ['the last that was accepted', 5, 3, '"requests";r=2;'],
    ['the first that was refused', 2, 4, '"requests";r=0;'],
  ])('tells the rate limit as of %s', async (_, burst, count, left) => {
    const client = await newClient({ burst, requests_per_minute: 0.001, max_running: 0 });
    const bodies = [...range(count).map(() => item()), item({ n: 0 })];
    const { headers } = await post(client, bodies);
    expect(headers.get('ratelimit')).toMatch(left);
    expect(headers.get('ratelimit-policy')).toMatch(`"requests";q=${burst}`);
    expect(headers.get('retry-after')).toBeNull();
  });

  it('tells no rate limit when nothing came to be counted', async () => {
    const response = await post(await newClient(), [item({ n: 0 })]);
    expect(response.headers.get('ratelimit')).toBeNull();
  });

  it.each([
    ['images of the day', { images_per_day: 3 }, { n: 2 }, 'quota_exceeded'],
    ['those that may wait', { max_running: 1, max_waiting: 0 }, {}, 'too_many_waiting'],
  ])('holds each item to the %s', async (_, limits, fields, code) => {
    const client = await newClient(limits);
    const answers = await batch(client, [item(fields), item(fields)]);
    expect(codesOf(answers)).toEqual([[202], [429, code]]);
  });

  it('may be of refusals only, and of one item', async () => {
    const client = await newClient();
    expect(codesOf(await batch(client, [item({ n: 0 })]))).toEqual([[422, 'invalid_request']]);
    expect(codesOf(await batch(client, [item()]))).toEqual([[202]]);
  });

  it.each([
    ['no items', { items: [] }, 422],
    ['more than a hundred', { items: range(101).map(() => item()) }, 422],
    ['items that are no list', { items: item() }, 422],
    ['nothing', {}, 422],
    ['a field that it does not have', { items: [item()], model: 'sketch' }, 422],
    ['more than a MiB', { items: [item({ prompt: 'x'.repeat(1_048_576) })] }, 413],
  ])('of %s is refused as a whole', async (_, body, status) => {
    const client = await newClient();
    expect((await client.call('POST', '/v1/requests/batch', { body })).status).toBe(status);
    expect(await rowsOf(client)).toBe(0);
  });

  it('is no place for a dry run', async () => {
    const client = await newClient();
    const answers = await batch(client, [item({ dry_run: true }), item({ dry_run: false })]);
    expect(codesOf(answers)).toEqual([[422, 'invalid_request'], [202]]);
    expect(answers[0]?.error?.errors?.map(({ path }) => path)).toEqual(['dry_run']);
    const body = { items: [item()] };
    const path = '/v1/requests/batch?dry_run=true';
    expect((await client.call('POST', path, { body })).status).toBe(422);
    expect(await rowsOf(client)).toBe(1);
  });

  it('is refused as a whole when the key may not write, whatever else is wrong', async () => {
    const client = await newClient();
    const { key } = await newKey(client.userId, ['requests:read']);
    const response = await http('POST', '/v1/requests/batch', {
      body: { items: [item({ n: 0 }), item(), item()] },
      headers: { authorization: `Bearer ${key}` },
    });
    expect(response.status).toBe(403);
  });

  it('is made to its end, each with its own webhook and links', async () => {
    const calls = openai(image);
    const hooks = [receiver(), receiver()];
    const client = await newClient();
    const items = hooks.map(({ url }) =>
      item({ model: 'gpt-image-1', width: 1024, height: 1024, webhook_url: url }),
    );
    const answers = await batch(client, items);
    for (const { request } of answers) {
      expect(request?.urls.self).toBe(`${ORIGIN}/v1/requests/${request?.id}`);
      expect((await client.reached(request?.id ?? '')).status).toBe('succeeded');
    }
    await until(() => expect(hooks.map(({ posts }) => posts.length)).toEqual([1, 1]));
    expect(calls).toHaveLength(2);
  });
});

describe('an idempotency key', () => {
  const headers = { 'idempotency-key': 'key' };

  it('holds item by item: the same is replayed, a changed one refused', async () => {
    const client = await newClient();
    const items = range(3).map((index) => item({ metadata: { index: String(index) } }));
    const first = await batch(client, items, headers);
    const changed = [...items.slice(0, 2), item({ prompt: 'another' }), item({ prompt: 'new' })];
    const second = await batch(client, changed, headers);
    expect(codesOf(second)).toEqual([[200], [200], [422, 'idempotency_mismatch'], [202]]);
    expect(second.slice(0, 2).map(({ request }) => request?.id)).toEqual(
      first.slice(0, 2).map(({ request }) => request?.id),
    );
    expect(await rowsOf(client)).toBe(4);
  });

  it('has a record of its own for an item that was refused before', async () => {
    const client = await newClient();
    const first = await batch(client, [item({ n: 0 }), item()], headers);
    const second = await batch(client, [item(), item()], headers);
    expect(codesOf(first)).toEqual([[422, 'invalid_request'], [202]]);
    expect(codesOf(second)).toEqual([[202], [200]]);
  });

  it('is looked up apart only for items that never came to the foreman', async () => {
    const client = await newClient({ burst: 1, requests_per_minute: 0.001, max_running: 0 });
    foremanCalls.length = 0;
    const items = [item(), item(), item(), item({ model: 'gone' })];
    const answers = await batch(client, items, headers);
    expect(codesOf(answers)).toEqual([
      [202],
      [429, 'rate_limited'],
      [429, 'rate_limited'],
      [422, 'unknown_model'],
    ]);
    expect(foremanCalls.filter((name) => name === 'replayOf')).toHaveLength(1);
  });

  it('of one submission is looked up once, whoever refuses it', async () => {
    const client = await newClient({ burst: 0 });
    foremanCalls.length = 0;
    const refused = await client.call('POST', '/v1/requests', { body: item(), headers });
    expect(refused.status).toBe(429);
    expect(foremanCalls.filter((name) => ['submit', 'replayOf'].includes(name))).toEqual([
      'submit',
    ]);
  });

  it('costs no rate token for what is replayed', async () => {
    const client = await newClient({ burst: 2, requests_per_minute: 0.001 });
    await batch(client, [item(), item()], headers);
    expect(codesOf(await batch(client, [item(), item()], headers))).toEqual([[200], [200]]);
  });

  it('says of a deleted request that it is gone', async () => {
    const client = await newClient();
    const [first] = await batch(client, [item(), item()], headers);
    await client.call('DELETE', `/v1/requests/${first?.request?.id}`);
    expect(codesOf(await batch(client, [item(), item()], headers))).toEqual([[410, 'gone'], [200]]);
  });

  it('is that of no single submission, however that is spelled', async () => {
    const client = await newClient();
    const keys = ['key#0', 'key 0', 'key0', 'key'];
    for (const key of keys) await client.submit({}, { 'idempotency-key': key });
    expect(codesOf(await batch(client, [item()], headers))).toEqual([[202]]);
  });

  it('that is none is refused as a whole', async () => {
    const response = await post(await newClient(), [item()], { 'idempotency-key': '' });
    expect(response.status).toBe(400);
  });
});

describe('a foreman that cannot be reached', () => {
  it('fails the batch as a whole, and nothing of it is accepted', async () => {
    const client = await newClient();
    Object.assign(faults, { foreman: 'fail', only: ['submitAll'] });
    expect((await post(client, [item(), item()])).status).toBe(503);
    Object.assign(faults, { foreman: null, only: [] });
    expect(await rowsOf(client)).toBe(0);
  });
});
