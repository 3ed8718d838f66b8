/**
 * A webhook receiver on a real socket. It verifies every signature as the documentation of Standard
 * Webhooks tells its readers to, records what it got, and answers as it is told.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Webhook } from 'standardwebhooks';
import type { RequestView } from './api.ts';

export interface Received {
  readonly deliveryId: string;
  readonly path: string;
  readonly at: number;
  readonly body: string;
  readonly correlationId: string;
  readonly event: WebhookEvent;
  /** What it was answered; null for a call left hanging. */
  readonly answered: number | null;
}

export interface WebhookEvent {
  type: string;
  timestamp: string;
  sequence: number;
  data: RequestView;
}

export interface Receiver {
  readonly received: readonly Received[];
  /** Calls that no trusted secret has signed. Must stay empty. */
  readonly forged: readonly string[];
  url(path: string): string;
  trust(secret: string): void;
  /** For the next calls of this path, one each; after them 200. */
  script(path: string, ...answers: (number | 'hang')[]): void;
  /** Accepted with 200, by request id. */
  accepted(requestId: string): Received[];
  close(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const forged: string[] = [];
  const secrets = new Set<string>();
  const scripts = new Map<string, (number | 'hang')[]>();
  const sockets = new Set<Socket>();

  const server = createServer(async (request, response) => {
    const body = await bodyOf(request);
    const path = request.url ?? '/';
    const event = verified(request, body, secrets);
    if (!event) {
      forged.push(`${path} ${body}`);
      response.writeHead(401).end();
      return;
    }
    const answer = scripts.get(path)?.shift() ?? 200;
    received.push({
      deliveryId: String(request.headers['webhook-id']),
      path,
      at: Date.now(),
      body,
      correlationId: String(request.headers['x-correlation-id']),
      event,
      answered: answer === 'hang' ? null : answer,
    });
    if (answer !== 'hang') response.writeHead(answer).end('received');
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    received,
    forged,
    url: (path) => `http://127.0.0.1:${port}${path}`,
    trust: (secret) => {
      secrets.add(secret);
    },
    script: (path, ...answers) => {
      scripts.set(path, answers);
    },
    accepted: (requestId) =>
      received.filter((call) => call.event.data.id === requestId && call.answered === 200),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function verified(
  request: IncomingMessage,
  body: string,
  secrets: ReadonlySet<string>,
): WebhookEvent | null {
  const headers = Object.fromEntries(
    ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => [
      name,
      String(request.headers[name]),
    ]),
  );
  for (const secret of secrets) {
    try {
      return new Webhook(secret).verify(body, headers) as WebhookEvent;
    } catch {
      // Signed with another user's secret, perhaps.
    }
  }
  return null;
}
