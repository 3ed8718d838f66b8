import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import type { RequestView } from '../../src/requests/view';
import {
  advance,
  type Client,
  count,
  http,
  image,
  indexed,
  newClient,
  openai,
  receiver,
  serverError,
  until,
  useWorld,
} from './support';

useWorld();

interface Event {
  readonly type: string;
  readonly sequence: number;
  readonly data: RequestView;
}

describe('prompt in, image out, webhook told', () => {
  it('accepts at once, draws, stores, indexes and tells', async () => {
    const hook = receiver();
    const client = await newClient();
    const accepted = await client.call('POST', '/v1/requests', {
      body: {
        model: 'sketch',
        prompt: 'a red sunset over mountains',
        width: 96,
        height: 64,
        seed: 7,
        metadata: { order: '7' },
        webhook_url: hook.url,
      },
      headers: { 'x-correlation-id': 'journey-1' },
    });
    const { id, status, version } = await accepted.json<RequestView>();
    expect([accepted.status, status, version]).toEqual([202, 'queued', 1]);
    expect(accepted.headers.get('location')).toBe(`/v1/requests/${id}`);
    expect(accepted.headers.get('etag')).toBe('"1"');
    expect(accepted.headers.get('x-correlation-id')).toBe('journey-1');

    const request = await client.reached(id, 'succeeded');
    expect(request).toMatchObject({ error: null, waiting: null, metadata: { order: '7' } });
    expect(request.attempts).toMatchObject([{ provider: 'sketch', outcome: 'succeeded' }]);
    expect(request.images).toMatchObject([{ width: 96, height: 64, seed: 7 }]);
    await expectServed(client, request);
    await expectTold(client, request, hook.posts[0] ?? (await firstPost(hook)));

    const row = await indexed(id, 'succeeded');
    expect(row?.version).toBe(request.version);
    expect(await client.list()).toEqual([request]);
    expect(await count('images', 'request_id = ?', id)).toBe(1);
    await until(async () =>
      expect(await client.deliveries(id)).toMatchObject([
        { status: 'delivered', attempts: [{ status: 204 }], next_attempt_at: null },
      ]),
    );
    expect(hook.posts).toHaveLength(1);
  });

  it('calls an HTTP API with the prompt, and keeps its request id and its price', async () => {
    const calls = openai(image);
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1', prompt: 'a lighthouse' });
    const request = await client.reached(id);
    expect(request).toMatchObject({ status: 'succeeded', cost_usd: 0.042 });
    expect(request.attempts).toMatchObject([{ provider: 'openai', provider_request_id: 'p-1' }]);
    expect(calls.map((call) => call.json())).toMatchObject([{ prompt: 'a lighthouse', n: 1 }]);
  });

  it.each([
    { model: 'chaos-flaky-1', status: 'succeeded', outcomes: ['failed', 'succeeded'] },
    { model: 'chaos-refuse-input', status: 'failed', outcomes: ['refused'] },
    { model: 'chaos-corrupt-image', status: 'failed', outcomes: ['failed', 'failed'] },
    { model: 'chaos-accept-then-drop', status: 'failed', outcomes: ['unknown', 'unknown'] },
    { model: 'auto', status: 'succeeded', outcomes: ['failed', 'succeeded'] },
  ])('$model ends $status after $outcomes', async ({ model, status, outcomes }) => {
    openai(serverError);
    const hook = receiver();
    const client = await newClient();
    const { id } = await client.submit({ model, max_attempts: 2, webhook_url: hook.url });
    const request = await until(async () => {
      const now = await client.get(id);
      if (now.waiting?.reason === 'backoff') {
        advance(1_000);
        await client.alarm();
      }
      expect(now.completed_at).not.toBeNull();
      return now;
    });
    expect(request.status).toBe(status);
    expect(request.attempts.map(({ outcome }) => outcome)).toEqual(outcomes);
    await expectTold(client, request, await firstPost(hook));
  });

  it('keeps users apart who work at the same time', async () => {
    const clients = await Promise.all([newClient(), newClient(), newClient()]);
    const works = await Promise.all(
      clients.map(async (client, index) => {
        const hook = receiver();
        const submitted = await Promise.all(
          [0, 1, 2, 3].map((seed) =>
            client.submit({ prompt: `user ${index}`, seed, webhook_url: hook.url }),
          ),
        );
        const ids = submitted.map(({ id }) => id);
        const requests = await Promise.all(ids.map((id) => client.reached(id, 'succeeded')));
        await Promise.all(ids.map((id) => indexed(id, 'succeeded')));
        return { client, hook, ids: ids.sort(), requests };
      }),
    );
    for (const { client, hook, ids, requests } of works) {
      expect((await client.list()).map(({ id }) => id).sort()).toEqual(ids);
      await until(() => expect(hook.posts).toHaveLength(ids.length));
      expect(hook.posts.map((post) => (post.json() as Event).data.id).sort()).toEqual(ids);
      for (const other of clients.filter((candidate) => candidate !== client)) {
        for (const { id, images } of requests) {
          expect((await other.call('GET', `/v1/requests/${id}`)).status).toBe(404);
          expect((await other.call('GET', images[0]?.url ?? '')).status).toBe(404);
        }
      }
    }
  });
});

async function firstPost(hook: ReturnType<typeof receiver>) {
  return until(() => {
    const [post] = hook.posts;
    if (!post) throw new Error('no webhook yet');
    return post;
  });
}

async function expectServed(client: Client, request: RequestView): Promise<void> {
  const [stored] = request.images;
  if (!stored) throw new Error('there is no image');
  for (const answer of [
    await client.call('GET', stored.url),
    await http('GET', stored.signed_url),
  ]) {
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/png']);
    const digest = await crypto.subtle.digest('SHA-256', await answer.arrayBuffer());
    expect(Buffer.from(digest).toString('hex')).toBe(stored.sha256);
  }
  expect((await http('GET', stored.url)).status).toBe(401);
}

/** Signed with the user's own secret, and carrying the request as a GET would show it. */
async function expectTold(
  client: Client,
  request: RequestView,
  post: ReturnType<typeof receiver>['posts'][number],
): Promise<void> {
  const headers = Object.fromEntries(post.headers);
  const event = new Webhook(await client.secret()).verify(post.text(), headers) as Event;
  expect(event.type).toBe(`request.${request.status}`);
  expect(event.sequence).toBe(request.version);
  expect(event.data).toEqual(request);
  expect(post.headers.get('x-correlation-id')).toBeTruthy();
}
