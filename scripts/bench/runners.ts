// Compares the local runners Foreman could use: `wrangler dev` as it comes, `wrangler dev` without
// its tracing of every binding call, and the miniflare API. Each serves the same tiny Worker from a
// temporary folder; the figures in docs/decisions/0001-local-runner.md come from here.
//
//   node scripts/bench/runners.ts
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { freePort } from '../local/ports.ts';

const ROUNDS = 3;
const WARM_UP = 100;
const SEQUENTIAL = 300;
const CONCURRENT = 1500;
const CONNECTIONS = 16;

const repository = fileURLToPath(new URL('../..', import.meta.url));
const wrangler = join(repository, 'node_modules/wrangler/bin/wrangler.js');

const WORKER = `
import { DurableObject } from 'cloudflare:workers';
export class Counter extends DurableObject {
  #hits = 0;
  hit() { return ++this.#hits; }
}
export default {
  async fetch(request, env) {
    if (new URL(request.url).pathname === '/plain') return new Response('plain');
    return new Response(String(await env.COUNTER.getByName('one').hit()));
  },
};
`;

const COMPATIBILITY_DATE = '2026-10-01';
const CONFIG = `
name = "runners"
main = "index.js"
compatibility_date = "${COMPATIBILITY_DATE}"
send_metrics = false
[[durable_objects.bindings]]
name = "COUNTER"
class_name = "Counter"
[[migrations]]
tag = "v1"
new_sqlite_classes = ["Counter"]
`;

interface Server {
  origin: string;
  stop(): Promise<void>;
}

interface Runner {
  name: string;
  start(folder: string): Promise<Server>;
}

function wranglerDev(name: string, environment: Record<string, string>): Runner {
  return {
    name,
    async start(folder) {
      const port = await freePort();
      const child = spawn(
        process.execPath,
        [wrangler, 'dev', '--ip', '127.0.0.1', '--port', String(port), '--log-level', 'error'],
        {
          cwd: folder,
          env: { ...process.env, WRANGLER_HIDE_BANNER: 'true', CI: 'true', ...environment },
          stdio: 'ignore',
        },
      );
      const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      return {
        origin: `http://127.0.0.1:${port}`,
        async stop() {
          child.kill('SIGTERM');
          await exited;
        },
      };
    },
  };
}

const miniflareApi: Runner = {
  name: 'miniflare API',
  async start(folder) {
    const path = join(folder, 'index.js');
    const miniflare = new Miniflare(
      convertV4MiniflareOptions({
        host: '127.0.0.1',
        port: 0,
        cf: false,
        resourcePersistencePath: join(folder, 'state'),
        workers: [
          {
            name: 'runners',
            modulesRoot: folder,
            modules: [{ type: 'ESModule', path, contents: await readFile(path, 'utf8') }],
            compatibilityDate: COMPATIBILITY_DATE,
            durableObjects: { COUNTER: { className: 'Counter', useSQLite: true } },
          },
        ],
      }),
    );
    return { origin: (await miniflare.ready).origin, stop: () => miniflare.dispose() };
  },
};

const runners: Runner[] = [
  wranglerDev('wrangler dev', {}),
  wranglerDev('wrangler dev, untraced', { X_LOCAL_OBSERVABILITY: 'false' }),
  miniflareApi,
];

function request(url: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      response.resume().once('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`${url} answered ${response.statusCode}`));
      });
    }).once('error', reject);
  });
}

async function untilReady(url: string): Promise<void> {
  const agent = new Agent();
  const deadline = Date.now() + 60_000;
  for (;;) {
    try {
      return await request(url, agent);
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

interface Load {
  latencyMs: number;
  perSecond: number;
}

async function measure(url: string): Promise<Load> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  for (let i = 0; i < WARM_UP; i++) await request(url, agent);
  const latencies: number[] = [];
  for (let i = 0; i < SEQUENTIAL; i++) {
    const began = performance.now();
    await request(url, agent);
    latencies.push(performance.now() - began);
  }
  let left = CONCURRENT;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (left-- > 0) await request(url, agent);
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  agent.destroy();
  return { latencyMs: median(latencies), perSecond: CONCURRENT / seconds };
}

interface Round {
  startMs: number;
  plain: Load;
  object: Load;
}

async function runRound(runner: Runner): Promise<Round> {
  const folder = await mkdtemp(join(tmpdir(), 'foreman-runners-'));
  await mkdir(join(folder, 'state'));
  await symlink(join(repository, 'node_modules'), join(folder, 'node_modules'));
  await writeFile(join(folder, 'index.js'), WORKER);
  await writeFile(join(folder, 'wrangler.toml'), CONFIG);
  const began = performance.now();
  const server = await runner.start(folder);
  try {
    await untilReady(`${server.origin}/plain`);
    const startMs = performance.now() - began;
    const plain = await measure(`${server.origin}/plain`);
    const object = await measure(`${server.origin}/object`);
    return { startMs, plain, object };
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

const rounds = new Map<Runner, Round[]>(runners.map((runner) => [runner, []]));
for (let round = 0; round < ROUNDS; round++) {
  for (const runner of runners) rounds.get(runner)?.push(await runRound(runner));
}

const rows = runners.map((runner) => {
  const results = rounds.get(runner) ?? [];
  const of = (pick: (round: Round) => number) => median(results.map(pick));
  return {
    name: runner.name,
    start: of((round) => round.startMs),
    plain: of((round) => round.plain.latencyMs),
    plainRate: of((round) => round.plain.perSecond),
    object: of((round) => round.object.latencyMs),
    objectRate: of((round) => round.object.perSecond),
  };
});

console.log(`${availableParallelism()} cores, medians of ${ROUNDS} rounds`);
console.log(
  `${SEQUENTIAL} requests one after the other (ms), ${CONCURRENT} over ${CONNECTIONS} connections (per second)`,
);
console.table(
  Object.fromEntries(
    rows.map((row) => [
      row.name,
      {
        'start ms': Math.round(row.start),
        'plain ms': Number(row.plain.toFixed(2)),
        'plain/s': Math.round(row.plainRate),
        'object call ms': Number(row.object.toFixed(2)),
        'object calls/s': Math.round(row.objectRate),
      },
    ]),
  ),
);
const [first, ...others] = rows;
for (const row of others) {
  if (first === undefined) break;
  console.log(
    `${row.name} against ${first.name}: plain ${(first.plain / row.plain).toFixed(1)}× quicker, ` +
      `${(row.plainRate / first.plainRate).toFixed(1)}× the rate; object call ` +
      `${(first.object / row.object).toFixed(1)}× quicker, ` +
      `${(row.objectRate / first.objectRate).toFixed(1)}× the rate`,
  );
}
