/**
 * Webhooks as their receivers get them, over a real socket, judged by the official library of
 * Standard Webhooks, and by Node's own cryptography where the library has none (`v1a`).
 */
import { createPublicKey, type JsonWebKey, verify } from 'node:crypto';
import { createServer, type Server as HttpServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Server, startServer, type User } from './support/server.ts';
import { until } from './support/until.ts';

interface Message {
  readonly body: string;
  readonly headers: Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>;
}

interface Endpoint {
  readonly id: string;
  readonly secret: string;
  readonly previous_secret_expires_at: string | null;
}

let server: Server;
let user: User;
let stranger: User;
let hooks: HttpServer;
const messages: Message[] = [];

beforeAll(async () => {
  hooks = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    messages.push({
      body: Buffer.concat(chunks).toString(),
      headers: signedHeaders(request.headers),
    });
    response.writeHead(204).end();
  });
  await new Promise<void>((resolve) => hooks.listen(0, '127.0.0.1', resolve));
  server = await startServer();
  [user, stranger] = await Promise.all([server.createUser(), server.createUser()]);
});

afterAll(async () => {
  await server?.close();
  hooks?.closeAllConnections();
  await new Promise((resolve) => hooks.close(resolve));
});

afterEach(() => {
  vi.useRealTimers();
});

function signedHeaders(headers: IncomingHttpHeaders): Message['headers'] {
  const of = (name: keyof Message['headers']) => String(headers[name]);
  return {
    'webhook-id': of('webhook-id'),
    'webhook-timestamp': of('webhook-timestamp'),
    'webhook-signature': of('webhook-signature'),
  };
}

async function newEndpoint(owner: User): Promise<Endpoint> {
  const { port } = hooks.address() as AddressInfo;
  const body = { url: `http://127.0.0.1:${port}/hooks`, events: ['request.succeeded'] };
  const answer = await owner.api.post<Endpoint>('/v1/webhooks', body);
  expect(answer.status).toBe(201);
  return answer.body;
}

async function rotate(owner: User, id: string, overlapSeconds: number): Promise<string> {
  const path = `/v1/webhooks/${id}/rotate-secret`;
  const answer = await owner.api.post<Endpoint>(path, { overlap_seconds: overlapSeconds });
  expect(answer.status).toBe(200);
  return answer.body.secret;
}

/** What the receiver was told of a request that was made just now. */
async function told(owner: User): Promise<Message> {
  const { id } = await owner.api.submit({
    model: 'sketch',
    prompt: 'füchse 🦊',
    width: 64,
    height: 64,
  });
  return until('the receiver is told', () => messages.find(({ body }) => body.includes(id)));
}

const accepts = (secret: string, { body, headers }: Message): boolean => {
  try {
    return new Webhook(secret).verify(body, headers) !== undefined;
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
};

describe('the official library', () => {
  it('accepts what is sent, and a ping', async () => {
    const { id, secret } = await newEndpoint(user);
    const message = await told(user);
    const event = new Webhook(secret).verify(message.body, message.headers);
    expect(event).toMatchObject({ type: 'request.succeeded', data: { status: 'succeeded' } });
    const before = messages.length;
    const ping = await user.api.post<{ ok: boolean }>(`/v1/webhooks/${id}/ping`);
    expect(ping.body.ok).toBe(true);
    const [pinged] = messages.slice(before);
    expect(pinged && accepts(secret, pinged)).toBe(true);
    await user.api.delete(`/v1/webhooks/${id}`);
  });

  it('accepts during a rotation by the old and the new secret, and by the new alone after it', async () => {
    const { id, secret: first } = await newEndpoint(user);
    const second = await rotate(user, id, 600);
    const during = await told(user);
    expect([first, second].map((secret) => accepts(secret, during))).toEqual([true, true]);

    const third = await rotate(user, id, 1);
    await until('the overlap is over', async () => {
      const { body } = await user.api.get<Endpoint>(`/v1/webhooks/${id}`);
      return body.previous_secret_expires_at === null;
    });
    const after = await told(user);
    expect([first, second, third].map((secret) => accepts(secret, after))).toEqual([
      false,
      false,
      true,
    ]);
    await user.api.delete(`/v1/webhooks/${id}`);
  });

  it('refuses what was changed on the way, and what comes too late', async () => {
    const { id, secret } = await newEndpoint(user);
    const message = await told(user);
    await user.api.delete(`/v1/webhooks/${id}`);
    const { body, headers } = message;
    const withHeader = (name: keyof Message['headers'], value: string): Message => ({
      body,
      headers: { ...headers, [name]: value },
    });
    const seconds = Number(headers['webhook-timestamp']);
    for (const tampered of [
      { body: body.replace('succeeded', 'failed'), headers },
      { body: `${body} `, headers },
      withHeader('webhook-id', `${headers['webhook-id']}0`),
      withHeader('webhook-timestamp', String(seconds - 60)),
      withHeader('webhook-timestamp', String(seconds - 301)),
    ]) {
      expect(accepts(secret, tampered)).toBe(false);
    }
    expect(accepts(secret, message)).toBe(true);

    vi.useFakeTimers({ toFake: ['Date'], now: (seconds + 299) * 1_000 });
    expect(accepts(secret, message)).toBe(true);
    vi.setSystemTime((seconds + 301) * 1_000);
    expect(() => new Webhook(secret).verify(body, headers)).toThrow('too old');
  });
});

describe('the public keys of a user', () => {
  interface PublishedKey extends JsonWebKey {
    readonly kid: string;
    readonly whpk: string;
  }

  /** As anybody fetches them: with no key. */
  async function keysOf({ id }: User): Promise<readonly PublishedKey[]> {
    const response = await fetch(`${server.origin}/.well-known/webhooks-keys/${id}.json`);
    expect(response.status).toBe(200);
    return ((await response.json()) as { keys: PublishedKey[] }).keys;
  }

  function verifies({ kty, crv, x }: JsonWebKey, { body, headers }: Message): boolean {
    const key = createPublicKey({ key: { kty, crv, x } as JsonWebKey, format: 'jwk' });
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
    const given = headers['webhook-signature'].split(' ').filter((part) => part.startsWith('v1a,'));
    expect(given).toHaveLength(1);
    return given.some((part) =>
      verify(null, Buffer.from(signed), key, Buffer.from(part.slice('v1a,'.length), 'base64')),
    );
  }

  it('verify v1a of its webhooks, whose endpoint or secret it may be, and not of others', async () => {
    const [own, other] = [await newEndpoint(user), await newEndpoint(stranger)];
    const before = await told(user);
    await rotate(user, own.id, 0);
    const [after, theirs] = [await told(user), await told(stranger)];
    const [key] = await keysOf(user);
    const [foreign] = await keysOf(stranger);
    if (!key || !foreign) throw new Error('there is no key');
    expect([before, after, theirs].map((message) => verifies(key, message))).toEqual([
      true,
      true,
      false,
    ]);
    expect([before, theirs].map((message) => verifies(foreign, message))).toEqual([false, true]);
    expect(verifies(key, { ...before, body: before.body.replace('succeeded', 'failed') })).toBe(
      false,
    );
    expect(key.whpk).toBe(`whpk_${Buffer.from(String(key.x), 'base64url').toString('base64')}`);
    await user.api.delete(`/v1/webhooks/${own.id}`);
    await stranger.api.delete(`/v1/webhooks/${other.id}`);
  });
});
