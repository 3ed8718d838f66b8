/** Replicate's predictions. Source: https://replicate.com/docs/reference/http */
import { z } from 'zod';
import {
  ask,
  call,
  cancelJob,
  checkAfterMs,
  isSuccess,
  reachableCallback,
  readJson,
  unanswered,
  untraceable,
} from './jobs';
import type { InputUrls } from './named-inputs';
import {
  type CallContext,
  defineProvider,
  type Provider,
  type ProviderAnswer,
  type ProviderDeps,
  type ProviderJob,
} from './provider';
import { failedCall, headersOf, type ReplicateApi } from './replicate-api';
import { locateInputs } from './replicate-files';
import { replicateInput } from './replicate-input';
import { predictionId, predictionSchema, readPrediction } from './replicate-prediction';
import { type ApiConfig, apiSettings } from './settings';
import { createWire } from './wire';

/** The shortest `Cancel-After`. */
const MIN_DEADLINE_SECONDS = 5;

export const replicate = defineProvider({
  name: 'replicate',
  settings: apiSettings({
    key: 'REPLICATE_API_TOKEN',
    url: 'REPLICATE_BASE_URL',
    defaultUrl: 'https://api.replicate.com/v1',
  }),
  missing: 'REPLICATE_API_TOKEN is not set',
  create: createReplicateProvider,
});

/** The URLs in the answer are not followed: the id leads to the same, on the operator's own host. */
const handleSchema = z.object({ id: predictionId });

export function createReplicateProvider(
  config: ApiConfig,
  deps: Pick<ProviderDeps, 'fetch' | 'openImage' | 'now'>,
): Provider {
  const api: ReplicateApi = { ...config, wire: createWire(deps.fetch), now: deps.now };
  const urlOf = (handle: unknown) =>
    `${config.baseUrl}/predictions/${handleSchema.parse(handle).id}`;
  return {
    name: 'replicate',
    async generate(job, context) {
      const inputs = await locateInputs(api, { job, context });
      return 'outcome' in inputs ? inputs : submit(api, { job, context, inputs });
    },
    jobs: {
      callsBack: true,
      async poll(handle, context) {
        const { signal, texts } = context;
        const headers = headersOf(api, context);
        const news = await ask(
          api.wire,
          { method: 'GET', url: urlOf(handle), headers, signal },
          { schema: predictionSchema, now: deps.now() },
        );
        if (news.outcome !== 'news') return news;
        const confidential = { secrets: [config.apiKey], texts };
        return readPrediction(news.value, { openImage: deps.openImage, context, confidential });
      },
      cancel(handle, context) {
        const { signal } = context;
        const headers = headersOf(api, context);
        return cancelJob(api.wire, {
          method: 'POST',
          url: `${urlOf(handle)}/cancel`,
          headers,
          signal,
        });
      },
    },
  };
}

interface Submission {
  readonly job: ProviderJob;
  readonly context: CallContext;
  readonly inputs: InputUrls;
}

async function submit(
  api: ReplicateApi,
  { job, context, inputs }: Submission,
): Promise<ProviderAnswer> {
  const { signal } = context;
  const { path, version } = endpointOf(job.model);
  const { input, warnings } = replicateInput(job, inputs);
  const webhook = reachableCallback(context.callbackUrl, api.baseUrl);
  const seconds = Math.floor((context.deadlineAt - api.now()) / 1000);
  const reply = await call(api.wire, {
    method: 'POST',
    url: `${api.baseUrl}${path}`,
    headers: {
      ...headersOf(api, context),
      'Content-Type': 'application/json',
      'Cancel-After': `${Math.max(MIN_DEADLINE_SECONDS, seconds)}s`,
    },
    body: JSON.stringify({
      ...(version ? { version } : {}),
      input,
      ...(webhook ? { webhook, webhook_events_filter: ['completed'] } : {}),
    }),
    signal,
  });
  if (!reply.arrived) return unanswered({ provider: 'replicate', sent: reply.sent, signal });
  if (!isSuccess(reply.answer)) return failedCall(api, job, reply);
  const prediction = readJson(reply.body, handleSchema);
  if (!prediction) return untraceable({ provider: 'replicate', providerRequestId: null });
  return {
    outcome: 'accepted',
    handle: { id: prediction.id },
    checkAfterMs: checkAfterMs({ waitedMs: 0, expectsCallback: webhook !== null }),
    providerRequestId: prediction.id,
    warnings,
  };
}

/** `owner/name` is an official model, `owner/name:version` any, `deployment:owner/name` one's own. */
function endpointOf(model: string): { path: string; version: string | null } {
  const deployment = /^deployment:(.+)$/.exec(model)?.[1];
  if (deployment) return { path: `/deployments/${deployment}/predictions`, version: null };
  const version = /:(.+)$/.exec(model)?.[1];
  if (version) return { path: '/predictions', version };
  return { path: `/models/${model}/predictions`, version: null };
}
