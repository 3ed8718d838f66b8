// What stands around a measured server: an image API that answers at once, a receiver of webhooks,
// and a client with its connections open. All three note the time of what they see.
import { Agent, createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { startFakeOpenAi } from '../../tests/support/fake-openai.ts';
import { LOOPBACK } from '../local/ports.ts';

/** When each step of a request was seen, in milliseconds of `performance.now()`. */
export interface Timings {
  posted: number;
  /** The 202 has arrived. */
  accepted: number;
  /** The image API was called, and has answered. */
  called: number;
  answered: number;
  /** The webhook has arrived. */
  told: number;
}

/** A server under measurement: where to post a request, and with which headers and fields. */
export interface Subject {
  name: string;
  origin: string;
  headers: Record<string, string>;
  fields: Record<string, unknown>;
  stop(): Promise<void>;
}

export interface Scene {
  upstreamUrl: string;
  imageBytes: number;
  /** Posts one request and resolves when its webhook has come. */
  run(subject: Subject): Promise<Timings>;
  stop(): Promise<void>;
}

interface Webhook {
  at: number;
  body: string;
}

const WEBHOOK_LIMIT_MS = 20_000;
const PROMPT = 'a red sunset over mountains';

export async function createScene(size: string): Promise<Scene> {
  const answer = await recordAnswer(size);
  const agent = new Agent({ keepAlive: true });
  const waiting = new Map<string, (webhook: Webhook) => void>();
  // With one request in flight these are its own; with more they are not read.
  let called = 0;
  let answered = 0;
  let count = 0;

  const upstream = await listen(async (incoming, respond) => {
    called = performance.now();
    await readBody(incoming);
    respond(200, answer);
    answered = performance.now();
  });
  const receiver = await listen(async (incoming, respond) => {
    const body = await readBody(incoming);
    const at = performance.now();
    respond(204);
    waiting.get(incoming.url ?? '')?.({ at, body });
  });

  return {
    upstreamUrl: `${upstream.origin}/v1`,
    imageBytes: Math.floor((answer.length * 3) / 4),
    async run(subject) {
      count += 1;
      const path = `/${count}`;
      const { promise, resolve, reject } = Promise.withResolvers<Webhook>();
      const timer = setTimeout(() => {
        reject(new Error(`${subject.name}: no webhook within ${WEBHOOK_LIMIT_MS} ms`));
      }, WEBHOOK_LIMIT_MS);
      waiting.set(path, resolve);
      try {
        const body = { ...subject.fields, prompt: PROMPT, webhook_url: receiver.origin + path };
        const posted = performance.now();
        await post(subject, JSON.stringify(body), agent);
        const accepted = performance.now();
        const { at: told, body: event } = await promise;
        // A failure would be told sooner, or later, and measure nothing.
        if (JSON.parse(event).type !== 'request.succeeded') {
          throw new Error(`${subject.name} did not succeed: ${event.slice(0, 1_000)}`);
        }
        return { posted, accepted, called, answered, told };
      } finally {
        clearTimeout(timer);
        waiting.delete(path);
      }
    },
    async stop() {
      agent.destroy();
      await Promise.all([upstream.stop(), receiver.stop()]);
    },
  };
}

/** The fake draws and encodes for every call; its first answer is good for all of them. */
async function recordAnswer(size: string): Promise<Buffer> {
  const fake = await startFakeOpenAi();
  try {
    const response = await fetch(`${fake.baseUrl}/images/generations`, {
      method: 'POST',
      headers: { authorization: 'Bearer bench' },
      body: JSON.stringify({ size }),
    });
    return Buffer.from(await response.arrayBuffer());
  } finally {
    await fake.close();
  }
}

async function post(subject: Subject, body: string, agent: Agent): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request(`${subject.origin}/v1/requests`, {
    method: 'POST',
    agent,
    headers: { ...subject.headers, 'content-type': 'application/json' },
  })
    .once('response', resolve)
    .once('error', reject)
    .end(body);
  const response = await promise;
  const text = await readBody(response);
  if (response.statusCode === 202) return;
  throw new Error(`${subject.name} answered ${response.statusCode}: ${text.slice(0, 500)}`);
}

async function readBody(message: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of message.setEncoding('utf8')) text += chunk;
  return text;
}

type Respond = (status: number, body?: Buffer) => void;

async function listen(
  answer: (incoming: IncomingMessage, respond: Respond) => Promise<void>,
): Promise<{ origin: string; stop(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((incoming, response) => {
    const respond: Respond = (status, body) => {
      response.writeHead(status, {
        'content-type': 'application/json',
        ...(body === undefined ? {} : { 'content-length': body.length }),
      });
      response.end(body);
    };
    answer(incoming, respond).catch(() => incoming.destroy());
  });
  // A server would otherwise close a connection that is about to be used again.
  server.keepAliveTimeout = 600_000;
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, LOOPBACK, resolve);
  });
  // A server listening on TCP has an address with a port.
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://${LOOPBACK}:${port}`,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
