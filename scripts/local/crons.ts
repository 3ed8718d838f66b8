// Calls the Worker's scheduled handler, which the local runtime never does by itself.
import type { Miniflare } from 'miniflare';

// More often than in production: a developer waits for a sweep, and locally it costs nothing.
const PERIOD_MS = 60_000;
// Soon after a start, so that what a killed server left behind is swept without a minute's wait.
const FIRST_MS = 5_000;

export function driveCrons(options: {
  miniflare: Miniflare;
  workerName: string;
  crons: string[];
  onError: (message: string) => void;
}): { stop(): void } {
  const run = async () => {
    const worker = await options.miniflare.getWorker(options.workerName);
    for (const cron of options.crons) {
      const { outcome } = await worker.scheduled({ cron, scheduledTime: new Date() });
      if (outcome !== 'ok') options.onError(`The cron ${cron} ended with ${outcome}`);
    }
  };
  let stopped = false;
  const tick = () => {
    run().catch((error: unknown) => {
      if (!stopped) options.onError(`The crons could not be run: ${String(error)}`);
    });
  };
  const first = setTimeout(tick, FIRST_MS).unref();
  const timer = setInterval(tick, PERIOD_MS).unref();
  return {
    stop() {
      stopped = true;
      clearTimeout(first);
      clearInterval(timer);
    },
  };
}
