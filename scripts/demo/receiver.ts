// A receiver of webhooks, as a user of Foreman would write one: it believes nothing that is not
// signed with its secret.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { LOOPBACK } from '../local/ports.ts';
import { eventSchema, type RequestEvent } from './types.ts';

export interface Delivery {
  id: string;
  event: RequestEvent;
  /** `performance.now()` when it had come whole. */
  at: number;
}

export interface Receiver {
  url: string;
  /** The first delivery. @throws when its signature is wrong or its body not as documented. */
  delivery: Promise<Delivery>;
  stop(): Promise<void>;
}

export async function startReceiver(secret: string): Promise<Receiver> {
  const { promise, resolve, reject } = Promise.withResolvers<Delivery>();
  // Who waits for it hears of a failure; nobody waits any more when another step failed first.
  promise.catch(() => {});
  const server = createServer((request, response) => {
    receive(request, response, secret).then(resolve, reject);
  });
  server.listen(0, LOOPBACK);
  await once(server, 'listening');
  // A server listening on TCP has an address with a port.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${LOOPBACK}:${port}/webhook`,
    delivery: promise,
    async stop() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

async function receive(
  request: IncomingMessage,
  response: ServerResponse,
  secret: string,
): Promise<Delivery> {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk;
  const at = performance.now();
  const header = (name: string) => String(request.headers[name] ?? '');
  try {
    const event = new Webhook(secret).verify(body, {
      'webhook-id': header('webhook-id'),
      'webhook-timestamp': header('webhook-timestamp'),
      'webhook-signature': header('webhook-signature'),
    });
    const delivery = { id: header('webhook-id'), event: eventSchema.parse(event), at };
    response.writeHead(204).end();
    return delivery;
  } catch (error) {
    response.writeHead(400).end();
    throw error;
  }
}
