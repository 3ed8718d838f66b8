import { expect, it, vi } from 'vitest';
import type { RequestView } from '../../src/requests/view';
import { ADMIN, type Client, http, image, newClient, openai, useWorld } from './support';

useWorld();

const PRICE_USD = 0.042;
const body = {
  model: 'gpt-image-1',
  prompt: 'a boat',
  width: 1024,
  height: 1024,
  provider_options: { openai: { quality: 'medium' } },
};
const limits = { burst: 1000, max_running: 25, monthly_budget_usd: 50 * PRICE_USD };

const post = (client: Client, fields: object = {}) =>
  client.call('POST', '/v1/requests', { body: { ...body, ...fields } });
const postMany = (client: Client, count: number, fields: object = {}) =>
  Promise.all(Array.from({ length: count }, () => post(client, fields)));

const change = async (client: Client, changes: object) => {
  const path = `/v1/admin/users/${client.userId}`;
  const response = await http('PATCH', path, { body: { limits: changes }, headers: ADMIN });
  expect(response.status).toBe(200);
};

/** How many requests are in each phase. */
const phasesOf = (client: Client) =>
  client.sql((sql) =>
    Object.fromEntries(
      sql
        .exec<{ phase: string; n: number }>(
          'SELECT phase, count(*) AS n FROM requests GROUP BY phase',
        )
        .toArray()
        .map(({ phase, n }) => [phase, n]),
    ),
  );
const booksOf = (client: Client) =>
  client.sql((sql) => {
    const { state } = sql.exec<{ state: string }>('SELECT state FROM usage').one();
    const { spentMicros, reservedMicros } = JSON.parse(state);
    return { spentMicros, reservedMicros };
  });
const settled = (client: Client, phases: object) =>
  vi.waitFor(async () => expect(await phasesOf(client)).toEqual(phases), {
    timeout: 60_000,
    interval: 50,
  });

it('money for 50 of 200 concurrent requests accepts and runs exactly 50', async () => {
  const client = await newClient(limits);
  const calls = openai(image);
  const answers = await postMany(client, 200);
  const statuses = Map.groupBy(answers, ({ status }) => status);
  expect(statuses.get(202)).toHaveLength(50);
  expect(statuses.get(429)).toHaveLength(150);
  const refusal = await statuses.get(429)?.[0]?.json();
  expect(refusal).toMatchObject({
    code: 'quota_exceeded',
    limit: 'monthly_budget_usd',
    allowed: 2.1,
    used: 2.1,
    frees_at: expect.any(String),
  });
  // It is for policies that the headers name.
  expect(refusal).not.toHaveProperty('violated-policies');
  await settled(client, { finished: 50 });
  expect(calls).toHaveLength(50);
  expect(await booksOf(client)).toEqual({ spentMicros: 2_100_000, reservedMicros: 0 });
}, 90_000);

it('with on_budget wait all are accepted, 50 run, and the rest run once the budget is lifted', async () => {
  const client = await newClient(limits);
  const calls = openai(image);
  const answers = await postMany(client, 200, { on_budget: 'wait' });
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));
  await settled(client, { finished: 50, budget: 150 });
  expect(calls).toHaveLength(50);
  const ids = await client.sql((sql) =>
    sql.exec<{ id: string }>("SELECT id FROM requests WHERE phase = 'budget'").toArray(),
  );
  const month = new Date().toISOString().slice(0, 7);
  const view = await client.get(ids[0]?.id ?? '');
  expect(view).toMatchObject({ status: 'queued', waiting: { reason: 'budget', position: null } });
  const at = view.waiting?.next_attempt_at ?? '';
  expect([at > month, at.endsWith('-01T00:00:00.000Z')]).toEqual([true, true]);

  await change(client, { monthly_budget_usd: null });
  await settled(client, { finished: 200 });
  expect(calls).toHaveLength(200);
  expect(await booksOf(client)).toEqual({ spentMicros: 200 * 42_000, reservedMicros: 0 });
}, 90_000);

it('a cap refuses with 403 what no waiting mends, a retry too, and costs nothing', async () => {
  const client = await newClient({ burst: 5, requests_per_minute: 1 });
  const { id } = await client.submit({ n: 2, fallback_models: ['gpt-image-1'] });
  await client.reached(id);
  await change(client, { allowed_models: ['sketch', 'auto'], max_images_per_request: 1 });
  const retried = await client.call('POST', `/v1/requests/${id}/retry`);
  expect(retried.status).toBe(403);
  expect(await retried.json()).toMatchObject({
    code: 'model_not_allowed',
    limit: 'allowed_models',
    allowed: ['sketch', 'auto'],
    used: 'gpt-image-1',
    frees_at: null,
  });
  await change(client, { allowed_models: null, max_megapixels: 0.5 });
  const many = await client.call('POST', `/v1/requests/${id}/retry`);
  expect(await many.json()).toMatchObject({ limit: 'max_images_per_request', allowed: 1, used: 2 });
  const large = await post(client);
  expect(large.status).toBe(403);
  expect(await large.json()).toMatchObject({
    code: 'limit_exceeded',
    limit: 'max_megapixels',
    allowed: 0.5,
    used: 1,
  });
  expect(large.headers.get('RateLimit')).toMatch(/r=4/);
  await change(client, { max_megapixels: null, max_running: 0, burst: 2 });
  const last = await post(client, { model: 'sketch', provider_options: {} });
  expect(last.status).toBe(202);
  expect(last.headers.get('RateLimit')).toMatch(/r=1/);
  const held = await last.json<RequestView>();
  await change(client, { max_running: 1 });
  expect(await client.reached(held.id)).toMatchObject({ status: 'succeeded' });
});
