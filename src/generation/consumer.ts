/**
 * The consumer of the generation queue: claims a release, makes attempts as long as the foreman has
 * another one ready at once, and settles each. The truth stays in the foreman throughout.
 */
import type { ClaimAnswer, Job, SettleAnswer } from '../foreman/work';
import type { ImageService } from '../images/service';
import type { RequestId, UserId } from '../platform/ids';
import type { Logger } from '../platform/log';
import { done, retryAfter, type Verdict } from '../platform/queue';
import type { AttemptResult, RunMessage } from '../requests/types';
import { type AttemptDeps, makeAttempt } from './attempt';
import type { LeaseKeeper } from './leases';

/** The foreman sends its wake-ups again by itself: this is for when it is away for longer. */
const CLAIM_RETRY_SECONDS = 30;
/** A result that was paid for is worth several tries: about a minute, beyond any restart. */
const SETTLE_DELAYS_MS = [100, 500, 2_000, 5_000, 10_000, 20_000, 20_000];

export interface GenerationForeman {
  claim(message: Pick<RunMessage, 'request' | 'release'> & { token: string }): Promise<ClaimAnswer>;
  settle(input: {
    request: RequestId;
    token: string;
    result: AttemptResult;
    nextToken: string | null;
  }): Promise<SettleAnswer>;
}

export interface GenerationConsumerDeps extends AttemptDeps {
  readonly foreman: (userId: UserId) => GenerationForeman;
  readonly images: Pick<ImageService, 'store' | 'removeAttempt'>;
  readonly leases: LeaseKeeper;
  /** No attempt starts after this: the platform ends an invocation after 15 minutes. */
  readonly startBefore: number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly log: Logger;
}

/** The claim is awaited by the queue's handler; the call that follows may outlive it. */
export async function claimGeneration(
  message: RunMessage,
  deps: GenerationConsumerDeps,
): Promise<{ verdict: Verdict; run: (() => Promise<void>) | null }> {
  let claimed: ClaimAnswer;
  try {
    const { request, release } = message;
    claimed = await deps.foreman(message.user).claim({ request, release, token: newToken() });
  } catch (error) {
    const { user: user_id, request: request_id, correlation_id } = message;
    deps.log.warn('generation.claim_failed', { user_id, request_id, correlation_id, error });
    return { verdict: retryAfter(CLAIM_RETRY_SECONDS), run: null };
  }
  if (claimed.verdict !== 'run') return { verdict: done, run: null };
  const { job } = claimed;
  return { verdict: done, run: () => work(job, deps) };
}

async function work(first: Job, deps: GenerationConsumerDeps): Promise<void> {
  let job: Job | null = first;
  while (job) job = await attemptOnce(job, deps);
}

async function attemptOnce(job: Job, deps: GenerationConsumerDeps): Promise<Job | null> {
  const { state, token } = job;
  const startedAt = deps.now();
  const lease = deps.leases.hold({ userId: state.userId, request: state.id, token });
  try {
    const result = await makeAttempt(state, lease.signal, deps);
    deps.log.info('attempt.ended', {
      correlation_id: state.correlationId,
      request_id: state.id,
      attempt: state.current.number,
      provider: state.current.provider,
      model: state.current.model,
      outcome: result.outcome,
      duration_ms: deps.now() - startedAt,
      ...(result.outcome === 'succeeded' ? {} : { code: result.error.code }),
    });
    warnOperator(state, result, deps.log);
    const answer = await settle(job, result, deps);
    if (answer?.verdict === 'run') return answer.job;
    if (answer?.verdict === 'stale' && result.outcome === 'succeeded') {
      const { id: requestId, units: count } = state;
      await deps.images.removeAttempt({ requestId, attempt: state.current.number, count });
    }
    return null;
  } finally {
    lease.end();
  }
}

/** A key that is refused or an account that is unpaid fails every request until somebody acts. */
function warnOperator(state: Job['state'], result: AttemptResult, log: Logger): void {
  if (result.outcome !== 'rejected') return;
  const kind = result.error.details?.kind;
  if (kind !== 'auth' && kind !== 'payment') return;
  const { provider, model } = state.current;
  const { id: request_id, correlationId: correlation_id } = state;
  log.error('provider.needs_operator', {
    provider,
    model,
    request_id,
    correlation_id,
    reason: kind,
  });
}

/** Null when the foreman could not be reached for so long that the lease is lost anyway. */
async function settle(
  job: Job,
  result: AttemptResult,
  deps: GenerationConsumerDeps,
): Promise<SettleAnswer | null> {
  const { state, token } = job;
  const nextToken = deps.now() < deps.startBefore ? newToken() : null;
  const settled = { request: state.id, token, result, nextToken };
  for (const delay of [...SETTLE_DELAYS_MS, null]) {
    try {
      return await deps.foreman(state.userId).settle(settled);
    } catch (error) {
      const { id: request_id, correlationId: correlation_id } = state;
      deps.log.warn('generation.settle_failed', { request_id, correlation_id, error });
      if (delay !== null) await deps.sleep(delay);
    }
  }
  return null;
}

const newToken = () => crypto.randomUUID();
