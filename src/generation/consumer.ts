/**
 * The consumer of the generation queue: claims a release, makes attempts as long as the foreman has
 * another one ready at once, and settles each. The truth stays in the foreman throughout.
 */
import type { KeepJob } from '../foreman/jobs';
import type { ShownPreview } from '../foreman/previews';
import type { ClaimAnswer, Job, SettleAnswer } from '../foreman/work';
import type { ImageService } from '../images/service';
import type { RequestId, UserId } from '../platform/ids';
import type { Logger } from '../platform/log';
import { done, retryAfter, type Verdict } from '../platform/queue';
import type { AttemptResult, RunMessage, TargetName, TargetVerdicts } from '../requests/types';
import { type Attempt, type AttemptDeps, makeAttempt } from './attempt';
import { type BreakerWatch, permitOf, watchOver } from './breaker-watch';
import { mayHaveStored } from './deliver';
import type { LeaseKeeper } from './leases';
import { createPreviewSender } from './previews';

/** The foreman sends its wake-ups again by itself: this is for when it is away for longer. */
const CLAIM_RETRY_SECONDS = 30;
/** What was asked for did not suffice: rare, and over soon. */
const CHECK_RETRY_SECONDS = 1;
/** A result that was paid for is worth several tries: about a minute, beyond any restart. */
const PATIENCE_MS = [100, 500, 2_000, 5_000, 10_000, 20_000, 20_000];
/** Verdicts that were known at first may have aged out by the second claim; the third has them all. */
const MAX_CLAIMS = 3;

export interface GenerationForeman {
  claim(
    message: Pick<RunMessage, 'request' | 'release'> & { token: string; verdicts: TargetVerdicts },
  ): Promise<ClaimAnswer>;
  keepJob(input: KeepJob): Promise<{ verdict: 'kept' | 'stale' }>;
  preview(input: ShownPreview): Promise<void>;
  settle(input: {
    request: RequestId;
    token: string;
    attempt: number;
    result: AttemptResult;
    nextToken: string | null;
    verdicts: TargetVerdicts;
  }): Promise<SettleAnswer>;
}

export interface GenerationConsumerDeps extends AttemptDeps {
  readonly foreman: (userId: UserId) => GenerationForeman;
  readonly images: Pick<ImageService, 'store' | 'removeAttempt'>;
  readonly breakers: BreakerWatch;
  readonly leases: LeaseKeeper;
  /** No attempt starts after this: the platform ends an invocation after 15 minutes. */
  readonly startBefore: number;
  readonly log: Logger;
}

/** The claim is awaited by the queue's handler; the call that follows may outlive it. */
export async function claimGeneration(
  message: RunMessage,
  deps: GenerationConsumerDeps,
): Promise<{ verdict: Verdict; run: (() => Promise<void>) | null }> {
  let claimed: ClaimAnswer;
  try {
    claimed = await claim(message, deps);
  } catch (error) {
    const { user: user_id, request: request_id, correlation_id } = message;
    deps.log.warn('generation.claim_failed', { user_id, request_id, correlation_id, error });
    return { verdict: retryAfter(CLAIM_RETRY_SECONDS), run: null };
  }
  if (claimed.verdict === 'check') return { verdict: retryAfter(CHECK_RETRY_SECONDS), run: null };
  if (claimed.verdict !== 'run') return { verdict: done, run: null };
  const { job } = claimed;
  return { verdict: done, run: () => work(job, deps) };
}

/** First with what this isolate knows of the targets; then with what it has asked. */
async function claim(message: RunMessage, deps: GenerationConsumerDeps): Promise<ClaimAnswer> {
  const { user, request, release } = message;
  const token = newToken();
  const claimWith = (verdicts: TargetVerdicts) =>
    deps.foreman(user).claim({ request, release, token, verdicts });
  let verdicts = deps.breakers.known();
  let answer = await claimWith(verdicts);
  if (answer.verdict !== 'check') return answer;

  const permit = permitOf({ userId: user, request, attempt: answer.attempt });
  const asked: TargetName[] = [];
  let hasOthers = false;
  try {
    for (let claims = 1; answer.verdict === 'check' && claims < MAX_CLAIMS; claims += 1) {
      const { targets, sole } = answer;
      asked.push(...targets);
      hasOthers = !sole;
      verdicts = { ...verdicts, ...(await deps.breakers.ask({ targets, sole, permit })) };
      answer = await claimWith(verdicts);
    }
    // Who has no other target stands in line by asking.
    if (answer.verdict === 'later' && hasOthers) {
      await deps.breakers.waitAt({ targets: asked, verdicts, permit });
    }
    return answer;
  } finally {
    // Else somebody is ahead of this claim, and has the permit of the same name.
    if (answer.verdict !== 'busy' && answer.verdict !== 'stale') {
      await deps.breakers.giveBack({ targets: asked, permit, used: usedBy(answer) });
    }
  }
}

const usedBy = (answer: ClaimAnswer | SettleAnswer) =>
  answer.verdict === 'run' ? answer.job.state.current : null;

async function work(first: Job, deps: GenerationConsumerDeps): Promise<void> {
  let job: Job | null = first;
  while (job) job = await attemptOnce(job, deps);
}

async function attemptOnce(job: Job, deps: GenerationConsumerDeps): Promise<Job | null> {
  const { state, token } = job;
  const lease = deps.leases.hold({ userId: state.userId, request: state.id, token });
  const watch = watchOver(state, deps);
  try {
    const keep = keeper(job, deps);
    const show = shower(job, deps);
    const result = await makeAttempt({ state, stale: lease.signal, keep, show }, deps);
    if (result === 'left' || result === 'unwanted') {
      await watch.leave(result);
      return null;
    }
    // How a call ends that was broken off says nothing of its target.
    if (lease.signal.aborted) await watch.leave('unwanted');
    else await watch.end(result);
    tell(state, result, deps);
    const answer = await settle(job, result, deps);
    if (isOrphaned(result, answer)) {
      const { id: requestId, units: count } = state;
      await deps.images.removeAttempt({ requestId, attempt: state.current.number, count });
    }
    return answer?.verdict === 'run' ? answer.job : null;
  } finally {
    watch.close();
    lease.end();
  }
}

/**
 * Whether what the attempt stored is nobody's. Only the foreman knows: another caller may have
 * collected the same job, and stored in the same places.
 */
function isOrphaned(result: AttemptResult, answer: SettleAnswer | null): boolean {
  if (answer?.verdict === 'stale') return answer.orphaned;
  return answer !== null && result.outcome !== 'succeeded' && mayHaveStored(result.error.code);
}

/** Tells the foreman where a job stands. */
function keeper({ state, token }: Job, deps: GenerationConsumerDeps): Attempt['keep'] {
  const { userId, id: request, correlationId } = state;
  const { number: attempt, provider, model } = state.current;
  return async (progress) => {
    const call = { userId, request, token, attempt, provider, model, correlationId };
    const answer = await patiently(deps, state, 'generation.keep_job_failed', () =>
      deps.foreman(userId).keepJob({ ...call, progress }),
    );
    return answer?.verdict ?? 'unreachable';
  };
}

/** Tells the foreman what there is to see of an attempt; no attempt waits for that, or fails with it. */
function shower({ state, token }: Job, deps: GenerationConsumerDeps): Attempt['show'] {
  const { userId, id: request, correlationId: correlation_id } = state;
  const { number: attempt } = state.current;
  return createPreviewSender({
    send: (preview) => deps.foreman(userId).preview({ request, token, attempt, ...preview }),
    onFailure: (error) =>
      deps.log.warn('generation.preview_failed', { request_id: request, correlation_id, error }),
  });
}

function tell(state: Job['state'], result: AttemptResult, { log, now }: GenerationConsumerDeps) {
  const { id: request_id, correlationId: correlation_id } = state;
  const { number: attempt, provider, model, startedAt } = state.current;
  log.info('attempt.ended', {
    correlation_id,
    request_id,
    attempt,
    provider,
    model,
    outcome: result.outcome,
    duration_ms: now() - startedAt,
    ...(result.outcome === 'succeeded' ? {} : { code: result.error.code }),
  });
  if (result.outcome !== 'rejected') return;
  // A key that is refused or an account that is unpaid fails every request until somebody acts.
  const kind = result.error.details?.kind;
  if (kind !== 'auth' && kind !== 'payment') return;
  const fields = { provider, model, request_id, correlation_id };
  log.error('provider.needs_operator', { ...fields, reason: kind });
}

/** Null when the foreman could not be reached for so long that the lease is lost anyway. */
async function settle(
  job: Job,
  result: AttemptResult,
  deps: GenerationConsumerDeps,
): Promise<SettleAnswer | null> {
  const { state, token, targets } = job;
  const nextToken = deps.now() < deps.startBefore ? newToken() : null;
  const isOver = result.outcome === 'succeeded' || nextToken === null;
  const { userId, id: request } = state;
  const permit = permitOf({ userId, request, attempt: state.current.number + 1 });
  const asked = { targets: isOver ? [] : targets, sole: targets.length === 1, permit };
  const verdicts = await deps.breakers.ask(asked);
  const { number: attempt } = state.current;
  const settled = { request: state.id, token, attempt, result, nextToken, verdicts };
  const answer = await patiently(deps, state, 'generation.settle_failed', () =>
    deps.foreman(state.userId).settle(settled),
  );
  if (answer?.verdict === 'settled' && answer.waits && !asked.sole) {
    await deps.breakers.waitAt({ ...asked, verdicts });
  }
  await deps.breakers.giveBack({ ...asked, used: answer && usedBy(answer) });
  return answer;
}

async function patiently<T>(
  deps: GenerationConsumerDeps,
  state: Job['state'],
  event: string,
  call: () => Promise<T>,
): Promise<T | null> {
  for (const delay of [...PATIENCE_MS, null]) {
    try {
      return await call();
    } catch (error) {
      const { id: request_id, correlationId: correlation_id } = state;
      deps.log.warn(event, { request_id, correlation_id, error });
      if (delay !== null) await deps.sleep(delay);
    }
  }
  return null;
}

const newToken = () => crypto.randomUUID();
