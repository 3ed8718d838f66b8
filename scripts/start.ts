// `npm start`: the local server until it is told to stop.
//   PORT           the port on 127.0.0.1 (8787; 0 takes any free one)
//   FOREMAN_STATE  the folder it keeps its state in (.wrangler/state)
// and every setting of .dev.vars.example. Standard output has what a person needs to begin, standard
// error the log.
import { resolve } from 'node:path';
import { developmentKey } from './local/development-key.ts';
import { PlanError } from './local/plan.ts';
import { PortTakenError, SettingsError, startLocalServer } from './local/server.ts';
import { readLocalSettings } from './local/settings.ts';
import { StateError } from './local/state.ts';

const DEFAULT_PORT = 8787;
const DEFAULT_STATE = '.wrangler/state';
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
// How long a server outlives an npm that was killed.
const PARENT_CHECK_MS = 500;

function portSetting(): number {
  const given = process.env.PORT;
  if (given === undefined || given === '') return DEFAULT_PORT;
  const port = Number(given);
  if (/^\d{1,5}$/.test(given) && port <= 65_535) return port;
  throw new SettingsError("Foreman's settings are wrong:\n  PORT must be from 0 to 65535");
}

function onSignal(listener: () => void): void {
  for (const signal of SIGNALS) process.on(signal, listener);
}

/** npm forwards SIGTERM but cannot forward a SIGKILL; what it started ends with it all the same. */
function whenNpmIsGone(stop: () => void): void {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) stop();
  }, PARENT_CHECK_MS).unref();
}

function greeting(origin: string, key: string): string {
  return `
Foreman listens on ${origin}
API key: ${key}

  curl ${origin}/v1/requests \\
    -H 'Authorization: Bearer ${key}' \\
    -H 'Content-Type: application/json' \\
    -H 'Prefer: wait=30' \\
    -d '{"prompt": "a red sunset over mountains"}'

API reference: ${origin}/docs
`;
}

async function main(): Promise<void> {
  const stopping = Promise.withResolvers<void>();
  onSignal(() => stopping.resolve());
  whenNpmIsGone(stopping.resolve);

  const stateDir = resolve(process.env.FOREMAN_STATE || DEFAULT_STATE);
  const starting = startLocalServer({
    port: portSetting(),
    stateDir,
    settings: readLocalSettings(),
  });
  const server = await Promise.race([starting, stopping.promise]);
  if (server === undefined) {
    // Told to stop while starting: let the start come to its end, so that nothing is left behind.
    await starting.then((late) => late.stop()).catch(() => {});
    return;
  }
  // miniflare, once started, ends the process at a signal with that signal's code; being told to stop
  // is no failure, and npm would print it as one.
  for (const signal of SIGNALS) process.removeAllListeners(signal);
  onSignal(() => stopping.resolve());
  try {
    const { origin, settings } = server;
    const adminToken = settings.ADMIN_TOKEN ?? '';
    const key = await Promise.race([
      developmentKey({ origin, adminToken, stateDir }),
      stopping.promise,
    ]);
    if (key !== undefined) console.log(greeting(origin, key));
    await stopping.promise;
  } finally {
    await server.stop();
  }
}

const EXPECTED = [PlanError, PortTakenError, SettingsError, StateError];

try {
  await main();
  process.exit(0);
} catch (error) {
  const expected = EXPECTED.some((type) => error instanceof type);
  console.error(expected ? (error as Error).message : error);
  if (error instanceof PortTakenError) {
    console.error('Stop what listens there, or choose another: PORT=8788 npm start');
  }
  process.exit(1);
}
