/** What the calls to Replicate's API share, and its answers that are no success. */
import { failureOf } from './failures';
import { confidentialOf, type Reply, tracing } from './jobs';
import type { ProviderFailure, ProviderJob } from './provider';
import { readProblem, statedWaitMs } from './replicate-prediction';
import type { ApiConfig } from './settings';
import type { Wire } from './wire';

export interface ReplicateApi extends ApiConfig {
  readonly wire: Wire;
  readonly now: () => number;
}

export const headersOf = ({ apiKey }: ApiConfig, context: Parameters<typeof tracing>[0]) => ({
  Authorization: `Bearer ${apiKey}`,
  ...tracing(context),
});

export function failedCall(
  api: ReplicateApi,
  job: ProviderJob,
  { answer, body }: Extract<Reply, { arrived: true }>,
): ProviderFailure {
  return failureOf({
    provider: 'replicate',
    answer,
    problem: readProblem(body),
    confidential: confidentialOf(api.apiKey, job),
    providerRequestId: null,
    now: api.now(),
    retryAfterMs: statedWaitMs(body),
  });
}
