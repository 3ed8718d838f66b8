import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import type { News } from '../../src/foreman/news';
import type { ProjectorDeps } from '../../src/requests/projector';
import { createServices } from '../../src/services';
import { deletedKeys, faults } from '../support/worker';
import {
  advance,
  confirmed,
  count,
  deliver,
  held,
  image,
  indexed,
  indexRow,
  messagesTo,
  newClient,
  objectKeys,
  openai,
  projected,
  receiver,
  until,
  useWorld,
} from './support';

useWorld();

describe('a wake-up that comes more than once', () => {
  it.each([
    [
      'again after the request has ended',
      async (message: unknown) => {
        await deliver('generation', [message]);
        await deliver('generation', [message]);
      },
    ],
    [
      'twice in one batch',
      async (message: unknown) => {
        await deliver('generation', [message, message]);
      },
    ],
    [
      'to two consumers at once',
      async (message: unknown) => {
        await Promise.all([deliver('generation', [message]), deliver('generation', [message])]);
      },
    ],
  ])('%s, has no effect beyond the first', async (_, deliverTwice) => {
    const calls = openai(image);
    const hook = receiver();
    const client = await newClient();
    faults.generation = 'swallow';
    const { id } = await client.submit({ model: 'gpt-image-1', webhook_url: hook.url });
    await deliverTwice(messagesTo('generation')[0]);
    const request = await client.get(id);
    expect(request).toMatchObject({ status: 'succeeded', version: 3 });
    const row = await indexed(id, 'succeeded');

    await deliver('generation', [messagesTo('generation')[0]]);
    expect(await client.get(id)).toEqual(request);
    expect(await indexRow(id)).toEqual(row);
    expect(calls).toHaveLength(1);
    await until(() => expect(hook.posts).toHaveLength(1));
    expect(await objectKeys(id)).toEqual([`images/${id}/1/0`]);
  });

  it('is acknowledged while the first consumer still works', async () => {
    const gate = held();
    const calls = openai(gate.answer);
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1' });
    await until(() => expect(calls).toHaveLength(1));
    const { explicitAcks } = await deliver('generation', messagesTo('generation'));
    expect(explicitAcks).toHaveLength(1);
    gate.open();
    expect((await client.reached(id, 'succeeded')).attempts).toHaveLength(1);
    expect(calls).toHaveLength(1);
  });

  it('of a delivery, makes one POST', async () => {
    const hook = receiver();
    const client = await newClient();
    faults.webhooks = 'swallow';
    const { id } = await client.submit({ webhook_url: hook.url });
    await client.reached(id, 'succeeded');
    const [message] = await until(() => {
      expect(messagesTo('webhooks')).toHaveLength(1);
      return messagesTo('webhooks');
    });
    await Promise.all([deliver('webhooks', [message, message]), deliver('webhooks', [message])]);
    await deliver('webhooks', [message]);
    expect(hook.posts).toHaveLength(1);
    expect(await client.deliveries(id)).toMatchObject([{ attempts: [{ status: 204 }] }]);
  });
});

describe('a result that comes too late', () => {
  it('after a cancel, changes nothing and leaves nothing in R2', async () => {
    const gate = held();
    const calls = openai(gate.answer);
    const hook = receiver();
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1', webhook_url: hook.url });
    await until(() => expect(calls).toHaveLength(1));
    expect((await client.call('POST', `/v1/requests/${id}/cancel`)).status).toBe(200);
    const canceled = await client.get(id);
    expect(canceled).toMatchObject({
      status: 'canceled',
      attempts: [{ outcome: 'unknown', possibly_billed: true, cost_usd: 0.25 }],
    });
    const row = await indexed(id, 'canceled');

    gate.open();
    await until(() => expect(deletedKeys).toContain(`images/${id}/1/0`));
    expect(await objectKeys(id)).toEqual([]);
    expect(await client.get(id)).toEqual(canceled);
    expect(await indexRow(id)).toEqual(row);
    await until(() => expect(hook.posts).toHaveLength(1));
    expect(hook.posts[0]?.json()).toMatchObject({ type: 'request.canceled' });
  });

  it('after its lease was lost and another attempt won, changes nothing', async () => {
    const first = held();
    const calls = openai(first.answer, image);
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1' });
    await until(() => expect(calls).toHaveLength(1));
    advance(15_001);
    await client.alarm();
    expect((await client.get(id)).attempts).toMatchObject([
      { outcome: 'unknown', error: { code: 'lease_lost' }, possibly_billed: true },
    ]);
    advance(2_000);
    await client.alarm();
    const winner = await client.reached(id, 'succeeded');
    expect(winner.attempts.map(({ outcome }) => outcome)).toEqual(['unknown', 'succeeded']);
    const row = await indexed(id, 'succeeded');
    await until(async () => expect(await objectKeys(id)).toEqual([`images/${id}/2/0`]));

    first.open();
    await until(() => expect(deletedKeys).toContain(`images/${id}/1/0`));
    expect(await client.get(id)).toEqual(winner);
    expect(await indexRow(id)).toEqual(row);
    expect(await objectKeys(id)).toEqual([`images/${id}/2/0`]);
  });
});

describe('news for D1', () => {
  it('that come twice, or after newer ones, change nothing', async () => {
    const client = await newClient();
    const wake = { type: 'projection.wake', v: 1, user: client.userId };
    await projected(client);
    Object.assign(faults, { events: 'swallow', generation: 'swallow' });
    const { id } = await client.submit();
    const old = await newsOf(client.userId).pull();
    expect(old.requests).toMatchObject([{ id, version: 1 }]);

    await deliver('generation', messagesTo('generation'));
    const request = await client.reached(id, 'succeeded');
    await Promise.all([deliver('events', [wake, wake]), deliver('events', [wake])]);
    const row = await indexed(id, 'succeeded');
    await confirmed(client, id);

    await newsOf(client.userId).write(old);
    await deliver('events', [wake]);
    expect(await indexRow(id)).toEqual(row);
    expect(await client.list()).toEqual([request]);
    expect(await count('images', 'request_id = ?', id)).toBe(1);
  });

  it('that D1 took without the foreman hearing of it, are written again in vain', async () => {
    const client = await newClient();
    await projected(client);
    faults.events = 'swallow';
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    Object.assign(faults, { foreman: 'fail', only: ['confirmNews'], events: null });
    const wake = { type: 'projection.wake', v: 1, user: client.userId };
    expect((await deliver('events', [wake])).retryMessages).toHaveLength(1);
    const row = await indexed(id, 'succeeded');
    faults.foreman = null;
    advance(15_001);
    await client.alarm();
    await confirmed(client, id);
    expect(await indexRow(id)).toEqual(row);
  });

  const newsOf = (userId: Parameters<ProjectorDeps['foreman']>[0]) => {
    const { projector } = createServices(env);
    return {
      pull: (): Promise<News> => projector.foreman(userId).pullNews(),
      write: projector.write,
    };
  };
});
