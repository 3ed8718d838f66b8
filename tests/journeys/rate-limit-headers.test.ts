// What answers say of the rate limit: all that come from the foreman say it, and it is true. That
// every route does is tests/guards.test.ts' business.
import { describe, expect, it } from 'vitest';
import { newId } from '../../src/platform/ids';
import { type Client, http, newClient, newKey, useWorld } from './support';

useWorld();

const body = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };
/** One more an hour: what a test takes from the bucket stays out. */
const SLOW = { requests_per_minute: 1 / 60 };

/** How many requests may be sent now, as the answer has it; it also says of how many. */
function left(response: Response, burst: number): number {
  expect(response.headers.get('ratelimit-policy')).toBe(`"requests";q=${burst};w=${burst * 3600}`);
  const said = /^"requests";r=(\d+)(?:;t=\d+)?$/.exec(response.headers.get('ratelimit') ?? '');
  expect(said).not.toBeNull();
  return Number(said?.[1]);
}

const submit = (client: Client, headers: Record<string, string> = {}, fields: object = {}) =>
  client.call('POST', '/v1/requests', { body: { ...body, ...fields }, headers });

describe('RateLimit', () => {
  it('goes down by one for each of many submissions at once, refused ones aside', async () => {
    const client = await newClient({ ...SLOW, burst: 12 });
    const answers = await Promise.all(Array.from({ length: 15 }, () => submit(client)));
    const told = (status: number) =>
      answers
        .filter((answer) => answer.status === status)
        .map((answer) => left(answer, 12))
        .sort((a, b) => b - a);
    expect(told(202)).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    expect(told(429)).toEqual([0, 0, 0]);
    const refused = answers.find(({ status }) => status === 429);
    // The policy that the header names.
    expect(await refused?.json()).toMatchObject({ 'violated-policies': ['requests'] });
  });

  it('is on every kind of answer, and what costs nothing changes nothing', async () => {
    const client = await newClient({ ...SLOW, burst: 5 });
    const first = await submit(client, { 'idempotency-key': 'k' });
    const { id } = await first.json<{ id: string }>();
    expect([first.status, left(first, 5)]).toEqual([202, 4]);
    await client.reached(id, 'succeeded');
    const path = `/v1/requests/${id}`;
    const read = await client.call('GET', path);
    const etag = read.headers.get('etag') ?? '';
    const answers = {
      read,
      replay: await submit(client, { 'idempotency-key': 'k' }),
      unchanged: await client.call('GET', path, { headers: { 'if-none-match': etag } }),
      mismatch: await submit(client, { 'idempotency-key': 'k' }, { prompt: 'another' }),
      unknown: await client.call('GET', `/v1/requests/${newId('req', Date.now())}`),
      canceled: await client.call('POST', `${path}/cancel`),
      removed: await client.call('DELETE', path),
      gone: await submit(client, { 'idempotency-key': 'k' }),
    };
    expect(Object.entries(answers).map(([name, answer]) => [name, answer.status])).toEqual([
      ['read', 200],
      ['replay', 200],
      ['unchanged', 304],
      ['mismatch', 422],
      ['unknown', 404],
      ['canceled', 200],
      ['removed', 204],
      ['gone', 410],
    ]);
    for (const answer of Object.values(answers)) expect(left(answer, 5)).toBe(4);
  });

  it('is that of the end of a long-poll, not of its beginning', async () => {
    const client = await newClient({ ...SLOW, burst: 9, max_running: 0 });
    const { id } = await client.submit();
    const path = `/v1/requests/${id}`;
    const waiting = client.call('GET', path, { headers: { prefer: 'wait=10' } });
    await submit(client);
    expect((await client.call('POST', `${path}/cancel`)).status).toBe(200);
    expect(left(await waiting, 9)).toBe(7);
    const waited = await submit(client, { prefer: 'wait=1' });
    expect([waited.status, left(waited, 9)]).toEqual([202, 6]);
  });

  it('counts each item of a batch', async () => {
    const client = await newClient({ ...SLOW, burst: 9 });
    const items = [body, body, { ...body, width: 1 }, body];
    const response = await client.call('POST', '/v1/requests/batch', { body: { items } });
    expect([response.status, left(response, 9)]).toEqual([200, 6]);
  });

  it('is nobody else’s: who is not let in is told nothing', async () => {
    const client = await newClient();
    const lacking = await newKey(client.userId, ['requests:read']);
    for (const [key, status] of [
      [lacking.key, 403],
      [`${client.key.slice(0, -1)}!`, 401],
    ] as const) {
      const headers = { authorization: `Bearer ${key}` };
      for (const path of ['/v1/requests', '/v1/images']) {
        const response = await http('POST', path, { body, headers });
        expect([path, response.status]).toEqual([path, status]);
        expect(response.headers.get('ratelimit')).toBeNull();
        expect(response.headers.get('ratelimit-policy')).toBeNull();
      }
    }
  });
});
