/**
 * What a journey needs: clients that speak HTTP to the Worker under test, an outside world that is
 * scripted, a clock that can be moved on, and messages that are delivered by hand.
 */
import {
  createExecutionContext,
  createMessageBatch,
  createScheduledController,
  evictDurableObject,
  getQueueResult,
  runDurableObjectAlarm,
  runInDurableObject,
} from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { afterEach, beforeEach, expect, vi } from 'vitest';
import type { Limits, Scope, UserId } from '../../src/accounts/types';
import type { RequestView } from '../../src/requests/view';
import { type RecordedCall, type Script, scriptedFetch } from '../support/scripted-fetch';
import worker, { resetFaults, sent } from '../support/worker';

export const ORIGIN = 'https://foreman.test';
export const ADMIN = { authorization: `Bearer ${env.ADMIN_TOKEN}` };
const OPENAI = [
  'POST https://openai.test/v1/images/generations',
  'POST https://openai.test/v1/images/edits',
];
const TERMINAL = ['succeeded', 'failed', 'canceled', 'expired'];

// --- The outside world -----------------------------------------------------------------------------

const scripts: Record<string, Script | readonly Script[]> = {};
let upstream = scriptedFetch(scripts);
let offsetMs = 0;

/**
 * Every test of the file starts with no fault, no call on record and the true time. A receiver stays
 * for the file: its URL is its own, and a webhook may come after the end of its test.
 */
export function useWorld(): void {
  const trueNow = Date.now;
  beforeEach(() => {
    upstream = scriptedFetch(scripts);
    offsetMs = 0;
    resetFaults();
    vi.stubGlobal('fetch', upstream.fetch);
    vi.spyOn(Date, 'now').mockImplementation(() => trueNow.call(Date) + offsetMs);
    for (const level of ['info', 'warn', 'error'] as const) {
      vi.spyOn(console, level).mockImplementation(() => {});
    }
  });
  afterEach(() => {
    resetFaults();
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
    expect(upstream.unlisted).toEqual([]);
  });
}

/** What was stored as due comes due: the alarm still has to be run. */
export const advance = (ms: number) => {
  offsetMs += ms;
};

export const PNG =
  `iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E
rkJggg==`.replace(/\s/g, '');
export const image: Script = () =>
  Response.json(
    { created: 1, data: [{ b64_json: PNG }], quality: 'medium', size: '1024x1024' },
    { headers: { 'x-request-id': 'p-1' } },
  );
export const serverError: Script = () =>
  Response.json({ error: { message: 'broken', type: 'server_error' } }, { status: 500 });

/** Scripts of the images API, call by call; the calls it gets are returned. */
export function openai(...answers: readonly Script[]): readonly RecordedCall[] {
  const calls: RecordedCall[] = [];
  const last = answers.at(-1) ?? image;
  for (const endpoint of OPENAI) {
    scripts[endpoint] = (call, signal) => {
      calls.push(call);
      return (answers[calls.length - 1] ?? last)(call, signal);
    };
  }
  return calls;
}

/** A page somewhere in the world. */
export function page(url: string, script: Script): void {
  scripts[`GET ${url}`] = script;
}

/** A script that stands still until it is opened. */
export function held(script: Script = image) {
  const gate = Promise.withResolvers<void>();
  const answer: Script = async (call, signal) => {
    await gate.promise;
    return script(call, signal);
  };
  return { answer, open: () => gate.resolve() };
}

export interface Receiver {
  readonly url: string;
  readonly posts: readonly RecordedCall[];
}

/** A webhook receiver that answers post by post; its last answer goes on. */
export function receiver(...answers: readonly (number | Script)[]): Receiver {
  const url = `https://hooks.example.com/${crypto.randomUUID()}`;
  const posts: RecordedCall[] = [];
  scripts[`POST ${url}`] = (call, signal) => {
    posts.push(call);
    const answer = answers[posts.length - 1] ?? answers.at(-1) ?? 204;
    return typeof answer === 'function'
      ? answer(call, signal)
      : new Response(null, { status: answer });
  };
  return { url, posts };
}

// --- Clients ---------------------------------------------------------------------------------------

interface Call {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function http(method: string, path: string, call: Call = {}): Promise<Response> {
  const { body, headers } = call;
  return exports.default.fetch(new URL(path, ORIGIN), {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function made<T>(path: string, body: unknown): Promise<T> {
  const response = await http('POST', path, { body, headers: ADMIN });
  expect(response.status).toBe(201);
  return response.json<T>();
}

export async function newKey(userId: UserId, scopes?: readonly Scope[]) {
  const body = { name: 'test', ...(scopes ? { scopes } : {}) };
  return made<{ id: string; key: string }>(`/v1/admin/users/${userId}/keys`, body);
}

export async function newClient(limits: Partial<Limits> = {}, fields: object = {}) {
  const body = { name: 'tenant', limits, ...fields };
  const { id: userId } = await made<{ id: UserId }>('/v1/admin/users', body);
  const { key } = await newKey(userId);
  return clientOf(userId, key);
}
export type Client = Awaited<ReturnType<typeof newClient>>;

function clientOf(userId: UserId, key: string) {
  // A stub of an object that was aborted stays broken.
  const stub = () => env.FOREMAN.getByName(userId);
  const authorization = `Bearer ${key}`;
  const call = (method: string, path: string, { body, headers }: Call = {}) =>
    http(method, path, { body, headers: { authorization, ...headers } });

  const read = async <T>(path: string): Promise<T> => {
    const response = await call('GET', path);
    expect(response.status).toBe(200);
    return response.json<T>();
  };
  const get = (id: string) => read<RequestView>(`/v1/requests/${id}`);

  return {
    userId,
    key,
    call,
    get,
    /** A small sketch unless told otherwise. */
    async submit(fields: object = {}, headers: Record<string, string> = {}): Promise<RequestView> {
      const small = { model: 'sketch', prompt: 'a boat', width: 64, height: 64 };
      const body = 'model' in fields ? { prompt: 'a boat', ...fields } : { ...small, ...fields };
      const response = await call('POST', '/v1/requests', { body, headers });
      expect(response.status).toBe(202);
      return response.json<RequestView>();
    },
    /** The request once it is `status`, or once it has ended. */
    reached: (id: string, ...statuses: readonly string[]) =>
      vi.waitFor(
        async () => {
          const request = await get(id);
          expect(statuses.length > 0 ? statuses : TERMINAL).toContain(request.status);
          return request;
        },
        { timeout: 8_000, interval: 10 },
      ),
    list: async () => (await read<{ items: RequestView[] }>('/v1/requests?limit=100')).items,
    deliveries: async (id: string) =>
      (await read<{ items: DeliveryView[] }>(`/v1/requests/${id}/deliveries`)).items,
    secret: async () => (await read<{ secret: string }>('/v1/webhooks/default-secret')).secret,
    /** Runs the alarm, whatever it is set to; it must be set, or be set soon. */
    alarm: () => until(async () => expect(await runDurableObjectAlarm(stub())).toBe(true)),
    evict: () => evictDurableObject(stub()),
    /** Ends the object in the middle of whatever it does. */
    abort: () =>
      runInDurableObject(stub(), (_, state) => state.abort('aborted by a test')).catch(() => {}),
    sql: <T>(work: (sql: SqlStorage, state: DurableObjectState) => T | Promise<T>): Promise<T> =>
      runInDurableObject(stub(), (_, state) => work(state.storage.sql, state)),
  };
}

export interface DeliveryView {
  readonly id: string;
  readonly type: string;
  readonly status: string;
  readonly attempts: readonly { status: number | null; response: string | null }[];
  readonly next_attempt_at: string | null;
}

// --- What is stored --------------------------------------------------------------------------------

export interface IndexRow {
  readonly status: string;
  readonly version: number;
  readonly state: string;
}

export const indexRow = (id: string) =>
  env.DB.prepare('SELECT * FROM requests WHERE id = ?').bind(id).first<IndexRow>();

export const indexed = (id: string, status: string) =>
  until(async () => {
    const row = await indexRow(id);
    expect(row?.status).toBe(status);
    return row;
  });

/** D1 has the account and its key, and the projector has said so: it pulls nothing any more. */
export const projected = (client: Client) =>
  until(async () => {
    const [row] = await client.sql((sql) =>
      sql.exec<{ version: number }>('SELECT projected_version AS version FROM account').toArray(),
    );
    expect(row?.version).toBe(2);
  });

/** The foreman knows that D1 has the request's present version. */
export const confirmed = (client: Client, id: string) =>
  until(async () => {
    const [row] = await client.sql((sql) =>
      sql.exec('SELECT projected_version AS v FROM requests WHERE id = ?', id).toArray(),
    );
    expect(row?.v).toBeTypeOf('number');
  });

export async function objectKeys(id: string, bucket = env.IMAGES): Promise<string[]> {
  const { objects } = await bucket.list({ prefix: `images/${id}/` });
  return objects.map(({ key }) => key);
}

export async function count(table: string, where: string, ...values: string[]): Promise<number> {
  const row = await env.DB.prepare(`SELECT count(*) AS n FROM ${table} WHERE ${where}`)
    .bind(...values)
    .first<{ n: number }>();
  return row?.n ?? 0;
}

export function until<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: 8_000, interval: 10 });
}

// --- Queues and crons ------------------------------------------------------------------------------

/** Delivers one batch by hand and waits for all that follows from it. */
export async function deliver(queue: string, bodies: readonly unknown[]) {
  const messages = bodies.map((body, index) => ({
    id: `message-${index}`,
    timestamp: new Date(),
    attempts: 1,
    body,
  }));
  const batch = createMessageBatch(`foreman-${queue}`, messages);
  const context = createExecutionContext();
  await worker.queue(batch, env, context);
  return getQueueResult(batch, context);
}

/** The messages given to a queue so far, the lost ones too. */
export const messagesTo = (queue: (typeof sent)[number]['queue']) =>
  sent.filter((message) => message.queue === queue).map(({ body }) => body);

export const runCrons = () => worker.scheduled(createScheduledController(), env);
