/**
 * Jobs at a provider that nobody waits for any more: each is canceled by a message of its own, which
 * is sent again until a consumer has done it. Runs inside one transaction.
 */
import { confirmDueAt } from '../platform/backoff';
import type { JsonObject } from '../platform/json';
import { consoleLogger } from '../platform/log';
import * as abandoned from '../requests/abandoned';
import type { RequestId, RequestState, UserId } from '../requests/types';
import type { Desk } from './desk';

export type { AbandonedJob } from '../requests/abandoned';

/** Sent again at 15 s, 30 s, 1 min, … : for about a quarter of an hour. */
const MAX_SENDS = 7;

/** All that a consumer needs to cancel a job; null when it is done. */
export function claimAbandoned(
  desk: Pick<Desk, 'sql'>,
  token: string,
): abandoned.AbandonedJob | null {
  return abandoned.getOne(desk.sql, token);
}

export function forgetAbandoned(desk: Desk, token: string): void {
  abandoned.deleteOne(desk.sql, token);
}

/** What follows from a change of state: a job whose attempt was ended without it is left behind. */
export function leaveBehind(desk: Desk, previous: RequestState | null, next: RequestState): void {
  if (previous?.status !== 'running' || !previous.current.job) return;
  const { token, job, number, provider, model } = previous.current;
  const ended = next.attempts.find((attempt) => attempt.number === number);
  if (!ended || ended.token !== null) return;
  const { userId, id: request, correlationId } = next;
  const { handle } = job;
  abandon(desk, {
    userId,
    request,
    token,
    attempt: number,
    provider,
    model,
    handle,
    correlationId,
  });
}

/** The consumer did not say that a job is canceled: it is sent once more, or given up. */
export function resendAbandoned(desk: Desk, userId: UserId, limit: number): void {
  for (const job of abandoned.getDue(desk.sql, { now: desk.now, limit })) {
    if (job.sends >= MAX_SENDS) {
      const { requestId: request_id, provider, model, correlationId: correlation_id } = job;
      consoleLogger.warn('job.not_canceled', { request_id, provider, model, correlation_id });
      abandoned.deleteOne(desk.sql, job.token);
      continue;
    }
    const sent = { token: job.token, sentAt: desk.now, sends: job.sends + 1 };
    abandoned.updateSent(desk.sql, { ...sent, dueAt: confirmDueAt(sent) });
    desk.effects.push({ send: 'cancel', userId, job: { ...job, ...sent } });
  }
}

export interface Unwanted
  extends Pick<abandoned.AbandonedJob, 'token' | 'attempt' | 'provider' | 'model'> {
  readonly userId: UserId;
  readonly request: RequestId;
  readonly handle: JsonObject;
  readonly correlationId: string;
}

/** Sends a cancellation to the provider, until a consumer says that it is done. */
export function abandon(desk: Desk, unwanted: Unwanted): void {
  const { userId, request: requestId, correlationId } = unwanted;
  const { token, attempt, provider, model, handle } = unwanted;
  const sent = { sentAt: desk.now, sends: 1 };
  const work = { token, requestId, attempt, provider, model, handle, correlationId };
  const job = { ...work, ...sent };
  const isNew = abandoned.createOne(desk.sql, { ...job, dueAt: confirmDueAt(sent) });
  if (isNew) desk.effects.push({ send: 'cancel', userId, job });
}
