import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { faults } from '../support/worker';
import {
  count,
  deliver,
  held,
  indexed,
  messagesTo,
  newClient,
  openai,
  receiver,
  until,
  useWorld,
} from './support';

useWorld();

const poisons: readonly (readonly [string, unknown])[] = [
  ['null', null],
  ['a string', 'generation.run'],
  ['an unknown type', { type: 'generation.dance', v: 1 }],
  ['a known type without its fields', { type: 'generation.run', v: 1 }],
  ['another version', { type: 'projection.wake', v: 2, user: 'usr_0' }],
  ['a release that is no number', { type: 'generation.run', v: 1, release: 'one' }],
];

describe('a poison message', () => {
  it.each(poisons)(
    '(%s) between two good ones is stored, and holds nobody up',
    async (_, poison) => {
      const client = await newClient();
      faults.generation = 'swallow';
      const ids = [(await client.submit()).id, (await client.submit()).id];
      const [first, second] = messagesTo('generation');
      const before = await count('dead_letters', 'true');
      const result = await deliver('generation', [first, poison, second]);
      expect(result.explicitAcks).toHaveLength(3);
      expect(result.retryMessages).toEqual([]);
      for (const id of ids) expect(await client.get(id)).toMatchObject({ status: 'succeeded' });
      expect(await count('dead_letters', 'true')).toBe(before + 1);
      const stored = await env.DB.prepare(
        'SELECT queue, body, reason FROM dead_letters ORDER BY created_at DESC, id DESC',
      ).first();
      expect(stored).toMatchObject({ queue: 'foreman-generation', body: JSON.stringify(poison) });
    },
  );

  it('is tried again while D1 is down, and the good ones are done meanwhile', async () => {
    const client = await newClient();
    Object.assign(faults, { generation: 'swallow', d1: 'fail' });
    const { id } = await client.submit();
    const result = await deliver('generation', [{ type: 'nonsense' }, ...messagesTo('generation')]);
    expect(result.retryMessages).toMatchObject([{ msgId: 'message-0' }]);
    expect(result.explicitAcks).toEqual(['message-1']);
    expect(await client.get(id)).toMatchObject({ status: 'succeeded' });
  });
});

describe('a dead letter', () => {
  it('of the current release ends its request, and is stored with it', async () => {
    const hook = receiver();
    const client = await newClient();
    faults.generation = 'swallow';
    const { id } = await client.submit({ webhook_url: hook.url });
    await deliver('dead-letters', messagesTo('generation'));
    expect(await client.get(id)).toMatchObject({
      status: 'failed',
      error: { code: 'dead_lettered', details: { retryable: true } },
      attempts: [],
    });
    await indexed(id, 'failed');
    await until(() => expect(hook.posts).toHaveLength(1));
    expect(await count('dead_letters', 'user_id = ? AND request_id = ?', client.userId, id)).toBe(
      1,
    );
  });

  it.each([
    ['of an older release', (message: object) => ({ ...message, release: 7 })],
    [
      'of another user',
      async (message: object) => {
        const { userId } = await newClient();
        return { ...message, user: userId };
      },
    ],
  ])('%s is stored and ends nothing', async (_, other) => {
    const client = await newClient();
    faults.generation = 'swallow';
    const { id } = await client.submit();
    const [message] = messagesTo('generation') as object[];
    await deliver('dead-letters', [await other(message ?? {})]);
    expect(await client.get(id)).toMatchObject({ status: 'queued', version: 1 });
    expect(await count('dead_letters', 'request_id = ?', id)).toBe(1);
    await deliver('generation', [message]);
    expect(await client.get(id)).toMatchObject({ status: 'succeeded' });
  });

  it('of a release that a consumer has taken meanwhile ends nothing', async () => {
    const gate = held();
    const calls = openai(gate.answer);
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1' });
    await until(() => expect(calls).toHaveLength(1));
    await deliver('dead-letters', messagesTo('generation'));
    expect(await client.get(id)).toMatchObject({ status: 'running' });
    gate.open();
    await client.reached(id, 'succeeded');
  });

  it('of a webhook is stored, and the delivery goes on by its due time', async () => {
    const hook = receiver();
    const client = await newClient();
    faults.webhooks = 'swallow';
    const { id } = await client.submit({ webhook_url: hook.url });
    await client.reached(id, 'succeeded');
    await until(() => expect(messagesTo('webhooks')).toHaveLength(1));
    const before = await count('dead_letters', 'true');
    await deliver('dead-letters', messagesTo('webhooks'));
    expect(await count('dead_letters', 'true')).toBe(before + 1);
    expect(await client.deliveries(id)).toMatchObject([{ status: 'pending' }]);
  });
});
