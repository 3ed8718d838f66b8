// What faults of providers cost a request: 300 at two providers of which the first fails a third of
// its calls, side by side with 300 at the same two when both are well; 300 with ten attempts each at
// the failing one alone; and a minute in which it is down (outage.ts). The faults are fixed
// (fault-deck.ts), so every run meets the same ones. Every request is held to what the providers
// counted; one that differs ends the script.
//
//   npm run bench:storm [-- --outage-seconds 60]
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { startServer } from '../../tests/e2e/support/server.ts';
import {
  breakerIs,
  type Call,
  callsOf,
  disagreements,
  type Ended,
  FIRST,
  numbersTo,
  runAtOnce,
  runInTurns,
  type StormModel,
  stormSettings,
} from '../../tests/e2e/support/storm.ts';
import { type Mode, startFakeOpenAi } from '../../tests/support/fake-openai.ts';
import { createCalmSchedule, createFaultSchedule } from '../../tests/support/fault-deck.ts';
import { addedMs, type Latency, latencyOf, round } from './latency.ts';
import { goThroughOutage, type Outage, type Scene } from './outage.ts';

const ROUNDS = 3;
const IN_A_ROUND = 100;
const WARM_UP = 60;
/** Below what the user may run, so that nobody waits for a slot, and few enough for two cores. */
const IN_FLIGHT = 5;
const MAX_RUNNING = 50;
const ALONE = 300;
/** One backoff. */
const AIM_P95_MS = 1_000;

interface Group {
  readonly requests: number;
  readonly calls: readonly Call[];
  readonly added: readonly number[];
  readonly seconds: number;
}

const emptyGroup: Group = { requests: 0, calls: [], added: [], seconds: 0 };

const joined = (a: Group, b: Group): Group => ({
  requests: a.requests + b.requests,
  calls: [...a.calls, ...b.calls],
  added: [...a.added, ...b.added],
  seconds: a.seconds + b.seconds,
});

const okDelayMs = (request: number) => 50 + ((request * 37) % 200);

function setWeather({ providers }: Scene, weather: 'calm' | 'storm'): void {
  const create = weather === 'storm' ? createFaultSchedule : createCalmSchedule;
  providers.openai.setSchedule(create(okDelayMs));
  providers.compatible.setSchedule(createCalmSchedule(okDelayMs));
}

async function measured(
  { server, providers }: Scene,
  of: { readonly model: StormModel; readonly name: string; readonly numbers: readonly number[] },
): Promise<Group> {
  const { model, name, numbers } = of;
  const { api } = await server.createUser({ max_running: MAX_RUNNING });
  const storm = { api, model, name };
  const began = performance.now();
  const ended =
    model === 'two'
      ? await runInTurns(storm, numbers, IN_FLIGHT)
      : await runAtOnce(storm, numbers.length);
  const seconds = (performance.now() - began) / 1_000;
  const pairs = ended.map((request, index): [Ended, Call[]] => [
    request,
    callsOf(providers, name, numbers[index] ?? -1),
  ]);
  const faults = pairs.flatMap(([request, calls]) => disagreements(request, calls));
  if (faults.length > 0) throw new Error(`${name}:\n${faults.join('\n')}`);
  const added = pairs.map(([request, calls]) => addedMs(request, calls));
  return { requests: ended.length, calls: pairs.flatMap(([, calls]) => calls), added, seconds };
}

/** In turns, so that whatever else the machine does hits both. */
async function compare(scene: Scene): Promise<Record<'calm' | 'storm', Group>> {
  setWeather(scene, 'calm');
  await measured(scene, { model: 'two', name: 'warm-up', numbers: numbersTo(WARM_UP) });
  const groups = { calm: emptyGroup, storm: emptyGroup };
  for (let turn = 0; turn < ROUNDS; turn += 1) {
    const numbers = numbersTo(IN_A_ROUND).map((number) => turn * IN_A_ROUND + number);
    const order = turn % 2 === 0 ? (['calm', 'storm'] as const) : (['storm', 'calm'] as const);
    for (const weather of order) {
      await breakerIs(scene.server.admin, FIRST, 'closed', 60_000);
      setWeather(scene, weather);
      const of = { model: 'two' as const, name: `${weather}-${turn}`, numbers };
      groups[weather] = joined(groups[weather], await measured(scene, of));
    }
  }
  return groups;
}

async function goAlone(scene: Scene): Promise<Group> {
  await breakerIs(scene.server.admin, FIRST, 'closed', 60_000);
  setWeather(scene, 'storm');
  return measured(scene, { model: 'one', name: 'alone', numbers: numbersTo(ALONE) });
}

const shown = ({ p50, p95, max }: Latency) => ({ 'added p50': p50, 'added p95': p95, max });

function rowOf({ requests, calls, seconds }: Group) {
  const met = (...modes: readonly Mode[]) =>
    calls.filter(({ behaviour }) => modes.includes(behaviour.mode)).length;
  return {
    requests,
    calls: calls.length,
    'met 500': met(500),
    'met 429': met(429),
    'met hang': met('hang', 'hang-after-body'),
    seconds: round(seconds),
  };
}

function print(groups: Record<'calm' | 'storm', Group>, alone: Group): void {
  const calm = latencyOf(groups.calm.added);
  const storm = latencyOf(groups.storm.added);
  console.log(
    '\nAll succeeded, each with an image that was paid for once, and once more for a call that\n' +
      'hung. Milliseconds that Foreman adds: from the acceptance to the end, less the call that\n' +
      'made the image. The last row has 300 waiting for 50 slots, which is no such time.',
  );
  console.table({
    'two providers, both well': { ...rowOf(groups.calm), ...shown(calm) },
    'two, the first fails a third': { ...rowOf(groups.storm), ...shown(storm) },
    'the failing one alone': rowOf(alone),
  });
  const ratio = (storm.p95 / calm.p95).toFixed(2);
  console.log(
    `Faults with a second provider: p95 ${storm.p95} ms (aim: below ${AIM_P95_MS}), ${ratio}× the ` +
      `fault-free p95; p50 ${(storm.p50 / calm.p50).toFixed(2)}×`,
  );
}

function printOutage({ seconds, everyMs, first, meanwhile, sole }: Outage): void {
  console.log(`\nThe first provider down for ${seconds} s, a request every ${everyMs} ms:`);
  const rows: Record<string, number> = {
    'last success to open breaker, ms': first.openedAfterMs,
    'failed calls until it was open': first.failuresUntilOpen,
    'of these over 2 s after the success': first.failuresUngraced,
    'calls to it while open': first.callsWhileOpen,
    'requests meanwhile': meanwhile.requests,
    'of these with one call, to the second': meanwhile.passedOver,
    'added p50, ms': meanwhile.latency.p50,
    'added p95, ms': meanwhile.latency.p95,
    'added max, ms': meanwhile.latency.max,
    'return to closed breaker, ms': first.closedAfterMs,
    'requests without a second provider': sole.requests,
    'of these seen waiting for the breaker': sole.seenWaiting,
    'their failures until it was open': sole.failuresUntilOpen,
    'their failed probes': sole.probes,
    'return to the last of them done, ms': sole.doneAfterMs,
  };
  const shown = Object.entries(rows).map(([name, value]) => [name, { value }]);
  console.table(Object.fromEntries(shown));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { 'outage-seconds': { type: 'string', default: '60' } },
  });
  const outageMs = Math.max(20, Number(values['outage-seconds']) || 0) * 1_000;
  const stops: (() => Promise<void>)[] = [];
  try {
    const openai = await startFakeOpenAi({ delayMs: 100 });
    stops.unshift(openai.close);
    const compatible = await startFakeOpenAi({ delayMs: 100 });
    stops.unshift(compatible.close);
    const server = await startServer(stormSettings({ openai, compatible }));
    stops.unshift(server.close);
    const scene: Scene = { server, providers: { openai, compatible } };
    console.log(`${availableParallelism()} cores; ${IN_FLIGHT} in flight with two providers`);
    const groups = await compare(scene);
    print(groups, await goAlone(scene));
    printOutage(await goThroughOutage(scene, outageMs));
  } finally {
    for (const stop of stops) await stop();
  }
}

await main();
process.exit(0);
