/**
 * Follows a provider's job: asks at the provider's cadence for a few seconds under the lease, then
 * leaves it to the foreman, which sends somebody to ask again. Nobody waits in a consumer for minutes.
 */
import type { JsonObject } from '../platform/json';
import type { Logger } from '../platform/log';
import type { JobProgress, Running } from '../requests/types';
import { notFoundAnyMore, timedOut } from './failures';
import type { PollAnswer, Provider, ProviderFailure, ProviderSuccess } from './providers/provider';

/** Short jobs end within it, and a longer one costs the foreman one row a round. */
const WATCH_MS = 10_000;
const POLL_TIMEOUT_MS = 15_000;
/** A provider may answer its own new job with 404 while its stores agree. */
const MISSING_GRACE_MS = 30_000;
const MISSING_CHECK_MS = 2_000;
const UNREACHABLE_CHECK_MS = 5_000;

export interface JobDeps {
  readonly now: () => number;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** When the invocation has to be done. */
  readonly endBefore: number;
  /** Tells the foreman where the job stands. */
  readonly keep: (progress: JobProgress) => Promise<'kept' | 'stale' | 'unreachable'>;
  readonly log: Logger;
}

export interface FollowedJob {
  readonly state: Running;
  readonly provider: Provider;
  readonly handle: JsonObject;
  readonly providerRequestId: string | null;
  readonly acceptedAt: number;
  readonly expectsCallback: boolean;
  /** How long the provider may take, from its acceptance. */
  readonly timeoutMs: number;
  readonly firstCheckMs: number;
  /** What the user wrote: it is kept out of messages. */
  readonly texts: readonly string[];
  /** Aborted when the attempt is no longer the current one. */
  readonly stale: AbortSignal;
}

/**
 * `left`: the job goes on, and the foreman knows when to ask again. `unwanted`: the foreman wants it
 * no more, and sees to its cancellation.
 */
export type Followed = ProviderSuccess | ProviderFailure | 'left' | 'unwanted';

export async function followJob(job: FollowedJob, deps: JobDeps): Promise<Followed> {
  // Whoever expects a call leaves at once, as a call is only heard by who has left.
  const watchMs = job.expectsCallback ? 0 : WATCH_MS;
  const watchUntil = Math.min(deps.now() + watchMs, deps.endBefore);
  let waitMs = job.firstCheckMs;
  let queue: JobProgress['queue'] = job.state.current.job?.queue ?? null;
  const leave = async (checkAfterMs: number | null) => {
    const { handle, providerRequestId } = job;
    const progress = { handle, providerRequestId, warnings: [], queue, checkAfterMs };
    return (await deps.keep(progress)) === 'kept';
  };
  for (;;) {
    if (deps.now() + waitMs > watchUntil) {
      return (await leave(waitMs)) ? 'left' : 'unwanted';
    }
    await deps.sleep(waitMs, job.stale);
    if (job.stale.aborted) return 'unwanted';
    const answer = await poll(job, deps);
    if (isEnd(answer)) return answer;
    const waitedMs = deps.now() - job.acceptedAt;
    // It may still end, and be charged: the foreman has it canceled.
    if (waitedMs > job.timeoutMs) {
      return timedOut(job.provider.name, waitedMs, job.providerRequestId);
    }
    if (answer.outcome === 'missing' && waitedMs > MISSING_GRACE_MS) {
      return notFoundAnyMore(job.provider.name, job.providerRequestId);
    }
    waitMs = nextCheckMs(answer);
    if (answer.outcome !== 'pending') continue;
    const wasQueued = queue !== null;
    queue = answer.isQueued ? { position: answer.queuePosition } : null;
    if (wasQueued !== answer.isQueued && !(await leave(null))) return 'unwanted';
  }
}

const isEnd = (answer: PollAnswer): answer is ProviderSuccess | ProviderFailure =>
  answer.outcome !== 'pending' && answer.outcome !== 'missing' && answer.outcome !== 'unreachable';

type Going = Exclude<PollAnswer, ProviderSuccess | ProviderFailure>;

function nextCheckMs(answer: Going): number {
  switch (answer.outcome) {
    case 'pending':
      return answer.checkAfterMs;
    case 'missing':
      return MISSING_CHECK_MS;
    case 'unreachable':
      return Math.min(60_000, answer.retryAfterMs ?? UNREACHABLE_CHECK_MS);
  }
}

async function poll(job: FollowedJob, deps: JobDeps): Promise<PollAnswer> {
  const { state, provider, handle } = job;
  const context = {
    signal: AbortSignal.any([AbortSignal.timeout(POLL_TIMEOUT_MS), job.stale]),
    correlationId: state.correlationId,
    traceparent: state.traceparent,
    waitedMs: deps.now() - job.acceptedAt,
    expectsCallback: job.expectsCallback,
    texts: job.texts,
  };
  try {
    const answer = await provider.jobs?.poll(handle, context);
    return answer ?? { outcome: 'missing' };
  } catch (error) {
    const { id: request_id, correlationId: correlation_id } = state;
    const fields = { provider: provider.name, request_id, correlation_id };
    deps.log.error('provider.threw', { ...fields, error });
    return { outcome: 'unreachable', retryAfterMs: null };
  }
}
