import { describe, expect, it } from 'vitest';
import { faulted, faults } from '../support/worker';
import {
  advance,
  image,
  indexed,
  indexRow,
  messagesTo,
  newClient,
  openai,
  projected,
  receiver,
  until,
  useWorld,
} from './support';

useWorld();

/** An unconfirmed message is due again after 15 s. */
const CONFIRM_MS = 15_000;

describe.each(['fail', 'hang', 'swallow'] as const)('while a queue answers with "%s"', (fault) => {
  it('a request is accepted, and runs once its wake-up is sent again', async () => {
    const calls = openai(image);
    const client = await newClient();
    faults.generation = fault;
    const { id } = await client.submit({ model: 'gpt-image-1' });
    await until(() => expect(faulted.generation).toBe(1));
    expect(await client.get(id)).toMatchObject({ status: 'queued', version: 1 });

    faults.generation = null;
    advance(CONFIRM_MS + 1);
    await client.alarm();
    const request = await client.reached(id, 'succeeded');
    expect(request.attempts).toHaveLength(1);
    expect(calls).toHaveLength(1);
    expect(messagesTo('generation')).toMatchObject([{ release: 1 }, { release: 1 }]);
  });

  it('a webhook is delivered once its wake-up is sent again', async () => {
    const hook = receiver();
    const client = await newClient();
    faults.webhooks = fault;
    const { id } = await client.submit({ webhook_url: hook.url });
    await client.reached(id, 'succeeded');
    await until(() => expect(faulted.webhooks).toBe(1));
    expect(hook.posts).toHaveLength(0);
    expect(await client.deliveries(id)).toMatchObject([{ status: 'pending', attempts: [] }]);

    faults.webhooks = null;
    advance(CONFIRM_MS + 1);
    await client.alarm();
    await until(async () =>
      expect(await client.deliveries(id)).toMatchObject([
        { status: 'delivered', attempts: [{ status: 204 }] },
      ]),
    );
    expect(hook.posts).toHaveLength(1);
  });

  it('D1 learns of a request once the projector is woken again', async () => {
    const client = await newClient();
    await projected(client);
    faults.events = fault;
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    await until(() => expect(faulted.events).toBeGreaterThan(0));
    expect(await indexRow(id)).toBeNull();

    faults.events = null;
    advance(CONFIRM_MS + 1);
    await client.alarm();
    await indexed(id, 'succeeded');
    expect(await client.list()).toHaveLength(1);
  });
});

describe('a queue that stays away', () => {
  it('is asked again after 15 s, 30 s, 60 s … until it takes the message', async () => {
    const client = await newClient();
    faults.generation = 'fail';
    const { id } = await client.submit();
    for (const [index, seconds] of [15, 30, 60, 120, 240, 300].entries()) {
      advance(seconds * 1_000 - 2_000);
      await client.alarm();
      expect(messagesTo('generation')).toHaveLength(index + 1);
      advance(2_001);
      await client.alarm();
      expect(messagesTo('generation')).toHaveLength(index + 2);
    }
    expect(await client.get(id)).toMatchObject({ status: 'queued', version: 1 });
    faults.generation = null;
    advance(100_000);
    await client.evict();
    advance(200_001);
    await client.alarm();
    await client.reached(id, 'expired', 'succeeded');
  });

  it('does not keep a request from ending at its deadline', async () => {
    const hook = receiver();
    const client = await newClient();
    faults.generation = 'swallow';
    const { id } = await client.submit({ deadline_seconds: 60, webhook_url: hook.url });
    advance(60_001);
    await client.alarm();
    expect(await client.get(id)).toMatchObject({
      status: 'expired',
      error: { code: 'deadline_exceeded' },
      attempts: [],
    });
    await until(() => expect(hook.posts).toHaveLength(1));
  });

  it('holds the slots of its user only: the others wait in order and follow', async () => {
    const client = await newClient({ max_running: 1 });
    faults.generation = 'swallow';
    const first = await client.submit();
    const second = await client.submit();
    const third = await client.submit({ priority: 'high' });
    const positions = await Promise.all([first, second, third].map(({ id }) => client.get(id)));
    expect(positions.map(({ waiting }) => waiting?.position)).toEqual([2, 3, 1]);
    expect(messagesTo('generation')).toMatchObject([{ request: first.id }]);

    faults.generation = null;
    advance(CONFIRM_MS + 1);
    await client.alarm();
    await Promise.all([first, second, third].map(({ id }) => client.reached(id, 'succeeded')));
    const order = messagesTo('generation').map(
      (message) => (message as { request: string }).request,
    );
    expect(order).toEqual([first.id, first.id, third.id, second.id]);
  });
});
