/**
 * Run as a process of its own: a Worker that fills its log faster than it is read while its crons
 * fire, on the runtime and with the crons of the local server. Tells its parent where it listens and
 * how many crons have run.
 */
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from 'miniflare';
import { createCronTrigger, driveCrons } from '../../../scripts/local/crons.ts';
import { tieRuntime } from '../../../scripts/local/lifeline.ts';
import { LOOPBACK } from '../../../scripts/local/ports.ts';

export interface NoisyReport {
  readonly origin: string;
  readonly crons: number;
}

const CRON_PERIOD_MS = 50;
const REPORT_PERIOD_MS = 50;
const RAN = 'cron';

/** More in one go than the pipe of its log takes. */
const NOISY = `
const line = 'x'.repeat(2_000);
const makeNoise = () => { for (let i = 0; i < 300; i += 1) console.log(line); };
export default {
  fetch() { makeNoise(); return new Response('ok'); },
  scheduled({ cron }) { makeNoise(); if (cron === '* * * * *') console.log('${RAN}'); },
};`;

const worker = {
  name: 'noisy',
  compatibilityDate: '2026-01-01',
  modules: [{ type: 'ESModule' as const, path: 'noisy.js', contents: NOISY }],
};
const trigger = createCronTrigger(worker);
const lifeline = tieRuntime(process.argv[2] ?? '');
let crons = 0;
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    host: LOOPBACK,
    port: 0,
    cf: false,
    telemetry: { enabled: false },
    logRequests: false,
    log: new Log(LogLevel.NONE),
    handleStructuredLogs({ message }) {
      if (message === RAN) crons += 1;
    },
    unsafeRuntimeEnv: lifeline.runtimeEnvironment,
    workers: [worker, trigger.worker],
  }),
);
const { origin } = await miniflare.ready;
driveCrons({
  miniflare,
  trigger,
  crons: ['* * * * *'],
  onError: (message) => process.stderr.write(`${message}\n`),
  firstMs: CRON_PERIOD_MS,
  periodMs: CRON_PERIOD_MS,
});
setInterval(() => process.send?.({ origin, crons } satisfies NoisyReport), REPORT_PERIOD_MS);
