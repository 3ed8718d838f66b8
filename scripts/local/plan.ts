// What the local server runs: the Worker as `wrangler deploy` bundles it, its bindings as wrangler
// reads them from the top level of wrangler.toml, and the migrations. wrangler takes a second or two
// for that, so a plan is kept under .wrangler/local by the hash of everything it is made of.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { extname, join, relative } from 'node:path';
import type { V4WorkerOptions } from 'miniflare';
import { repositoryDir } from './settings.ts';

export interface Migration {
  name: string;
  queries: string[];
}

export interface Plan {
  /** The Worker's options, bindings included, without its vars. */
  worker: V4WorkerOptions;
  vars: Record<string, string>;
  crons: string[];
  d1Binding: string;
  migrations: Migration[];
}

type ModuleType = 'ESModule' | 'CompiledWasm' | 'Text' | 'Data';

const SOURCES = ['src', 'migrations', 'wrangler.toml', 'package-lock.json', 'tsconfig.json'];
const PLANS_DIR = join(repositoryDir, '.wrangler/local');
// Long enough that no server still starting from an older plan loses it.
const KEEP_PLANS_MS = 60 * 60_000;
const MODULE_TYPES: Record<string, ModuleType> = {
  '.js': 'ESModule',
  '.mjs': 'ESModule',
  '.wasm': 'CompiledWasm',
  '.txt': 'Text',
  '.html': 'Text',
  '.sql': 'Text',
  '.bin': 'Data',
};

export class PlanError extends Error {}

/** @param main Folder with the `index.ts` of another Worker on the same bindings, for tests. */
export async function readPlan(main: string | null = null): Promise<Plan> {
  const folder = join(PLANS_DIR, await hashSources(main === null ? SOURCES : [...SOURCES, main]));
  const kept = await readKept(folder);
  if (kept !== null) return withModules(kept, folder);
  await mkdir(PLANS_DIR, { recursive: true });
  const draft = await mkdtemp(join(PLANS_DIR, 'draft-'));
  try {
    const [plan] = await Promise.all([
      readConfiguration(),
      bundleWorker(join(draft, 'worker'), main),
    ]);
    await writeFile(join(draft, 'plan.json'), JSON.stringify(plan));
    await removeOldPlans();
    await keep(draft, folder);
    return withModules(plan, folder);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function hashSources(sources: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  const files = await Promise.all(sources.map((source) => listFiles(join(repositoryDir, source))));
  for (const file of [...files.flat(), import.meta.filename].toSorted()) {
    hash.update(`${relative(repositoryDir, file)}\0`).update(await readFile(file));
  }
  return hash.digest('hex').slice(0, 32);
}

async function listFiles(path: string): Promise<string[]> {
  if ((await stat(path)).isFile()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

async function readKept(folder: string): Promise<Plan | null> {
  try {
    return JSON.parse(await readFile(join(folder, 'plan.json'), 'utf8'));
  } catch {
    return null;
  }
}

/** Another server may have kept the same plan first; its copy is as good. */
async function keep(draft: string, folder: string): Promise<void> {
  try {
    await rename(draft, folder);
  } catch (error) {
    if ((await readKept(folder)) === null) throw error;
  }
}

async function removeOldPlans(): Promise<void> {
  for (const name of await readdir(PLANS_DIR)) {
    const folder = join(PLANS_DIR, name);
    const age =
      Date.now() -
      (await stat(folder)
        .catch(() => null)
        .then((s) => s?.mtimeMs ?? 0));
    if (age > KEEP_PLANS_MS) await rm(folder, { recursive: true, force: true });
  }
}

async function withModules(plan: Plan, folder: string): Promise<Plan> {
  const modulesRoot = join(folder, 'worker');
  const files = (await listFiles(modulesRoot)).filter((file) => extname(file) in MODULE_TYPES);
  // The entry point comes first: miniflare runs the first module.
  files.sort((a, b) => Number(b.endsWith('index.js')) - Number(a.endsWith('index.js')));
  const modules = await Promise.all(
    files.map(async (path) => ({
      type: MODULE_TYPES[extname(path)] ?? 'Data',
      path,
      contents: new Uint8Array(await readFile(path)),
    })),
  );
  return { ...plan, worker: { ...plan.worker, modules, modulesRoot } };
}

async function readConfiguration(): Promise<Plan> {
  // wrangler warns of secrets missing from .dev.vars; Foreman's own check of its settings follows.
  process.env.WRANGLER_LOG ??= 'error';
  const wrangler = await import('wrangler');
  const config = wrangler.unstable_readConfig({ config: join(repositoryDir, 'wrangler.toml') });
  const [database] = config.d1_databases;
  if (database === undefined) throw new PlanError('wrangler.toml binds no D1 database.');
  const { workerOptions } = wrangler.unstable_getMiniflareWorkerOptions(config);
  // The bindings hold what .dev.vars says; settings are read apart, and a plan keeps no secrets.
  const { bindings: _, modulesRules: __, ...worker } = workerOptions;
  return {
    worker: { ...worker, name: config.name ?? 'foreman' } as V4WorkerOptions,
    vars: config.vars as Record<string, string>,
    crons: config.triggers.crons ?? [],
    d1Binding: database.binding,
    migrations: await readMigrations(join(repositoryDir, database.migrations_dir ?? 'migrations')),
  };
}

async function readMigrations(folder: string): Promise<Migration[]> {
  const { unstable_splitSqlQuery } = await import('wrangler');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).toSorted();
  return Promise.all(
    names.map(async (name) => ({
      name,
      queries: unstable_splitSqlQuery(await readFile(join(folder, name), 'utf8')),
    })),
  );
}

/** The bundle that a deploy of the same sources would send. */
async function bundleWorker(outdir: string, main: string | null): Promise<void> {
  const wrangler = join(repositoryDir, 'node_modules/wrangler/bin/wrangler.js');
  const child = spawn(
    process.execPath,
    [
      ...[wrangler, 'deploy', ...(main === null ? [] : [join(main, 'index.ts')])],
      ...['--dry-run', '--env', '', '--outdir', outdir],
    ],
    {
      cwd: repositoryDir,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        CI: 'true',
        WRANGLER_HIDE_BANNER: 'true',
        WRANGLER_LOG: 'error',
        WRANGLER_SEND_METRICS: 'false',
      },
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  if (code !== 0) throw new PlanError(`The Worker does not build:\n${output.trim()}`);
}
