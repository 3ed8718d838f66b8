/** Cancels a job at its provider that nobody waits for any more. */
import type { AbandonedJob } from '../foreman/abandoning';
import type { UserId } from '../platform/ids';
import type { Logger } from '../platform/log';
import { done, type Verdict } from '../platform/queue';
import type { CancelMessage } from '../requests/types';
import { type BreakerWatch, permitOf } from './breaker-watch';
import { nameOf } from './catalog';
import type { Provider } from './providers/provider';

const CANCEL_TIMEOUT_MS = 15_000;

export interface CancelJobDeps {
  readonly foreman: (userId: UserId) => {
    claimAbandoned(token: string): Promise<AbandonedJob | null>;
    forgetAbandoned(token: string): Promise<void>;
  };
  readonly provider: (name: string) => Provider | null;
  readonly breakers: Pick<BreakerWatch, 'giveBack'>;
  readonly log: Logger;
}

/** What fails is sent again by the foreman, so the message is always done with. */
export async function cancelJob(message: CancelMessage, deps: CancelJobDeps): Promise<Verdict> {
  const { user: user_id, job: token, correlation_id } = message;
  try {
    const job = await deps.foreman(user_id).claimAbandoned(token);
    if (!job || !(await isGone(job, deps))) return done;
    await deps.foreman(user_id).forgetAbandoned(token);
    const permit = permitOf({ userId: user_id, request: job.requestId, attempt: job.attempt });
    await deps.breakers.giveBack({ targets: [nameOf(job)], permit, used: null });
  } catch (error) {
    deps.log.warn('job.cancel_failed', { user_id, correlation_id, error });
  }
  return done;
}

async function isGone(job: AbandonedJob, deps: CancelJobDeps): Promise<boolean> {
  const { provider: name, model, handle, requestId: request_id, correlationId } = job;
  const jobs = deps.provider(name)?.jobs;
  // A provider that is no longer configured cannot be told.
  if (!jobs) return true;
  const signal = AbortSignal.timeout(CANCEL_TIMEOUT_MS);
  const answer = await jobs.cancel(handle, { signal, correlationId });
  const fields = { request_id, provider: name, model, correlation_id: correlationId };
  deps.log.info('job.canceled', { ...fields, outcome: answer });
  return answer === 'gone';
}
