/**
 * A line to the server that breaks: it passes bytes both ways, and cuts a stream of server-sent events
 * in the middle of one, as often as it is told to.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface CuttingProxy {
  readonly origin: string;
  /** The calls that came through, in order, with the `Last-Event-ID` of each. */
  readonly calls: readonly { readonly line: string; readonly lastEventId: string | null }[];
  close(): Promise<void>;
}

const EVENT = /id: \d+\nevent: [^\n]+\ndata: [^\n]+\n\n/g;
/** Of an event that is cut: its id, its name and a part of its data have come. */
const TORN_CHARS = 60;

/** @param cuts How many whole events pass before each cut; later lines last as long as they like. */
export async function startCuttingProxy(
  target: string,
  cuts: readonly number[],
): Promise<CuttingProxy> {
  const rest = [...cuts];
  const calls: { line: string; lastEventId: string | null }[] = [];
  const sockets = new Set<Socket>();
  const { hostname, port } = new URL(target);
  const hold = (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
  };

  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    hold(client);
    hold(upstream);
    let passed = '';
    let isStream = false;
    client.on('data', (bytes: Buffer) => {
      for (const head of headsIn(bytes.toString('latin1'))) {
        calls.push(head);
        isStream = head.line.includes('/events');
      }
      upstream.write(bytes);
    });
    upstream.on('data', (bytes: Buffer) => {
      const before = passed.length;
      passed += bytes.toString('latin1');
      const end = isStream ? cutIn(passed, rest[0]) : null;
      if (end === null) {
        client.write(bytes);
        return;
      }
      rest.shift();
      client.end(bytes.subarray(0, Math.max(0, end - before)));
      upstream.destroy();
    });
    client.on('close', () => upstream.destroy());
    upstream.on('end', () => client.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A browser writes a call's head at once. */
function headsIn(text: string): CuttingProxy['calls'][number][] {
  if (!/^(GET|POST|OPTIONS) \S+ HTTP\/1\.1\r\n/.test(text)) return [];
  const [line = ''] = text.split('\r\n');
  return [{ line, lastEventId: /^last-event-id: (.*)$/im.exec(text)?.[1]?.trim() ?? null }];
}

/** Where the event after this many is torn apart; null until it has come. */
function cutIn(text: string, events: number | undefined): number | null {
  if (events === undefined) return null;
  const torn = [...text.matchAll(EVENT)][events];
  return torn ? torn.index + TORN_CHARS : null;
}
