/**
 * Black Forest Labs: one POST makes a job, its polling URL tells how it goes, and the picture lies
 * for ten minutes under a signed URL.
 */
import { z } from 'zod';
import {
  acceptedSchema,
  isModerated,
  isPolicyCode,
  type ModeratedStatus,
  microsOf,
  nameOf,
  type Progress,
  progressSchema,
  readProblem,
  stageOf,
} from './bfl-answers';
import { bodyFor } from './bfl-body';
import { failureOf, invalidOutput, refused } from './failures';
import {
  call,
  checkAfterMs,
  isOnApi,
  isSuccess,
  jobFailed,
  reachableCallback,
  readJson,
  tracing,
  unanswered,
  untraceable,
  warningsOf,
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
  type ProviderFailure,
  type ProviderJob,
} from './provider';
import { redact } from './redact';
import { type ApiConfig, apiSettings } from './settings';
import { createWire, type Wire } from './wire';

const NAME = 'bfl';

export const bfl = defineProvider({
  name: NAME,
  settings: apiSettings({
    key: 'BFL_API_KEY',
    url: 'BFL_BASE_URL',
    defaultUrl: 'https://api.bfl.ai/v1',
  }),
  missing: 'BFL_API_KEY is not set',
  create: createBflProvider,
});

type Deps = Pick<ProviderDeps, 'fetch' | 'openImage' | 'now'>;

interface Bfl {
  readonly config: ApiConfig;
  readonly deps: Deps;
  readonly wire: Wire;
}

export function createBflProvider(config: ApiConfig, deps: Deps): Provider {
  const api: Bfl = { config, deps, wire: createWire(deps.fetch) };
  return {
    name: NAME,
    generate: (job, context) => submit(api, job, context),
    jobs: {
      callsBack: true,
      async poll(handle, context) {
        const known = handleSchema.safeParse(handle);
        return known.success ? poll(api, known.data, context) : { outcome: 'missing' };
      },
      // The API cancels nothing (no call of its OpenAPI does, November 2026): the job runs on to
      // its end there, and nobody waits for it.
      cancel: async () => 'gone',
    },
  };
}

const handleSchema = z.object({
  id: z.string(),
  polling_url: z.string(),
  /** What the submission was quoted. */
  cost_micros: z.number().nullable(),
});

type Handle = z.output<typeof handleSchema>;

async function submit(api: Bfl, job: ProviderJob, context: CallContext): Promise<ProviderAnswer> {
  const { baseUrl, apiKey } = api.config;
  const callbackUrl = reachableCallback(context.callbackUrl, baseUrl);
  const { body, ignored } = bodyFor(job, callbackUrl);
  const reply = await call(api.wire, {
    method: 'POST',
    url: `${baseUrl}/${job.model}`,
    headers: { 'Content-Type': 'application/json', 'x-key': apiKey, ...tracing(context) },
    body: JSON.stringify(body),
    signal: context.signal,
  });
  if (!reply.arrived) {
    return unanswered({ provider: NAME, sent: reply.sent, signal: context.signal });
  }
  if (!isSuccess(reply.answer)) {
    return failureOf({
      provider: NAME,
      answer: reply.answer,
      ...readProblem(reply.body),
      confidential: confidential(api, [job.prompt]),
      providerRequestId: null,
      now: api.deps.now(),
    });
  }
  const accepted = readJson(reply.body, acceptedSchema);
  if (!accepted) return untraceable({ provider: NAME, providerRequestId: null });
  const { id } = accepted;
  const handle: Handle = {
    id,
    polling_url: pollingUrl(id, accepted.polling_url ?? '', baseUrl),
    cost_micros: microsOf(accepted.cost),
  };
  return {
    outcome: 'accepted',
    handle,
    checkAfterMs: checkAfterMs({ waitedMs: 0, expectsCallback: callbackUrl !== null }),
    providerRequestId: id,
    warnings: warningsOf(NAME, ignored),
  };
}

/** The region that took the job, such as api.eu2.bfl.ai. */
const BFL_HOST = /^api(\.[a-z0-9-]+)?\.bfl\.ai$/;

/** The key goes to the configured host and to BFL's own, whatever the answer says. */
function isPollable(url: string, baseUrl: string): boolean {
  const host = URL.canParse(url) ? new URL(url).host : '';
  return isOnApi(url, baseUrl) || (BFL_HOST.test(host) && isOnApi(url, `https://${host}`));
}

/** A job is known in its region alone, so the URL that the API gives goes before one made here. */
const pollingUrl = (id: string, given: string, baseUrl: string) =>
  isPollable(given, baseUrl) ? given : `${baseUrl}/get_result?id=${encodeURIComponent(id)}`;

async function poll(api: Bfl, handle: Handle, context: PollContext): Promise<PollAnswer> {
  const { baseUrl, apiKey } = api.config;
  const reply = await call(api.wire, {
    method: 'GET',
    url: pollingUrl(handle.id, handle.polling_url, baseUrl),
    headers: { 'x-key': apiKey, ...tracing(context) },
    signal: context.signal,
  });
  const progress = reply.arrived ? readJson(reply.body, progressSchema) : null;
  // Comes with HTTP 200, 404 and at times 503.
  if (progress?.status === 'Task not found') return { outcome: 'missing' };
  const silence = withoutNews(reply, api.deps.now());
  if (silence?.outcome === 'unreachable' && reply.arrived) {
    const { retryAfterMs } = readProblem(reply.body);
    return { outcome: 'unreachable', retryAfterMs: silence.retryAfterMs ?? retryAfterMs };
  }
  if (silence) return silence;
  if (!progress) return { outcome: 'unreachable', retryAfterMs: null };
  return answerOf(api, { handle, progress, context });
}

interface News {
  readonly handle: Handle;
  readonly progress: Progress;
  readonly context: PollContext;
}

function answerOf(api: Bfl, news: News): PollAnswer {
  const { handle, progress, context } = news;
  const { status } = progress;
  if (isModerated(status)) return moderated(handle, progress, status);
  switch (status) {
    case 'Ready':
      return delivered(api, handle, progress);
    case 'Error':
    case 'Failed':
      return failed(api, news);
    default:
      // A status that is not known here is no end: the deadline bounds the wait.
      return {
        outcome: 'pending',
        checkAfterMs: checkAfterMs(context),
        queuePosition: null,
        isQueued: false,
      };
  }
}

function delivered(api: Bfl, { id, cost_micros }: Handle, { result, cost }: Progress): PollAnswer {
  const sample = result?.sample;
  if (!sample) {
    return invalidOutput({ message: `${NAME} answered without an image`, providerRequestId: id });
  }
  return {
    outcome: 'succeeded',
    images: [{ seed: result.seed ?? null, open: (signal) => api.deps.openImage(sample, signal) }],
    costMicros: microsOf(cost) ?? cost_micros,
    providerRequestId: id,
    warnings: [],
  };
}

/** Only a job that is ready is charged for. Source: https://help.bfl.ai/articles/4212278032. */
const UNBILLED = { possiblyBilled: false };

const moderated = (
  { id }: Handle,
  { details }: Progress,
  status: ModeratedStatus,
): ProviderFailure => ({
  ...refused({
    provider: NAME,
    stage: stageOf(status),
    categories: details,
    code: status.toLowerCase().replace(' ', '_'),
    providerRequestId: id,
  }),
  ...UNBILLED,
});

function failed(api: Bfl, { handle, progress, context }: News): ProviderFailure {
  const code = nameOf(progress.error);
  const providerRequestId = handle.id;
  const words = progress.message ?? progress.error ?? null;
  const secret = confidential(api, context.texts);
  if (isPolicyCode(code)) {
    const message = redact(words ?? '', secret);
    const { details: categories } = progress;
    return refused({
      provider: NAME,
      stage: 'input',
      categories,
      code,
      message,
      providerRequestId,
    });
  }
  const failure = jobFailed({
    provider: NAME,
    code: code ?? 'job_failed',
    message: words,
    confidential: secret,
    providerRequestId,
    ...UNBILLED,
  });
  if (code !== 'invalid_image') return failure;
  const error = { ...failure.error, details: { kind: 'parameter' } };
  return { ...failure, outcome: 'rejected', error };
}

const confidential = ({ config }: Bfl, texts: readonly string[]) => ({
  secrets: [config.apiKey],
  texts,
});
