// Black Forest Labs' API over a real socket: a submission makes a job, its polling URL tells how it
// goes, and the picture lies under a URL of its own. A job's way is decided when it is made.
import type { ServerResponse } from 'node:http';
import { png } from './png.ts';
import { type Fake, type FakeApi, type FakeCall, sendJson, startFake } from './server.ts';

const SUBMIT_FAULTS = {
  'not-authenticated': [403, { detail: 'Not authenticated - Invalid Authentication' }],
  'no-credits': [402, { detail: 'Insufficient credits' }],
  'rate-limited': [
    429,
    { error: 'rate_limit_exceeded', message: 'Too many concurrent requests', retry_after: 5 },
  ],
  invalid: [
    422,
    {
      detail: [{ loc: ['body', 'width'], msg: 'Input should be a multiple of 16', type: 'value' }],
    },
  ],
  'policy-violation': [
    400,
    { error: 'content_policy_violation', message: 'The prompt violated content policy' },
  ],
  'server-error': [500, { error: 'internal_error', message: 'Something broke' }],
  'unknown-model': [404, { detail: 'Not Found' }],
} as const satisfies Record<string, readonly [status: number, body: object]>;

type SubmitFault = keyof typeof SUBMIT_FAULTS;

export type BflBehaviour =
  | 'ok'
  /** Ready at the fourth poll. */
  | 'slow'
  /** Pending until it is finished. */
  | 'endless'
  | 'error'
  | 'generation-timeout'
  | 'request-moderated'
  | 'content-moderated'
  | 'forgotten'
  /** As `forgotten`, with the status that the API has at times. */
  | 'forgotten-503'
  | 'ready-without-sample'
  | 'sample-expired'
  | 'poll-500'
  | 'poll-429'
  | 'poll-reset'
  /** The polling URL leads to somebody else. */
  | 'foreign-polling-url'
  | 'malformed-json'
  | 'reset-after-body'
  | 'hang'
  | SubmitFault;

interface Job {
  readonly behaviour: BflBehaviour;
  readonly seed: number;
  readonly prompt: string;
  readonly webhook: string | null;
  polls: number;
  isFinished: boolean;
}

/** Credits for one picture, 100 to the dollar. */
const COST = 4;

export const startFakeBfl = (port?: number): Promise<Fake<BflBehaviour>> =>
  startFake(createFakeBfl, 'ok', port);

function createFakeBfl(origin: () => string): FakeApi<BflBehaviour> {
  const jobs = new Map<string, Job>();

  const submit = (call: FakeCall, response: ServerResponse, behaviour: BflBehaviour) => {
    if (isSubmitFault(behaviour)) {
      const [status, body] = SUBMIT_FAULTS[behaviour];
      return sendJson(response, status, body);
    }
    const { seed, prompt, webhook_url } = JSON.parse(call.body.toString());
    const id = `task-${jobs.size + 1}`;
    const webhook = webhook_url ?? null;
    jobs.set(id, {
      behaviour,
      seed: seed ?? 42,
      prompt,
      webhook,
      polls: 0,
      isFinished: false,
    });
    if (behaviour === 'hang') return;
    if (behaviour === 'reset-after-body') return hangUp(response);
    if (behaviour === 'malformed-json') return void response.end('{"id": "task-');
    const host = behaviour === 'foreign-polling-url' ? 'https://attacker.example' : origin();
    sendJson(response, 200, {
      id,
      polling_url: `${host}/v1/get_result?id=${id}&region=1`,
      cost: COST,
      input_mp: 0,
      output_mp: 1.05,
    });
  };

  const poll = (id: string, response: ServerResponse) => {
    const job = jobs.get(id);
    if (!job || job.behaviour === 'forgotten') {
      return sendJson(response, 200, statusOf(id, 'Task not found'));
    }
    job.polls += 1;
    switch (job.behaviour) {
      case 'forgotten-503':
        return sendJson(response, 503, statusOf(id, 'Task not found'));
      case 'poll-500':
        return sendJson(response, 500, { error: 'internal_error', message: 'Something broke' });
      case 'poll-429':
        return sendJson(response, 429, { error: 'rate_limit_exceeded', retry_after: 7 });
      case 'poll-reset':
        return hangUp(response);
      case 'error':
        return sendJson(response, 200, { ...statusOf(id, 'Error'), error: 'internal_error' });
      case 'generation-timeout':
        return sendJson(response, 200, { ...statusOf(id, 'Error'), error: 'generation_timeout' });
      case 'request-moderated':
        return sendJson(response, 200, moderated(id, 'Request Moderated'));
      case 'content-moderated':
        return sendJson(response, 200, moderated(id, 'Content Moderated'));
      case 'ready-without-sample':
        return sendJson(response, 200, { ...statusOf(id, 'Ready'), result: {} });
      case 'slow':
        if (job.polls < 4) {
          return sendJson(response, 200, { ...statusOf(id, 'Pending'), progress: job.polls / 4 });
        }
        break;
      case 'endless':
        if (!job.isFinished) return sendJson(response, 200, statusOf(id, 'Pending'));
    }
    sendJson(response, 200, { ...statusOf(id, 'Ready'), result: resultOf(id, job) });
  };

  const resultOf = (id: string, { seed, prompt }: Job) => ({
    sample: `${origin()}/samples/${id}.png?sig=s`,
    seed,
    prompt,
  });

  const finish = (id: string, job: Job) => {
    if (job.behaviour !== 'endless' || job.isFinished) return;
    job.isFinished = true;
    if (job.webhook === null) return;
    const news = { task_id: id, status: 'SUCCESS', result: resultOf(id, job) };
    const headers = { 'content-type': 'application/json' };
    fetch(job.webhook, { method: 'POST', headers, body: JSON.stringify(news) }).catch(() => {});
  };

  const sample = (id: string, response: ServerResponse) => {
    const job = jobs.get(id);
    if (!job || job.behaviour === 'sample-expired') return sendJson(response, 403, {});
    response.writeHead(200, { 'content-type': 'image/png' });
    response.end(png());
  };

  return {
    handle(call, response, take) {
      const { method, path, query } = call;
      const name = /^\/samples\/(.+)\.png$/.exec(path)?.[1];
      if (method === 'GET' && name !== undefined) return sample(name, response);
      if (call.headers['x-key'] === undefined) {
        return sendJson(response, 403, { detail: 'Not authenticated' });
      }
      if (method === 'GET' && path === '/v1/get_result') return poll(query.id ?? '', response);
      if (method !== 'POST') return sendJson(response, 405, { detail: 'Method Not Allowed' });
      return submit(call, response, take());
    },
    facts: () => ({
      jobs: jobs.size,
      polls: [...jobs.values()].reduce((sum, { polls }) => sum + polls, 0),
    }),
    finish() {
      for (const [id, job] of jobs) finish(id, job);
    },
    reset: () => jobs.clear(),
  };
}

const hangUp = (response: ServerResponse) => void response.socket?.resetAndDestroy();

const isSubmitFault = (behaviour: BflBehaviour): behaviour is SubmitFault =>
  behaviour in SUBMIT_FAULTS;

const statusOf = (id: string, status: string) => ({
  id,
  status,
  result: null,
  progress: null,
  details: null,
});

const moderated = (id: string, status: string) => ({
  ...statusOf(id, status),
  details: { 'Moderation Reasons': ['Derivative Works Filter'] },
});
