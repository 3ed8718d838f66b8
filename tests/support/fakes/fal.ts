// fal's queue: jobs that wait two places back, run, and are complete at the third look (or after a
// moment, when they have a webhook on this machine), and the failures of each step.
import type { ServerResponse } from 'node:http';
import { png } from './png.ts';
import { type Fake, type FakeApi, type FakeCall, sendJson, startFake } from './server.ts';

type Failure = readonly [status: number, body: object, headers?: Readonly<Record<string, string>>];

const fault = (type: string, loc: string[]) => ({ detail: [{ loc, msg: 'No.', type }] });

/** What becomes of a submission. */
const refusals = {
  locked: [403, { detail: 'User is locked. Reason: Exhausted balance. Top up your balance.' }],
  banned: [403, { detail: 'User is locked. Reason: Violation of the terms.' }],
  'not-found': [404, { detail: 'Application "nothing" not found' }],
  'invalid-input': [422, fault('missing', ['body', 'prompt'])],
  throttled: [429, { detail: 'Too many requests' }, { 'retry-after': '12' }],
  'server-error': [500, { detail: 'Internal error', error_type: 'internal_error' }],
  'gateway-timeout': [504, { detail: 'Gateway timeout' }],
} as const satisfies Record<string, Failure>;

/** What becomes of a job that was accepted, where the result should be. */
const failures = {
  'content-policy': [
    422,
    fault('content_policy_violation', ['body', 'prompt']),
    { 'x-fal-retryable': 'false' },
  ],
  'bad-image': [422, fault('image_load_error', ['body', 'image_url'])],
  'job-error': [
    500,
    { detail: 'Runner crashed', error_type: 'runner_server_error' },
    { 'x-fal-error-type': 'runner_server_error', 'x-fal-retryable': 'true' },
  ],
  'start-timeout': [
    504,
    { detail: 'Request timed out', error_type: 'request_timeout' },
    { 'x-fal-error-type': 'request_timeout' },
  ],
} as const satisfies Record<string, Failure>;

const results = {
  ok: {},
  nsfw: { has_nsfw_concepts: [true, true, true, true] },
  'partly-nsfw': { has_nsfw_concepts: [true, false, false, false] },
  'no-images': { images: [] },
} as const;

const others = [
  'malformed',
  'reset',
  'hang',
  'foreign-urls',
  'flaky-polls',
  'flaky-result',
  'endless',
] as const;

export type FalBehaviour =
  | keyof typeof refusals
  | keyof typeof failures
  | keyof typeof results
  | (typeof others)[number];

interface Job {
  readonly id: string;
  readonly app: string;
  readonly behaviour: FalBehaviour;
  readonly input: Record<string, unknown>;
  readonly webhook: string | null;
  looks: number;
  fetches: number;
  isOver: boolean;
  isCanceled: boolean;
}

const LOOKS = 3;
const CALLBACK_AFTER_MS = 20;

export const startFakeFal = (port = 0): Promise<Fake<FalBehaviour>> =>
  startFake(createFal, 'ok', port);

function createFal(origin: () => string): FakeApi<FalBehaviour> {
  const jobs = new Map<string, Job>();
  let billed = 0;

  const isFailure = (behaviour: FalBehaviour): behaviour is keyof typeof failures =>
    behaviour in failures;
  const countOf = ({ input }: Job) => Number(input.num_images ?? 1);

  function create(call: FakeCall, behaviour: FalBehaviour): Job {
    const job: Job = {
      id: `76c1f5a8-0000-4000-8000-${String(jobs.size + 1).padStart(12, '0')}`,
      app: call.path.split('/').slice(1, 3).join('/'),
      behaviour,
      input: JSON.parse(call.body.toString()),
      webhook: call.query.fal_webhook ?? null,
      looks: 0,
      fetches: 0,
      isOver: false,
      isCanceled: false,
    };
    jobs.set(job.id, job);
    if (behaviour !== 'endless' && job.webhook?.startsWith('http://127.0.0.1:')) {
      setTimeout(() => callBack(job), CALLBACK_AFTER_MS).unref();
    }
    return job;
  }

  function callBack(job: Job) {
    if (job.isCanceled || !job.webhook) return;
    end(job);
    const isError = isFailure(job.behaviour);
    const body = JSON.stringify({
      request_id: job.id,
      gateway_request_id: job.id,
      status: isError ? 'ERROR' : 'OK',
      payload: isError ? null : resultOf(job),
    });
    const headers = { 'content-type': 'application/json' };
    fetch(job.webhook, { method: 'POST', headers, body }).catch(() => {});
  }

  function end(job: Job) {
    if (job.isOver) return;
    job.isOver = true;
    if (!isFailure(job.behaviour)) billed += countOf(job);
  }

  function resultOf(job: Job) {
    const count = countOf(job);
    const shape = results[job.behaviour as keyof typeof results] ?? {};
    return {
      images: Array.from({ length: count }, (_, index) => ({
        url: `${origin()}/pictures/${job.id}/${index}.png`,
        width: 64,
        height: 64,
        content_type: 'image/png',
      })),
      timings: { inference: 0.4 },
      seed: job.input.seed ?? 42,
      prompt: job.input.prompt,
      has_nsfw_concepts: Array.from({ length: count }, () => false),
      ...shape,
    };
  }

  function submit(call: FakeCall, response: ServerResponse, behaviour: FalBehaviour) {
    if (behaviour in refusals) {
      const [status, body, headers] = refusals[behaviour as keyof typeof refusals] as Failure;
      return sendJson(response, status, body, { 'x-fal-request-id': 'fal-req-1', ...headers });
    }
    const job = create(call, behaviour);
    if (behaviour === 'reset') return void response.destroy();
    if (behaviour === 'hang') return;
    if (behaviour === 'malformed') return void response.writeHead(200).end('<html>');
    const host = behaviour === 'foreign-urls' ? 'https://elsewhere.test' : origin();
    const url = `${host}/${job.app}/requests/${job.id}`;
    return sendJson(response, 200, {
      status: 'IN_QUEUE',
      request_id: job.id,
      response_url: url,
      status_url: `${url}/status`,
      cancel_url: `${url}/cancel`,
      queue_position: 1,
    });
  }

  function showStatus(job: Job, response: ServerResponse) {
    job.looks += 1;
    if (job.behaviour === 'flaky-polls') {
      if (job.looks === 1) return sendJson(response, 503, { detail: 'Unavailable' });
      if (job.looks === 2) return void response.destroy();
    }
    if (job.looks >= LOOKS && job.behaviour !== 'endless') end(job);
    const base = { request_id: job.id };
    if (job.isOver) {
      const error = isFailure(job.behaviour) ? { error: 'The request failed.' } : {};
      return sendJson(response, 200, { ...base, status: 'COMPLETED', logs: null, ...error });
    }
    return job.looks === 1
      ? sendJson(response, 202, { ...base, status: 'IN_QUEUE', queue_position: 1 })
      : sendJson(response, 202, { ...base, status: 'IN_PROGRESS', logs: null });
  }

  function showResult(job: Job, response: ServerResponse) {
    if (!job.isOver) return sendJson(response, 400, { detail: 'Request is still in progress' });
    job.fetches += 1;
    if (job.behaviour === 'flaky-result' && job.fetches === 1) {
      return sendJson(response, 500, { detail: 'Internal Server Error' });
    }
    if (!isFailure(job.behaviour)) return sendJson(response, 200, resultOf(job));
    const [status, body, headers] = failures[job.behaviour] as Failure;
    return sendJson(response, status, body, headers);
  }

  function cancel(job: Job, response: ServerResponse) {
    if (job.isOver) return sendJson(response, 400, { status: 'ALREADY_COMPLETED' });
    job.isCanceled = true;
    return sendJson(response, 202, { status: 'CANCELLATION_REQUESTED' });
  }

  return {
    handle(call, response, take) {
      const { method, path } = call;
      if (path.startsWith('/pictures/')) {
        return void response.writeHead(200, { 'content-type': 'image/png' }).end(png());
      }
      if (path === '/callback') return void response.writeHead(204).end();
      if (!/^Key \S+/.test(call.headers.authorization ?? '')) {
        return sendJson(response, 401, { detail: 'Cannot access application. Auth is required.' });
      }
      const [, id, action = ''] = /\/requests\/([\w-]+)(?:\/(\w+))?$/.exec(path) ?? [];
      if (id === undefined && method === 'POST') return submit(call, response, take());
      const job = jobs.get(id ?? '');
      if (!job) return sendJson(response, 404, { status: 'NOT_FOUND' });
      if (method === 'GET' && action === 'status') return showStatus(job, response);
      if (method === 'GET' && action === '') return showResult(job, response);
      if (method === 'PUT' && action === 'cancel') return cancel(job, response);
      return sendJson(response, 405, { detail: 'Method Not Allowed' });
    },
    facts: () => ({
      made: jobs.size,
      canceled: [...jobs.values()].filter(({ isCanceled }) => isCanceled).length,
      billed,
    }),
    finish() {
      for (const job of jobs.values()) {
        if (job.isOver || job.isCanceled) continue;
        end(job);
        callBack(job);
      }
    },
    reset() {
      jobs.clear();
      billed = 0;
    },
  };
}
