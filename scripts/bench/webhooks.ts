// What a receiver that hangs costs the others. One user has the endpoints A and B, another has C; each
// gets 1,000 events. In turns A answers at once, or hangs on every call until Foreman gives it up
// after 15 s. Counted is the time from an event to its arrival at B and C, by one machine's clock.
//
//   npm run bench:webhooks [-- --events 1000 --per-second 4]
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { type Server, startServer, type User } from '../../tests/e2e/support/server.ts';
import { inParallel, until } from '../../tests/e2e/support/until.ts';
import { type Latency, latencyOf } from './latency.ts';
import { type EventSink, startEventSink } from './webhooks-sink.ts';

interface Scene {
  readonly server: Server;
  readonly sink: EventSink;
}

interface Pace {
  readonly requests: number;
  /** Of each user. */
  readonly perSecond: number;
}

type Weather = 'A answers' | 'A hangs';

/** One queued, one running, one at its end. */
const EVENTS_OF_A_REQUEST = 3;
const TURNS = 2;
const WARM_UP: Pace = { requests: 20, perSecond: 5 };
const AIM_P95_MS = 2_000;
const ARRIVE_WITHIN_MS = 120_000;

let turn = 0;

/** Milliseconds from event to arrival. */
async function measured(
  { server, sink }: Scene,
  weather: Weather,
  pace: Pace,
): Promise<{ b: readonly number[]; c: readonly number[]; reachedA: number }> {
  turn += 1;
  const paths = { a: `/a/${turn}`, b: `/b/${turn}`, c: `/c/${turn}` };
  if (weather === 'A hangs') sink.hang(paths.a);
  const limits = { max_running: 10, images_per_day: 100_000 };
  const [first, second] = [await server.createUser(limits), await server.createUser(limits)];
  const endpointA = await subscribe(first, sink.url(paths.a));
  await subscribe(first, sink.url(paths.b));
  await subscribe(second, sink.url(paths.c));
  await Promise.all([submitAll(first, pace), submitAll(second, pace)]);
  const events = pace.requests * EVENTS_OF_A_REQUEST;
  for (const path of [paths.b, paths.c]) {
    const isDone = () => sink.arrived(path).size >= events;
    await until(`${events} events at ${path}`, isDone, ARRIVE_WITHIN_MS);
  }
  const reachedA = sink.arrived(paths.a).size;
  // What still waits for A is not to burden the next turn.
  await first.api.delete(`/v1/webhooks/${endpointA}`);
  const delays = (path: string) => [...sink.arrived(path).values()];
  return { b: delays(paths.b), c: delays(paths.c), reachedA };
}

async function subscribe({ api }: User, url: string): Promise<string> {
  const { status, body } = await api.post<{ id: string }>('/v1/webhooks', { url, events: ['*'] });
  if (status !== 201) throw new Error(`No endpoint: ${status} ${JSON.stringify(body)}`);
  return body.id;
}

/** At a pace, so that what is measured is the way of an event and not a backlog of requests. */
async function submitAll({ api }: User, { requests, perSecond }: Pace): Promise<void> {
  const began = performance.now();
  const numbers = Array.from({ length: requests }, (_, number) => number);
  await inParallel(numbers, 8, async (number) => {
    const waitMs = began + (number * 1_000) / perSecond - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    await api.submit({ model: 'sketch', prompt: `boat ${number}`, width: 64, height: 64 });
  });
}

async function compare(scene: Scene, pace: Pace) {
  await measured(scene, 'A answers', WARM_UP);
  const times: Record<Weather, { b: number[]; c: number[]; reachedA: number }> = {
    'A answers': { b: [], c: [], reachedA: 0 },
    'A hangs': { b: [], c: [], reachedA: 0 },
  };
  const requests = Math.ceil(pace.requests / TURNS);
  for (let round = 0; round < TURNS; round += 1) {
    for (const weather of ['A answers', 'A hangs'] as const) {
      const found = await measured(scene, weather, { ...pace, requests });
      times[weather].b.push(...found.b);
      times[weather].c.push(...found.c);
      times[weather].reachedA += found.reachedA;
    }
  }
  return times;
}

function print(times: Awaited<ReturnType<typeof compare>>): void {
  const rows: Record<string, Latency & { events: number }> = {};
  for (const [weather, { b, c }] of Object.entries(times)) {
    rows[`B, of the same user, ${weather}`] = { events: b.length, ...latencyOf(b) };
    rows[`C, of another user, ${weather}`] = { events: c.length, ...latencyOf(c) };
  }
  console.log('\nMilliseconds from an event to its arrival; every event arrived.');
  console.table(rows);
  for (const name of ['b', 'c'] as const) {
    const [well, hung] = [latencyOf(times['A answers'][name]), latencyOf(times['A hangs'][name])];
    console.log(
      `${name.toUpperCase()} while A hangs: p95 ${hung.p95} ms (aim: below ${AIM_P95_MS}, ` +
        `${hung.p95 < AIM_P95_MS ? 'met' : 'NOT met'}), ${(hung.p95 / well.p95).toFixed(2)}× of the ` +
        `p95 while A answers; p50 ${(hung.p50 / well.p50).toFixed(2)}×`,
    );
  }
  console.log(`A was called for ${times['A hangs'].reachedA} events while it hung.`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      events: { type: 'string', default: '1000' },
      'per-second': { type: 'string', default: '4' },
    },
  });
  const events = Math.min(10_000, Math.max(30, Number(values.events) || 0));
  const perSecond = Math.min(100, Math.max(1, Number(values['per-second']) || 0));
  const pace = { requests: Math.ceil(events / EVENTS_OF_A_REQUEST), perSecond };
  const stops: (() => Promise<void>)[] = [];
  try {
    const sink = await startEventSink();
    stops.unshift(sink.close);
    const server = await startServer();
    stops.unshift(server.close);
    console.log(
      `${availableParallelism()} cores; each user submits ${perSecond} requests a second, ` +
        `${perSecond * EVENTS_OF_A_REQUEST} events for each of its endpoints`,
    );
    print(await compare({ server, sink }, pace));
  } finally {
    for (const stop of stops) await stop();
  }
}

await main();
process.exit(0);
