import { describe, expect, it } from 'vitest';
import { deletedKeys, faulted, faults } from '../support/worker';
import {
  ADMIN,
  advance,
  held,
  http,
  image,
  indexed,
  newClient,
  objectKeys,
  openai,
  receiver,
  serverError,
  until,
  useWorld,
} from './support';

useWorld();

const unavailable = async (response: Response) => {
  const problem = await response.json<{ code: string; detail: string }>();
  expect([response.status, problem.code]).toEqual([503, 'unavailable']);
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
};

describe('while D1 is down', () => {
  it('users, requests, reads, cancels and images go on, lists answer 503, and D1 catches up', async () => {
    const hook = receiver();
    const gate = held();
    openai(gate.answer);
    faults.d1 = 'fail';
    const client = await newClient();
    const { id } = await client.submit({ webhook_url: hook.url });
    const done = await client.reached(id, 'succeeded');
    expect((await client.call('GET', done.images[0]?.url ?? '')).status).toBe(200);
    await until(() => expect(hook.posts).toHaveLength(1));

    const running = await client.submit({ model: 'gpt-image-1' });
    await client.reached(running.id, 'running');
    expect((await client.call('POST', `/v1/requests/${running.id}/cancel`)).status).toBe(200);
    expect(await client.get(running.id)).toMatchObject({ status: 'canceled' });
    gate.open();
    await unavailable(await client.call('GET', '/v1/requests'));
    expect((await client.call('GET', '/v1/me')).status).toBe(200);
    expect((await http('GET', '/health')).status).toBe(200);
    expect((await http('GET', '/ready')).status).toBe(503);

    faults.d1 = null;
    advance(300_001);
    await client.alarm();
    await indexed(id, 'succeeded');
    await indexed(running.id, 'canceled');
    expect((await client.list()).map((request) => request.status)).toEqual([
      'canceled',
      'succeeded',
    ]);
    await until(async () =>
      expect(await client.deliveries(id)).toMatchObject([{ status: 'delivered' }]),
    );
  });

  it.each([
    ['the list of users', '/v1/admin/users'],
    ['the list of requests', '/v1/requests?include_total=true'],
  ])('%s answers 503', async (_, path) => {
    const client = await newClient();
    faults.d1 = 'fail';
    await unavailable(
      await client.call('GET', path, path.includes('admin') ? { headers: ADMIN } : {}),
    );
  });
});

describe('while R2 is down', () => {
  it('a paid image is put again, and its provider is called exactly once', async () => {
    const calls = openai(image);
    const client = await newClient();
    faults.r2 = 'fail';
    faults.only = ['put'];
    const { id } = await client.submit({ model: 'gpt-image-1' });
    await until(() => expect(faulted.r2).toBeGreaterThan(2));
    expect(await client.get(id)).toMatchObject({ status: 'running' });
    faults.r2 = null;
    const request = await client.reached(id, 'succeeded');
    expect(request.attempts).toHaveLength(1);
    expect(calls).toHaveLength(1);
    expect(await objectKeys(id)).toEqual([`images/${id}/1/0`]);
  });

  it('an image answers 503 by key and by link, and is there again afterwards', async () => {
    const client = await newClient();
    const { id } = await client.submit();
    const [stored] = (await client.reached(id, 'succeeded')).images;
    faults.r2 = 'fail';
    await unavailable(await client.call('GET', stored?.url ?? ''));
    await unavailable(await http('GET', stored?.signed_url ?? ''));
    faults.r2 = null;
    expect((await http('GET', stored?.signed_url ?? '')).status).toBe(200);
  });
});

describe('while a provider is down', () => {
  it('a request ends with the reason, is told of and is read', async () => {
    const calls = openai(serverError);
    const hook = receiver();
    const client = await newClient();
    const { id } = await client.submit({
      model: 'gpt-image-1',
      max_attempts: 3,
      webhook_url: hook.url,
    });
    await until(async () => {
      const { waiting, status } = await client.get(id);
      if (waiting?.reason === 'backoff') {
        advance(4_000);
        await client.alarm();
      }
      expect(status).toBe('failed');
    });
    const request = await client.get(id);
    expect(request.error).toMatchObject({ code: 'provider_failed', details: { retryable: true } });
    expect(request.attempts.map(({ outcome }) => outcome)).toEqual(['failed', 'failed', 'failed']);
    expect(calls).toHaveLength(3);
    await until(() => expect(hook.posts).toHaveLength(1));
    expect(hook.posts[0]?.json()).toMatchObject({ type: 'request.failed' });
  });

  it('a request that waits for its next try is done when the provider is back', async () => {
    openai(serverError, image);
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1' });
    await until(async () =>
      expect((await client.get(id)).waiting).toMatchObject({ reason: 'backoff' }),
    );
    advance(1_000);
    await client.alarm();
    const request = await client.reached(id, 'succeeded');
    expect(request.attempts.map(({ outcome }) => outcome)).toEqual(['failed', 'succeeded']);
  });

  it('a call that hangs past the deadline is left alone, and what it brings is not kept', async () => {
    const gate = held();
    openai(gate.answer);
    const client = await newClient();
    const { id } = await client.submit({ model: 'gpt-image-1', deadline_seconds: 60 });
    await client.reached(id, 'running');
    advance(60_001);
    await client.alarm();
    const expired = await client.get(id);
    expect(expired).toMatchObject({
      status: 'expired',
      cost_usd: 0.25,
      attempts: [{ outcome: 'unknown', possibly_billed: true }],
    });
    gate.open();
    await until(() => expect(deletedKeys).toContain(`images/${id}/1/0`));
    expect(await objectKeys(id)).toEqual([]);
    expect(await client.get(id)).toEqual(expired);
  });
});

describe('while the foreman cannot be reached', () => {
  it('a result is kept and settled later, without another call', async () => {
    const calls = openai(image);
    const client = await newClient();
    faults.only = ['settle'];
    faults.foreman = 'fail';
    const { id } = await client.submit({ model: 'gpt-image-1' });
    await until(() => expect(faulted.foreman).toBeGreaterThan(1));
    faults.foreman = null;
    const request = await client.reached(id, 'succeeded');
    expect(request.attempts).toHaveLength(1);
    expect(calls).toHaveLength(1);
  });

  it.each([
    ['POST', '/v1/requests', { body: { model: 'sketch', prompt: 'a boat' } }],
    ['GET', '/v1/requests/req_000000000000000000000000000', {}],
    ['GET', '/v1/me', {}],
  ])('%s %s answers 503', async (method, path, call) => {
    const client = await newClient();
    faults.foreman = 'fail';
    await unavailable(await client.call(method, path, call));
  });
});
