/** What consumers do to requests: claim a release, renew leases, settle attempts. */
import type { RequestId } from '../platform/ids';
import * as ledger from '../requests/ledger';
import * as lifecycle from '../requests/lifecycle';
import { LEASE_MS, phaseOf, turnMs } from '../requests/queueing';
import type {
  AttemptResult,
  Decision,
  RequestState,
  RunMessage,
  Running,
  TargetName,
  TargetVerdicts,
} from '../requests/types';
import { abandon } from './abandoning';
import { budgetOf } from './budget';
import { closeCall } from './deleting';
import { type Desk, fillSlots, save } from './desk';
import { learnPaces } from './memory';
import { endOutliving } from './outliving';
import { unlessSuspended } from './suspending';

/** All that a consumer needs for one call. */
export interface Job {
  readonly state: Running;
  readonly token: string;
  /** Names of the targets that could serve it, in order of preference. */
  readonly targets: readonly TargetName[];
}

export type ClaimAnswer =
  | { readonly verdict: 'run'; readonly job: Job }
  /** The verdicts on these targets are missing: the claim is to be made again with them. */
  | {
      readonly verdict: 'check';
      readonly targets: readonly TargetName[];
      readonly sole: boolean;
      /** Number of the attempt that is to be made. */
      readonly attempt: number;
    }
  /** `stale`: the request moved on. `busy`: another consumer has this release. `later`: not now. */
  | { readonly verdict: 'stale' | 'busy' | 'later' };

export type SettleAnswer =
  | { readonly verdict: 'run'; readonly job: Job }
  /** `waits`: another attempt is to follow, but not now. */
  | { readonly verdict: 'settled'; readonly waits: boolean }
  /** Somebody else decides. `orphaned`: what this caller stored is nobody's, and must go. */
  | { readonly verdict: 'stale'; readonly orphaned: boolean };

/** Tokens are the caller's: a claim or settle whose answer got lost can be made again. */
export function claim(
  desk: Desk,
  message: Pick<RunMessage, 'request' | 'release'> & {
    readonly token: string;
    readonly verdicts: TargetVerdicts;
  },
): ClaimAnswer {
  const { token, verdicts } = message;
  learnPaces(desk.memory, verdicts);
  if (desk.memory.deletion) return { verdict: 'stale' };
  const row = ledger.getOne(desk.sql, message.request);
  if (!row || row.state.status === 'deleted') return { verdict: 'stale' };
  const { state } = row;
  if (state.status === 'running' && state.current.token === token) {
    return { verdict: 'run', job: jobOf(desk, state) };
  }
  if (phaseOf(state) === 'running' && state.release === message.release) return { verdict: 'busy' };
  let decision: Decision | null = null;
  const decideNext = deciderFor(desk, state, { moment: 'slot_given', verdicts });
  const decide: lifecycle.Decide = (attempts) => {
    decision = decideNext(attempts);
    return decision;
  };
  const { release } = message;
  const next = lifecycle.claim(state, { release, token, decide }, desk.now);
  if (next === state) return unclaimed(state, decision);
  save(desk, row, next);
  fillSlots(desk);
  if (next.status !== 'running') return { verdict: 'later' };
  return { verdict: 'run', job: jobOf(desk, next) };
}

function unclaimed(state: RequestState, decision: Decision | null): ClaimAnswer {
  if (decision?.next !== 'check') return { verdict: 'stale' };
  const { targets, sole } = decision;
  return { verdict: 'check', targets, sole, attempt: state.attempts.length + 1 };
}

export function settle(
  desk: Desk,
  input: {
    readonly request: RequestId;
    readonly token: string;
    /** Number of the attempt. */
    readonly attempt: number;
    readonly result: AttemptResult;
    /** For the attempt that may follow at once; null when this consumer has no time for one. */
    readonly nextToken: string | null;
    readonly verdicts: TargetVerdicts;
  },
): SettleAnswer {
  const { verdicts } = input;
  learnPaces(desk.memory, verdicts);
  if (desk.memory.deletion) {
    closeCall(desk, input.token);
    return { verdict: 'stale', orphaned: true };
  }
  if (endOutliving(desk.memory, input.token)) fillSlots(desk);
  const row = ledger.getOne(desk.sql, input.request);
  // It ended and has left for D1, perhaps by this very call: what it stored is not to be touched.
  if (!row) return { verdict: 'settled', waits: false };
  if (row.state.status === 'deleted') return { verdict: 'stale', orphaned: true };
  const { state } = row;
  const next = lifecycle.settle(
    state,
    {
      token: input.token,
      result: input.result,
      nextToken: input.nextToken,
      decide: deciderFor(desk, state, { moment: 'attempt_ended', verdicts }),
    },
    desk.now,
  );
  if (next !== state) {
    save(desk, row, next);
    leaveBehindUnknown(desk, state, input.result);
    fillSlots(desk);
  } else if (!lifecycle.hasSettled(state, input.token)) {
    return { verdict: 'stale', orphaned: !isTakenOver(state, input.attempt) };
  }
  return next.status === 'running' && next.current.token === input.nextToken
    ? { verdict: 'run', job: jobOf(desk, next) }
    : { verdict: 'settled', waits: next.status === 'queued' };
}

/** Whoever collects the job of an attempt after another stores in the same places. */
function isTakenOver(state: RequestState, attempt: number): boolean {
  if (state.status === 'running' && state.current.number === attempt) return true;
  return state.attempts.some((a) => a.number === attempt && a.outcome === 'succeeded');
}

/** The provider took too long: its job may go on, and is not waited for. */
function leaveBehindUnknown(desk: Desk, state: RequestState, result: AttemptResult): void {
  if (state.status !== 'running' || !state.current.job || result.outcome !== 'unknown') return;
  const { userId, id: request, correlationId } = state;
  const { token, number: attempt, provider, model } = state.current;
  const { handle } = state.current.job;
  const of = { token, attempt, provider, model, handle };
  abandon(desk, { userId, request, correlationId, ...of });
}

/**
 * Memory only, no row: a lease is short, and a foreman that restarts extends them all. A sign of
 * life ends the grace that such an extension is.
 */
export function renew(
  desk: Pick<Desk, 'sql' | 'memory' | 'now'>,
  claims: readonly { readonly request: RequestId; readonly token: string }[],
): { readonly stale: string[] } {
  const stale: string[] = [];
  for (const { request, token } of claims) {
    const held = desk.memory.leases.get(request);
    if (held?.token !== token) {
      stale.push(token);
      continue;
    }
    if (held.graced) ledger.deleteGrace(desk.sql, token);
    desk.memory.leases.set(request, { token, until: desk.now + LEASE_MS, graced: false });
  }
  return { stale };
}

export function loseLease(desk: Desk, id: RequestId): void {
  const row = ledger.getOne(desk.sql, id);
  // A lease without a running request must not keep the alarm going.
  if (row?.state.status !== 'running') desk.memory.leases.delete(id);
  if (!row || row.state.status === 'deleted') return;
  const { state } = row;
  const decide = deciderFor(desk, state, { moment: 'attempt_ended', verdicts: {} });
  save(desk, row, lifecycle.loseLease(state, { decide }, desk.now));
}

export function deadLetter(
  desk: Desk,
  message: Pick<RunMessage, 'request' | 'release'>,
): { readonly settled: boolean } {
  const row = ledger.getOne(desk.sql, message.request);
  if (!row || row.state.status === 'deleted') return { settled: false };
  const next = lifecycle.deadLetter(row.state, { release: message.release }, desk.now);
  save(desk, row, next);
  fillSlots(desk);
  return { settled: next !== row.state };
}

function deciderFor(
  desk: Desk,
  state: RequestState,
  at: { readonly moment: 'attempt_ended' | 'slot_given'; readonly verdicts: TargetVerdicts },
): lifecycle.Decide {
  return (attempts) => {
    const decision = desk.kinds[state.kind].decide({
      state,
      attempts,
      ...at,
      budget: budgetOf(desk, state, attempts.slice(state.attempts.length)),
      now: desk.now,
      random: desk.random(),
    });
    const isInTurn = decision.next === 'wait' && decision.inTurn;
    return unlessSuspended(desk, isInTurn ? inTurn(desk, state, decision) : decision);
  };
}

/** A backlog that waits for the same closed door comes back in its order, not all at once. */
function inTurn(desk: Desk, state: RequestState, wait: Extract<Decision, { next: 'wait' }>) {
  const ahead = ledger.getWaitingAhead(desk.sql, state.id);
  return { ...wait, until: wait.until + turnMs(ahead) };
}

const jobOf = (desk: Pick<Desk, 'kinds'>, state: Running): Job => ({
  state,
  token: state.current.token,
  targets: desk.kinds[state.kind].targets(state),
});
