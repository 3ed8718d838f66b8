// A fake of OpenAI's Images API on a real socket, for e2e tests, benchmarks and manual use:
//
//   npx node tests/support/fake-openai.ts --port 9999 --mode ok --delay-ms 200 --fault 500=0.1
//
// `/control` is the same for another process: POST {"reset"?, "behaviour"?, "faults"?, "queue"?,
// "release"?} sets what comes next, GET and POST answer {"calls", "billed", "open"}.
//
// Answers follow github.com/openai/openai-openapi. Runs on Node alone: no relative imports, only
// types that can be stripped.
import { randomBytes, randomUUID } from 'node:crypto';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { crc32, deflateSync } from 'node:zlib';

/** What one call meets. The second column is how many images the fake then counts as billed. */
export const modes = {
  /** An answer with images. */
  ok: 'all',
  /** Images by `url`, as compatible servers answer; `GET /files/…` serves them. */
  url: 'all',
  /** A good answer, a few bytes at a time. */
  trickle: 'all',
  /** The images are made, then the connection is reset. */
  'reset-after-body': 'all',
  /** The images are made, and nothing is answered. */
  'hang-after-body': 'all',
  /** Half of the answer, then a reset. */
  'reset-mid-answer': 'all',
  /** Half of a PNG, in a good answer. */
  'truncated-png': 'all',
  /** The images are made, and the answer is cut off inside the JSON, cleanly. */
  'malformed-json': 'all',
  'moderation-output': 'all',
  /** Taken and never answered. */
  hang: 'none',
  'reset-before-body': 'none',
  'empty-data': 'none',
  html: 'none',
  'moderation-input': 'none',
  400: 'none',
  401: 'none',
  404: 'none',
  500: 'none',
  502: 'none',
  503: 'none',
  504: 'none',
  429: 'none',
  quota: 'none',
} as const satisfies Record<string, 'all' | 'none'>;
export type Mode = keyof typeof modes;

export interface Behaviour {
  readonly mode: Mode;
  /** How long the images take; `delayMs` of the options when absent. */
  readonly delayMs?: number;
  /** Value of `Retry-After` with 429 and 503; a date or seconds, as written. */
  readonly retryAfter?: string;
  /** Value of `retry-after-ms`. */
  readonly retryAfterMs?: string;
  /** Of an answer that is streamed: each event waits until it is released. */
  readonly hold?: boolean;
}

export interface FakeOptions {
  /** 0 takes a free one. */
  readonly port?: number;
  /** The only key that is let in; without it, any. */
  readonly apiKey?: string;
  readonly delayMs?: number;
  readonly behaviour?: Behaviour;
  /** Chances from 0 to 1, by mode; what is left goes to `behaviour`. */
  readonly faults?: Partial<Record<Mode, number>>;
}

export interface FakeCall {
  readonly method: string;
  readonly path: string;
  /** Without `authorization`. */
  readonly headers: IncomingHttpHeaders;
  /** Fields of the JSON or multipart body; a file is `{type, bytes}`. Empty when it was not read. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly behaviour: Behaviour;
  readonly at: number;
  /** When the answer was out, or the caller hung up; null until then. */
  readonly endedAt: number | null;
}

/** What a call meets, by its headers alone: a body may never be read. */
export type Schedule = (headers: IncomingHttpHeaders) => Behaviour;

export interface FakeOpenAi {
  /** Includes `/v1`. */
  readonly baseUrl: string;
  readonly calls: readonly FakeCall[];
  /** Images that were made, whether or not an answer with them arrived. */
  billed(): number;
  /** Calls that are not answered yet. */
  open(): number;
  /** For every call from now on. */
  setBehaviour(behaviour: Behaviour): void;
  setFaults(faults: Partial<Record<Mode, number>>): void;
  /** For every call from now on, before faults by chance. */
  setSchedule(schedule: Schedule): void;
  /** For the next calls, one each, before anything else. */
  queue(...behaviours: Behaviour[]): void;
  /** Lets as many held events go, those that are yet to come included. */
  release(events: number): void;
  reset(): void;
  close(): Promise<void>;
}

interface State {
  behaviour: Behaviour;
  faults: Partial<Record<Mode, number>>;
  schedule: Schedule | null;
  queued: Behaviour[];
  calls: FakeCall[];
  billed: number;
  open: number;
  /** Events that may go, and who waits for that. */
  released: number;
  waiting: (() => void)[];
}

export async function startFakeOpenAi(options: FakeOptions = {}): Promise<FakeOpenAi> {
  const state = freshState(options);
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    state.open += 1;
    response.once('close', () => {
      state.open -= 1;
    });
    answer(request, response, state, options).catch(() => request.socket.destroy());
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    get calls() {
      return state.calls;
    },
    billed: () => state.billed,
    open: () => state.open,
    setBehaviour: (behaviour) => {
      state.behaviour = behaviour;
    },
    setFaults: (faults) => {
      state.faults = faults;
    },
    setSchedule: (schedule) => {
      state.schedule = schedule;
    },
    queue: (...behaviours) => {
      state.queued.push(...behaviours);
    },
    release: (events) => release(state, events),
    reset: () => {
      Object.assign(state, { ...freshState(options), open: state.open });
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const freshState = (options: FakeOptions): State => ({
  behaviour: options.behaviour ?? { mode: 'ok' },
  faults: options.faults ?? {},
  schedule: null,
  queued: [],
  calls: [],
  billed: 0,
  open: 0,
  released: 0,
  waiting: [],
});

function release(state: State, events: number): void {
  state.released += events;
  while (state.released > 0 && state.waiting.length > 0) {
    state.released -= 1;
    state.waiting.shift()?.();
  }
}

async function untilReleased(state: State): Promise<void> {
  if (state.released > 0) state.released -= 1;
  else await new Promise<void>((resolve) => state.waiting.push(resolve));
}

async function control(
  request: IncomingMessage,
  response: ServerResponse,
  state: State,
  options: FakeOptions,
): Promise<void> {
  if (request.method === 'POST') {
    const { reset, behaviour, faults, queue, release: events } = await readFields(request);
    if (reset) Object.assign(state, { ...freshState(options), open: state.open });
    if (behaviour) state.behaviour = behaviour as Behaviour;
    if (faults) state.faults = faults as State['faults'];
    if (queue) state.queued.push(...(queue as Behaviour[]));
    if (events) release(state, Number(events));
  }
  const { calls, billed } = state;
  // This call itself is one of the open ones.
  response.end(JSON.stringify({ calls, billed, open: state.open - 1 }));
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  state: State,
  options: FakeOptions,
): Promise<void> {
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  response.setHeader('x-request-id', `req_${randomUUID().replaceAll('-', '')}`);
  const file = /^\/files\/(\d+)x(\d+)\.png$/.exec(path);
  if (request.method === 'GET' && file) {
    response.setHeader('content-type', 'image/png');
    response.end(png(Number(file[1]), Number(file[2])));
    return;
  }
  if (path === '/control') return control(request, response, state, options);
  if (request.method !== 'POST' || !/^\/v1\/images\/(generations|edits)$/.test(path)) {
    return fail(response, 404, { message: `Unknown URL ${request.method} ${path}`, type: INVALID });
  }
  const behaviour = nextBehaviour(state, request.headers);
  const isLetIn = letsIn(request, options.apiKey);
  const readsBody = behaviour.mode !== 'reset-before-body';
  const fields = readsBody ? await readFields(request) : {};
  const { authorization: _key, ...headers } = request.headers;
  const call = { method: 'POST', path, headers, fields, behaviour, at: Date.now() };
  const record: { -readonly [Key in keyof FakeCall]: FakeCall[Key] } = { ...call, endedAt: null };
  response.once('close', () => {
    record.endedAt = Date.now();
  });
  state.calls.push(record);
  if (!isLetIn) return fail(response, 401, WRONG_KEY);
  await act({ request, response, behaviour, fields, state, options });
}

function nextBehaviour(state: State, headers: IncomingHttpHeaders): Behaviour {
  const queued = state.queued.shift();
  if (queued) return queued;
  if (state.schedule) return state.schedule(headers);
  let dice = Math.random();
  for (const [mode, chance] of Object.entries(state.faults)) {
    if (dice < chance) return { mode: mode as Mode };
    dice -= chance;
  }
  return state.behaviour;
}

function letsIn(request: IncomingMessage, apiKey: string | undefined): boolean {
  const { authorization = '' } = request.headers;
  return apiKey === undefined
    ? /^Bearer \S+$/.test(authorization)
    : authorization === `Bearer ${apiKey}`;
}

interface Scene {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly behaviour: Behaviour;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly state: State;
  readonly options: FakeOptions;
}

async function act(scene: Scene): Promise<void> {
  const { request, response, behaviour, fields, state, options } = scene;
  const { mode } = behaviour;
  if (mode === 'reset-before-body') return void request.socket.resetAndDestroy();
  if (mode === 'hang') return;
  const count = Number(fields.n ?? 1);
  const isMaking = modes[mode] === 'all' || mode === 'empty-data' || mode === 'html';
  const delayMs = behaviour.delayMs ?? options.delayMs ?? 0;
  if (isMaking && delayMs > 0) await sleep(delayMs);
  if (modes[mode] === 'all') state.billed += count;
  const isStreamed = String(fields.stream) === 'true';
  // What is refused of an output is refused when it is there, in the middle of the stream.
  if (isStreamed && (mode === 'moderation-output' || modes[mode] === 'all')) return stream(scene);
  const error = errors[mode];
  if (error) {
    if (behaviour.retryAfter) response.setHeader('retry-after', behaviour.retryAfter);
    if (behaviour.retryAfterMs) response.setHeader('retry-after-ms', behaviour.retryAfterMs);
    return fail(response, error.status, error.error);
  }
  if (mode === 'hang-after-body') return;
  if (mode === 'reset-after-body') return void request.socket.resetAndDestroy();
  if (mode === 'html') {
    response.setHeader('content-type', 'text/html');
    response.end('<!DOCTYPE html><html><body>Under maintenance</body></html>');
    return;
  }
  const body = Buffer.from(JSON.stringify(answerBody(scene, count)));
  response.setHeader('content-type', 'application/json');
  await deliver(response, body, mode);
}

async function deliver(response: ServerResponse, body: Buffer, mode: Mode): Promise<void> {
  const half = Math.floor(body.length / 2);
  switch (mode) {
    case 'malformed-json':
      response.end(body.subarray(0, half));
      return;
    case 'reset-mid-answer':
      response.setHeader('content-length', body.length);
      response.write(body.subarray(0, half));
      await sleep(20);
      response.socket?.resetAndDestroy();
      return;
    case 'trickle':
      response.setHeader('content-length', body.length);
      for (let part = 0; part < 20; part += 1) {
        const [from, to] = [part, part + 1].map((edge) => Math.floor((body.length * edge) / 20));
        response.write(body.subarray(from, to));
        await sleep(50);
      }
      response.end();
      return;
    default:
      response.setHeader('content-length', body.length);
      response.end(body);
  }
}

/** Partial images, each in a shade of its own, then the image, or why there is none. */
async function stream(scene: Scene): Promise<void> {
  const { request, response, behaviour, fields, state } = scene;
  const { mode, hold } = behaviour;
  if (mode === 'reset-after-body') return void request.socket.resetAndDestroy();
  const kind = request.url?.includes('/edits') ? 'image_edit' : 'image_generation';
  const { data, created: created_at, usage, ...made } = answerBody(scene, 1);
  const [width = 0, height = 0] = made.size.split('x').map(Number);
  const events: object[] = [];
  for (let index = 0; index < Number(fields.partial_images ?? 0); index += 1) {
    const b64_json = png(width, height, index).toString('base64');
    const type = `${kind}.partial_image`;
    events.push({ type, b64_json, created_at, ...made, partial_image_index: index });
  }
  const error = errors[mode]?.error;
  if (error) events.push({ type: 'error', error: { param: null, code: null, ...error } });
  else events.push({ type: `${kind}.completed`, ...data[0], created_at, ...made, usage });
  response.setHeader('content-type', 'text/event-stream; charset=utf-8');
  response.flushHeaders();
  const texts = events.map(textOf);
  const last = texts.pop() ?? '';
  for (const text of texts) {
    if (hold) await untilReleased(state);
    response.write(text);
  }
  if (hold) await untilReleased(state);
  const isBrokenOff = ['reset-mid-answer', 'malformed-json', 'hang-after-body'].some(
    (name) => name === mode,
  );
  if (!isBrokenOff) {
    response.end(last);
    return;
  }
  response.write(last.slice(0, last.length / 2));
  await sleep(20);
  if (mode === 'reset-mid-answer') response.socket?.resetAndDestroy();
  if (mode === 'malformed-json') response.end();
}

const textOf = (event: object & { type?: string }) =>
  `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;

function answerBody({ request, behaviour, fields }: Scene, count: number) {
  const asked = /^(\d+)x(\d+)$/.exec(String(fields.size ?? '1024x1024'));
  const [width, height] = asked ? [Number(asked[1]), Number(asked[2])] : [1024, 1024];
  const picture = png(width, height);
  const bytes =
    behaviour.mode === 'truncated-png' ? picture.subarray(0, picture.length / 2) : picture;
  const item =
    behaviour.mode === 'url'
      ? { url: `http://${request.headers.host}/files/${width}x${height}.png` }
      : { b64_json: bytes.toString('base64') };
  return {
    created: Math.floor(Date.now() / 1000),
    background: 'opaque',
    output_format: 'png',
    size: `${width}x${height}`,
    quality: fields.quality ?? 'medium',
    data: behaviour.mode === 'empty-data' ? [] : Array.from({ length: count }, () => item),
    usage: { input_tokens: 10, output_tokens: 1056 * count, total_tokens: 10 + 1056 * count },
  };
}

interface ApiError {
  readonly message: string;
  readonly type: string | null;
  readonly code?: string;
  readonly param?: string;
  readonly moderation_details?: object;
}

const INVALID = 'invalid_request_error';
const WRONG_KEY: ApiError = {
  message:
    'Incorrect API key provided: sk-proj-********************abcd. You can find your API key at https://platform.openai.com/account/api-keys.',
  type: INVALID,
  code: 'invalid_api_key',
};
const refused = (stage: 'input' | 'output'): ApiError => ({
  message: `Your request was rejected by the safety system. If you believe this is an error, contact us at help.openai.com and include the request ID ${randomBytes(8).toString('hex')}. safety_violations=[sexual, violence].`,
  type: 'image_generation_user_error',
  code: 'moderation_blocked',
  moderation_details: { moderation_stage: stage, categories: ['sexual', 'violence'] },
});
const serverFault: ApiError = {
  message: 'The server had an error while processing your request. Sorry about that!',
  type: 'server_error',
};

const errors: Partial<Record<Mode, { status: number; error: ApiError | null }>> = {
  'moderation-input': { status: 400, error: refused('input') },
  'moderation-output': { status: 400, error: refused('output') },
  400: { status: 400, error: { message: "Unknown parameter: 'x'.", type: INVALID, param: 'x' } },
  401: { status: 401, error: WRONG_KEY },
  404: {
    status: 404,
    error: { message: 'The model does not exist.', type: INVALID, code: 'model_not_found' },
  },
  429: {
    status: 429,
    error: {
      message: 'Rate limit reached for images per minute.',
      type: 'input-images',
      code: 'rate_limit_exceeded',
    },
  },
  quota: {
    status: 429,
    error: {
      message: 'You exceeded your current quota, please check your plan and billing details.',
      type: 'insufficient_quota',
      code: 'insufficient_quota',
    },
  },
  500: { status: 500, error: serverFault },
  502: { status: 502, error: null },
  503: {
    status: 503,
    error: { message: 'The engine is currently overloaded.', type: 'service_unavailable' },
  },
  504: { status: 504, error: null },
};

/** Without an error object it is a gateway that speaks. */
function fail(response: ServerResponse, status: number, error: ApiError | null): void {
  response.statusCode = status;
  response.setHeader('content-type', error ? 'application/json' : 'text/html');
  const whole = error && { param: null, code: null, ...error };
  response.end(whole ? JSON.stringify({ error: whole }) : `<html><body>${status}</body></html>`);
}

async function readFields(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const type = request.headers['content-type'] ?? '';
  if (!type.startsWith('multipart/form-data')) return JSON.parse(body.toString());
  const form = await new Response(body, { headers: { 'content-type': type } }).formData();
  const fields: Record<string, unknown> = {};
  for (const [name, value] of form) {
    fields[name] = typeof value === 'string' ? value : { type: value.type, bytes: value.size };
  }
  return fields;
}

const pictures = new Map<string, Buffer>();

/** A gradient of the asked size, with as much blue; made once of each. */
function png(width: number, height: number, blue = 128): Buffer {
  const name = `${width}x${height} ${blue}`;
  const known = pictures.get(name);
  if (known) return known;
  const row = 1 + width * 3;
  const raw = Buffer.alloc(row * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = y * row + 1 + x * 3;
      raw[at] = (x * 255) / width;
      raw[at + 1] = (y * 255) / height;
      raw[at + 2] = blue;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const picture = Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    pngChunk('IHDR', header),
    pngChunk('IDAT', deflateSync(raw, { level: 1 })),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
  pictures.set(name, picture);
  return picture;
}

function pngChunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const frame = Buffer.alloc(4);
  frame.writeUInt32BE(data.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(named));
  return Buffer.concat([frame, named, checksum]);
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const isMode = (text: string): text is `${Mode}` => text in modes;

/** `--port 9999 --mode ok --delay-ms 200 --api-key k --fault 500=0.1 --fault hang=0.02` */
async function main(argv: readonly string[]): Promise<void> {
  const values = new Map<string, string[]>();
  for (let at = 0; at < argv.length; at += 2) {
    const name = argv[at] ?? '';
    values.set(name, [...(values.get(name) ?? []), argv[at + 1] ?? '']);
  }
  const first = (name: string) => values.get(name)?.[0];
  const mode = first('--mode') ?? 'ok';
  const faults = (values.get('--fault') ?? []).map((fault) => fault.split('='));
  const unknown = [mode, ...faults.map(([name = '']) => name)].filter((name) => !isMode(name));
  if (unknown.length > 0) {
    throw new Error(`Unknown mode ${unknown.join(', ')}. Modes: ${Object.keys(modes).join(', ')}`);
  }
  const apiKey = first('--api-key');
  const fake = await startFakeOpenAi({
    port: Number(first('--port') ?? 9999),
    delayMs: Number(first('--delay-ms') ?? 0),
    behaviour: { mode: mode as Mode },
    faults: Object.fromEntries(faults.map(([name, chance]) => [name, Number(chance)])),
    ...(apiKey === undefined ? {} : { apiKey }),
  });
  console.log(`fake OpenAI at ${fake.baseUrl}`);
  process.once('SIGINT', () => {
    console.log(`${fake.calls.length} calls, ${fake.billed()} images billed`);
    process.exit(0);
  });
}

if (import.meta.main) await main(process.argv.slice(2));
