/**
 * Goes on with the deletion of a user: takes a page of what the foreman says is next, deletes it in R2
 * and D1, reports it, and so on. Deleting what is gone already is no fault, so any page may be done
 * twice. A part that fails stops this one only: the foreman sends for another.
 */
import type { DeletionReport, DeletionWork } from '../../foreman/deleting';
import type { RequestId } from '../../platform/ids';
import type { Logger } from '../../platform/log';
import { done, retryAfter, type Verdict } from '../../platform/queue';
import type { DeleteAccountMessage, UserId } from '../types';
import type { DeletionCounts, DeletionFault, PageResult } from './progress';

const RETRY_SECONDS = 30;
/** A page is up to 50 calls, and an invocation may make 1,000 for all of its messages. */
const MAX_PAGES = 4;
/** Within what the foreman waits for a report; a call that takes longer is taken for hanging. */
const PAGE_TIMEOUT_MS = 45_000;

/** Each says how many it deleted. */
export interface Eraser {
  deleteObjects(requests: readonly RequestId[]): Promise<number>;
  deleteUploads(userId: UserId): Promise<{ readonly objects: number; readonly more: boolean }>;
  /** Some of the requests that D1 knows. A tombstone is none any more. */
  getIndexed(
    userId: UserId,
  ): Promise<readonly { readonly id: RequestId; readonly isTombstone: boolean }[]>;
  deleteRequestRows(userId: UserId, requests: readonly RequestId[]): Promise<number>;
  deleteOtherRows(userId: UserId): Promise<{ readonly rows: number; readonly more: boolean }>;
  /** What apps hold of the user, in KV. */
  deleteGrants(userId: UserId): Promise<{ readonly more: boolean }>;
  deleteUserRow(userId: UserId): Promise<number>;
  releaseName(externalId: string, userId: UserId): Promise<void>;
}

export interface DeletionConsumerDeps {
  readonly foreman: (userId: UserId) => {
    claimDeletion(token: string): Promise<DeletionWork | null>;
    reportDeletion(report: DeletionReport): Promise<DeletionWork | null>;
  };
  readonly eraser: Eraser;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly log: Logger;
}

export async function claimDeletion(
  message: DeleteAccountMessage,
  deps: DeletionConsumerDeps,
): Promise<{ verdict: Verdict; run: (() => Promise<void>) | null }> {
  const { user: userId } = message;
  const token = crypto.randomUUID();
  try {
    const work = await deps.foreman(userId).claimDeletion(token);
    return { verdict: done, run: work && (() => goOn(work, { userId, token }, deps)) };
  } catch (error) {
    deps.log.warn('account.deletion_not_claimed', { user_id: userId, error });
    return { verdict: retryAfter(RETRY_SECONDS), run: null };
  }
}

async function goOn(
  first: DeletionWork,
  { userId, token }: { readonly userId: UserId; readonly token: string },
  deps: DeletionConsumerDeps,
): Promise<void> {
  let work: DeletionWork | null = first;
  for (let pages = 1; work; pages += 1) {
    const result = await deletePage(work, userId, deps);
    const report = { token, work, result, goesOn: pages < MAX_PAGES };
    work = await deps.foreman(userId).reportDeletion(report);
  }
}

async function deletePage(
  work: DeletionWork,
  userId: UserId,
  deps: DeletionConsumerDeps,
): Promise<PageResult> {
  const counts = { requests: 0, objects: 0, rows: 0 };
  const timeout = new AbortController();
  const tooLate = deps.sleep(PAGE_TIMEOUT_MS, timeout.signal).then(() => {
    throw new Error('timed out');
  });
  let asked: DeletionFault = 'd1';
  const ask: Ask = (part, call) => {
    asked = part;
    return Promise.race([call, tooLate]);
  };
  try {
    const more = await deleteStage(work, userId, { eraser: deps.eraser, counts, ask });
    return { ...counts, more, failed: null };
  } catch (error) {
    deps.log.warn('account.deletion_failed', { user_id: userId, reason: asked, error });
    return { ...counts, more: true, failed: asked };
  } finally {
    tooLate.catch(() => {});
    timeout.abort();
  }
}

type Ask = <T>(part: DeletionFault, call: Promise<T>) => Promise<T>;

interface Page {
  readonly eraser: Eraser;
  /** Counted as it goes: what fails half-way has deleted something, too. */
  readonly counts: { -readonly [Name in keyof DeletionCounts]: number };
  readonly ask: Ask;
}

/** Objects go before the rows that lead to them. Says whether there is more of the stage. */
async function deleteStage(
  work: DeletionWork,
  userId: UserId,
  { eraser, counts, ask }: Page,
): Promise<boolean> {
  switch (work.stage) {
    case 'requests':
      counts.objects += await ask('r2', eraser.deleteObjects(work.ids));
      counts.rows += await ask('d1', eraser.deleteRequestRows(userId, work.ids));
      return true;
    case 'archive': {
      const indexed = await ask('d1', eraser.getIndexed(userId));
      const ids = indexed.map(({ id }) => id);
      if (ids.length === 0) return false;
      counts.objects += await ask('r2', eraser.deleteObjects(ids));
      counts.rows += await ask('d1', eraser.deleteRequestRows(userId, ids));
      counts.requests += indexed.filter(({ isTombstone }) => !isTombstone).length;
      return true;
    }
    case 'uploads': {
      const { objects, more } = await ask('r2', eraser.deleteUploads(userId));
      counts.objects += objects;
      return more;
    }
    case 'index': {
      const { rows, more } = await ask('d1', eraser.deleteOtherRows(userId));
      counts.rows += rows;
      const grants = await ask('kv', eraser.deleteGrants(userId));
      return more || grants.more;
    }
    case 'calls':
      counts.objects += await ask('r2', eraser.deleteObjects(work.ids));
      return true;
    case 'account':
      counts.rows += await ask('d1', eraser.deleteUserRow(userId));
      if (work.externalId !== null) {
        await ask('directory', eraser.releaseName(work.externalId, userId));
      }
      return false;
  }
}
