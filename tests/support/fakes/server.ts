// What the fake provider servers share: a real socket, a record of every call, and a script of what
// comes next. Tests in workerd reach a fake over the loopback interface and script it by `/control`:
// POST {reset?, behaviour?, queue?} sets what comes next, GET and POST answer {calls, facts}. Runs on
// Node alone: no imports from src, only types that can be stripped.
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface FakeCall {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface FakeApi<Behaviour extends string> {
  /**
   * Answers one call, or leaves it open for good. `behaviour` is one of the fake's repertoire;
   * `take` uses up the next one of the queue, for the calls of an API that a behaviour is about.
   */
  handle(call: FakeCall, response: ServerResponse, take: () => Behaviour): void | Promise<void>;
  /** What only the server knows: jobs made, jobs canceled, images billed… */
  facts(): Readonly<Record<string, number>>;
  /** For an API with jobs: brings those that go on to a good end, and calls back for each. */
  finish?(): void;
  reset(): void;
}

/** What a call gets in place of the API's answer; `hang` leaves it open for good. */
export type Fault =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | 'drop'
  | 'hang';

/** The API sees the calls for which this is null. */
export type Interference = (call: FakeCall) => Fault | null | Promise<Fault | null>;

export interface Fake<Behaviour extends string> {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  readonly calls: readonly FakeCall[];
  facts(): Readonly<Record<string, number>>;
  /** For every call from now on. */
  setBehaviour(behaviour: Behaviour): void;
  /** For the next calls, one each. */
  queue(...behaviours: Behaviour[]): void;
  /** From now on; null for none. */
  interfere(interference: Interference | null): void;
  finish(): void;
  reset(): void;
  close(): Promise<void>;
}

export async function startFake<Behaviour extends string>(
  create: (origin: () => string) => FakeApi<Behaviour>,
  usual: Behaviour,
  port = 0,
): Promise<Fake<Behaviour>> {
  const sockets = new Set<Socket>();
  let url = '';
  let behaviour = usual;
  let queued: Behaviour[] = [];
  let calls: FakeCall[] = [];
  let interference: Interference | null = null;
  const api = create(() => url);
  const reset = () => {
    behaviour = usual;
    queued = [];
    calls = [];
    interference = null;
    api.reset();
  };
  const take = () => queued.shift() ?? behaviour;
  const control = (body: Buffer, response: ServerResponse) => {
    if (body.length > 0) {
      const order = JSON.parse(body.toString());
      if (order.reset) reset();
      if (order.behaviour) behaviour = order.behaviour;
      if (order.queue) queued.push(...order.queue);
    }
    const shown = calls.map((call) => ({ ...call, body: call.body.toString('base64') }));
    sendJson(response, 200, { calls: shown, facts: api.facts() });
  };

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => {});
    request.on('end', async () => {
      const body = Buffer.concat(chunks);
      const target = new URL(request.url ?? '/', 'http://fake');
      if (target.pathname === '/control') return control(body, response);
      const call: FakeCall = {
        method: request.method ?? 'GET',
        path: target.pathname,
        query: Object.fromEntries(target.searchParams),
        headers: request.headers,
        body,
      };
      calls.push(call);
      const fault = await interference?.(call);
      if (fault) return suffer(fault, response);
      return Promise.resolve(api.handle(call, response, take)).catch((error: unknown) => {
        sendJson(response, 599, { fake: String(error) });
      });
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    get calls() {
      return calls;
    },
    facts: () => api.facts(),
    setBehaviour: (next) => {
      behaviour = next;
    },
    queue: (...next) => {
      queued.push(...next);
    },
    interfere: (next) => {
      interference = next;
    },
    finish: () => api.finish?.(),
    reset,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

function suffer(fault: Fault, response: ServerResponse): void {
  if (fault === 'hang') return;
  if (fault === 'drop') return void response.destroy();
  sendJson(response, fault.status, {}, fault.headers);
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}
