// The two servers that overhead.ts compares: Foreman as `npm start` runs it, and the bare Worker on
// the same runtime with the bindings, queues and flags of the same wrangler.toml.
import { mkdtemp, readFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from 'miniflare';
import { tieRuntime } from '../local/lifeline.ts';
import { readPlan } from '../local/plan.ts';
import { LOOPBACK } from '../local/ports.ts';
import { startLocalServer } from '../local/server.ts';
import { throwAwaySettings } from '../local/settings.ts';
import { resourcesDir } from '../local/state.ts';
import type { Subject } from './scene.ts';

const UNLIMITED = {
  requests_per_minute: 1_000_000,
  burst: 1_000_000,
  max_running: 100,
  max_waiting: 100_000,
  images_per_day: 1_000_000,
  monthly_budget_usd: null,
};

interface Options {
  folder: string;
  upstreamUrl: string;
  onLog(line: string): void;
}

export async function startForeman(options: Options): Promise<Subject> {
  const server = await startLocalServer({
    port: 0,
    stateDir: join(options.folder, 'foreman'),
    settings: {
      ...throwAwaySettings({}),
      OPENAI_API_KEY: 'bench',
      OPENAI_BASE_URL: options.upstreamUrl,
    },
    onLog: options.onLog,
  });
  const admin = async (path: string, body: object) => {
    const response = await fetch(`${server.origin}/v1/admin/users${path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${server.settings.ADMIN_TOKEN}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify(body),
    });
    if (response.status !== 201) throw new Error(await response.text());
    return (await response.json()) as { id: string; key: string };
  };
  const user = await admin('', { name: 'bench', limits: UNLIMITED });
  const { key } = await admin(`/${user.id}/keys`, { name: 'bench' });
  return {
    name: 'Foreman',
    origin: server.origin,
    headers: { authorization: `Bearer ${key}` },
    fields: { model: 'gpt-image-1' },
    stop: server.stop,
  };
}

export async function startBareWorker(options: Options): Promise<Subject> {
  const { worker, d1Binding } = await readPlan();
  const stateDir = await mkdtemp(join(options.folder, 'bare-'));
  const path = join(import.meta.dirname, 'bare-worker.ts');
  const contents = stripTypeScriptTypes(await readFile(path, 'utf8'));
  const lifeline = tieRuntime(stateDir);
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: LOOPBACK,
      port: 0,
      cf: false,
      telemetry: { enabled: false },
      logRequests: false,
      log: new Log(LogLevel.NONE),
      handleUncaughtError: (error) => options.onLog(error.stack ?? String(error)),
      handleStructuredLogs: ({ message }) => options.onLog(message),
      resourcePersistencePath: resourcesDir(stateDir),
      unsafeRuntimeEnv: lifeline.runtimeEnvironment,
      workers: [
        {
          ...worker,
          name: 'bare',
          modulesRoot: import.meta.dirname,
          modules: [{ type: 'ESModule', path, contents }],
          durableObjects: { ROWS: { className: 'Rows', useSQLite: true } },
          bindings: { UPSTREAM: options.upstreamUrl },
        },
      ],
    }),
  );
  const stop = async () => {
    await miniflare.dispose();
    lifeline.release();
  };
  try {
    const { origin } = await miniflare.ready;
    const database = await miniflare.getD1Database(d1Binding);
    await database.exec('CREATE TABLE bare_rows (id TEXT PRIMARY KEY, status TEXT)');
    return { name: 'bare Worker', origin, headers: {}, fields: {}, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
