/**
 * What a foreman knows without a row: who holds a lease, how many requests hold a slot or wait, and
 * whether the projector has been woken. All of it is rebuilt from the rows when the object wakes.
 */
import type { Deletion } from '../accounts/deletion/progress';
import { loadDeletion } from '../accounts/deletion/rows';
import * as accounts from '../accounts/limits';
import { confirmDueAt } from '../platform/backoff';
import type { EndpointId, RequestId } from '../platform/ids';
import * as abandoned from '../requests/abandoned';
import { hasLive } from '../requests/erasing';
import * as idempotency from '../requests/idempotency-rows';
import * as ledger from '../requests/ledger';
import { holdsSlot, isWaiting, LEASE_MS, type Phase } from '../requests/queueing';
import * as reusable from '../requests/reuse';
import type { Pace, TargetName, TargetVerdicts } from '../requests/types';
import * as deliveries from '../webhooks/deliveries';
import * as endpointRows from '../webhooks/endpoints/rows';
import type { Endpoint } from '../webhooks/endpoints/types';
import type { Lanes } from '../webhooks/lanes';
import { mendHolds } from './budget';
import type { RefusedCalls } from './refused-calls';

export interface Lease {
  readonly token: string;
  readonly until: number;
  /** It stems from before this object was constructed, and a row says until when it is waited for. */
  readonly graced: boolean;
}

/** `stored`: a row keeps it, so that a reminder's backoff outlives the object. */
export interface Wake {
  readonly sentAt: number;
  readonly sends: number;
  readonly stored: boolean;
}

export interface Memory {
  readonly leases: Map<RequestId, Lease>;
  /** Calls whose requests have ended without them: token → until when they are waited for. */
  readonly outliving: Map<string, number>;
  /** Released or running, and the calls that outlive their requests. */
  active: number;
  /** Accepted, neither released nor running. */
  waiting: number;
  /** The one outstanding wake-up of the projector. */
  wake: Wake | null;
  /** There was more money, or there were more slots, than one change gives away. */
  hasMoreToGive: boolean;
  /** Not before then are those looked at again that a suspension ends: one of them could not be. */
  endIdleAt: number;
  /** Set for a user who is being deleted, or has been; a row keeps it. */
  deletion: Deletion | null;
  /** How quick targets are, as consumers have told: for estimates only. */
  readonly paces: Map<TargetName, Pace>;
  /** The rows of all webhook endpoints, oldest first, as every event looks at them; null: not read yet. */
  endpoints: readonly Endpoint[] | null;
  /** How many deliveries of each receiver are under way, and how many wait for that. */
  lanes: Lanes;
  /** Endpoints that are gone or disabled, and have more pending than one change ends. */
  readonly ending: Set<EndpointId>;
  readonly refusedCalls: RefusedCalls;
  /** When the alarm is set to, as far as this instance knows. */
  alarmAt: number | null;
}

/**
 * Every lease is extended: a foreman that was away must not declare its callers dead. It is extended
 * once: an idle object is evicted before its alarm, and would else wait anew each time it wakes.
 */
export function recall(sql: SqlStorage, now: number): Memory {
  const memory: Memory = {
    leases: new Map(),
    outliving: new Map(),
    active: 0,
    waiting: 0,
    wake: null,
    hasMoreToGive: false,
    endIdleAt: 0,
    deletion: loadDeletion(sql),
    paces: new Map(),
    endpoints: null,
    lanes: deliveries.countLanes(sql),
    ending: recallEnding(sql),
    refusedCalls: new Map(),
    alarmAt: null,
  };
  const grace = ledger.getGrace(sql);
  let heldMicros = 0;
  for (const { phase, id, token, holdMicros } of ledger.getLive(sql)) {
    heldMicros += holdMicros;
    count(memory, phase, 1);
    if (token === null) continue;
    const until = grace.get(token) ?? now + LEASE_MS;
    if (!grace.delete(token)) ledger.createGrace(sql, { token, until });
    memory.leases.set(id, { token, until, graced: true });
  }
  for (const token of grace.keys()) ledger.deleteGrace(sql, token);
  mendHolds(sql, heldMicros);
  return memory;
}

/** Rows are asked, so that an end goes on after the object was away in the middle of it. */
function recallEnding(sql: SqlStorage): Set<EndpointId> {
  const pending = deliveries.getPendingEndpoints(sql);
  if (pending.length === 0) return new Set();
  const endpoints = endpointRows.getList(sql).filter(({ disabled }) => !disabled);
  const active = new Set(endpoints.map(({ id }) => id));
  return new Set(pending.filter((id) => !active.has(id)));
}

/** For a transaction that may yet be rolled back. */
export function snapshot(memory: Memory): () => void {
  const leases = new Map(memory.leases);
  const outliving = new Map(memory.outliving);
  const ending = new Set(memory.ending);
  const lanes = {
    inFlight: new Map(memory.lanes.inFlight),
    waiting: new Map(memory.lanes.waiting),
  };
  const { active, waiting, wake, hasMoreToGive, deletion, endpoints } = memory;
  return () => {
    memory.leases.clear();
    for (const [id, lease] of leases) memory.leases.set(id, lease);
    memory.outliving.clear();
    for (const [token, until] of outliving) memory.outliving.set(token, until);
    memory.active = active;
    memory.waiting = waiting;
    memory.wake = wake;
    memory.hasMoreToGive = hasMoreToGive;
    memory.deletion = deletion;
    memory.endpoints = endpoints;
    memory.lanes = lanes;
    memory.ending.clear();
    for (const id of ending) memory.ending.add(id);
  };
}

export function count(memory: Memory, phase: Phase | null, by: 1 | -1): void {
  if (phase === null) return;
  if (holdsSlot(phase)) memory.active += by;
  if (isWaiting(phase)) memory.waiting += by;
}

/** The earliest moment at which something has to happen by itself; null when nothing has to. */
export function nextDueAt(sql: SqlStorage, memory: Memory): number | null {
  const dues = memory.deletion ? duesOf(memory.deletion, sql, memory) : duesOfAll(sql, memory);
  const set = dues.filter((due) => due !== null);
  return set.length === 0 ? null : Math.min(...set);
}

/** Nothing else happens any more to a user who is being deleted, or has been. */
function duesOf(deletion: Deletion, sql: SqlStorage, memory: Memory): (number | null)[] {
  return [
    hasLive(sql) ? 1 : deletion.nextAt,
    abandoned.getEarliestDue(sql),
    memory.wake && confirmDueAt(memory.wake),
  ];
}

function duesOfAll(sql: SqlStorage, memory: Memory): (number | null)[] {
  const leaseEnds = [...memory.leases.values()].map((lease) => lease.until);
  return [
    ledger.getEarliestDue(sql),
    idempotency.getEarliestExpiry(sql),
    abandoned.getEarliestDue(sql),
    reusable.getEarliestDue(sql),
    deliveries.getEarliestDue(sql),
    memory.wake && confirmDueAt(memory.wake),
    // The earliest time that an alarm can be set to.
    memory.hasMoreToGive || memory.ending.size > 0 ? 1 : null,
    idleEndsAt(sql, memory),
    ...leaseEnds,
    ...memory.outliving.values(),
  ];
}

/** At once, as long as a suspended account has requests that nobody works on. */
function idleEndsAt(sql: SqlStorage, memory: Memory): number | null {
  if (memory.active + memory.waiting === 0) return null;
  if (accounts.loadAccount(sql)?.status !== 'suspended') return null;
  return ledger.getIdleIds(sql, 1).length > 0 ? Math.max(1, memory.endIdleAt) : null;
}

export function learnPaces(memory: Memory, verdicts: TargetVerdicts): void {
  for (const [name, { pace }] of Object.entries(verdicts)) {
    // The keys of verdicts are names of targets, which the type of `entries` forgets.
    if (pace) memory.paces.set(name as TargetName, pace);
  }
}
