/**
 * Jobs that go on at a provider: their handles are kept before anybody waits, and asked for when
 * their time has come or the provider calls. Runs inside one transaction.
 */
import * as ledger from '../requests/ledger';
import { hasSettled } from '../requests/lifecycle';
import * as remoteJob from '../requests/remote-job';
import type { JobProgress, RequestId, UserId } from '../requests/types';
import { abandon } from './abandoning';
import { type Desk, save } from './desk';

export interface KeepJob {
  readonly userId: UserId;
  readonly request: RequestId;
  readonly token: string;
  readonly provider: string;
  readonly model: string;
  readonly correlationId: string;
  readonly progress: JobProgress;
}

/** `stale`: nobody waits for this job. It is canceled by its own message, not by the caller. */
export function keepJob(desk: Desk, input: KeepJob): { readonly verdict: 'kept' | 'stale' } {
  const { request, token, progress } = input;
  const row = ledger.getOne(desk.sql, request);
  const state = row?.state.status === 'deleted' ? null : row?.state;
  const next = state && remoteJob.keepJob(state, { token, progress }, desk.now);
  if (row && next && next !== state) {
    save(desk, row, next);
    return { verdict: 'kept' };
  }
  // The attempt was given up while its call ran, so the provider works for nobody.
  const hasEnded = state && hasSettled(state, token);
  if (!hasEnded) abandon(desk, { ...input, handle: progress.handle });
  return { verdict: 'stale' };
}

/** The provider says that an attempt's job has ended. */
export function nudge(
  desk: Desk,
  input: { readonly request: RequestId; readonly attempt: number },
): void {
  const row = ledger.getOne(desk.sql, input.request);
  if (!row || row.state.status === 'deleted') return;
  save(desk, row, remoteJob.nudge(row.state, input.attempt, desk.now));
}
