/** fal's queue. Source: https://docs.fal.ai/documentation/model-apis/inference/queue */
import { delivered } from './direct';
import { failureOf, idFrom, invalidOutput, refused } from './failures';
import {
  failureOfJob,
  type Handle,
  handleSchema,
  isEndOfJob,
  type Result,
  readProblem,
  readSubmission,
  resultSchema,
  type Status,
  statusSchema,
} from './fal-answers';
import { falInput } from './fal-input';
import {
  ask,
  call,
  cancelJob,
  checkAfterMs,
  confidentialOf,
  isSuccess,
  reachableCallback,
  readJson,
  tracing,
  unanswered,
  untraceable,
  withoutNews,
} from './jobs';
import {
  type CallContext,
  defineProvider,
  type PollAnswer,
  type PollContext,
  type Provider,
  type ProviderAnswer,
  type ProviderDeps,
  type ProviderJob,
} from './provider';
import { type ApiConfig, apiSettings } from './settings';
import { createWire, type Wire } from './wire';

const ID_HEADER = 'x-fal-request-id';

/** Until a job must have begun; the API asks for more than 0.1. */
const MIN_START_SECONDS = 1;

/** fal's answer to the cancellation of a job that has ended. */
const ALREADY_COMPLETED = 400;

export const fal = defineProvider({
  name: 'fal',
  settings: apiSettings({
    key: 'FAL_KEY',
    url: 'FAL_BASE_URL',
    defaultUrl: 'https://queue.fal.run',
  }),
  missing: 'FAL_KEY is not set',
  create: createFalProvider,
});

interface Api extends ApiConfig {
  readonly wire: Wire;
  readonly openImage: ProviderDeps['openImage'];
  readonly now: () => number;
}

export function createFalProvider(
  config: ApiConfig,
  deps: Pick<ProviderDeps, 'fetch' | 'openImage' | 'now'>,
): Provider {
  const { openImage, now } = deps;
  const api: Api = { ...config, wire: createWire(deps.fetch), openImage, now };
  return {
    name: 'fal',
    generate: (job, context) => submit(api, job, context),
    jobs: {
      callsBack: true,
      poll: (handle, context) => poll(api, handleSchema.parse(handle), context),
      cancel: (handle, context) =>
        cancelJob(
          api.wire,
          {
            method: 'PUT',
            url: handleSchema.parse(handle).cancel_url,
            headers: headersOf(api, context),
            signal: context.signal,
          },
          [ALREADY_COMPLETED],
        ),
    },
  };
}

const headersOf = ({ apiKey }: ApiConfig, context: Parameters<typeof tracing>[0]) => ({
  Authorization: `Key ${apiKey}`,
  ...tracing(context),
});

async function submit(api: Api, job: ProviderJob, context: CallContext): Promise<ProviderAnswer> {
  const { signal } = context;
  const { body, warnings } = falInput(job);
  const webhook = reachableCallback(context.callbackUrl, api.baseUrl);
  const query = webhook ? `?${new URLSearchParams({ fal_webhook: webhook })}` : '';
  const reply = await call(api.wire, {
    method: 'POST',
    url: `${api.baseUrl}/${job.model}${query}`,
    headers: submissionHeaders(api, context),
    body: JSON.stringify(body),
    signal,
  });
  if (!reply.arrived) return unanswered({ provider: 'fal', sent: reply.sent, signal });
  const { answer } = reply;
  if (!isSuccess(answer)) {
    return failureOf({
      provider: 'fal',
      answer,
      problem: readProblem(answer, reply.body),
      confidential: confidentialOf(api.apiKey, job),
      providerRequestId: idFrom(answer.headers, ID_HEADER),
      now: api.now(),
    });
  }
  const handle = readSubmission(reply.body, { model: job.model, baseUrl: api.baseUrl });
  if (!handle) {
    return untraceable({
      provider: 'fal',
      providerRequestId: idFrom(answer.headers, ID_HEADER),
    });
  }
  return {
    outcome: 'accepted',
    handle,
    checkAfterMs: checkAfterMs({ waitedMs: 0, expectsCallback: webhook !== null }),
    providerRequestId: handle.request_id,
    warnings,
  };
}

function submissionHeaders(api: Api, context: CallContext) {
  const seconds = Math.floor((context.deadlineAt - api.now()) / 1000);
  return {
    ...headersOf(api, context),
    'Content-Type': 'application/json',
    'X-Fal-Request-Timeout': String(Math.max(MIN_START_SECONDS, seconds)),
    // Whoever retries has to know what was tried: that is Foreman, so fal must not.
    'X-Fal-No-Retry': '1',
  };
}

/** Two questions once the job is complete: its status does not hold what came of it. */
async function poll(api: Api, handle: Handle, context: PollContext): Promise<PollAnswer> {
  const news = await ask(
    api.wire,
    {
      method: 'GET',
      url: handle.status_url,
      headers: headersOf(api, context),
      signal: context.signal,
    },
    { schema: statusSchema, now: api.now() },
  );
  if (news.outcome !== 'news') return news;
  const { status, queue_position: before } = news.value;
  if (status === 'COMPLETED') return collect(api, { handle, context, status: news.value });
  const isQueued = status === 'IN_QUEUE';
  return {
    outcome: 'pending',
    checkAfterMs: checkAfterMs(context),
    // fal counts those before it.
    queuePosition: isQueued && typeof before === 'number' ? before + 1 : null,
    isQueued,
  };
}

interface Completed {
  readonly handle: Handle;
  readonly context: PollContext;
  readonly status: Status;
}

async function collect(api: Api, { handle, context, status }: Completed): Promise<PollAnswer> {
  const reply = await call(api.wire, {
    method: 'GET',
    url: handle.response_url,
    headers: headersOf(api, context),
    signal: context.signal,
  });
  const providerRequestId = handle.request_id;
  const silence = withoutNews(reply, api.now());
  if (reply.arrived && silence && isEndOfJob(status, reply.answer, reply.body)) {
    const { answer, body } = reply;
    const confidential = { secrets: [api.apiKey], texts: context.texts };
    const now = api.now();
    return failureOfJob({ status, answer, body, confidential, providerRequestId, now });
  }
  if (silence) return silence;
  const result = reply.arrived ? readJson(reply.body, resultSchema) : null;
  if (result) return readResult(result, { openUrl: api.openImage, providerRequestId });
  return invalidOutput({ message: 'fal answered without an image', providerRequestId });
}

function readResult(
  result: Result,
  of: { readonly openUrl: ProviderDeps['openImage']; readonly providerRequestId: string },
): PollAnswer {
  const made = result.images ?? (result.image ? [result.image] : []);
  // An image with such concepts comes as a black one.
  const shown = made.filter((_image, index) => result.has_nsfw_concepts?.[index] !== true);
  const withheld = made.length - shown.length;
  if (withheld > 0 && shown.length === 0) {
    const { providerRequestId } = of;
    const code = 'has_nsfw_concepts';
    return refused({ provider: 'fal', stage: 'output', categories: [], code, providerRequestId });
  }
  // Of several images only the first is made with it.
  const seed = made.length === 1 ? (result.seed ?? null) : null;
  return delivered({
    ...of,
    provider: 'fal',
    pictures: shown.map(({ url }) => ({ source: url, seed })),
    warnings: withheld > 0 ? [`fal withheld ${withheld} of ${made.length} images`] : [],
  });
}
