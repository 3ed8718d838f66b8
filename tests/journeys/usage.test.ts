import { expect, it } from 'vitest';
import { faults } from '../support/worker';
import {
  ADMIN,
  advance,
  type Client,
  http,
  image,
  indexed,
  newClient,
  openai,
  serverError,
  until,
  useWorld,
} from './support';

useWorld();

interface Group {
  readonly group: string | null;
  readonly requests: number;
  readonly images: number;
  readonly cost_usd: number;
}
interface Page {
  readonly items: readonly Group[];
  readonly next_cursor: string | null;
}

const paged = async (response: Response) => {
  expect(response.status).toBe(200);
  return response.json<Page>();
};
const usage = async (client: Client, query = '') =>
  (await paged(await client.call('GET', `/v1/me/usage${query}`))).items;
const asOperator = async (client: Client, query = '') =>
  (
    await paged(
      await http('GET', `/v1/admin/users/${client.userId}/usage${query}`, { headers: ADMIN }),
    )
  ).items;

const reset = () => {
  throw new TypeError('Network connection lost.');
};
const today = () => new Date(Date.now()).toISOString().slice(0, 10);
/** Prices are whole micro-dollars; sums of fractions are not. */
const micros = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + Math.round(value * 1e6), 0);

/** Quickly drawn where the drawing is ours. */
const small = { model: 'gpt-image-2', width: 256, height: 256 };

/** In turn: made; billed and lost; made by the second provider; made once for two. */
async function mixed(client: Client): Promise<readonly string[]> {
  openai(image, reset, serverError, image);
  const ids: string[] = [];
  const reused = { seed: 7, reuse: 'exact' };
  const once = { max_attempts: 1, retry_unknown: false };
  for (const fields of [{}, once, { fallback_models: ['sketch'] }, reused, reused]) {
    const body = { ...small, prompt: 'a boat', ...fields };
    const response = await client.call('POST', '/v1/requests', { body });
    const { id } = await response.json<{ id: string }>();
    const { status } = await client.reached(id);
    await indexed(id, status);
    ids.push(id);
  }
  return ids;
}

it('usage is what the ledgers of all requests come to, by day, model and provider', async () => {
  const [client, other] = [await newClient(), await newClient()];
  const ids = await mixed(client);
  const requests = await client.list();
  expect(requests.map(({ status }) => status).sort()).toEqual([
    'failed',
    'succeeded',
    'succeeded',
    'succeeded',
    'succeeded',
  ]);
  const spent = micros(requests.map(({ cost_usd }) => cost_usd));
  const lost = requests.find(({ id }) => id === ids[1]);
  expect(lost?.attempts).toMatchObject([{ possibly_billed: true }]);
  expect(micros([lost?.cost_usd ?? 0])).toBeGreaterThan(0);

  const cost_usd = spent / 1e6;
  const images = 3;
  expect(await usage(client)).toEqual([{ group: today(), requests: 5, images, cost_usd }]);
  expect(await usage(client, '?group_by=model')).toEqual([
    { group: 'gpt-image-2', requests: 5, images, cost_usd },
  ]);
  const byProvider = await usage(client, '?group_by=provider');
  expect(byProvider).toMatchObject([
    { group: null, requests: 1, images: 0, cost_usd: 0 },
    { group: 'openai', requests: 4, images: 2 },
    { group: 'sketch', requests: 1, images: 1, cost_usd: 0 },
  ]);
  expect(micros(byProvider.map((group) => group.cost_usd))).toBe(spent);
  expect(await asOperator(client, '?group_by=provider')).toEqual(byProvider);
  expect(await usage(other)).toEqual([]);

  const me = await (await client.call('GET', '/v1/me')).json<{ budget: { spent_usd: number } }>();
  expect(micros([me.budget.spent_usd])).toBe(spent);
});

it('a deletion takes nothing back of what was spent, D1 having known of it or not', async () => {
  openai(image);
  const client = await newClient();
  const known = await client.submit({ model: 'gpt-image-1' });
  await client.reached(known.id, 'succeeded');
  await indexed(known.id, 'succeeded');
  faults.d1 = 'fail';
  const unknown = await client.submit({ model: 'gpt-image-1' });
  await client.reached(unknown.id, 'succeeded');
  for (const { id } of [known, unknown]) {
    expect((await client.call('DELETE', `/v1/requests/${id}`)).status).toBe(204);
  }
  faults.d1 = null;
  advance(300_001);
  await client.alarm();
  for (const { id } of [known, unknown]) await indexed(id, 'deleted');
  expect(await client.list()).toEqual([]);
  const [group] = await usage(client);
  expect(group).toMatchObject({ requests: 2, images: 2 });
  const me = await (await client.call('GET', '/v1/me')).json<{ budget: { spent_usd: number } }>();
  expect(group?.cost_usd).toBe(me.budget.spent_usd);
  expect(group?.cost_usd).toBeGreaterThan(0);
});

it('a report has its range and its pages', async () => {
  const client = await newClient();
  await client.submit();
  advance(86_400_000);
  const { id } = await client.submit();
  await client.reached(id, 'succeeded');
  const range = `from=${today().slice(0, 4)}-01-01&to=${Number(today().slice(0, 4)) + 1}-01-01`;
  await until(async () => expect(await usage(client, `?${range}`)).toHaveLength(2));
  const first = await paged(await client.call('GET', `/v1/me/usage?${range}&limit=1`));
  const next = `?${range}&cursor=${first.next_cursor}`;
  const second = await paged(await client.call('GET', `/v1/me/usage${next}`));
  const days = [...first.items, ...second.items].map(({ group }) => group);
  expect([days.length, new Set(days).size, days.at(-1)]).toEqual([2, 2, today()]);
  expect(second.next_cursor).toBeNull();
  for (const fault of ['from=2026-11-02&to=2026-11-01', 'from=2024-01-01', 'days=3', 'cursor=x']) {
    const path = `/usage?${fault}`;
    expect((await client.call('GET', `/v1/me${path}`)).status).toBe(422);
    const theirs = await http('GET', `/v1/admin/users/${client.userId}${path}`, { headers: ADMIN });
    expect(theirs.status).toBe(422);
  }
});

it('a report waits for D1, and what is left does not', async () => {
  openai(image);
  const client = await newClient({ monthly_budget_usd: 5, images_per_day: 3 });
  const { id } = await client.submit({ model: 'gpt-image-1' });
  const { cost_usd } = await client.reached(id, 'succeeded');
  faults.d1 = 'fail';
  expect((await client.call('GET', '/v1/me/usage')).status).toBe(503);
  const theirs = `/v1/admin/users/${client.userId}/usage`;
  expect((await http('GET', theirs, { headers: ADMIN })).status).toBe(503);
  const me = await (await client.call('GET', '/v1/me')).json<Record<string, unknown>>();
  const [year = 0, month = 0] = today().split('-').map(Number);
  expect(me.budget).toEqual({
    limit_usd: 5,
    spent_usd: cost_usd,
    reserved_usd: 0,
    left_usd: micros([5, -cost_usd]) / 1e6,
    resets_at: new Date(Date.UTC(year, month)).toISOString(),
  });
  const midnight = new Date(Date.parse(today()) + 86_400_000).toISOString();
  expect(me.images).toEqual({ limit: 3, used: 1, left: 2, resets_at: midnight });
  expect(await (await (await newClient()).call('GET', '/v1/me')).json()).toMatchObject({
    budget: { limit_usd: null, left_usd: null },
  });
});
