// Calls the Worker's scheduled handler, which the local runtime never does by itself. Not by
// miniflare's `getWorker().scheduled()`: that waits for workerd with this process stopped, and workerd
// may be waiting for this process to read its log. Both then wait for good.
import { randomBytes } from 'node:crypto';
import type { Miniflare, V4WorkerOptions } from 'miniflare';

// More often than in production: a developer waits for a sweep, and locally it costs nothing.
const PERIOD_MS = 60_000;
// Soon after a start, so that what a killed server left behind is swept without a minute's wait.
const FIRST_MS = 5_000;
// As long as production has between two runs.
const PATIENCE_MS = 300_000;

/** No name that DNS has: only a request made for it comes here. */
const HOST = 'crons.invalid';

/** Stands beside the Worker on the same port, so it answers nobody who does not know the secret. */
const TRIGGER = `export default {
  async fetch(request, { WORKER, SECRET }) {
    if (request.headers.get('authorization') !== SECRET) return new Response(null, { status: 404 });
    const cron = await request.text();
    return Response.json(await WORKER.scheduled({ cron, scheduledTime: new Date() }));
  },
};`;

export interface CronTrigger {
  /** Goes among the workers of the miniflare instance, after the Worker. */
  worker: V4WorkerOptions;
  secret: string;
}

export function createCronTrigger(target: V4WorkerOptions): CronTrigger {
  const secret = randomBytes(32).toString('hex');
  return {
    secret,
    worker: {
      name: 'crons',
      modules: [{ type: 'ESModule', path: 'crons.js', contents: TRIGGER }],
      compatibilityDate: target.compatibilityDate ?? '',
      // Gives the binding its `scheduled`.
      compatibilityFlags: ['service_binding_extra_handlers'],
      serviceBindings: { WORKER: target.name ?? '' },
      bindings: { SECRET: secret },
      routes: [`${HOST}/*`],
    },
  };
}

export function driveCrons(options: {
  miniflare: Miniflare;
  trigger: CronTrigger;
  crons: string[];
  onError: (message: string) => void;
  firstMs?: number;
  periodMs?: number;
}): { stop(): void } {
  const { miniflare, trigger, crons, onError } = options;
  const { firstMs = FIRST_MS, periodMs = PERIOD_MS } = options;
  const run = async () => {
    for (const cron of crons) {
      const response = await miniflare.dispatchFetch(`http://${HOST}/`, {
        method: 'POST',
        headers: { authorization: trigger.secret },
        body: cron,
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      const { outcome } = (await response.json()) as { outcome: string };
      if (outcome !== 'ok') onError(`The cron ${cron} ended with ${outcome}`);
    }
  };
  let stopped = false;
  let running = false;
  const tick = async () => {
    if (running) return;
    running = true;
    try {
      await run();
    } catch (error) {
      if (!stopped) onError(`The crons could not be run: ${String(error)}`);
    } finally {
      running = false;
    }
  };
  const first = setTimeout(tick, firstMs).unref();
  const timer = setInterval(tick, periodMs).unref();
  return {
    stop() {
      stopped = true;
      clearTimeout(first);
      clearInterval(timer);
    },
  };
}
