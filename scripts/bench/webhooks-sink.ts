// Takes webhooks on a real socket and notes how old each event is when it arrives.
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { LOOPBACK } from '../local/ports.ts';

export interface EventSink {
  url(path: string): string;
  /** From then on calls of this path are never answered. */
  hang(path: string): void;
  /** Age in milliseconds at the first arrival, by delivery. */
  arrived(path: string): ReadonlyMap<string, number>;
  close(): Promise<void>;
}

export async function startEventSink(): Promise<EventSink> {
  const arrivals = new Map<string, Map<string, number>>();
  const hanging = new Set<string>();
  const sockets = new Set<Socket>();
  const of = (path: string) => {
    const known = arrivals.get(path) ?? new Map<string, number>();
    arrivals.set(path, known);
    return known;
  };

  const server = createServer(async (request, response) => {
    const at = Date.now();
    const path = request.url ?? '/';
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    const id = String(request.headers['webhook-id']);
    const { timestamp } = JSON.parse(text) as { timestamp: string };
    if (!of(path).has(id)) of(path).set(id, at - Date.parse(timestamp));
    if (!hanging.has(path)) response.writeHead(204).end();
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
  // A server listening on TCP has an address with a port.
  const { port } = server.address() as AddressInfo;

  return {
    url: (path) => `http://${LOOPBACK}:${port}${path}`,
    hang: (path) => {
      hanging.add(path);
    },
    arrived: of,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
