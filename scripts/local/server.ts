// The local server: the Worker on workerd with embedded D1, R2, Queues and Durable Objects, through
// the miniflare API (why: docs/decisions/0001-local-runner.md). Used by `npm start`, the demo and the
// end-to-end tests; it decides nothing of its own, wrangler.toml does.
import { resolve } from 'node:path';
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from 'miniflare';
import { type CronTrigger, createCronTrigger, driveCrons } from './crons.ts';
import { tieRuntime } from './lifeline.ts';
import { applyMigrations } from './migrations.ts';
import { type Plan, readPlan } from './plan.ts';
import { isPortFree, LOOPBACK } from './ports.ts';
import type { LocalSettings } from './settings.ts';
import { checkSettings } from './source.ts';
import { holdState, resourcesDir } from './state.ts';

// A server killed a moment ago may need this long to let go of its port.
const PORT_PATIENCE_MS = 2_000;
const PORT_STEP_MS = 100;

export class PortTakenError extends Error {}
export class SettingsError extends Error {}

export interface LocalServer {
  origin: string;
  /** The vars of wrangler.toml with the given settings over them. */
  settings: LocalSettings;
  stop(): Promise<void>;
}

export interface LocalServerOptions {
  /** 0 takes any free port. */
  port: number;
  /** Made when missing; one server at a time. */
  stateDir: string;
  /** Over the vars of wrangler.toml; `readLocalSettings()` or `throwAwaySettings()`. */
  settings: LocalSettings;
  /** See `readPlan`. */
  main?: string;
  /** Drops the Worker's log; `onLog` gets each line otherwise (default: standard error). */
  quiet?: boolean;
  onLog?: (line: string) => void;
}

/** @throws {PortTakenError} {SettingsError} StateError, PlanError: their messages are for people. */
export async function startLocalServer(options: LocalServerOptions): Promise<LocalServer> {
  const stateDir = resolve(options.stateDir);
  const state = holdState(stateDir);
  try {
    const plan = await readPlan(options.main);
    const settings = { ...plan.vars, ...options.settings };
    await refuseFaulty(settings);
    await waitForPort(options.port);
    const server = await run({ ...options, stateDir, settings, plan });
    return {
      ...server,
      async stop() {
        await server.stop();
        state.release();
      },
    };
  } catch (error) {
    state.release();
    throw error;
  }
}

async function refuseFaulty(settings: LocalSettings): Promise<void> {
  try {
    await checkSettings(settings);
  } catch (error) {
    throw new SettingsError(error instanceof Error ? error.message : String(error));
  }
}

async function waitForPort(port: number): Promise<void> {
  const deadline = Date.now() + PORT_PATIENCE_MS;
  while (!(await isPortFree(port))) {
    if (Date.now() > deadline) throw new PortTakenError(`Port ${port} of ${LOOPBACK} is taken.`);
    await new Promise((done) => setTimeout(done, PORT_STEP_MS));
  }
}

async function run(options: LocalServerOptions & { plan: Plan }): Promise<LocalServer> {
  const { plan, stateDir, settings } = options;
  const writeLine = options.onLog ?? ((line: string) => process.stderr.write(`${line}\n`));
  const onLog = options.quiet === true ? () => {} : writeLine;
  const lifeline = tieRuntime(stateDir);
  const trigger = createCronTrigger(plan.worker);
  let miniflare: Miniflare | null = null;
  try {
    await applyMigrations(plan, stateDir, lifeline.runtimeEnvironment);
    miniflare = new Miniflare(
      convertV4MiniflareOptions({
        host: LOOPBACK,
        port: options.port,
        // The request's `cf` would be fetched from the network; Foreman does not read it.
        cf: false,
        telemetry: { enabled: false },
        logRequests: false,
        log: new LineLog(onLog),
        handleUncaughtError: (error) => onLog(error.stack ?? String(error)),
        handleStructuredLogs: ({ message }) => onLog(message),
        resourcePersistencePath: resourcesDir(stateDir),
        unsafeRuntimeEnv: lifeline.runtimeEnvironment,
        workers: [{ ...plan.worker, bindings: settings }, trigger.worker],
      }),
    );
    const { origin } = await miniflare.ready;
    return { origin, settings, stop: stopper({ plan, miniflare, trigger, lifeline, onLog }) };
  } catch (error) {
    await miniflare?.dispose().catch(() => {});
    lifeline.release();
    throw error;
  }
}

function stopper(parts: {
  plan: Plan;
  miniflare: Miniflare;
  trigger: CronTrigger;
  lifeline: { release(): void };
  onLog: (line: string) => void;
}): () => Promise<void> {
  const crons = driveCrons({
    miniflare: parts.miniflare,
    trigger: parts.trigger,
    crons: parts.plan.crons,
    onError: parts.onLog,
  });
  return async () => {
    crons.stop();
    await parts.miniflare.dispose();
    parts.lifeline.release();
  };
}

/** Warnings and errors of the runtime itself, through the same channel as the Worker's log. */
class LineLog extends Log {
  #write: (line: string) => void;

  constructor(write: (line: string) => void) {
    super(LogLevel.WARN);
    this.#write = write;
  }

  protected override log(message: string): void {
    this.#write(message);
  }
}
