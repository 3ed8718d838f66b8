// What Foreman's bookkeeping costs: the time to accept a request, the time from POST to webhook and
// the rate with many in flight, against a bare Worker that makes the same binding calls once
// (bare-worker.ts), with an image API that answers at once. Both run in one go, in turns, so that
// whatever else the machine does hits both.
//
//   npm run bench [-- --rounds 5 --size 1024x1024]
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createScene, type Scene, type Subject, type Timings } from './scene.ts';
import { startBareWorker, startForeman } from './subjects.ts';

const WARM_UP = 30;
const SEQUENTIAL = 40;
const CONCURRENT = 200;
const IN_FLIGHT = 20;
const LAST_LINES = 20;

interface Results {
  timings: Timings[];
  perSecond: number[];
}

async function runSequential(scene: Scene, subject: Subject, count: number): Promise<Timings[]> {
  const timings: Timings[] = [];
  for (let i = 0; i < count; i++) timings.push(await scene.run(subject));
  return timings;
}

async function runConcurrent(scene: Scene, subject: Subject): Promise<number> {
  let left = CONCURRENT;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      while (left-- > 0) await scene.run(subject);
    }),
  );
  return (CONCURRENT / (performance.now() - began)) * 1000;
}

/** The first of a round alternates, so that neither always follows the other's leftovers. */
async function measure(
  scene: Scene,
  subjects: readonly Subject[],
  rounds: number,
): Promise<Map<Subject, Results>> {
  const results = new Map(subjects.map((s): [Subject, Results] => [s, empty()]));
  for (const subject of subjects) {
    await runSequential(scene, subject, WARM_UP);
    await runConcurrent(scene, subject);
  }
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? subjects : subjects.toReversed();
    for (const subject of order) {
      results.get(subject)?.timings.push(...(await runSequential(scene, subject, SEQUENTIAL)));
    }
    for (const subject of order) {
      results.get(subject)?.perSecond.push(await runConcurrent(scene, subject));
    }
  }
  return results;
}

const empty = (): Results => ({ timings: [], perSecond: [] });

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

type Measure = readonly [name: string, of: (timings: Timings) => number];

const WHOLE: readonly Measure[] = [
  ['POST to 202', (t) => t.accepted - t.posted],
  ['POST to webhook', (t) => t.told - t.posted],
];
/** A queue may be quicker than the answer to the client, so these begin at the POST, not the 202. */
const PARTS: readonly Measure[] = [
  ['POST to call: accept, queue, claim', (t) => t.called - t.posted],
  ['the call: read, answer', (t) => t.answered - t.called],
  ['call to webhook: store, settle, queue, deliver', (t) => t.told - t.answered],
];

function printTable(
  title: string,
  measures: readonly Measure[],
  [foreman, bare]: readonly [Results, Results],
): void {
  console.log(`\n${title}`);
  const row = ([name, of]: Measure) => {
    const [ours, theirs] = [foreman, bare].map(({ timings }) => timings.map(of));
    const at = (values: readonly number[] = [], share: number) => quantile(values, share);
    return [
      name,
      {
        'Foreman p50': round(at(ours, 0.5)),
        p95: round(at(ours, 0.95)),
        'bare p50': round(at(theirs, 0.5)),
        'bare p95': round(at(theirs, 0.95)),
        'ratio p50': round(at(ours, 0.5) / at(theirs, 0.5)),
        'difference ms': round(at(ours, 0.5) - at(theirs, 0.5)),
      },
    ];
  };
  console.table(Object.fromEntries(measures.map(row)));
}

const round = (value: number) => Number(value.toFixed(2));

function print(results: readonly [Results, Results]): void {
  printTable('One request after the other, milliseconds', WHOLE, results);
  printTable('Where the time from POST to webhook goes, milliseconds', PARTS, results);
  const [ours, theirs] = results.map(({ perSecond }) => quantile(perSecond, 0.5));
  const rates = `${ours?.toFixed(0)}/s and ${theirs?.toFixed(0)}/s`;
  console.log(`\n${IN_FLIGHT} in flight, webhooks included: Foreman and the bare Worker ${rates}`);
  const [whole, bare] = results.map(({ timings }) =>
    quantile(
      timings.map((t) => t.told - t.posted),
      0.5,
    ),
  );
  const ratio = (whole ?? Number.NaN) / (bare ?? Number.NaN);
  console.log(`POST to webhook, p50: ${ratio.toFixed(2)}× the bare Worker (aim: at most 3×)`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      size: { type: 'string', default: '1024x1024' },
    },
  });
  const rounds = Math.max(1, Number(values.rounds) || 0);
  const folder = mkdtempSync(join(tmpdir(), 'foreman-overhead-'));
  // At a signal too, at which miniflare ends this process.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const lines: string[] = [];
  const onLog = (line: string) => {
    if (lines.push(line) > LAST_LINES) lines.shift();
  };
  const stops: (() => Promise<void>)[] = [];
  try {
    const scene = await createScene(values.size);
    stops.unshift(scene.stop);
    const { upstreamUrl } = scene;
    const foreman = await startForeman({ folder, upstreamUrl, onLog });
    stops.unshift(foreman.stop);
    const bare = await startBareWorker({ folder, upstreamUrl, onLog });
    stops.unshift(bare.stop);
    console.log(
      `${availableParallelism()} cores; ${rounds} rounds of ${SEQUENTIAL} requests one after the ` +
        `other and ${CONCURRENT} with ${IN_FLIGHT} in flight, for each in turn; ` +
        `images of ${values.size}, ${Math.round(scene.imageBytes / 1024)} KiB`,
    );
    const results = await measure(scene, [foreman, bare], rounds);
    print([results.get(foreman) ?? empty(), results.get(bare) ?? empty()]);
  } catch (error) {
    if (lines.length > 0) console.error(`Last lines of the logs:\n${lines.join('\n')}`);
    throw error;
  } finally {
    for (const stop of stops) await stop();
  }
}

await main();
process.exit(0);
