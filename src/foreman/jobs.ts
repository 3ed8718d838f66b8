/**
 * Jobs that go on at a provider: their handles are kept before anybody waits, and asked for when
 * their time has come or the provider calls. Runs inside one transaction.
 */
import * as ledger from '../requests/ledger';
import * as remoteJob from '../requests/remote-job';
import type { JobProgress, RequestId, RequestState, UserId } from '../requests/types';
import { abandon } from './abandoning';
import { closeCall } from './deleting';
import { type Desk, fillSlots, save } from './desk';
import { endOutliving } from './outliving';

export interface KeepJob {
  readonly userId: UserId;
  readonly request: RequestId;
  readonly token: string;
  /** Number of the attempt that the job is for. */
  readonly attempt: number;
  readonly provider: string;
  readonly model: string;
  readonly correlationId: string;
  readonly progress: JobProgress;
}

/**
 * `stale`: the caller has no say any more. A job that nobody collects is canceled by a message of its
 * own, not by the caller.
 */
export function keepJob(desk: Desk, input: KeepJob): { readonly verdict: 'kept' | 'stale' } {
  const { request, token, progress } = input;
  const row = ledger.getOne(desk.sql, request);
  const state = row?.state.status === 'deleted' ? null : row?.state;
  const next = state && remoteJob.keepJob(state, { token, progress }, desk.now);
  if (row && next && next !== state) {
    save(desk, row, next);
    return { verdict: 'kept' };
  }
  if (!state || !isCollected(state, input.attempt)) {
    abandon(desk, { ...input, handle: progress.handle });
  }
  if (endOutliving(desk.memory, token)) fillSlots(desk);
  closeCall(desk, token);
  return { verdict: 'stale' };
}

/** Whether somebody else asks for the job of this attempt, or has. */
function isCollected(state: RequestState, attempt: number): boolean {
  if (state.status === 'running' && state.current.number === attempt) {
    return state.current.job !== null;
  }
  const ended = state.attempts.find(({ number }) => number === attempt);
  return ended !== undefined && ended.token !== null;
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
