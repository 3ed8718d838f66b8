/**
 * What clients do to their requests: submit, read, cancel, delete. Runs inside one transaction, once
 * the caller's credential has been checked.
 */
import { type Admission, admit, admitReady } from '../accounts/admission';
import { auditEvent, byOf } from '../accounts/audit/event';
import { createAudit } from '../accounts/audit/rows';
import * as accounts from '../accounts/limits';
import type { Credential, Denial, Limits, Refusal } from '../accounts/types';
import { usageOf } from '../accounts/usage/facts';
import { madeBy } from '../generation/present';
import type { RequestId } from '../platform/ids';
import { type Eta, estimate } from '../requests/estimate';
import * as idempotency from '../requests/idempotency-rows';
import * as ledger from '../requests/ledger';
import * as lifecycle from '../requests/lifecycle';
import { entryHold } from '../requests/money';
import { LEASE_MS, phaseOf } from '../requests/queueing';
import { HOUR_MS, longestRetentionMs, withinRetention } from '../requests/retention';
import type { Queued, RequestSpec, RequestState, Tombstone } from '../requests/types';
import { isTerminal } from '../requests/types';
import { bury, type Desk, fillSlots, insert, save } from './desk';
import { noteRefused, takeRefused } from './refused-calls';
import { canJoin, findReady, forgetReusable, joinOrMake } from './reusing';
import { wakeProjector } from './waking';

export type Denied = { readonly outcome: Denial };

export type OwnKey = 'renew' | 'collect';

export interface Submission {
  readonly credential: Credential;
  readonly spec: RequestSpec;
  readonly warnings: readonly string[];
  /** SHA-256 of the canonical body; compared when the idempotency key is seen again. */
  readonly fingerprint: string;
  /**
   * The key is not the client's own, and stands for the newest of its equal calls. `renew`: this is a
   * call made for the first time, whatever was asked before. `collect`: one that is made again, and
   * is answered with that newest request, unless it was refused the last time.
   */
  readonly ownKey?: OwnKey;
}

export interface Snapshot {
  readonly state: RequestState;
  /** Among the user's own; null when the request does not wait for a slot. */
  readonly position: number | null;
  readonly eta: Eta | null;
}

export type SubmitAnswer =
  | ({ readonly outcome: 'accepted' | 'replayed' } & Snapshot)
  /** The request of this key has left for D1. */
  | { readonly outcome: 'replayed_archived'; readonly requestId: RequestId }
  | { readonly outcome: 'deleted' }
  | { readonly outcome: 'mismatch' }
  /** `at`: when it was judged, epoch ms. */
  | { readonly outcome: 'refused'; readonly refusal: Refusal; readonly at: number }
  | Denied;

export type ReadAnswer =
  | ({ readonly outcome: 'found' } & Snapshot)
  | { readonly outcome: 'deleted' | 'absent' }
  | Denied;

export function submit(desk: Desk, submission: Submission): SubmitAnswer {
  const earlier = replay(desk, submission);
  if (earlier) return earlier;
  const account = accounts.loadAccount(desk.sql);
  const usage = accounts.loadUsage(desk.sql);
  if (!account || !usage) return { outcome: 'unauthorized' };
  const longestMs = longestRetentionMs(account.limits, desk.settings);
  const limits = { ...account.limits, retention_hours: longestMs / HOUR_MS };
  const { spec: asking, warnings } = withinRetention(
    atTodaysPrice(desk, submission.spec),
    longestMs,
  );
  const { retentionMs } = asking;
  const spec = { ...asking, retentionMs: retentionMs ?? longestMs };
  // Who waits for an equal request costs nothing, so no want of money refuses it.
  const holdMicros = canJoin(desk, spec, retentionMs) ? 0 : entryHold(spec);
  const queued = lifecycle.accept(spec, [...submission.warnings, ...warnings], holdMicros);
  const asked = { units: spec.units, retentionMs, ...desk.kinds[spec.kind].asks(spec) };
  const ready = findReady(desk, queued, retentionMs);
  const verdict = ready
    ? admitReady({ usage, limits, asked, now: desk.now })
    : admitToMake(desk, { usage, limits, asked, holdMicros });
  if (!verdict.admitted) {
    const { idempotencyKey: key } = spec;
    if (submission.ownKey && key !== null) noteRefused(desk.memory.refusedCalls, key, desk.now);
    return { outcome: 'refused', refusal: verdict.refusal, at: desk.now };
  }
  accounts.saveUsage(desk.sql, verdict.usage);
  if (spec.idempotencyKey !== null) {
    const { idempotencyKey: key, id: requestId } = spec;
    const { fingerprint } = submission;
    idempotency.putOne(desk.sql, { key, fingerprint, requestId });
  }
  const state = ready ?? start(desk, queued, { limits, retentionMs });
  insert(desk, state);
  return { outcome: 'accepted', ...snapshotOf(desk, state) };
}

/** What is tried again has the least that it cost when it was first asked for. */
function atTodaysPrice(desk: Desk, spec: RequestSpec): RequestSpec {
  if (spec.retryOf === null) return spec;
  return { ...spec, floorMicros: desk.kinds[spec.kind].floorMicros(spec) };
}

function admitToMake(
  desk: Desk,
  of: Pick<Parameters<typeof admit>[0], 'usage' | 'limits' | 'asked' | 'holdMicros'>,
): Admission {
  const { active: running, waiting } = desk.memory;
  return admit({ ...of, waiting, running, now: desk.now });
}

function start(
  desk: Desk,
  queued: Queued,
  { limits, retentionMs }: Pick<RequestSpec, 'retentionMs'> & { readonly limits: Limits },
): RequestState {
  const accepted = joinOrMake(desk, queued, retentionMs);
  const hasSlot = desk.memory.active < limits.max_running;
  return hasSlot ? lifecycle.release(accepted, desk.now) : accepted;
}

/** Each on its own, in order, in one transaction. */
export function submitAll(desk: Desk, submissions: readonly Submission[]): SubmitAnswer[] {
  return submissions.map((submission) => submit(desk, submission));
}

/** The same call again (a retried RPC), or the same idempotency key again. */
function replay(desk: Desk, submission: Submission): SubmitAnswer | null {
  const { spec, fingerprint } = submission;
  const same = ledger.getOne(desk.sql, spec.id);
  if (same?.state.status === 'deleted') return { outcome: 'deleted' };
  if (same) return { outcome: 'accepted', ...snapshotOf(desk, same.state) };
  const { idempotencyKey: key } = spec;
  if (key === null || submission.ownKey === 'renew') return null;
  const wasRefused =
    submission.ownKey === 'collect' && takeRefused(desk.memory.refusedCalls, key, desk.now);
  return wasRefused ? null : replayOf(desk, { key, fingerprint });
}

/** What an idempotency key stands for; null when it is free. */
export function replayOf(
  desk: Viewing,
  input: { readonly key: string; readonly fingerprint: string },
): SubmitAnswer | null {
  const record = idempotency.getOne(desk.sql, input.key);
  if (!record) return null;
  if (record.fingerprint !== input.fingerprint) return { outcome: 'mismatch' };
  const row = ledger.getOne(desk.sql, record.requestId);
  if (!row) return { outcome: 'replayed_archived', requestId: record.requestId };
  if (row.state.status === 'deleted') return { outcome: 'deleted' };
  return { outcome: 'replayed', ...snapshotOf(desk, row.state) };
}

export function read(desk: Viewing, id: RequestId): ReadAnswer {
  const row = ledger.getOne(desk.sql, id);
  if (!row) return { outcome: 'absent' };
  if (row.state.status === 'deleted') return { outcome: 'deleted' };
  return { outcome: 'found', ...snapshotOf(desk, row.state) };
}

export function cancel(desk: Desk, id: RequestId): ReadAnswer {
  const row = ledger.getOne(desk.sql, id);
  if (!row) return { outcome: 'absent' };
  if (row.state.status === 'deleted') return { outcome: 'deleted' };
  const state = lifecycle.cancel(row.state, desk.now);
  save(desk, row, state);
  fillSlots(desk);
  return { outcome: 'found', ...snapshotOf(desk, state) };
}

/**
 * Ends a live request first, so that its webhook still tells of the cancellation; then nothing is
 * left of it but a tombstone. `archived` is what D1 holds of a request that has left the foreman.
 */
export function remove(
  desk: Desk,
  input: {
    readonly credential: Credential;
    readonly id: RequestId;
    readonly archived: Pick<RequestState, 'version' | 'reuseKey'> | null;
  },
): { readonly outcome: 'deleted' | 'absent' } {
  const row = ledger.getOne(desk.sql, input.id);
  const { userId } = input.credential;
  if (!row) {
    if (!input.archived) return { outcome: 'absent' };
    const { version, reuseKey } = input.archived;
    const tombstone = tombstoneOf({ id: input.id, userId, version }, null, desk.now);
    forget(desk, { id: input.id, reuseKey });
    ledger.createTombstone(desk.sql, { tombstone, dueAt: desk.now + LEASE_MS });
    wakeProjector(desk, userId);
    putDeletionOnRecord(desk, input);
    fillSlots(desk);
    return { outcome: 'deleted' };
  }
  if (row.state.status === 'deleted') return { outcome: 'deleted' };
  const ended = lifecycle.cancel(row.state, desk.now);
  save(desk, row, ended);
  forget(desk, row.state);
  const last = ledger.getOne(desk.sql, input.id);
  if (last) bury(desk, last, tombstoneOf(ended, usageOf(ended, madeBy(ended)), desk.now));
  putDeletionOnRecord(desk, input);
  fillSlots(desk);
  return { outcome: 'deleted' };
}

const forget = (desk: Desk, request: Pick<RequestState, 'id' | 'reuseKey'>) =>
  forgetReusable(desk, request, (row, next) => save(desk, row, next));

/** What a snapshot takes. */
export type Viewing = Pick<Desk, 'sql' | 'kinds' | 'memory' | 'now'>;

export function snapshotOf(desk: Viewing, state: RequestState): Snapshot {
  const phase = phaseOf(state);
  const waitsForSlot = phase === 'slot' || phase === 'claim';
  const position = waitsForSlot ? ledger.getPosition(desk.sql, state.id) : null;
  return { state, position, eta: etaOf(desk, state, position) };
}

/** By the first of its targets whose pace is known. */
function etaOf(desk: Viewing, state: RequestState, position: number | null): Eta | null {
  const { paces } = desk.memory;
  if (isTerminal(state) || paces.size === 0) return null;
  const account = accounts.loadAccount(desk.sql);
  const names = desk.kinds[state.kind].targets(state);
  const pace = names.map((name) => paces.get(name)).find((known) => known !== undefined);
  if (!account || !pace) return null;
  const { max_running: slots } = account.limits;
  return estimate({ state, position, slots, pace, now: desk.now });
}

function putDeletionOnRecord(
  desk: Desk,
  { credential, id }: { readonly credential: Credential; readonly id: RequestId },
): void {
  const { userId } = credential;
  const event = auditEvent(
    byOf(credential),
    { action: 'request.deleted', userId, target: id },
    desk.now,
  );
  createAudit(desk.sql, event);
}

/** `usage`: null when D1 has it, as the request has left for there. */
function tombstoneOf(
  of: Pick<Tombstone, 'id' | 'userId' | 'version'>,
  usage: Tombstone['usage'],
  now: number,
): Tombstone {
  return {
    id: of.id,
    userId: of.userId,
    status: 'deleted',
    version: of.version + 1,
    deletedAt: now,
    purged: false,
    usage,
  };
}
