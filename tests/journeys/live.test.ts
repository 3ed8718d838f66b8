import { exports } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import type { RequestView } from '../../src/requests/view';
import { foremanCalls } from '../support/worker';
import {
  advance,
  type Client,
  held,
  image,
  indexed,
  newClient,
  ORIGIN,
  openai,
  serverError,
  until,
  useWorld,
} from './support';

useWorld();

/** At its provider, which answers once `open` is called. */
async function running() {
  const { answer, open } = held(image);
  openai(answer);
  const client = await newClient();
  const { id } = await client.submit({ model: 'gpt-image-1' });
  const { version } = await client.reached(id, 'running');
  return { client, id, path: `/v1/requests/${id}`, version, open };
}

const watchersOf = (client: Client, id: string) =>
  client.sql((_, state) => state.getWebSockets(id).filter(({ readyState }) => readyState === 1));
const watched = (client: Client, id: string, times: number) =>
  until(async () => expect(await watchersOf(client, id)).toHaveLength(times));

const idsIn = (text: string) => Array.from(text.matchAll(/^id: (\d+)$/gm), ([, id]) => Number(id));

describe('following a request', () => {
  it('by HEAD has the headers alone, and leaves nobody watching', async () => {
    const { client, id, path, open } = await running();
    const { status, headers } = await client.call('HEAD', `${path}/events`);
    const type = headers.get('content-type');
    expect([status, type]).toEqual([200, 'text/event-stream; charset=utf-8']);
    expect(await watchersOf(client, id)).toHaveLength(0);
    open();
  });

  it.each(['evict', 'abort'] as const)(
    'brings every version once, though its foreman goes away (%s)',
    async (goAway) => {
      const [fails, succeeds] = [held(serverError), held(image)];
      const calls = openai(fails.answer, succeeds.answer);
      const client = await newClient();
      const { id } = await client.submit({ model: 'gpt-image-1' });
      await until(() => expect(calls).toHaveLength(1));
      const stream = await client.call('GET', `/v1/requests/${id}/events`);
      await watched(client, id, 1);
      await client[goAway]();
      fails.open();
      await until(async () => {
        if ((await client.get(id)).waiting?.reason === 'backoff') {
          advance(1_000);
          await client.alarm();
        }
        expect(calls).toHaveLength(2);
      });
      succeeds.open();
      await client.reached(id, 'succeeded');
      expect(idsIn(await stream.text())).toEqual([1, 2, 3, 4, 5]);
    },
  );

  it('goes on behind Last-Event-ID, and a browser that has seen the end is told to stay away', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    const { version } = await client.reached(id, 'succeeded');
    const goingOn = async (lastEventId: string) => {
      const headers = { 'last-event-id': lastEventId };
      const response = await client.call('GET', `/v1/requests/${id}/events`, { headers });
      return [response.status, idsIn(await response.text())];
    };
    expect(version).toBe(3);
    expect(await goingOn('1')).toEqual([200, [2, 3]]);
    expect(await goingOn('3')).toEqual([204, []]);
    // Not of this stream.
    for (const strange of ['4', '-1', 'x', '']) {
      expect(await goingOn(strange)).toEqual([200, [1, 2, 3]]);
    }
  });
});

describe('a line that is held', () => {
  it('is answered as soon as the version changes, without asking in between', async () => {
    const { client, id, path, version, open } = await running();
    const headers = { prefer: 'wait=30', 'if-none-match': `"${version}"` };
    foremanCalls.length = 0;
    const poll = client.call('GET', path, { headers });
    await watched(client, id, 1);
    open();
    const answer = await poll;
    expect([answer.status, answer.headers.get('preference-applied')]).toEqual([200, 'wait=30']);
    expect(await answer.json()).toMatchObject({ status: 'succeeded', version: version + 1 });
    const asked = foremanCalls.filter((name) => name === 'read' || name === 'fetch');
    expect(asked).toEqual(['read', 'fetch']);
    await watched(client, id, 0);
  });

  it('says that it was held, and for how long at most; others say nothing', async () => {
    const client = await newClient();
    const body = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };
    const post = (prefer: string) =>
      client.call('POST', '/v1/requests', { body, headers: { prefer } });
    const ended = await post('wait=99');
    expect([ended.status, ended.headers.get('preference-applied')]).toEqual([200, 'wait=60']);
    const { id } = await ended.json<RequestView>();
    const notHeld = await post('wait=0');
    expect([notHeld.status, notHeld.headers.get('preference-applied')]).toEqual([202, null]);
    const headers = { prefer: 'wait=5' };
    const cancel = await client.call('POST', `/v1/requests/${id}/cancel`, { headers });
    expect(cancel.headers.get('preference-applied')).toBeNull();
    const known = { ...headers, 'if-none-match': 'W/"3"' };
    const same = await client.call('GET', `/v1/requests/${id}`, { headers: known });
    expect([same.status, same.headers.get('preference-applied')]).toEqual([304, 'wait=5']);
    expect(same.headers.get('etag')).toBe('"3"');
  });

  it.each<[string, number]>([
    ['"1"', 200],
    ['"1", W/"9"', 200],
    ['"of something else"', 200],
  ])('is no longer held for who does not know what there is: %s', async (known, status) => {
    const { client, path, open } = await running();
    const headers = { prefer: 'wait=30', 'if-none-match': known };
    const answer = await client.call('GET', path, { headers });
    expect(answer.status).toBe(status);
    expect((await answer.json<RequestView>()).status).toBe('running');
    open();
  });

  it('for whatever there is waits for the next, and answers 304 with its tag', async () => {
    const { client, id, path, version, open } = await running();
    const headers = { prefer: 'wait=30', 'if-none-match': '*' };
    const poll = client.call('GET', path, { headers });
    await watched(client, id, 1);
    open();
    const answer = await poll;
    expect([answer.status, answer.headers.get('etag')]).toEqual([304, `"${version + 1}"`]);
  });
});

describe('a client that hangs up', () => {
  const prefer = { prefer: 'wait=60' };
  const calls: Record<string, (id: string) => readonly [string, string, object]> = {
    'a long-poll': (id) => ['GET', `/v1/requests/${id}`, { headers: prefer }],
    'an event stream': (id) => ['GET', `/v1/requests/${id}/events`, {}],
  };

  it.each(Object.entries(calls))('of %s is no longer watched for', async (_, callOf) => {
    const { client, id, open } = await running();
    const hangUp = new AbortController();
    const line = callFrom(client, callOf(id), hangUp.signal);
    await watched(client, id, 1);
    hangUp.abort();
    await watched(client, id, 0);
    await line;
    open();
    await client.reached(id, 'succeeded');
  });

  it('of a submission is no longer watched for, and its request goes on', async () => {
    const { answer, open } = held(image);
    openai(answer);
    const client = await newClient();
    const hangUp = new AbortController();
    const body = JSON.stringify({ model: 'gpt-image-1', prompt: 'a boat' });
    const headers = { ...prefer, 'content-type': 'application/json' };
    const line = callFrom(client, ['POST', '/v1/requests', { headers, body }], hangUp.signal);
    const [{ id }] = await until(async () => {
      const rows = await client.sql((sql) =>
        sql.exec<{ id: string }>('SELECT id FROM requests').toArray(),
      );
      expect(rows).toHaveLength(1);
      return rows as [{ id: string }];
    });
    await watched(client, id, 1);
    hangUp.abort();
    await watched(client, id, 0);
    await line;
    open();
    await client.reached(id, 'succeeded');
  });
});

/** Resolves once the line is over, however it ends. */
async function callFrom(
  { key }: Client,
  [method, path, { headers, body }]: readonly [string, string, { headers?: object; body?: string }],
  signal: AbortSignal,
): Promise<void> {
  const init = { method, headers: { authorization: `Bearer ${key}`, ...headers }, signal };
  try {
    const response = await exports.default.fetch(
      new URL(path, ORIGIN),
      body ? { ...init, body } : init,
    );
    await response.text();
  } catch {
    // It was hung up.
  }
}

describe('a client that comes back', () => {
  it('lists what has changed since, in the order of the changes', async () => {
    const client = await newClient();
    const made: string[] = [];
    for (let index = 0; index < 3; index += 1) {
      const { id } = await client.submit();
      await client.reached(id, 'succeeded');
      await indexed(id, 'succeeded');
      made.push(id);
      advance(60_000);
    }
    const [first, second, third] = await Promise.all(made.map((id) => client.get(id)));
    const changed = async (query: string) => {
      const path = `/v1/requests?sort_by=updated_at&sort_direction=asc&${query}`;
      const { items } = await (await client.call('GET', path)).json<{ items: RequestView[] }>();
      return items.map(({ id }) => id);
    };
    expect(await changed(`updated_after=${first?.completed_at}`)).toEqual(made.slice(1));
    expect(await changed(`updated_before=${third?.completed_at}`)).toEqual(made.slice(0, 2));
    const between = `updated_after=${first?.completed_at}&updated_before=${third?.completed_at}`;
    expect(await changed(between)).toEqual([second?.id]);
    const faulty = await client.call('GET', '/v1/requests?updated_after=yesterday');
    expect(faulty.status).toBe(422);
    expect(await faulty.json()).toMatchObject({ errors: [{ path: 'updated_after' }] });
  });
});
