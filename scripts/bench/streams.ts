// What open streams cost the admission of requests. One server, one run, a user per scene: nobody
// listens; 500 event streams of requests that wait; 500 of requests that are canceled meanwhile, next
// to the same cancellations without a listener; 500 WebSockets that hear of everything. The series
// alternate, so that what else the machine does meets all of them. Every listener must have heard all
// that there was: a message too few ends the script.
//
//   npm run bench:streams [-- --streams 500 --requests 300]
import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { startServer } from '../../tests/e2e/support/server.ts';
import { latencyOf, round } from './latency.ts';
import { createScenes, type Scene } from './streams-scenes.ts';

/** Series of one scene; a request is in one of them. */
const SERIES = 6;
/** Twice what it takes when nobody listens. */
const AIM = 2;

interface Measured {
  readonly times: number[];
  /** Of each series, requests a second. */
  readonly rates: number[];
}

async function measure(scenes: readonly Scene[], requests: number): Promise<Map<Scene, Measured>> {
  const results = new Map<Scene, Measured>(
    scenes.map((scene) => [scene, { times: [], rates: [] }]),
  );
  for (let series = 0; series < SERIES; series += 1) {
    const order = series % 2 === 0 ? scenes : scenes.toReversed();
    for (const scene of order) {
      const began = performance.now();
      const times = await scene.admit(requests / SERIES);
      const seconds = (performance.now() - began) / 1_000;
      results.get(scene)?.times.push(...times);
      results.get(scene)?.rates.push(times.length / seconds);
      // What is still being told is not to slow the next.
      await scene.heard();
    }
  }
  return results;
}

function print(results: ReadonlyMap<Scene, Measured>): void {
  const rows = [...results].map(([scene, { times, rates }]) => {
    const { p50, p95, max } = latencyOf(times);
    const perSecond = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
    return { scene, p50, p95, max, perSecond };
  });
  console.table(
    Object.fromEntries(
      rows.map(({ scene, perSecond, ...latency }) => [
        scene.name,
        { ...latency, 'requests/s': round(perSecond) },
      ]),
    ),
  );
  for (const { scene, p50, p95, perSecond } of rows) {
    const base = rows.find((row) => row.scene.name === scene.comparedWith);
    if (!base) continue;
    const slower = base.perSecond / perSecond;
    console.log(
      `${scene.name}: p50 ${(p50 / base.p50).toFixed(2)}×, p95 ${(p95 / base.p95).toFixed(2)}×, ` +
        `time per request ${slower.toFixed(2)}× of "${base.scene.name}" ` +
        `(aim: ${AIM}×, ${slower <= AIM && p50 / base.p50 <= AIM ? 'met' : 'NOT met'})`,
    );
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      streams: { type: 'string', default: '500' },
      requests: { type: 'string', default: '300' },
    },
  });
  const streams = Math.min(900, Math.max(1, Number(values.streams) || 0));
  const requests = Math.min(6_000, Math.max(SERIES, Number(values.requests) || 0));
  const server = await startServer();
  try {
    console.log(
      `${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(1)}; ${streams} streams, ` +
        `${requests} requests a scene`,
    );
    const scenes = await createScenes(server, { streams, requests });
    console.log('milliseconds from POST to 202, 8 in flight');
    print(await measure(scenes, requests));
    for (const scene of scenes) scene.close();
  } finally {
    await server.close();
  }
}

await main();
process.exit(0);
