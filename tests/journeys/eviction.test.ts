import { describe, expect, it } from 'vitest';
import { faults } from '../support/worker';
import {
  advance,
  held,
  image,
  indexed,
  messagesTo,
  newClient,
  openai,
  receiver,
  until,
  useWorld,
} from './support';

useWorld();

const CONFIRM_MS = 15_000;

describe.each(['evict', 'abort'] as const)('a foreman that goes away (%s)', (goAway) => {
  it('between accept and claim: the request is released again and ends', async () => {
    const hook = receiver();
    const client = await newClient();
    faults.generation = 'swallow';
    const { id } = await client.submit({ webhook_url: hook.url });
    await client[goAway]();
    expect(await client.get(id)).toMatchObject({ status: 'queued', waiting: { position: 1 } });
    faults.generation = null;
    advance(CONFIRM_MS + 1);
    await client.alarm();
    await client.reached(id, 'succeeded');
    await until(() => expect(hook.posts).toHaveLength(1));
    await indexed(id, 'succeeded');
  });

  it('between claim and settle: the answer is settled, without a second call', async () => {
    const gate = held();
    const calls = openai(gate.answer);
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1' });
    await until(() => expect(calls).toHaveLength(1));
    await client[goAway]();
    gate.open();
    const request = await client.reached(id, 'succeeded');
    expect(request.attempts).toMatchObject([{ outcome: 'succeeded' }]);
    expect(calls).toHaveLength(1);
  });

  it('between settle and delivery: the webhook is sent, with the body of the event', async () => {
    const hook = receiver();
    const client = await newClient();
    faults.webhooks = 'swallow';
    const { id } = await client.submit({ webhook_url: hook.url });
    const request = await client.reached(id, 'succeeded');
    await until(() => expect(messagesTo('webhooks')).toHaveLength(1));
    await client[goAway]();
    faults.webhooks = null;
    advance(CONFIRM_MS + 1);
    // The first call constructs the object, which arms its alarm.
    await client.get(id);
    await client.alarm();
    await until(() => expect(hook.posts).toHaveLength(1));
    expect(hook.posts[0]?.json()).toMatchObject({ type: 'request.succeeded', data: request });
  });

  it('before the projector was woken: it is woken at once by the new one', async () => {
    const client = await newClient();
    faults.events = 'swallow';
    const { id } = await client.submit();
    await client.reached(id, 'succeeded');
    await client[goAway]();
    faults.events = null;
    await client.get(id);
    await indexed(id, 'succeeded');
  });

  it('with a lease that ran out while it was away: its caller is not declared dead', async () => {
    const gate = held();
    const calls = openai(gate.answer);
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1' });
    await until(() => expect(calls).toHaveLength(1));
    await client[goAway]();
    advance(60_000);
    await client.get(id);
    await client.alarm();
    expect(await client.get(id)).toMatchObject({ status: 'running' });
    gate.open();
    expect((await client.reached(id, 'succeeded')).attempts).toHaveLength(1);
    expect(calls).toHaveLength(1);
  });

  it('together with its caller: the attempt is lost once, marked, and made again', async () => {
    const calls = openai(() => new Promise<Response>(() => {}), image);
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1' });
    await until(() => expect(calls).toHaveLength(1));
    await client[goAway]();
    await client.get(id);
    advance(CONFIRM_MS + 1);
    await client.alarm();
    advance(2_000);
    await client.alarm();
    const request = await client.reached(id, 'succeeded');
    expect(request.attempts).toMatchObject([
      { outcome: 'unknown', possibly_billed: true },
      { outcome: 'succeeded', possibly_billed: false },
    ]);
    expect(calls).toHaveLength(2);
  });
});

describe('a foreman that comes back', () => {
  it('still counts who holds a slot and who waits', async () => {
    const client = await newClient({ max_running: 1, max_waiting: 1 });
    faults.generation = 'swallow';
    await client.submit();
    await client.submit();
    await client.evict();
    const refused = await client.call('POST', '/v1/requests', {
      body: { model: 'sketch', prompt: 'one too many' },
    });
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({ code: 'too_many_waiting' });
    const me = await (await client.call('GET', '/v1/me')).json();
    expect(me).toMatchObject({ usage: { running: 1, waiting: 1 } });
  });

  it('answers an idempotency key with the request it had accepted before', async () => {
    const client = await newClient();
    const headers = { 'idempotency-key': 'once' };
    const { id } = await client.submit({}, headers);
    await client.evict();
    const body = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };
    const replay = await client.call('POST', '/v1/requests', { body, headers });
    expect(replay.status).toBe(200);
    expect(replay.headers.get('idempotent-replayed')).toBe('true');
    expect(await replay.json()).toMatchObject({ id });
  });

  it('goes on telling those who wait for a request', async () => {
    const gate = held();
    const calls = openai(gate.answer);
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1' });
    await until(() => expect(calls).toHaveLength(1));
    const answer = client.call('GET', `/v1/requests/${id}`, { headers: { prefer: 'wait=10' } });
    await client.get(id);
    await client.evict();
    gate.open();
    expect(await (await answer).json()).toMatchObject({ status: 'succeeded' });
  });
});
