// `npm run demo [-- "a red sunset over mountains"] [--model sketch]`: the whole way of one request on
// a server of its own, with nothing but this repository: prompt in, image out, webhook told. Every
// step is checked; the exit code is 0 only when all of them held.
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { type Client, createClient } from './demo/client.ts';
import { checkPicture, keepPicture } from './demo/picture.ts';
import { type Delivery, startReceiver } from './demo/receiver.ts';
import { showDelivery, showEvent, showImage, showTimeline } from './demo/report.ts';
import { createRun, type Run } from './demo/steps.ts';
import { bold, good, line, ms, title } from './demo/terminal.ts';
import type { Request, RequestEvent } from './demo/types.ts';
import { type LocalServer, startLocalServer } from './local/server.ts';
import { repositoryDir, throwAwaySettings } from './local/settings.ts';

const PROMPT = 'a red sunset over mountains';
// Not `auto`: with OPENAI_API_KEY set that would call a paid API.
const MODEL = 'sketch';
const LIMIT_MS = 60_000;
const LAST_LINES = 30;
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

interface Asked {
  prompt: string;
  model: string;
}

interface Context extends Asked {
  run: Run;
  client: Client;
  key: string;
}

/** @throws Error saying which argument is not understood. */
function readArguments(): Asked {
  const { values, positionals } = parseArgs({
    options: { model: { type: 'string', default: MODEL } },
    allowPositionals: true,
  });
  return { prompt: positionals.join(' ') || PROMPT, model: values.model };
}

/** Settings that would take the demo elsewhere are left out of what the environment gives. */
function settingsFor(model: string): ReturnType<typeof throwAwaySettings> {
  const { OPENAI_API_KEY, OPENAI_BASE_URL } = process.env;
  const environment = model === MODEL ? {} : { OPENAI_API_KEY, OPENAI_BASE_URL };
  return { ...throwAwaySettings(environment), ALLOW_LOCAL_URLS: 'true', CHAOS_MODELS: 'true' };
}

async function startServer(run: Run, model: string, onLog: (line: string) => void) {
  const folder = await mkdtemp(join(tmpdir(), 'foreman-demo-'));
  // For an end that leaves no time for `atEnd`: miniflare ends the process at a signal by itself
  // while it starts.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  run.atEnd(() => rm(folder, { recursive: true, force: true }));
  const settings = settingsFor(model);
  const starting = startLocalServer({ port: 0, stateDir: join(folder, 'state'), settings, onLog });
  run.atEnd(async () => (await starting).stop());
  return starting;
}

/** @throws Error saying with what the request ended. */
async function generate(context: Context, webhookUrl: string, submittedAt: number) {
  const { run, client, key, prompt, model } = context;
  const submission = { model, prompt, webhook_url: webhookUrl };
  const accepted = await run.step('submit', () => client.submit(key, submission));
  line('request', accepted.id, `accepted in ${ms(performance.now() - submittedAt)}`);

  title('Live');
  const events: RequestEvent[] = [];
  await run.step('follow the events', async () => {
    for await (const event of client.follow(key, accepted.id)) {
      showEvent(event, performance.now() - submittedAt);
      events.push(event);
    }
  });
  const request = events.at(-1)?.data ?? accepted;
  await run.step('generate', async () => {
    if (request.status === 'succeeded') return;
    showTimeline(events, request);
    throw new Error(`the request ${request.status}: ${request.error?.message}`);
  });
  return { request, events };
}

function checkDelivery({ event }: Delivery, request: Request, last: RequestEvent | undefined) {
  if (event.data.id !== request.id) throw new Error(`it is about ${event.data.id}`);
  if (event.type !== last?.type || event.sequence !== last.sequence) {
    throw new Error(`it tells of ${event.type} ${event.sequence}, the stream of ${last?.type}`);
  }
}

async function keepImages({ run, client, prompt }: Context, request: Request): Promise<void> {
  for (const image of request.images) {
    const got = await run.step('download the image', () => client.download(image.signed_url));
    const size = await run.step('check the image', async () => checkPicture(image, got));
    const folder = join(repositoryDir, 'out');
    const file = await run.step('keep the image', () =>
      keepPicture({ folder, prompt, image, bytes: got.bytes }),
    );
    showImage({ image, ...size, path: relative(process.cwd(), file) });
  }
}

async function demonstrate(
  run: Run,
  asked: Asked,
  server: LocalServer,
  signal: AbortSignal,
): Promise<void> {
  const { origin, settings } = server;
  const client = createClient({ origin, adminToken: settings.ADMIN_TOKEN ?? '', signal });
  const user = await run.step('make a user', () => client.createUser('demo'));
  const { id, key } = await run.step('make a key', () => client.createKey(user.id, 'demo'));
  line('user', user.id, `with key ${id}`);

  const secret = await run.step('read the webhook secret', () => client.webhookSecret(key));
  const receiver = await run.step('start a webhook receiver', () => startReceiver(secret));
  run.atEnd(receiver.stop);
  line('receiver', receiver.url);

  const context = { ...asked, run, client, key };
  const submittedAt = performance.now();
  const { request, events } = await generate(context, receiver.url, submittedAt);
  const delivery = await run.step('receive the webhook', async () => {
    const received = await receiver.delivery;
    checkDelivery(received, request, events.at(-1));
    return received;
  });
  await keepImages(context, request);
  showTimeline(events, request);
  showDelivery(delivery, delivery.at - submittedAt);
}

function explain(
  error: unknown,
  facts: { log: readonly string[]; wasStopped: boolean; isLate: boolean },
): void {
  if (facts.wasStopped) {
    console.error('\nStopped.');
    return;
  }
  const late = facts.isLate ? ` (the demo may take ${LIMIT_MS / 1000} s)` : '';
  console.error(`\nThe demo failed. ${(error as Error).message}${late}`);
  if (facts.log.length === 0) return;
  console.error(`\nLast lines of the server's log:\n${facts.log.join('\n')}`);
}

async function main(): Promise<number> {
  const beganAt = performance.now();
  const stopping = new AbortController();
  let exitCode = 1;
  const onSignals = () => {
    for (const [name, code] of Object.entries(SIGNALS)) {
      process.on(name, () => {
        exitCode = code;
        stopping.abort(new Error(`stopped by ${name}`));
      });
    }
  };
  onSignals();
  const limit = AbortSignal.timeout(LIMIT_MS);
  const signal = AbortSignal.any([stopping.signal, limit]);
  const run = createRun(signal);
  const log: string[] = [];
  const onLog = (text: string) => {
    if (log.push(text) > LAST_LINES) log.shift();
  };
  try {
    const asked = readArguments();
    console.log(bold(`Foreman draws "${asked.prompt}" with ${asked.model}`));
    const server = await run.step('start the server', () => startServer(run, asked.model, onLog));
    // miniflare, once started, ends the process at a signal before anything can be stopped.
    for (const name of Object.keys(SIGNALS)) process.removeAllListeners(name);
    onSignals();
    line('server', server.origin, `started in ${ms(performance.now() - beganAt)}`);
    await demonstrate(run, asked, server, signal);
    console.log(`\n${good('Everything held.')} ${ms(performance.now() - beganAt)} in all.`);
    exitCode = 0;
  } catch (error) {
    explain(error, { log, wasStopped: stopping.signal.aborted, isLate: limit.aborted });
  } finally {
    await run.end();
  }
  return exitCode;
}

process.exit(await main());
