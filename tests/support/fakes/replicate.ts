// Replicate's API: predictions that take three looks to end (or a moment, when they have a webhook
// on this machine), files, and the failures of each step. The base URL ends in /v1.
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { png } from './png.ts';
import { type Fake, type FakeApi, type FakeCall, sendJson, startFake } from './server.ts';

/** What becomes of a submission. */
const refusals = {
  unpaid: [402, { title: 'Insufficient credit', detail: 'You have insufficient credit.' }],
  forbidden: [403, { detail: 'You do not have permission to perform this action.' }],
  'not-found': [404, { detail: 'The requested resource could not be found.' }],
  'invalid-input': [
    422,
    { title: 'Input validation failed', detail: '- input: prompt is required\n' },
  ],
  throttled: [429, { detail: 'Request was throttled. Your rate limit resets in ~30s.' }],
  'server-error': [500, { detail: 'Internal server error' }],
  unavailable: [503, { detail: 'Service unavailable' }],
  'gateway-timeout': [504, { detail: 'Gateway timeout' }],
} as const;

/** What becomes of a prediction. */
const endings = {
  ok: (urls: string[]) => ({ status: 'succeeded', output: urls }),
  'one-output': ([url]: string[]) => ({ status: 'succeeded', output: url }),
  'data-url': () => ({
    status: 'succeeded',
    output: [`data:image/png;base64,${png().toString('base64')}`],
  }),
  'no-output': () => ({ status: 'succeeded', output: [] }),
  'data-removed': () => ({ status: 'succeeded', output: null, data_removed: true }),
  nsfw: () => ({
    status: 'failed',
    error: 'NSFW content detected. Try running it again, or try a different prompt.',
  }),
  sensitive: () => ({
    status: 'failed',
    error:
      'The input or output was flagged as sensitive. Please try again with different inputs. (E005)',
  }),
  failed: () => ({ status: 'failed', error: 'CUDA out of memory' }),
  aborted: () => ({ status: 'aborted', error: null }),
  canceled: () => ({ status: 'canceled', error: null }),
};

const others = ['malformed', 'reset', 'hang', 'lost-files', 'flaky-polls', 'endless'] as const;

export type ReplicateBehaviour =
  | keyof typeof refusals
  | keyof typeof endings
  | (typeof others)[number];

interface Prediction {
  readonly id: string;
  readonly behaviour: ReplicateBehaviour;
  readonly input: Record<string, unknown>;
  readonly webhook: string | null;
  looks: number;
  isOver: boolean;
  isCanceled: boolean;
}

const LOOKS = 3;
const CALLBACK_AFTER_MS = 20;

export const startFakeReplicate = (port = 0): Promise<Fake<ReplicateBehaviour>> =>
  startFake(createReplicate, 'ok', port);

function createReplicate(origin: () => string): FakeApi<ReplicateBehaviour> {
  const predictions = new Map<string, Prediction>();
  let files = 0;
  let billed = 0;

  function create(call: FakeCall, behaviour: ReplicateBehaviour): Prediction {
    const body = JSON.parse(call.body.toString());
    const id = `p${predictions.size + 1}rm40cj8tbtbte974`;
    const prediction: Prediction = {
      id,
      behaviour,
      input: body.input,
      webhook: body.webhook ?? null,
      looks: 0,
      isOver: false,
      isCanceled: false,
    };
    predictions.set(id, prediction);
    if (behaviour !== 'endless' && prediction.webhook?.startsWith('http://127.0.0.1:')) {
      setTimeout(() => callBack(prediction), CALLBACK_AFTER_MS).unref();
    }
    return prediction;
  }

  function callBack(prediction: Prediction) {
    if (prediction.isCanceled || !prediction.webhook) return;
    end(prediction);
    const body = JSON.stringify(show(prediction));
    const headers = { 'content-type': 'application/json', 'webhook-id': `msg_${prediction.id}` };
    fetch(prediction.webhook, { method: 'POST', headers, body }).catch(() => {});
  }

  function end(prediction: Prediction) {
    if (prediction.isOver) return;
    prediction.isOver = true;
    if (endingOf(prediction).status === 'succeeded') billed += countOf(prediction);
  }

  function endingOf(prediction: Prediction) {
    const behaviour = prediction.behaviour in endings ? prediction.behaviour : 'ok';
    const urls = Array.from(
      { length: countOf(prediction) },
      (_, index) => `${origin()}/pictures/${prediction.id}/${index}.png`,
    );
    return endings[behaviour as keyof typeof endings](urls);
  }

  const countOf = ({ input }: Prediction) => Number(input.num_outputs ?? 1);

  function show(prediction: Prediction) {
    const { id, input, looks, isOver, isCanceled } = prediction;
    const url = `${origin()}/v1/predictions/${id}`;
    const state = isCanceled
      ? { status: 'canceled' }
      : isOver
        ? endingOf(prediction)
        : { status: looks < 2 ? 'starting' : 'processing' };
    const hasRun = isOver && state.status !== 'aborted';
    return {
      id,
      model: 'owner/name',
      version: 'hidden',
      input,
      output: null,
      logs: '',
      error: null,
      data_removed: false,
      created_at: '2026-11-01T12:00:00.000Z',
      metrics: hasRun ? { predict_time: 1.5 } : {},
      urls: { get: url, cancel: `${url}/cancel` },
      ...state,
    };
  }

  function look(prediction: Prediction, response: ServerResponse) {
    prediction.looks += 1;
    if (prediction.behaviour === 'flaky-polls') {
      if (prediction.looks === 1) return sendJson(response, 502, { detail: 'Bad gateway' });
      if (prediction.looks === 2) {
        return sendJson(response, 429, { detail: 'Throttled.' }, { 'retry-after': '7' });
      }
      if (prediction.looks === 3) return void response.destroy();
    }
    if (prediction.looks >= LOOKS && prediction.behaviour !== 'endless') end(prediction);
    return sendJson(response, 200, show(prediction));
  }

  function submit(call: FakeCall, response: ServerResponse, behaviour: ReplicateBehaviour) {
    if (behaviour in refusals) {
      const [status, body] = refusals[behaviour as keyof typeof refusals];
      return sendJson(response, status, { status, ...body });
    }
    if (!/^\d+s$/.test(String(call.headers['cancel-after']))) {
      return sendJson(response, 422, { detail: 'Cancel-After must be a duration' });
    }
    const prediction = create(call, behaviour);
    if (behaviour === 'reset') return void response.destroy();
    if (behaviour === 'hang') return;
    if (behaviour === 'malformed') return void response.writeHead(201).end('{"id":');
    return sendJson(response, 201, show(prediction));
  }

  function upload(call: FakeCall, response: ServerResponse, take: () => ReplicateBehaviour) {
    if (!isForm(call.headers)) return sendJson(response, 400, { detail: 'Missing content' });
    files += 1;
    const url = `${origin()}/v1/files/f${files}`;
    if (take() === 'lost-files') return sendJson(response, 201, { id: `f${files}` });
    return sendJson(response, 201, { id: `f${files}`, urls: { get: url } });
  }

  return {
    handle(call, response, take) {
      const { method, path } = call;
      if (path.startsWith('/pictures/')) {
        return void response.writeHead(200, { 'content-type': 'image/png' }).end(png());
      }
      if (path === '/callback') return void response.writeHead(204).end();
      if (!/^Bearer r8_/.test(call.headers.authorization ?? '')) {
        const detail = 'You did not pass a valid authentication token';
        return sendJson(response, 401, { title: 'Unauthenticated', detail, status: 401 });
      }
      if (method === 'POST' && path === '/v1/files') return upload(call, response, take);
      if (
        method === 'POST' &&
        /^\/v1\/((models|deployments)\/[^/]+\/[^/]+\/)?predictions$/.test(path)
      )
        return submit(call, response, take());
      const [, id = '', action = ''] = /^\/v1\/predictions\/(\w+)(\/cancel)?$/.exec(path) ?? [];
      const prediction = predictions.get(id);
      if (!prediction) return sendJson(response, 404, { detail: 'Prediction not found' });
      if (method === 'GET' && action === '') return look(prediction, response);
      if (method !== 'POST') return sendJson(response, 405, { detail: 'Method not allowed' });
      if (!prediction.isOver) prediction.isCanceled = true;
      return sendJson(response, 200, show(prediction));
    },
    facts: () => ({
      made: predictions.size,
      canceled: [...predictions.values()].filter(({ isCanceled }) => isCanceled).length,
      billed,
      files,
    }),
    finish() {
      for (const prediction of predictions.values()) {
        if (prediction.isOver || prediction.isCanceled) continue;
        end(prediction);
        callBack(prediction);
      }
    },
    reset() {
      predictions.clear();
      files = 0;
      billed = 0;
    },
  };
}

const isForm = (headers: IncomingHttpHeaders) =>
  /^multipart\/form-data; ?boundary=/.test(headers['content-type'] ?? '');
