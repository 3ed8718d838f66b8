/**
 * The deletion of a user: what is gone over in which order, when somebody is sent for to go on with
 * it, and what counts. Pure. The foreman keeps it; a consumer does the work page by page and reports
 * each page under its number, so that one told twice counts once. When all is gone, this is all that
 * is left of the user.
 */
import { confirmDueAt } from '../../platform/backoff';
import type { RequestId } from '../../platform/ids';
import type { By, UserId } from '../types';

/**
 * `requests`: those the foreman holds. `archive`: those that D1 alone knows. `index`: whatever else D1
 * has of the user. `calls`: once more what calls that were running at the beginning may have stored
 * since. `account`: the user itself, at the end.
 */
export type DeletionStage =
  | 'requests'
  | 'archive'
  | 'uploads'
  | 'index'
  | 'calls'
  | 'account'
  | 'over';

const NEXT: Readonly<Record<DeletionStage, DeletionStage>> = {
  requests: 'archive',
  archive: 'uploads',
  uploads: 'index',
  index: 'calls',
  calls: 'account',
  account: 'over',
  over: 'over',
};

/** What did not do as it was asked. */
export type DeletionFault = 'd1' | 'r2' | 'directory' | 'kv';

/** A call to a provider that was running at the beginning. */
export interface OpenCall {
  readonly request: RequestId;
  readonly token: string;
  readonly isOpen: boolean;
}

export interface DeletionCounts {
  readonly requests: number;
  readonly objects: number;
  /** Of D1. */
  readonly rows: number;
}

export interface Deletion {
  readonly userId: UserId;
  /** Who began it; null once it is done. */
  readonly by: By | null;
  readonly requestedAt: number;
  readonly completedAt: number | null;
  readonly deleted: DeletionCounts;
  /** Of the last page, if it failed. */
  readonly lastError: DeletionFault | null;
  readonly stage: DeletionStage;
  /** How often all was gone over once more after it was done. */
  readonly echoes: number;
  /** Number of the page whose report is waited for. */
  readonly page: number;
  readonly calls: readonly OpenCall[];
  /** The token of whoever works on it. */
  readonly holder: string | null;
  /** There is something to be waited for first, and nobody is sent for before that. */
  readonly isHeld: boolean;
  /** How often somebody was sent for since something was last done; 0 while all rests. */
  readonly sends: number;
  /** When somebody is sent for, if nothing is heard before; null when all is over. */
  readonly nextAt: number | null;
}

export interface PageResult extends DeletionCounts {
  /** There is another page of this stage. */
  readonly more: boolean;
  readonly failed: DeletionFault | null;
}

/** Whoever has a page has this long to report it: what a process that dies costs. */
const PAGE_MS = 60_000;
/**
 * The platform ends an invocation after its 15th minute. A call that has not been heard of by then
 * will not be.
 */
const CALLS_END_MS = 16 * 60_000;
/**
 * What was under way when the user was deleted may still write: an upload whose key was found good
 * up to 30 s before, a page of the projector that was read before. So all is gone over again when
 * that is likely to be over, and when the platform has ended whatever was under way.
 */
const ECHOES_MS: readonly number[] = [60_000, CALLS_END_MS];

export function beginDeletion(of: Pick<Deletion, 'userId' | 'by'>, now: number): Deletion {
  return {
    ...of,
    requestedAt: now,
    completedAt: null,
    deleted: { requests: 0, objects: 0, rows: 0 },
    lastError: null,
    stage: 'requests',
    echoes: 0,
    page: 1,
    calls: [],
    holder: null,
    isHeld: false,
    sends: 1,
    nextAt: confirmDueAt({ sentAt: now, sends: 1 }),
  };
}

/** The same object again when it is not this caller's turn. */
export function takeDeletion(deletion: Deletion, token: string, now: number): Deletion {
  const { holder, nextAt, sends } = deletion;
  if (nextAt === null || holder === token) return deletion;
  const isOthers = holder !== null || sends === 0;
  if (isOthers && now < nextAt) return deletion;
  return { ...deletion, holder: token, nextAt: now + PAGE_MS };
}

/** A page is done, or was not to be done. The same object again for one that is not waited for. */
export function reportPage(
  deletion: Deletion,
  report: {
    readonly token: string;
    readonly page: number;
    readonly result: PageResult;
    /** The caller has time for another page. */
    readonly goesOn: boolean;
  },
  now: number,
): Deletion {
  const { token, page, result, goesOn } = report;
  if (deletion.holder !== token || deletion.page !== page) return deletion;
  const { requests, objects, rows } = deletion.deleted;
  const counted: Deletion = {
    ...deletion,
    deleted: {
      requests: requests + result.requests,
      objects: objects + result.objects,
      rows: rows + result.rows,
    },
    lastError: result.failed,
    page: page + 1,
  };
  if (result.failed) return letGo(counted, now);
  const stage = result.more ? deletion.stage : NEXT[deletion.stage];
  const next: Deletion = { ...counted, stage, sends: 1, nextAt: now + PAGE_MS };
  if (stage === 'over') return finishPass(next, now);
  return goesOn ? next : { ...next, holder: null, sends: 0, nextAt: now };
}

/** Nobody works on it any more; somebody is sent for after a while. */
export function letGo(deletion: Deletion, now: number): Deletion {
  const nextAt = confirmDueAt({ sentAt: now, sends: deletion.sends });
  return { ...deletion, holder: null, nextAt };
}

/** A wake-up goes out now. */
export function sendFor(deletion: Deletion, now: number): Deletion {
  const sends = deletion.sends + 1;
  const nextAt = confirmDueAt({ sentAt: now, sends });
  return { ...deletion, holder: null, isHeld: false, sends, nextAt };
}

/** There is nothing left in this stage. */
export const skipStage = (deletion: Deletion): Deletion => ({
  ...deletion,
  stage: NEXT[deletion.stage],
});

export function addCalls(deletion: Deletion, calls: readonly OpenCall[]): Deletion {
  return calls.length === 0 ? deletion : { ...deletion, calls: [...deletion.calls, ...calls] };
}

export function closeCall(deletion: Deletion, token: string): Deletion {
  if (!deletion.calls.some((call) => call.isOpen && call.token === token)) return deletion;
  const calls = deletion.calls.map((c) => (c.token === token ? { ...c, isOpen: false } : c));
  return { ...deletion, calls };
}

export const forgetCalls = (deletion: Deletion, requests: readonly RequestId[]): Deletion => ({
  ...deletion,
  calls: deletion.calls.filter(({ request }) => !requests.includes(request)),
});

/** Whether a call may yet store something. */
export function hasOpenCalls(deletion: Deletion, now: number): boolean {
  return now < deletion.requestedAt + CALLS_END_MS && deletion.calls.some(({ isOpen }) => isOpen);
}

function finishPass(deletion: Deletion, now: number): Deletion {
  const completedAt = deletion.completedAt ?? now;
  const echoes = deletion.completedAt === null ? 0 : deletion.echoes + 1;
  const after = ECHOES_MS[echoes];
  const base = {
    ...deletion,
    by: null,
    completedAt,
    echoes,
    holder: null,
    isHeld: false,
    sends: 0,
  };
  return after === undefined
    ? { ...base, stage: 'over', nextAt: null }
    : { ...base, stage: 'archive', nextAt: Math.max(now, completedAt + after) };
}
