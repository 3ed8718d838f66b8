/**
 * The server process is killed with -9 in the middle of 200 requests, twice. The provider and the
 * receiver of webhooks live on, as they would in the world.
 */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FakeOpenAi, startFakeOpenAi } from '../support/fake-openai.ts';
import { isTerminal, type Page, type RequestView } from './support/api.ts';
import { type Receiver, startReceiver } from './support/receiver.ts';
import { type Server, startServer, type User } from './support/server.ts';
import { type LoggedDelivery, newSubscriber, type Subscriber } from './support/subscriber.ts';
import { inParallel, until } from './support/until.ts';

const REQUESTS = 200;
const MAX_RUNNING = 20;
/** Each with three endpoints that are to hear of it. */
const SUBSCRIBED = 24;
/** Every tenth is drawn by Foreman itself. */
const isSketch = (index: number) => index % 10 === 9;

let fake: FakeOpenAi;
let receiver: Receiver;
let server: Server;
let user: User;
/** Nobody asks after this one's only request, whose call hangs when the server is killed. */
let lonely: User;
let lonelyId = '';
let subscriber: Subscriber;
let subscribed: string[] = [];

/** Request id by index, of every submission that was answered 202. */
const accepted = new Map<number, string>();
let doneBeforeFirstKill: string[] = [];
let ended: RequestView[] = [];

const correlationOf = (index: number) => `kill-${index}`;
const callsOf = (index: number) =>
  fake.calls.filter((call) => call.headers['x-correlation-id'] === correlationOf(index));
const told = () =>
  new Set(
    receiver.received.filter(({ path }) => path === '/events').map((call) => call.event.data.id),
  );

beforeAll(async () => {
  fake = await startFakeOpenAi();
  fake.queue(
    { mode: 'hang' },
    ...Array.from({ length: 1_000 }, (_, index) => ({
      mode: 'ok' as const,
      delayMs: 50 + ((index * 37) % 250),
    })),
  );
  receiver = await startReceiver();
  server = await startServer({ OPENAI_API_KEY: 'e2e', OPENAI_BASE_URL: fake.baseUrl });
  user = await server.createUser({ max_running: MAX_RUNNING });
  lonely = await server.createUser();
  for (const { webhookSecret } of [user, lonely]) receiver.trust(webhookSecret);
  subscriber = await newSubscriber(server);
  const fields = { model: 'gpt-image-1', prompt: 'x', webhook_url: receiver.url('/lonely') };
  lonelyId = (await lonely.api.submit(fields, { 'x-correlation-id': 'lonely' })).id;
  await until('its call hangs', () => fake.open() === 1);
});

afterAll(async () => {
  await server?.close();
  await receiver?.close();
  await subscriber?.receiver.close();
  await fake?.close();
});

/** As a careful client does it: the same key again until there is an answer. */
function submitCarefully(
  { api }: User,
  fields: Record<string, unknown>,
  headers: Record<string, string>,
): Promise<string> {
  return until(
    'a submission is answered',
    () =>
      api.submit(fields, headers).then(
        (request) => request.id,
        (error: unknown) => {
          // A dead server refuses the connection; an answer that refuses the request is a fault.
          if (error instanceof TypeError) return null;
          throw error;
        },
      ),
    60_000,
  );
}

async function submit(index: number): Promise<void> {
  const fields = {
    model: isSketch(index) ? 'sketch' : 'gpt-image-1',
    prompt: `picture ${index}`,
    ...(isSketch(index) ? { width: 128, height: 128 } : {}),
    webhook_url: receiver.url('/events'),
    metadata: { index: String(index) },
  };
  const headers = {
    'x-correlation-id': correlationOf(index),
    'idempotency-key': `kill-key-${index}`,
  };
  accepted.set(index, await submitCarefully(user, fields, headers));
}

const submitSubscribed = (index: number) =>
  submitCarefully(
    subscriber.user,
    { model: 'sketch', prompt: `sketch ${index}`, width: 64, height: 64 },
    { 'idempotency-key': `subscribed-${index}` },
  );

describe('a server that is killed twice in the middle of 200 requests', () => {
  it('is killed while some are done, some run and some are queued, and again while it recovers', async () => {
    const indexes = Array.from({ length: REQUESTS }, (_, index) => index);
    const submitting = inParallel(indexes, 8, submit);
    const subscribing = inParallel(indexes.slice(0, SUBSCRIBED), 2, submitSubscribed);
    await until('some requests are done', () => told().size >= 30);
    const atFirstKill = { told: told().size, running: fake.open(), accepted: accepted.size };
    await server.crash();
    doneBeforeFirstKill = [...told()];
    // One is the lonely user's.
    expect(atFirstKill.running).toBeGreaterThan(1);
    expect(atFirstKill.accepted).toBeGreaterThan(atFirstKill.told + MAX_RUNNING);

    await server.startAgain();
    await submitting;
    subscribed = await subscribing;
    // Calls, not webhooks: those that were under way keep their places until their leases end.
    const before = fake.calls.length;
    const isUnderWay = () => fake.calls.length >= before + 20 && fake.open() > 0;
    await until('the recovery is under way', isUnderWay, 60_000);
    const atSecondKill = { told: told().size, running: fake.open() };
    await server.crash();
    expect(atSecondKill.running).toBeGreaterThan(0);
    expect(atSecondKill.told).toBeLessThan(REQUESTS - MAX_RUNNING);

    await server.startAgain();
    expect(accepted.size).toBe(REQUESTS);
  });

  it('gives a lost call up and makes another, though nobody talks to its foreman', async () => {
    await until('its webhook', () => receiver.accepted(lonelyId)[0], 60_000);
    const request = await lonely.api.read(lonelyId);
    expect(request.attempts.map(({ outcome, error }) => error?.code ?? outcome)).toEqual([
      'lease_lost',
      'succeeded',
    ]);
  });

  it('tells of every accepted request by webhook, without being asked', async () => {
    await until('all events have come', () => told().size >= REQUESTS, 90_000).catch(() => {});
    const missing = [...accepted.values()].filter((id) => !told().has(id));
    expect(missing).toEqual([]);
    expect([...told()].sort()).toEqual([...accepted.values()].sort());
    expect(receiver.forged).toEqual([]);
  });

  it('has every accepted request in a terminal state that its event agrees with', async () => {
    ended = await inParallel([...accepted.values()], 10, (id) => user.api.read(id));
    expect(ended.filter((request) => !isTerminal(request))).toEqual([]);
    for (const request of ended) {
      const types = receiver.received
        .filter((call) => call.event.data.id === request.id)
        .map((call) => [call.event.type, call.event.sequence]);
      expect(new Set(types.map(String))).toEqual(
        new Set([`request.${request.status},${request.version}`]),
      );
    }
  });

  it('fails a request only when two calls were lost, one to each kill', () => {
    for (const request of ended.filter(({ status }) => status !== 'succeeded')) {
      const outcomes = request.attempts.map(({ outcome, error }) => [outcome, error?.code]);
      expect([request.error?.code, outcomes]).toEqual([
        'provider_failed',
        [
          ['unknown', 'lease_lost'],
          ['unknown', 'lease_lost'],
        ],
      ]);
    }
    expect(ended.filter(({ status }) => status === 'succeeded').length).toBeGreaterThan(
      REQUESTS - MAX_RUNNING,
    );
  });

  it('sends one delivery per request, with the same bytes each time', () => {
    const bodies = new Map<string, Set<string>>();
    const deliveries = new Map<string, Set<string>>();
    for (const { deliveryId, body, event } of receiver.received) {
      bodies.set(deliveryId, (bodies.get(deliveryId) ?? new Set()).add(body));
      const { id } = event.data;
      deliveries.set(id, (deliveries.get(id) ?? new Set()).add(deliveryId));
    }
    expect([...bodies].filter(([, texts]) => texts.size !== 1)).toEqual([]);
    expect([...deliveries].filter(([, ids]) => ids.size !== 1)).toEqual([]);
  });

  it('never calls again for what was done before a kill', () => {
    const indexes = [...accepted].filter(([, id]) => doneBeforeFirstKill.includes(id));
    const calls = indexes.map(([index]) => [index, callsOf(index).length]);
    expect(calls).toEqual(indexes.map(([index]) => [index, isSketch(index) ? 0 : 1]));
  });

  it('pays twice for no more than what was in flight, and marks each such request', () => {
    let extraCalls = 0;
    for (const [index, id] of accepted) {
      const extra = callsOf(index).length - 1;
      if (isSketch(index) || extra <= 0) continue;
      extraCalls += extra;
      const attempts = ended.find((request) => request.id === id)?.attempts ?? [];
      const marked = attempts.filter((attempt) => attempt.possibly_billed);
      expect([id, marked.length]).toEqual([id, expect.toSatisfy((n: number) => n >= extra)]);
    }
    expect(extraCalls).toBeLessThanOrEqual(2 * MAX_RUNNING);
    const paid = [...accepted.keys()].filter((index) => !isSketch(index)).length;
    expect(fake.billed()).toBeLessThanOrEqual(paid + 2 * MAX_RUNNING + 1);
  });

  it('lists exactly the accepted requests, in their last state, once the index has caught up', async () => {
    const wanted = new Map(ended.map(({ id, status, version }) => [id, `${status} ${version}`]));
    await until(
      'the index agrees',
      async () => {
        const listed = new Map<string, string>();
        let cursor: string | null = null;
        let total: number | undefined;
        do {
          const query: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
          const page = await user.api.get<Page>(
            `/v1/requests?limit=100&include_total=true${query}`,
          );
          for (const item of page.body.items) {
            listed.set(item.id, `${item.status} ${item.version}`);
          }
          total = page.body.total;
          cursor = page.body.next_cursor;
        } while (cursor !== null);
        const same = [...wanted].every(([id, last]) => listed.get(id) === last);
        return same && total === REQUESTS && listed.size === REQUESTS;
      },
      40_000,
    );
  });

  it('serves the images of every request that succeeded', async () => {
    const images = ended.flatMap((request) => request.images);
    expect(images.length).toBe(ended.filter(({ status }) => status === 'succeeded').length);
    await inParallel(images, 6, async (image) => {
      const response = await user.api.fetch(image.url);
      const bytes = Buffer.from(await response.arrayBuffer());
      expect([response.status, createHash('sha256').update(bytes).digest('hex')]).toEqual([
        200,
        image.sha256,
      ]);
    });
  });
});

describe('three endpoints that are told of each request: one good, one that fails twice, one that hangs', () => {
  const heard = (kind: 'good' | 'flaky') =>
    subscribed.filter((id) => subscriber.toldTo(kind).has(id)).length;

  it('have heard of every one, but for the one that hangs', async () => {
    const isComplete = () => heard('good') === SUBSCRIBED && heard('flaky') === SUBSCRIBED;
    await until('all have heard', isComplete, 60_000).catch(() => {});
    expect([heard('good'), heard('flaky')]).toEqual([SUBSCRIBED, SUBSCRIBED]);
    expect(subscriber.toldTo('hanging').size).toBe(0);
    expect(subscriber.receiver.forged).toEqual([]);
  });

  it('get one body with one id, each endpoint its own', () => {
    const { received } = subscriber.receiver;
    const ofId = new Map<string, Set<string>>();
    const idsOf = new Map<string, Set<string>>();
    for (const { deliveryId, path, body, event } of received) {
      ofId.set(deliveryId, (ofId.get(deliveryId) ?? new Set()).add(`${path} ${body}`));
      const key = `${path} ${event.data.id}`;
      idsOf.set(key, (idsOf.get(key) ?? new Set()).add(deliveryId));
    }
    expect([...ofId.values(), ...idsOf.values()].filter(({ size }) => size !== 1)).toEqual([]);
  });

  /** Whose first two calls were lost, or failed, has its third try five minutes later. */
  const isSettled = ({ status, attempts }: LoggedDelivery) =>
    status === 'delivered' || (status === 'pending' && attempts.length === 2);

  it('find in the log what has happened', async () => {
    const { endpoints, receiver: hooks, deliveriesOf } = subscriber;
    const calls = Map.groupBy(hooks.received, ({ deliveryId }) => deliveryId);
    const lost = 'The process that made this call went away.';
    const read = async () => (await inParallel(subscribed, 8, deliveriesOf)).flat();
    const log = await until(
      'the log has the calls that were lost',
      async () => {
        const all = await read();
        const answering = all.filter(({ endpoint_id }) => endpoint_id !== endpoints.hanging);
        const errors = all.flatMap(({ attempts }) => attempts.map(({ error }) => error));
        return answering.every(isSettled) && errors.includes(lost) && all;
      },
      60_000,
    );
    expect(log).toHaveLength(3 * SUBSCRIBED);
    expect(log.filter(({ status }) => status === 'delivered').length).toBeGreaterThan(SUBSCRIBED);
    for (const { id, endpoint_id, status, attempts } of log) {
      const isHanging = endpoint_id === endpoints.hanging;
      if (isHanging) expect(status).toBe('pending');
      if (isHanging) expect(attempts.filter((attempt) => attempt.status !== null)).toEqual([]);
      else expect(attempts.length).toBeGreaterThanOrEqual(calls.get(id)?.length ?? 1);
    }
  });
});
