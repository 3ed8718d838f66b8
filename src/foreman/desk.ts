/**
 * One change to one user's requests. A desk is handed to a function inside a transaction; what the
 * function saves goes through `save`, which keeps everything that follows from a change of state in
 * step with it: slots, leases, budget, deliveries, idempotency, watchers and news for D1. Messages
 * leave only after the commit.
 */
import { refund } from '../accounts/admission';
import type { Asked } from '../accounts/caps';
import * as accounts from '../accounts/limits';
import type { Settings } from '../platform/config';
import type { RequestId, UserId } from '../platform/ids';
import type { AbandonedJob } from '../requests/abandoned';
import * as idempotency from '../requests/idempotency-rows';
import * as ledger from '../requests/ledger';
import { release as giveSlot } from '../requests/lifecycle';
import { dueAt, LEASE_MS, phaseOf } from '../requests/queueing';
import type {
  Budget,
  Decision,
  EndedAttempt,
  Finished,
  RequestSpec,
  RequestState,
  RunMessage,
  Succeeded,
  TargetName,
  TargetVerdicts,
  Tombstone,
} from '../requests/types';
import { isTerminal } from '../requests/types';
import type { PresentRequest } from '../requests/view';
import type { DeliverMessage } from '../webhooks/types';
import { leaveBehind } from './abandoning';
import { fundWaiting, keepBudget } from './budget';
import { count, type Memory } from './memory';
import { outlive } from './outliving';
import { concludeReuse } from './reusing';
import { announce } from './telling';
import { wakeProjector } from './waking';

/** What the rules need to know of a request's kind. */
export interface Kind {
  decide(input: {
    readonly state: RequestState;
    readonly attempts: readonly EndedAttempt[];
    readonly moment: 'attempt_ended' | 'slot_given';
    readonly budget: Budget;
    /** What is known of targets, as far as the consumer has asked. */
    readonly verdicts: TargetVerdicts;
    readonly now: number;
    readonly random: number;
  }): Decision;
  /** What a request asks for of what limits cap. */
  asks(spec: RequestSpec): Omit<Asked, 'units' | 'retentionMs'>;
  /** The least that it can cost at present; 0 when nothing can serve it. */
  floorMicros(spec: RequestSpec): number;
  /** The targets that could serve the request and have verdicts, in order of preference. */
  targets(state: RequestState): readonly TargetName[];
  /** Until when what came out can be had, epoch ms. */
  outputExpiresAt(state: Succeeded): number;
}

/** An event that is about no request, for all who listen. */
export interface Broadcast {
  readonly id: string;
  readonly type: string;
  /** JSON, as in a webhook. */
  readonly body: string;
}

export type Effect =
  | { readonly send: 'run'; readonly message: RunMessage }
  | { readonly send: 'deliver'; readonly message: DeliverMessage }
  | { readonly send: 'cancel'; readonly userId: UserId; readonly job: AbandonedJob }
  | { readonly send: 'wake' | 'delete'; readonly userId: UserId }
  | { readonly tell: RequestId; readonly state: RequestState; readonly since: number }
  | { readonly broadcast: Broadcast }
  | { readonly purge: RequestId };

export interface Desk {
  readonly sql: SqlStorage;
  readonly settings: Pick<Settings, 'requestHotMs' | 'imageRetentionMs'>;
  readonly kinds: { readonly [kind in RequestState['kind']]: Kind };
  readonly present: PresentRequest;
  readonly memory: Memory;
  readonly effects: Effect[];
  readonly now: number;
  readonly random: () => number;
}

/** One change releases no more than this; the alarm goes on at once. */
const MAX_RELEASES = 100;
/** A record of an idempotency key lives this long after its request is terminal. */
const IDEMPOTENCY_LIFE_MS = 24 * 3_600_000;

export function insert(desk: Desk, state: RequestState): void {
  ledger.createOne(desk.sql, { state, dueAt: dueAt(state, desk.settings.requestHotMs) });
  count(desk.memory, phaseOf(state), 1);
  followUp(desk, null, state);
}

/** Saves a transition; one that was fenced off (the same object) saves nothing. */
export function save(desk: Desk, before: ledger.LedgerRow, next: RequestState): void {
  const previous = before.state;
  if (next === previous || previous.status === 'deleted') return;
  const due = dueAt(next, desk.settings.requestHotMs);
  ledger.updateOne(desk.sql, { before, state: next, dueAt: due });
  count(desk.memory, before.phase, -1);
  count(desk.memory, phaseOf(next), 1);
  followUp(desk, previous, next);
}

/** Its stored objects are purged by the caller, or by the alarm when that fails. */
export function bury(desk: Desk, before: ledger.LedgerRow, tombstone: Tombstone): void {
  ledger.updateOne(desk.sql, { before, state: tombstone, dueAt: desk.now + LEASE_MS });
  wakeProjector(desk, tombstone.userId);
}

/** Gives free money and free slots to those who wait, best rank first. */
export function fillSlots(desk: Desk): void {
  const account = accounts.loadAccount(desk.sql);
  desk.memory.hasMoreToGive = false;
  if (account?.status !== 'active') return;
  desk.memory.hasMoreToGive = fundWaiting(desk, account, (row, next) => save(desk, row, next));
  for (let given = 0; desk.memory.active < account.limits.max_running; given += 1) {
    if (desk.memory.waiting === 0) return;
    const row = ledger.getNextForSlot(desk.sql);
    if (!row || row.state.status === 'deleted') return;
    if (given === MAX_RELEASES) {
      desk.memory.hasMoreToGive = true;
      return;
    }
    save(desk, row, giveSlot(row.state, desk.now));
  }
}

export function runMessage(state: RequestState): RunMessage {
  return {
    type: 'generation.run',
    v: 1,
    user: state.userId,
    request: state.id,
    release: state.release,
    correlation_id: state.correlationId,
  };
}

function followUp(desk: Desk, previous: RequestState | null, next: RequestState): void {
  if (wantsClaim(next)) desk.effects.push({ send: 'run', message: runMessage(next) });
  leaveBehind(desk, previous, next);
  keepLease(desk, next);
  keepBudget(desk, previous, next);
  if (previous?.version === next.version) return;
  desk.effects.push({ tell: next.id, state: next, since: previous?.version ?? 0 });
  wakeProjector(desk, next.userId);
  announce(desk, previous, next);
  if (!isTerminal(next)) return;
  // One that ends as it is admitted has taken no units.
  if (previous) giveBack(desk, next);
  close(desk, next);
}

function wantsClaim(state: RequestState): boolean {
  if (state.status === 'queued') return state.wait.for === 'claim';
  return state.status === 'running' && state.current.job?.wait.for === 'claim';
}

function keepLease(desk: Desk, next: RequestState): void {
  const { leases } = desk.memory;
  const held = leases.get(next.id);
  const isLeased = next.status === 'running' && phaseOf(next) === 'running';
  const token = isLeased ? next.current.token : null;
  if (held?.token === token) return;
  if (held?.graced) ledger.deleteGrace(desk.sql, held.token);
  // Ended by somebody else than its caller, who is still at it.
  if (held && token === null && next.attempts.at(-1)?.token === null && desk.now < held.until) {
    outlive(desk.memory, held);
  }
  if (token === null) leases.delete(next.id);
  else leases.set(next.id, { token, until: desk.now + LEASE_MS, graced: false });
}

/** What nothing was made for, and nothing can have been, does not count as used. */
function giveBack(desk: Desk, state: Finished): void {
  if (state.status === 'succeeded' && state.reusedFrom === null) return;
  if (state.attempts.some(({ costMicros, possiblyBilled }) => costMicros > 0 || possiblyBilled)) {
    return;
  }
  const usage = accounts.loadUsage(desk.sql);
  if (!usage) return;
  accounts.saveUsage(desk.sql, refund(usage, state.units, state.createdAt, desk.now));
}

function close(desk: Desk, state: Finished): void {
  if (state.idempotencyKey !== null) {
    const at = state.completedAt + IDEMPOTENCY_LIFE_MS;
    const { id: requestId, idempotencyKey: key } = state;
    idempotency.expire(desk.sql, { key, requestId, at });
  }
  concludeReuse(desk, state, (row, next) => save(desk, row, next));
}
