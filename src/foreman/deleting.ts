/**
 * A user is deleted. From the moment it begins nothing is started, told or delivered any more: what
 * is live ends, then a consumer goes over all that there is, page by page, and at last every table is
 * emptied. What stays is the deletion itself, so that nothing that comes late brings anything back.
 * Runs inside one transaction.
 */
import { auditEvent } from '../accounts/audit/event';
import { createAudit } from '../accounts/audit/rows';
import * as rules from '../accounts/deletion/progress';
import { saveDeletion } from '../accounts/deletion/rows';
import * as accounts from '../accounts/limits';
import type { Creation, NewAccount } from '../accounts/tenancy';
import type { By } from '../accounts/types';
import type { RequestId } from '../platform/ids';
import * as abandoned from '../requests/abandoned';
import * as erasing from '../requests/erasing';
import * as ledger from '../requests/ledger';
import { cancel } from '../requests/lifecycle';
import { createLanes } from '../webhooks/lanes';
import { resendAbandoned } from './abandoning';
import type { Isolate } from './alarm';
import { type Desk, type Effect, save } from './desk';
import { remindProjector } from './news';
import { emptyTables } from './schema';
import { wakeProjector } from './waking';

/** One change ends no more requests than this; the alarm goes on at once. */
const CANCELED_AT_ONCE = 100;
/** Each is a list and a deletion at R2, and an invocation may make 1,000 such calls. */
const PAGE = 20;

/** What a consumer is to do next, and to report under this number. */
export type DeletionWork = { readonly page: number } & (
  | { readonly stage: 'requests' | 'calls'; readonly ids: readonly RequestId[] }
  | { readonly stage: 'archive' | 'uploads' | 'index' }
  /** `externalId`: the name that is to be free again. */
  | { readonly stage: 'account'; readonly externalId: string | null }
);

export interface DeletionReport {
  readonly token: string;
  readonly work: DeletionWork;
  readonly result: rules.PageResult;
  readonly goesOn: boolean;
}

/** Null without an account. Begun once, however often it is asked for. */
export function begin(desk: Desk, by: By, isolate: Isolate): rules.Deletion | null {
  if (desk.memory.deletion) return desk.memory.deletion;
  const account = accounts.loadAccount(desk.sql);
  if (!account) return null;
  const { userId } = account;
  accounts.raiseVersion(desk.sql, { ...account, status: 'deleting' });
  const event = { action: 'user.deletion_started', userId, target: null } as const;
  createAudit(desk.sql, auditEvent(by, event, desk.now));
  keep(desk, rules.beginDeletion({ userId, by }, desk.now));
  wakeProjector(desk, userId);
  cancelLive(desk, isolate);
  desk.effects.push({ send: 'delete', userId });
  return desk.memory.deletion;
}

/** Null when there is nothing to do, or nothing to do yet, or when somebody else does it. */
export function claim(desk: Desk, token: string): DeletionWork | null {
  const { deletion } = desk.memory;
  if (!deletion) return null;
  const taken = rules.takeDeletion(deletion, token, desk.now);
  if (taken.holder !== token) return null;
  keep(desk, taken);
  return nextWork(desk);
}

/** The same report again counts nothing, and is answered with the work there is. */
export function report(
  desk: Desk,
  { token, work, result, goesOn }: DeletionReport,
): DeletionWork | null {
  const { deletion } = desk.memory;
  if (!deletion) return null;
  const isNew = deletion.holder === token && deletion.page === work.page;
  if (!isNew) return deletion.holder === token ? nextWork(desk) : null;
  const told = result.failed ? result : withRowsOf(desk, work, result);
  const next = rules.reportPage(
    deletion,
    { token, page: work.page, result: told, goesOn },
    desk.now,
  );
  if (!result.failed && work.stage === 'calls') keep(desk, rules.forgetCalls(next, work.ids));
  else keep(desk, next);
  if (deletion.completedAt === null && next.completedAt !== null) conclude(desk, deletion);
  if (next.holder === token) return nextWork(desk);
  if (next.nextAt !== null && next.nextAt <= desk.now) {
    sendWakeUp(desk, desk.memory.deletion ?? next);
  }
  return null;
}

/** Whoever is deleted is not made again, by a call that comes late or by an old name. */
export function notAgain({ webhookSecret: _, ...account }: NewAccount): Creation {
  return { account: { ...account, status: 'deleting', version: 1 }, made: false };
}

/** What the rules know nothing of: the rows here, and whether they were all. */
function withRowsOf(desk: Desk, work: DeletionWork, result: rules.PageResult): rules.PageResult {
  // A stage that has a list of its own is over once that is empty.
  if (work.stage === 'requests') {
    return { ...result, requests: erasing.deleteMany(desk.sql, work.ids), more: true };
  }
  return work.stage === 'calls' ? { ...result, more: true } : result;
}

function nextWork(desk: Desk): DeletionWork | null {
  for (;;) {
    const { deletion } = desk.memory;
    if (!deletion) return null;
    const found = workOf(desk, deletion);
    if (found === 'nothing') {
      keep(desk, rules.skipStage(deletion));
      continue;
    }
    if (found !== 'wait') {
      if (deletion.isHeld) keep(desk, { ...deletion, isHeld: false });
      return found;
    }
    keep(desk, { ...rules.letGo(deletion, desk.now), isHeld: true });
    return null;
  }
}

function workOf(desk: Desk, deletion: rules.Deletion): DeletionWork | 'nothing' | 'wait' {
  const { page, stage, calls } = deletion;
  switch (stage) {
    case 'requests': {
      const ids = erasing.getEndedIds(desk.sql, PAGE);
      if (ids.length > 0) return { stage, page, ids };
      return erasing.hasLive(desk.sql) ? 'wait' : 'nothing';
    }
    case 'calls': {
      if (rules.hasOpenCalls(deletion, desk.now)) return 'wait';
      const ids = calls.slice(0, PAGE).map(({ request }) => request);
      return ids.length > 0 ? { stage, page, ids } : 'nothing';
    }
    // News of the account that are under way must not come after the end of its rows in D1.
    case 'index':
      return accounts.getNews(desk.sql) ? 'wait' : { stage, page };
    case 'account': {
      // Providers are to hear of jobs that nobody wants, as those cost money.
      if (accounts.getNews(desk.sql) || abandoned.getEarliestDue(desk.sql) !== null) return 'wait';
      const account = accounts.loadAccount(desk.sql);
      return { stage, page, externalId: account?.externalId ?? null };
    }
    case 'archive':
    case 'uploads':
      return { stage, page };
    case 'over':
      return 'wait';
  }
}

/** All is gone elsewhere: it goes here, too. */
function conclude(desk: Desk, { userId, by }: rules.Deletion): void {
  emptyTables(desk.sql);
  const { memory } = desk;
  memory.leases.clear();
  memory.outliving.clear();
  memory.active = 0;
  memory.waiting = 0;
  memory.wake = null;
  memory.hasMoreToGive = false;
  memory.endpoints = null;
  memory.lanes = createLanes();
  memory.ending.clear();
  if (!by) return;
  const event = { action: 'user.deleted', userId, target: null } as const;
  createAudit(desk.sql, auditEvent(by, event, desk.now));
  wakeProjector(desk, userId);
}

/** What the alarm does for a user who is being deleted, or has been: nothing else is left to do. */
export function runAlarm(desk: Desk, deletion: rules.Deletion, isolate: Isolate): void {
  const { userId } = deletion;
  cancelLive(desk, isolate);
  isolate(() => resendAbandoned(desk, userId, CANCELED_AT_ONCE));
  resume(desk);
  remindProjector(desk, userId);
  const current = desk.memory.deletion ?? deletion;
  if (current.nextAt === null || current.nextAt > desk.now) return;
  sendWakeUp(desk, current);
}

/** What was waited for may have come: somebody is sent for at once. */
export function resume(desk: Desk): void {
  const { deletion } = desk.memory;
  if (!deletion?.isHeld) return;
  if (workOf(desk, deletion) !== 'wait') sendWakeUp(desk, deletion);
}

/** A call that was running at the beginning has ended. */
export function closeCall(desk: Desk, token: string): void {
  const { deletion } = desk.memory;
  if (!deletion) return;
  keep(desk, rules.closeCall(deletion, token));
  resume(desk);
}

function sendWakeUp(desk: Desk, deletion: rules.Deletion): void {
  keep(desk, rules.sendFor(deletion, desk.now));
  desk.effects.push({ send: 'delete', userId: deletion.userId });
}

/** Each in a transaction of its own, so that one which cannot be read keeps no other from its end. */
function cancelLive(desk: Desk, isolate: Isolate): void {
  const calls: rules.OpenCall[] = [];
  for (const id of erasing.getLiveIds(desk.sql, CANCELED_AT_ONCE)) {
    const isCanceled = isolate(() => {
      calls.push(...cancelOne(desk, id));
    });
    if (!isCanceled) erasing.setAside(desk.sql, id);
  }
  const { deletion } = desk.memory;
  if (deletion) keep(desk, rules.addCalls(deletion, calls));
}

/** The call that was running for it, if one was. */
function cancelOne(desk: Desk, id: RequestId): rules.OpenCall[] {
  const row = ledger.getOne(desk.sql, id);
  if (!row || row.state.status === 'deleted') return [];
  const { state, phase } = row;
  const effects: Effect[] = [];
  save({ ...desk, effects }, row, cancel(state, desk.now));
  // Watchers have been dismissed, and webhooks go with the user.
  desk.effects.push(
    ...effects.filter((e) => !('tell' in e) && !('send' in e && e.send === 'deliver')),
  );
  if (state.status !== 'running' || phase !== 'running') return [];
  return [{ request: id, token: state.current.token, isOpen: true }];
}

function keep(desk: Desk, deletion: rules.Deletion): void {
  if (deletion === desk.memory.deletion) return;
  saveDeletion(desk.sql, deletion);
  desk.memory.deletion = deletion;
}
