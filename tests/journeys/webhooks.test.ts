import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import type { RequestView } from '../../src/requests/view';
import { RETRY_DELAYS_MS } from '../../src/webhooks/schedule';
import { faults } from '../support/worker';
import {
  advance,
  type Client,
  held,
  indexed,
  messagesTo,
  newClient,
  type Receiver,
  receiver,
  until,
  useWorld,
} from './support';

useWorld();

/** What a scheduled wait may be spread by. */
const JITTER = 0.1;

async function ended(client: Client, hook: Receiver, fields: object = {}): Promise<RequestView> {
  const { id } = await client.submit({ webhook_url: hook.url, ...fields });
  return client.reached(id);
}

const settled = (client: Client, id: string, attempts: number) =>
  until(async () => {
    const [delivery] = await client.deliveries(id);
    expect(delivery?.attempts).toHaveLength(attempts);
    if (!delivery) throw new Error('there is no delivery');
    return delivery;
  });

const bodies = (hook: Receiver) => new Set(hook.posts.map((post) => post.text()));
const ids = (hook: Receiver) => new Set(hook.posts.map((post) => post.headers.get('webhook-id')));

describe('a webhook that is not taken', () => {
  it('is sent ten times on the published schedule, the same each time, then given up', async () => {
    const hook = receiver(500);
    const client = await newClient();
    const { id } = await ended(client, hook);
    const secret = new Webhook(await client.secret());
    for (const [index, delay] of RETRY_DELAYS_MS.entries()) {
      const { next_attempt_at, status } = await settled(client, id, index + 1);
      expect(status).toBe('pending');
      const wait = Date.parse(next_attempt_at ?? '') - Date.now();
      expect(wait).toBeLessThanOrEqual(delay * (1 + JITTER));
      expect(wait).toBeGreaterThan(delay * (1 - JITTER) - 3_000);
      advance(wait + 1);
      await client.alarm();
      await until(() => expect(hook.posts).toHaveLength(index + 2));
      const post = hook.posts.at(-1);
      secret.verify(post?.text() ?? '', Object.fromEntries(post?.headers ?? []));
    }
    const last = await settled(client, id, 10);
    expect(last).toMatchObject({ status: 'failed', next_attempt_at: null });
    expect(hook.posts).toHaveLength(10);
    expect([bodies(hook).size, ids(hook).size]).toEqual([1, 1]);
    expect(new Set(hook.posts.map((post) => post.headers.get('webhook-timestamp'))).size).toBe(10);
  });

  it('is not sent before its time, whoever asks', async () => {
    const hook = receiver(500, 204);
    const client = await newClient();
    const { id } = await ended(client, hook);
    await settled(client, id, 1);
    await client.evict();
    await client.get(id);
    await client.alarm();
    expect(messagesTo('webhooks')).toHaveLength(1);
    expect(hook.posts).toHaveLength(1);
  });

  it.each([
    ['410 ends it at once', 410, 'failed', 1],
    ['a redirect is a failure and is not followed', 302, 'pending', 1],
    ['a 4xx is tried again', 404, 'pending', 1],
    ['any 2xx is success', 299, 'delivered', 1],
  ] as const)('%s', async (_, answer, status, posts) => {
    const hook = receiver(() => {
      const headers = { location: 'https://elsewhere.example.com/' };
      return new Response(null, { status: answer, headers });
    });
    const client = await newClient();
    const { id } = await ended(client, hook);
    expect(await settled(client, id, 1)).toMatchObject({ status, attempts: [{ status: answer }] });
    expect(hook.posts).toHaveLength(posts);
  });

  it('waits as long as the receiver asks', async () => {
    const hook = receiver(
      () => new Response('later', { status: 503, headers: { 'retry-after': '3600' } }),
      204,
    );
    const client = await newClient();
    const { id } = await ended(client, hook);
    const { next_attempt_at, attempts } = await settled(client, id, 1);
    expect(attempts).toMatchObject([{ status: 503, response: 'later' }]);
    expect(Date.parse(next_attempt_at ?? '') - Date.now()).toBeGreaterThan(3_500_000);
    advance(3_600_000 * (1 + JITTER));
    await client.alarm();
    await until(() => expect(hook.posts).toHaveLength(2));
    expect(await settled(client, id, 2)).toMatchObject({ status: 'delivered' });
  });

  it('keeps a receiver’s first kilobyte, and no more', async () => {
    const hook = receiver(() => new Response('x'.repeat(5_000)));
    const client = await newClient();
    const { id } = await ended(client, hook);
    const { attempts } = await settled(client, id, 1);
    expect(attempts).toMatchObject([{ status: 200, response: 'x'.repeat(1_024) }]);
  });

  it('is tried again after a fault of the network', async () => {
    const hook = receiver(() => Promise.reject(new Error('connection refused')), 204);
    const client = await newClient();
    const { id } = await ended(client, hook);
    expect(await settled(client, id, 1)).toMatchObject({ attempts: [{ status: null }] });
    advance(6_000);
    await client.alarm();
    expect(await settled(client, id, 2)).toMatchObject({ status: 'delivered' });
  });
});

describe('a webhook whose process goes away', () => {
  it('during the POST is sent again after its lease, and the late answer changes nothing', async () => {
    const gate = held(() => new Response(null, { status: 500 }));
    const hook = receiver(gate.answer, 204);
    const client = await newClient();
    const { id } = await ended(client, hook);
    await until(() => expect(hook.posts).toHaveLength(1));
    advance(30_001);
    await client.alarm();
    // The lost attempt counts: the next one is the schedule's second.
    advance(6_000);
    await client.alarm();
    const delivered = await settled(client, id, 2);
    expect(delivered).toMatchObject({
      status: 'delivered',
      attempts: [{ status: null }, { status: 204 }],
    });
    gate.open();
    await indexed(id, 'succeeded');
    expect(await client.deliveries(id)).toEqual([delivered]);
    expect([bodies(hook).size, ids(hook).size]).toEqual([1, 1]);
  });

  it('before its next try is tried by the foreman that comes back', async () => {
    const hook = receiver(500, 204);
    const client = await newClient();
    const { id } = await ended(client, hook);
    await settled(client, id, 1);
    await client.evict();
    advance(6_000);
    await client.get(id);
    await client.alarm();
    expect(await settled(client, id, 2)).toMatchObject({ status: 'delivered' });
    expect([bodies(hook).size, ids(hook).size]).toEqual([1, 1]);
  });
});

describe('webhooks of one user', () => {
  it('are signed with the user’s own secret', async () => {
    const [first, second] = await Promise.all([newClient(), newClient()]);
    const hook = receiver();
    await ended(first, hook);
    await until(() => expect(hook.posts).toHaveLength(1));
    const [post] = hook.posts;
    const headers = Object.fromEntries(post?.headers ?? []);
    const verify = async (client: Client) =>
      new Webhook(await client.secret()).verify(post?.text() ?? '', headers);
    await expect(verify(first)).resolves.toMatchObject({ type: 'request.succeeded' });
    await expect(verify(second)).rejects.toThrow('No matching signature');
  });

  it('are sent for the events that were asked for only', async () => {
    const hook = receiver();
    const client = await newClient();
    await ended(client, hook, { webhook_events: ['request.failed'] });
    await ended(client, hook, { webhook_events: ['request.failed'], model: 'chaos-refuse-input' });
    await until(() => expect(hook.posts).toHaveLength(1));
    expect(hook.posts[0]?.json()).toMatchObject({ type: 'request.failed' });
  });

  it('have one id for each event, and one event for each id', async () => {
    const hook = receiver(500, 204);
    const client = await newClient();
    faults.webhooks = 'swallow';
    const requests = await Promise.all([0, 1, 2].map(() => ended(client, hook)));
    faults.webhooks = null;
    advance(15_001);
    await client.alarm();
    await until(() => expect(hook.posts).toHaveLength(3));
    await until(async () => {
      const logs = await Promise.all(requests.map(({ id }) => client.deliveries(id)));
      expect(logs.flat().flatMap(({ attempts }) => attempts)).toHaveLength(3);
    });
    advance(6_000);
    await client.alarm();
    await until(() => expect(hook.posts).toHaveLength(4));
    expect([bodies(hook).size, ids(hook).size]).toEqual([3, 3]);
    const pairs = hook.posts.map((post) => `${post.headers.get('webhook-id')} ${post.text()}`);
    expect(new Set(pairs).size).toBe(3);
  });
});

describe('webhook endpoints', () => {
  async function subscribe(client: Client, hook: Receiver, events: readonly string[]) {
    const response = await client.call('POST', '/v1/webhooks', { body: { url: hook.url, events } });
    expect(response.status).toBe(201);
    return response.json<{ id: string; secret: string }>();
  }
  const told = (hook: Receiver) => hook.posts.map((post) => post.json() as { type: string });

  it('that hang take five calls, and neither the others nor a request’s own URL wait for them', async () => {
    const gate = held(() => new Response(null, { status: 204 }));
    const [hanging, good, own] = [receiver(gate.answer), receiver(), receiver()];
    const client = await newClient();
    await subscribe(client, hanging, ['*']);
    await subscribe(client, good, ['*']);
    const requests = await Promise.all([0, 1, 2, 3].map(() => ended(client, own)));
    await until(() => expect(good.posts).toHaveLength(12));
    await until(() => expect(own.posts).toHaveLength(4));
    expect(hanging.posts).toHaveLength(5);
    gate.open();
    await until(() => expect(hanging.posts).toHaveLength(12));
    expect([bodies(hanging), ids(hanging).size]).toEqual([bodies(good), 12]);
    expect(new Set([...ids(hanging), ...ids(good), ...ids(own)]).size).toBe(28);
    for (const { id } of requests) {
      const types = told(good).filter((event) => JSON.stringify(event).includes(id));
      expect(types.map(({ type }) => type).sort()).toEqual([
        'request.queued',
        'request.running',
        'request.succeeded',
      ]);
    }
  });

  it('are signed for with their own secret, and what a disabled one misses is in the log', async () => {
    const [hook, other] = [receiver(), receiver()];
    const client = await newClient();
    const { secret } = await subscribe(client, hook, ['request.succeeded']);
    const { id } = await subscribe(client, other, ['request.succeeded']);
    await client.call('POST', `/v1/webhooks/${id}/disable`);
    const request = await client.submit();
    await until(() => expect(hook.posts).toHaveLength(1));
    const [post] = hook.posts;
    new Webhook(secret).verify(post?.text() ?? '', Object.fromEntries(post?.headers ?? []));
    await until(async () => {
      const log = await client.deliveries(request.id);
      expect(log.map(({ status }) => status).sort()).toEqual(['delivered', 'skipped']);
    });
    expect(other.posts).toEqual([]);
  });
});
