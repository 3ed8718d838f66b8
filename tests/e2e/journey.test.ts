/** What clients do with Foreman from the first key to the last image, over real HTTP. */
import { createHash } from 'node:crypto';
import { imageSize } from 'image-size';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FakeOpenAi, startFakeOpenAi } from '../support/fake-openai.ts';
import { createApi, type Page, type Problem, type RequestView } from './support/api.ts';
import { readEvents } from './support/events.ts';
import { type Receiver, startReceiver } from './support/receiver.ts';
import { type Server, startServer, type User } from './support/server.ts';
import { inParallel, until } from './support/until.ts';

let fake: FakeOpenAi;
let receiver: Receiver;
let server: Server;
let user: User;
let stranger: User;
/** Its key was used and then revoked at the start. */
let revoked: User;
let revokedAt = 0;

const sketch = { model: 'sketch', prompt: 'a red sunset over mountains', width: 64, height: 64 };
const painted = { model: 'gpt-image-1', prompt: 'a red sunset over mountains' };

beforeAll(async () => {
  fake = await startFakeOpenAi();
  receiver = await startReceiver();
  server = await startServer({
    OPENAI_API_KEY: 'e2e',
    OPENAI_BASE_URL: fake.baseUrl,
    PROVIDER_TIMEOUT_MS: '30000',
  });
  [user, stranger, revoked] = await Promise.all([
    server.createUser(),
    server.createUser(),
    server.createUser(),
  ]);
  for (const { webhookSecret } of [user, stranger]) receiver.trust(webhookSecret);
  // The list is the read that trusts a verdict on a key for a while.
  await revoked.api.get('/v1/requests');
  await server.admin.delete(`/v1/admin/users/${revoked.id}/keys/${revoked.keyId}`);
  revokedAt = Date.now();
});

afterAll(async () => {
  await server?.close();
  await receiver?.close();
  await fake?.close();
});

beforeEach(() => fake.reset());

/** Submitted and its call has arrived at the provider. */
async function running(who: User, fields: Record<string, unknown> = {}): Promise<RequestView> {
  const before = fake.calls.length;
  const request = await who.api.submit({ ...painted, ...fields });
  await until('the provider has the call', () => fake.calls.length > before);
  return request;
}

const codeOf = (answer: { status: number; body: unknown }) => [
  answer.status,
  (answer.body as Problem | null)?.code,
];

describe('submitting and waiting', () => {
  it('answers at once with 202, where to look and when', async () => {
    fake.queue({ mode: 'ok', delayMs: 500 });
    const answer = await user.api.post('/v1/requests', painted, { 'x-correlation-id': 'mine-1' });
    expect(answer.status).toBe(202);
    expect(answer.headers.get('location')).toBe(`/v1/requests/${answer.body.id}`);
    expect(answer.headers.get('etag')).toBe(`"${answer.body.version}"`);
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(answer.headers.get('ratelimit')).toMatch(/r=\d+/);
    expect(answer.headers.get('x-correlation-id')).toBe('mine-1');
    await user.api.ended(answer.body.id);
    expect(fake.calls[0]?.headers['x-correlation-id']).toBe('mine-1');
  });

  it('holds the line with Prefer: wait until the request has ended', async () => {
    fake.queue({ mode: 'ok', delayMs: 300 });
    const answer = await user.api.post('/v1/requests', painted, { prefer: 'wait=20' });
    expect([answer.status, answer.body.status]).toEqual([200, 'succeeded']);
  });

  it('answers 202 when the wait is over first', async () => {
    fake.queue({ mode: 'ok', delayMs: 2_500 });
    const startedAt = Date.now();
    const answer = await user.api.post('/v1/requests', painted, { prefer: 'wait=1' });
    expect([answer.status, answer.body.status]).toEqual([202, 'running']);
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(1_000);
    expect((await user.api.ended(answer.body.id)).status).toBe('succeeded');
  });

  it('long-polls for the next version, and answers 304 when none comes', async () => {
    fake.queue({ mode: 'ok', delayMs: 1_500 });
    const { id } = await running(user);
    const first = await user.api.get(`/v1/requests/${id}`);
    const etag = first.headers.get('etag') ?? '';
    const same = await user.api.fetch(`/v1/requests/${id}`, { headers: { 'if-none-match': etag } });
    expect([same.status, await same.text()]).toEqual([304, '']);
    const news = await user.api.get(`/v1/requests/${id}`, {
      'if-none-match': etag,
      prefer: 'wait=20',
    });
    expect([news.status, news.body.status]).toEqual([200, 'succeeded']);
    expect(news.body.version).toBeGreaterThan(first.body.version);
    expect(news.headers.get('retry-after')).toBeNull();
    const last = await user.api.fetch(`/v1/requests/${id}`, {
      headers: { 'if-none-match': news.headers.get('etag') ?? '', prefer: 'wait=20' },
    });
    expect(last.status).toBe(304);
  });

  it('streams every version once over a dropped connection', async () => {
    const { id } = await user.api.submit({ ...sketch, model: 'chaos-flaky-2' });
    const before = await readEvents(user.api, { id, enough: (events) => events.length >= 2 });
    const seen = before.slice(0, 2);
    const after = await readEvents(user.api, { id, after: seen.at(-1)?.id ?? 0 });
    const events = [...seen, ...after];
    expect(events.map((event) => event.id)).toEqual(events.map((_, index) => index + 1));
    expect(events.map((event) => event.event)).toEqual([
      'request.queued',
      ...['request.running', 'request.queued', 'request.running', 'request.queued'],
      ...['request.running', 'request.succeeded'],
    ]);
    const replayed = await readEvents(user.api, { id });
    expect(replayed.map((event) => event.event)).toEqual(events.map((event) => event.event));
    expect(replayed.at(-1)?.data.data.status).toBe('succeeded');
    const nothing = await readEvents(user.api, { id, after: events.length });
    expect(nothing).toEqual([]);
  });
});

describe('the idempotency key', () => {
  it('is the same quoted and bare, and answers with the same request', async () => {
    const first = await user.api.post('/v1/requests', sketch, { 'idempotency-key': 'order-1' });
    expect(first.status).toBe(202);
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    const reordered = Object.fromEntries(Object.entries(sketch).reverse());
    for (const [key, body] of [
      ['order-1', sketch],
      ['"order-1"', reordered],
    ] as const) {
      const again = await user.api.post('/v1/requests', body, { 'idempotency-key': key });
      expect([again.status, again.body.id]).toEqual([200, first.body.id]);
      expect(again.headers.get('idempotent-replayed')).toBe('true');
    }
  });

  it('refuses another body with 422', async () => {
    const headers = { 'idempotency-key': 'order-2' };
    await user.api.post('/v1/requests', sketch, headers);
    const other = await user.api.post('/v1/requests', { ...sketch, prompt: 'other' }, headers);
    expect(codeOf(other)).toEqual([422, 'idempotency_mismatch']);
  });

  it('belongs to its user', async () => {
    const headers = { 'idempotency-key': 'order-3' };
    const mine = await user.api.post('/v1/requests', sketch, headers);
    const theirs = await stranger.api.post('/v1/requests', { ...sketch, prompt: 'b' }, headers);
    expect(theirs.status).toBe(202);
    expect(theirs.body.id).not.toBe(mine.body.id);
  });

  it('makes one request of ten submissions at once', async () => {
    const headers = { 'idempotency-key': 'order-4' };
    const answers = await inParallel(Array.from({ length: 10 }), 10, () =>
      user.api.post('/v1/requests', sketch, headers),
    );
    expect(new Set(answers.map((answer) => answer.body.id)).size).toBe(1);
    expect(answers.filter((answer) => answer.status === 202).length).toBe(1);
  });

  it('keeps nothing of a refused submission', async () => {
    const headers = { 'idempotency-key': 'order-5' };
    const refused = await user.api.post('/v1/requests', { ...sketch, n: 99 }, headers);
    expect(refused.status).toBe(422);
    expect((await user.api.post('/v1/requests', sketch, headers)).status).toBe(202);
  });
});

describe('the list', () => {
  it('filters, sorts and pages without missing or repeating one', async () => {
    const { api } = await server.createUser();
    const submitted = await inParallel(Array.from({ length: 7 }), 1, (_, index) =>
      api.submit({ ...sketch, metadata: { lot: index % 2 === 0 ? 'even' : 'odd' } }),
    );
    await inParallel(submitted, 4, ({ id }) => api.ended(id));
    const failing = await api.submit({ ...sketch, model: 'chaos-refuse-input' });
    await api.ended(failing.id);
    const list = (query: string) => api.get<Page>(`/v1/requests?include_total=true&${query}`);
    const ids = async (query: string) => (await list(query)).body.items.map(({ id }) => id);
    await until('the index has all', async () => {
      const { items, total } = (await list('limit=100')).body;
      return (
        total === 8 && items.every(({ status }) => status === 'succeeded' || status === 'failed')
      );
    });

    const inOrder = submitted.map(({ id }) => id);
    const newestFirst = [failing.id, ...inOrder.toReversed()];
    expect(await ids('limit=100')).toEqual(newestFirst);
    expect(await ids('limit=100&sort_direction=asc')).toEqual(newestFirst.toReversed());
    expect(await ids('status=failed')).toEqual([failing.id]);
    expect(await ids('model=sketch&limit=100')).toEqual(inOrder.toReversed());
    expect(await ids('metadata.lot=odd')).toEqual([5, 3, 1].map((index) => inOrder[index]));
    expect(await ids(`created_before=${submitted[0]?.created_at}`)).toEqual([]);
    expect((await list('metadata.lot=even&limit=1')).body.total).toBe(4);

    const paged: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const { body }: { body: Page } = await list(`limit=3${query}`);
      paged.push(...body.items.map(({ id }) => id));
      cursor = body.next_cursor;
    }
    expect(paged).toEqual(newestFirst);
  });
});

describe('cancel, retry and delete', () => {
  it('cancels a running request for good: the late result changes nothing and leaves no image', async () => {
    fake.queue({ mode: 'ok', delayMs: 1_500 });
    const { id } = await running(user, { webhook_url: receiver.url('/canceled') });
    const canceled = await user.api.post(`/v1/requests/${id}/cancel`);
    expect([canceled.status, canceled.body.status, canceled.body.error?.code]).toEqual([
      200,
      'canceled',
      'canceled',
    ]);
    expect(canceled.body.attempts.map((attempt) => attempt.possibly_billed)).toEqual([true]);

    await until('the late result has come', () =>
      server
        .output()
        .split('\n')
        .some((line) => line.includes('"attempt.ended"') && line.includes(id)),
    );
    const stale = `/v1/images/img_${id.slice('req_'.length)}_1_0`;
    await until('its image is gone', async () => (await user.api.get(stale)).status === 404);
    expect((await user.api.fetch(`${stale}/content`)).status).toBe(404);
    const later = await user.api.read(id);
    expect(later).toEqual(canceled.body);
    const again = await user.api.post(`/v1/requests/${id}/cancel`);
    expect([again.status, again.body.version]).toEqual([200, canceled.body.version]);
    const event = await until('its webhook', () => receiver.accepted(id)[0]);
    expect(event.event.type).toBe('request.canceled');
  });

  it('retries an ended request as a new one, and refuses to retry a live one', async () => {
    const { id } = await user.api.submit({ ...sketch, metadata: { of: 'retry' } });
    const first = await user.api.ended(id);
    const retried = await user.api.post(`/v1/requests/${id}/retry`);
    expect([retried.status, retried.body.retry_of]).toEqual([202, id]);
    const second = await user.api.ended(retried.body.id);
    expect([second.input, second.metadata]).toEqual([first.input, first.metadata]);
    expect(second.id).not.toBe(id);

    fake.queue({ mode: 'ok', delayMs: 1_000 });
    const live = await running(user);
    expect(codeOf(await user.api.post(`/v1/requests/${live.id}/retry`))).toEqual([409, 'conflict']);
    await user.api.post(`/v1/requests/${live.id}/cancel`);
  });

  it('makes one retry of two with the same idempotency key', async () => {
    const { id } = await user.api.ended((await user.api.submit(sketch)).id);
    const headers = { 'idempotency-key': 'retry-1' };
    const first = await user.api.post(`/v1/requests/${id}/retry`, undefined, headers);
    const second = await user.api.post(`/v1/requests/${id}/retry`, undefined, headers);
    expect([first.status, second.status]).toEqual([202, 200]);
    expect(second.body.id).toBe(first.body.id);
  });

  it('deletes a request with all that hangs on it', async () => {
    const headers = { 'idempotency-key': 'deleted-1' };
    const submitted = await user.api.post('/v1/requests', sketch, headers);
    const { id } = submitted.body;
    const [image] = (await user.api.ended(id)).images;
    if (!image) throw new Error('there is no image');
    expect((await user.api.fetch(image.url)).status).toBe(200);

    expect((await user.api.delete(`/v1/requests/${id}`)).status).toBe(204);
    for (const path of [
      `/v1/requests/${id}`,
      `/v1/requests/${id}/events`,
      `/v1/images/${image.id}`,
    ]) {
      expect([path, ...codeOf(await user.api.get(path))]).toEqual([path, 404, 'not_found']);
    }
    expect((await user.api.fetch(image.url)).status).toBe(404);
    expect((await fetch(image.signed_url)).status).toBe(404);
    const replay = await user.api.post('/v1/requests', sketch, headers);
    expect(codeOf(replay)).toEqual([410, 'gone']);
    await until('the list forgets it', async () => {
      const { body } = await user.api.get<Page>('/v1/requests?limit=100');
      return body.items.every((item) => item.id !== id);
    });
  });

  it('deletes a running request: its late result leaves nothing', async () => {
    fake.queue({ mode: 'ok', delayMs: 1_000 });
    const { id } = await running(user);
    expect((await user.api.delete(`/v1/requests/${id}`)).status).toBe(204);
    await until('the late result has come', () =>
      server
        .output()
        .split('\n')
        .some((line) => line.includes('"attempt.ended"') && line.includes(id)),
    );
    const stale = `/v1/images/img_${id.slice('req_'.length)}_1_0`;
    await until('its image is gone', async () => (await user.api.get(stale)).status === 404);
    expect((await user.api.get(`/v1/requests/${id}`)).status).toBe(404);
  });
});

describe('images', () => {
  it('come to their owner by key and to anybody by signed link, with the bytes that were promised', async () => {
    const request = await user.api.ended((await user.api.submit({ ...sketch, n: 2 })).id);
    expect(request.images.length).toBe(2);
    for (const image of request.images) {
      const byLink = await fetch(image.signed_url);
      const bytes = Buffer.from(await byLink.arrayBuffer());
      expect(byLink.status).toBe(200);
      expect(byLink.headers.get('content-type')).toBe(image.media_type);
      expect(byLink.headers.get('x-content-type-options')).toBe('nosniff');
      expect(bytes.byteLength).toBe(image.bytes);
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(image.sha256);
      const byKey = await user.api.fetch(image.url);
      expect(Buffer.from(await byKey.arrayBuffer()).equals(bytes)).toBe(true);
      expect((await fetch(image.url)).status).toBe(401);
      const forged = image.signed_url.replace(/signature=./, (text) =>
        text.endsWith('A') ? 'signature=B' : 'signature=A',
      );
      expect((await fetch(forged)).status).toBe(404);
    }
  });

  it('come smaller, in another format and to be saved, by link as by key', async () => {
    const [image] = (await user.api.ended((await user.api.submit(sketch)).id)).images;
    if (!image) throw new Error('there is no image');
    const asked = 'width=32&format=jpeg&download=sunset';
    const byLink = await fetch(`${image.signed_url}&${asked}`);
    const bytes = Buffer.from(await byLink.arrayBuffer());
    expect([byLink.status, byLink.headers.get('content-type')]).toEqual([200, 'image/jpeg']);
    expect(byLink.headers.get('content-disposition')).toBe('attachment; filename="sunset.jpg"');
    expect(imageSize(bytes)).toMatchObject({ type: 'jpg', width: 32, height: 32 });
    const byKey = await user.api.fetch(`${image.url}?${asked}`);
    expect(Buffer.from(await byKey.arrayBuffer()).equals(bytes)).toBe(true);
  });

  it('answer conditions and ranges', async () => {
    const [image] = (await user.api.ended((await user.api.submit(sketch)).id)).images;
    if (!image) throw new Error('there is no image');
    const whole = await user.api.fetch(image.url);
    const bytes = Buffer.from(await whole.arrayBuffer());
    const ask = (headers: Record<string, string>) => user.api.fetch(image.url, { headers });

    const known = await ask({ 'if-none-match': whole.headers.get('etag') ?? '' });
    expect([known.status, await known.text()]).toEqual([304, '']);
    const part = await ask({ range: 'bytes=10-19' });
    expect([part.status, part.headers.get('content-range')]).toEqual([
      206,
      `bytes 10-19/${bytes.byteLength}`,
    ]);
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(10, 20))).toBe(true);
    const tail = await ask({ range: 'bytes=-5' });
    expect(Buffer.from(await tail.arrayBuffer()).equals(bytes.subarray(-5))).toBe(true);
    const beyond = await ask({ range: `bytes=${bytes.byteLength}-` });
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([
      416,
      `bytes */${bytes.byteLength}`,
    ]);
  });
});

describe('webhooks', () => {
  it('come signed, with the request as it ended and its correlation id', async () => {
    const headers = { 'x-correlation-id': 'mine-2' };
    const { id } = await user.api.submit({ ...sketch, webhook_url: receiver.url('/a') }, headers);
    const call = await until('its webhook', () => receiver.accepted(id)[0]);
    const request = await user.api.read(id);
    expect(call.correlationId).toBe('mine-2');
    expect(call.event.type).toBe('request.succeeded');
    expect(call.event.sequence).toBe(request.version);
    expect(call.event.data).toEqual(request);
  });

  it('are sent only for the events that were asked for', async () => {
    const fields = { webhook_url: receiver.url('/b'), webhook_events: ['request.failed'] };
    const good = await user.api.submit({ ...sketch, ...fields });
    const bad = await user.api.submit({ ...sketch, ...fields, model: 'chaos-refuse-input' });
    await user.api.ended(good.id);
    await until('the failure is told', () => receiver.accepted(bad.id)[0]);
    expect(receiver.received.filter((call) => call.event.data.id === good.id)).toEqual([]);
  });

  it('come again with the same id and body after a receiver failed', async () => {
    receiver.script('/fails-first', 500);
    const { id } = await user.api.submit({ ...sketch, webhook_url: receiver.url('/fails-first') });
    await until('the second try', () => receiver.accepted(id)[0]);
    const calls = receiver.received.filter((call) => call.event.data.id === id);
    expect(calls.map((call) => call.answered)).toEqual([500, 200]);
    const [first, second] = calls;
    expect([second?.deliveryId, second?.body]).toEqual([first?.deliveryId, first?.body]);
    // 5 s with a jitter of a tenth.
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(4_400);

    const deliveries = await until('the log has both tries', async () => {
      const { body } = await user.api.get<{
        items: { status: string; attempts: { status: number; response: string }[] }[];
      }>(`/v1/requests/${id}/deliveries`);
      return body.items[0]?.status === 'delivered' && body.items;
    });
    expect(deliveries.length).toBe(1);
    expect(deliveries[0]?.attempts.map(({ status, response }) => [status, response])).toEqual([
      [500, 'received'],
      [200, 'received'],
    ]);
  });

  it('go on promptly to one receiver while another one hangs', async () => {
    receiver.script('/hangs', ...Array.from({ length: 25 }, () => 'hang' as const));
    const hanging = await inParallel(Array.from({ length: 25 }), 5, () =>
      stranger.api.submit({ ...sketch, webhook_url: receiver.url('/hangs') }),
    );
    const isHanging = (id: string) =>
      receiver.received.some((call) => call.event.data.id === id && call.answered === null);
    // As many as one receiver is sent at a time.
    const under = () => hanging.filter(({ id }) => isHanging(id)).length;
    await until('as many as may hang do', () => under() === 5, 10_000);
    const startedAt = Date.now();
    await inParallel(Array.from({ length: 5 }), 5, async () => {
      const { id } = await user.api.submit({ ...sketch, webhook_url: receiver.url('/prompt') });
      await until('its webhook', () => receiver.accepted(id)[0], 5_000);
    });
    expect(under()).toBe(5);
    expect(Date.now() - startedAt).toBeLessThan(5_000);
  });

  it('are never signed with anything but the secret of their user', () => {
    expect(receiver.forged).toEqual([]);
  });
});

describe('who may see what', () => {
  it('answers 404 to another user on every route of a request and its images', async () => {
    const request = await user.api.ended((await user.api.submit(sketch)).id);
    const self = `/v1/requests/${request.id}`;
    const image = `/v1/images/${request.images[0]?.id}`;
    const routes: [string, string][] = [
      ['GET', self],
      ['GET', `${self}/events`],
      ['GET', `${self}/deliveries`],
      ['POST', `${self}/cancel`],
      ['POST', `${self}/retry`],
      ['DELETE', self],
      ['GET', image],
      ['GET', `${image}/content`],
      ['HEAD', `${image}/content`],
    ];
    for (const [method, path] of routes) {
      const foreign = await stranger.api.fetch(path, { method });
      const unknown = await stranger.api.fetch(path.replace(/_0.{6}/, '_0zzzzzz'), { method });
      expect([method, path, foreign.status, unknown.status]).toEqual([method, path, 404, 404]);
    }
    expect(await user.api.read(request.id)).toEqual(request);
    const list = await stranger.api.get<Page>('/v1/requests?limit=100');
    expect(list.body.items.some(({ id }) => id === request.id)).toBe(false);
    const asInput = await stranger.api.post('/v1/requests', {
      ...painted,
      image: request.images[0]?.id,
    });
    expect([asInput.status, (asInput.body as unknown as Problem).errors?.[0]?.path]).toEqual([
      422,
      'image',
    ]);
  });

  it('answers 401 to no key, a forged key, a changed key and a revoked one', async () => {
    const { key } = user.api;
    const changed = `${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`;
    const wrong = ['', 'fm_', changed, `fm_${'A'.repeat(key.length - 3)}`, revoked.api.key];
    for (const wrongKey of wrong) {
      const api = createApi({ origin: server.origin, key: wrongKey });
      const answers = [
        await api.post('/v1/requests', sketch),
        await api.get('/v1/requests/req_001m7y7gqjw4rq7jb291j8nvsrk'),
        await api.get('/v1/admin/users'),
      ];
      expect(answers.map(codeOf)).toEqual(answers.map(() => [401, 'unauthorized']));
    }
  });

  it('ends the reading of a revoked key within 30 s', async () => {
    const left = Math.max(0, revokedAt + 31_000 - Date.now());
    for (const path of ['/v1/requests', '/v1/me']) {
      await until(
        `${path} is closed`,
        async () => (await revoked.api.get(path)).status === 401,
        left,
      );
    }
  });
});

describe('models that fail on purpose', () => {
  const cases: [
    model: string,
    end: string,
    outcomes: string[],
    fields?: Record<string, unknown>,
  ][] = [
    ['chaos-accept-then-drop', 'failed provider_failed', ['unknown', 'unknown']],
    ['chaos-5xx-after-accept', 'failed provider_failed', ['failed', 'failed'], { max_attempts: 2 }],
    ['chaos-throttle', 'failed provider_failed', ['throttled', 'throttled'], { max_attempts: 2 }],
    ['chaos-slow', 'succeeded', ['succeeded']],
    ['chaos-refuse-input', 'failed content_refused', ['refused']],
    ['chaos-refuse-output', 'failed content_refused', ['refused']],
    ['chaos-corrupt-image', 'failed invalid_output', ['failed', 'failed'], { max_attempts: 2 }],
    ['chaos-flaky-1', 'succeeded', ['failed', 'succeeded']],
  ];

  it.concurrent.each(cases)('%s ends %s', async (model, end, outcomes, fields = {}) => {
    const { id } = await user.api.submit({ ...sketch, ...fields, model });
    const request = await user.api.ended(id);
    const code = request.error ? ` ${request.error.code}` : '';
    expect([`${request.status}${code}`, request.attempts.map(({ outcome }) => outcome)]).toEqual([
      end,
      outcomes,
    ]);
  });

  it('are listed among the models', async () => {
    const { body } = await user.api.get<{ items: { id: string; available: boolean }[] }>(
      '/v1/models',
    );
    const available = body.items.filter((model) => model.available).map(({ id }) => id);
    expect(available).toEqual(expect.arrayContaining(cases.map(([model]) => model)));
  });
});

describe('order and isolation', () => {
  it('runs what waits by priority, then by age', async () => {
    const single = await server.createUser({ max_running: 1 });
    fake.queue({ mode: 'ok', delayMs: 1_500 });
    await running(single);
    const submitted = [];
    for (const priority of ['low', 'normal', 'high', 'high']) {
      submitted.push(await single.api.submit({ ...painted, priority }));
    }
    const [low, normal, high, second] = submitted.map(({ id }) => id);
    const positions = await Promise.all(submitted.map(({ id }) => single.api.read(id)));
    expect(positions.map(({ waiting }) => waiting?.position)).toEqual([4, 3, 1, 2]);
    const ended = await Promise.all(submitted.map(({ id }) => single.api.ended(id)));
    const started = ended
      .map(({ id, attempts }) => ({ id, at: attempts[0]?.started_at ?? '' }))
      .sort((a, b) => a.at.localeCompare(b.at));
    expect(started.map(({ id }) => id)).toEqual([high, second, normal, low]);
  });

  it('lets one hanging provider call stall nobody, not even its own user', async () => {
    fake.queue({ mode: 'hang' }, { mode: 'hang' }, { mode: 'hang' });
    const hanging = [await running(user), await running(user), await running(stranger)];
    const startedAt = Date.now();
    await inParallel(Array.from({ length: 30 }), 10, async (_, index) => {
      const { api } = index % 2 === 0 ? user : stranger;
      const { id } = await api.submit(index % 3 === 0 ? painted : sketch);
      expect((await api.ended(id, 10_000)).status).toBe('succeeded');
    });
    expect(Date.now() - startedAt).toBeLessThan(10_000);
    expect(fake.open()).toBe(hanging.length);
    const [first, second, third] = hanging.map(({ id }) => id);
    for (const id of [first, second]) await user.api.post(`/v1/requests/${id}/cancel`);
    await stranger.api.post(`/v1/requests/${third}/cancel`);
  });
});
