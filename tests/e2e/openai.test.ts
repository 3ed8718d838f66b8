/**
 * OpenAI's official client, unmodified, with nothing set but where it calls and with which key, on
 * the real server over real sockets.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket, type Server as TcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import OpenAI, {
  APIError,
  AuthenticationError,
  BadRequestError,
  NotFoundError,
  RateLimitError,
  toFile,
} from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FakeOpenAi, startFakeOpenAi } from '../support/fake-openai.ts';
import { type Fixture, startFixture } from './support/fixture.ts';
import { type Server, startServer, type User } from './support/server.ts';
import { until } from './support/until.ts';

const CHILD = fileURLToPath(new URL('./support/openai-client.ts', import.meta.url));

let folder: string;
let server: Server;
/** Where every failure is a late one. */
let hasty: Fixture;
let fake: FakeOpenAi;
let user: User;
let openai: OpenAI;
const sockets = new Set<Socket>();
let proxy: TcpServer;
/** How many more lines are cut as soon as the provider has the call. */
let cuts = 0;

beforeAll(async () => {
  fake = await startFakeOpenAi();
  folder = await mkdtemp(join(tmpdir(), 'foreman-openai-'));
  [server, hasty] = await Promise.all([
    startServer({ OPENAI_API_KEY: 'e2e', OPENAI_BASE_URL: fake.baseUrl }),
    startFixture('tests/support/hasty', folder),
  ]);
  user = await server.createUser();
  openai = clientOf(user);
  proxy = await startProxy();
});

beforeEach(() => fake.reset());

afterAll(async () => {
  await Promise.all([server?.close(), hasty?.stop()]);
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  await fake?.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => proxy?.close(resolve));
});

const baseOf = (origin: string) => `${origin}/openai/v1`;
const clientOf = ({ api }: Pick<User, 'api'>, origin = server.origin) =>
  new OpenAI({ baseURL: baseOf(origin), apiKey: api.key });

async function startProxy(): Promise<TcpServer> {
  const { hostname, port } = new URL(server.origin);
  const made = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
    }
    client.pipe(upstream).pipe(client);
    if (cuts === 0) return;
    cuts -= 1;
    void until('the provider has the call', () => fake.open() > 0).then(() => {
      client.resetAndDestroy();
      upstream.destroy();
    });
  });
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  return made;
}

const isPng = (bytes: Buffer) => bytes.toString('latin1', 1, 4) === 'PNG';
const decoded = (text: string | undefined) => Buffer.from(text ?? '', 'base64');

async function picture(): Promise<Buffer> {
  const { data } = await openai.images.generate({
    model: 'sketch',
    prompt: 'a boat',
    size: '256x256',
    response_format: 'b64_json',
  });
  return decoded(data?.[0]?.b64_json);
}

async function caught(work: Promise<unknown>): Promise<APIError> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof APIError) return error;
  throw new Error(`expected an APIError: ${String(error)}`);
}

async function events<Event>(stream: AsyncIterable<Event>): Promise<Event[]> {
  const all: Event[] = [];
  for await (const event of stream) all.push(event);
  return all;
}

/** The provider shows nothing before the client listens. */
async function heldEvents<Event>(stream: AsyncIterable<Event>): Promise<Event[]> {
  await until('the provider has the call', () => fake.open() > 0);
  fake.release(3);
  return events(stream);
}

describe('the official client', () => {
  it('generates by link and by base64, and says which request it was', async () => {
    const asked = { model: 'sketch', prompt: 'a boat', size: '256x256' } as const;
    const { data: linked, response } = await openai.images
      .generate({ ...asked, n: 2 })
      .withResponse();
    const opened = await fetch(linked.data?.[1]?.url ?? '');
    expect(isPng(Buffer.from(await opened.arrayBuffer()))).toBe(true);
    const id = response.headers.get('x-foreman-request-id') ?? '';
    expect(await user.api.read(id)).toMatchObject({ status: 'succeeded', model: 'sketch' });
    expect(linked).toMatchObject({ output_format: 'png', size: '256x256' });
    expect(isPng(await picture())).toBe(true);
  });

  it('edits, with a mask', async () => {
    const image = await toFile(await picture(), 'image.png', { type: 'image/png' });
    const mask = await toFile(await picture(), 'mask.png', { type: 'image/png' });
    const { data } = await openai.images.edit({
      model: 'gpt-image-1',
      prompt: 'a hat',
      image: [image],
      mask,
      input_fidelity: 'high',
    });
    expect(isPng(decoded(data?.[0]?.b64_json))).toBe(true);
    expect(fake.calls).toMatchObject([
      { path: '/v1/images/edits', fields: { prompt: 'a hat', input_fidelity: 'high' } },
    ]);
  });

  it('streams a generation and an edit, interim images first', async () => {
    const image = await toFile(await picture(), 'image.png', { type: 'image/png' });
    const asked = {
      model: 'gpt-image-1',
      prompt: 'a boat',
      stream: true,
      partial_images: 2,
    } as const;
    fake.queue({ mode: 'ok', hold: true }, { mode: 'ok', hold: true });
    const generated = await heldEvents(await openai.images.generate(asked));
    const edited = await heldEvents(await openai.images.edit({ ...asked, image }));
    for (const [kind, all] of [
      ['image_generation', generated],
      ['image_edit', edited],
    ] as const) {
      expect(all.map(({ type }) => type)).toEqual([
        `${kind}.partial_image`,
        `${kind}.partial_image`,
        `${kind}.completed`,
      ]);
      expect(
        all.map((event) => 'partial_image_index' in event && event.partial_image_index),
      ).toEqual([0, 1, false]);
      expect(all.every(({ b64_json }) => isPng(decoded(b64_json)))).toBe(true);
    }
    expect(fake.billed()).toBe(2);
  });

  it('lists the models, and reads one', async () => {
    const models = await events(openai.models.list());
    expect(models.map(({ id }) => id)).toEqual(expect.arrayContaining(['auto', 'sketch']));
    expect(await openai.models.retrieve('gpt-image-1')).toMatchObject({ owned_by: 'openai' });
    expect(await caught(openai.models.retrieve('gpt-9'))).toBeInstanceOf(NotFoundError);
  });
});

describe('its errors', () => {
  it('are of its own classes, each with a request id, and are not tried again in vain', async () => {
    const stranger = new OpenAI({ baseURL: baseOf(server.origin), apiKey: 'sk-wrong' });
    const denied = await caught(stranger.models.list().then(() => null));
    expect(denied).toBeInstanceOf(AuthenticationError);
    expect(denied).toMatchObject({ code: 'invalid_api_key', requestID: expect.any(String) });

    const asked = { model: 'chaos-refuse-input', prompt: 'a boat' };
    const blocked = await caught(openai.images.generate(asked));
    expect(blocked).toBeInstanceOf(BadRequestError);
    expect(blocked).toMatchObject({
      code: 'moderation_blocked',
      type: 'image_generation_user_error',
    });
    const streamed = await caught(events(await openai.images.generate({ ...asked, stream: true })));
    expect(streamed.code).toBe('moderation_blocked');

    fake.queue({ mode: 400 });
    const rejected = { model: 'gpt-image-1', prompt: 'a boat that nobody draws' };
    const failed = await caught(openai.images.generate(rejected));
    expect([failed.status, failed.code, fake.calls.length]).toEqual([502, 'provider_failed', 1]);
  });

  it('tell of a limit with when, as a RateLimitError', async () => {
    const poor = await server.createUser({ requests_per_minute: 1, burst: 1 });
    const asked = { model: 'sketch', prompt: 'a boat', size: '256x256' } as const;
    const client = new OpenAI({
      baseURL: baseOf(server.origin),
      apiKey: poor.api.key,
      maxRetries: 0,
    });
    await client.images.generate(asked);
    const limited = await caught(client.images.generate(asked));
    expect(limited).toBeInstanceOf(RateLimitError);
    expect(Number(limited.headers?.get('retry-after'))).toBeGreaterThan(0);
  });
});

describe('a failure behind a status that was sent long before', () => {
  const asked = { model: 'chaos-refuse-input', prompt: 'a boat' };

  it('reaches whoever reads the line, which then breaks', async () => {
    const call = request(`${baseOf(hasty.origin)}/images/generations`, {
      method: 'POST',
      headers: { authorization: `Bearer ${hasty.key}`, 'content-type': 'application/json' },
    });
    call.end(JSON.stringify(asked));
    const [answer] = (await once(call, 'response')) as [IncomingMessage];
    let read = '';
    const reading = (async () => {
      for await (const part of answer) read += part;
    })();
    await expect(reading).rejects.toThrow('aborted');
    expect(JSON.parse(read)).toMatchObject({ error: { code: 'moderation_blocked' } });
  });

  it('is what broke the line to the client, and has its reason when asked again with its key', async () => {
    const client = new OpenAI({ baseURL: baseOf(hasty.origin), apiKey: hasty.key });
    const headers = { 'idempotency-key': randomUUID() };
    const lost = client.images.generate(asked, { headers });
    await expect(lost).rejects.toThrow(new TypeError('terminated'));
    const told = await caught(
      events(await client.images.generate({ ...asked, stream: true }, { headers })),
    );
    expect(told.code).toBe('moderation_blocked');
  });
});

describe('an upload that is refused', () => {
  it('is answered, however much of it is still to come', async () => {
    const upload = (bytes: number) =>
      toFile(Buffer.alloc(bytes, 7), 'a.png', { type: 'image/png' });
    const asked = { model: 'sketch', prompt: 'a hat' };
    const large = await caught(openai.images.edit({ ...asked, image: await upload(30_000_000) }));
    expect([large.status, large.code]).toEqual([413, 'payload_too_large']);
    const varied = { image: await upload(1_500_000) };
    const retired = await caught(openai.images.createVariation(varied));
    expect([retired.status, retired.code]).toEqual([400, 'unsupported_endpoint']);
  });
});

describe('an answer that is lost', () => {
  it('when the line is cut, is collected by the client’s own retry, and paid for once', async () => {
    fake.queue({ mode: 'ok', delayMs: 1_500 });
    cuts = 1;
    const { port } = proxy.address() as AddressInfo;
    const cut = clientOf(user, `http://127.0.0.1:${port}`);
    const { data } = await cut.images.generate({ model: 'gpt-image-1', prompt: 'a cut line' });
    expect(cuts).toBe(0);
    expect(isPng(decoded(data?.[0]?.b64_json))).toBe(true);
    expect([fake.billed(), fake.calls.length]).toEqual([1, 1]);
  });

  it('when its process is killed, is collected by another with the same key, and paid for once', async () => {
    const other = await server.createUser();
    fake.queue({ mode: 'ok', delayMs: 1_500 });
    const key = randomUUID();
    const argv = [CHILD, baseOf(server.origin), other.api.key, key, 'a dead client'];
    const child = spawn(process.execPath, argv, { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', (_, signal) => resolve(signal)));
    await until('the provider has the call', () => fake.open() > 0);
    child.kill('SIGKILL');
    expect(await ended).toBe('SIGKILL');

    const headers = { 'idempotency-key': key };
    const { data, response } = await clientOf(other)
      .images.generate({ model: 'gpt-image-1', prompt: 'a dead client' }, { headers })
      .withResponse();
    expect(isPng(decoded(data.data?.[0]?.b64_json))).toBe(true);
    expect(response.headers.get('idempotent-replayed')).toBe('true');
    expect([fake.billed(), fake.calls.length]).toEqual([1, 1]);
    const { body } = await other.api.get<{ items: { id: string }[] }>('/v1/requests');
    expect(body.items.map(({ id }) => id)).toEqual([response.headers.get('x-foreman-request-id')]);
  });
});
