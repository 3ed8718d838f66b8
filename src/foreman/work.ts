/** What consumers do to requests: claim a release, renew leases, settle attempts. */
import { budgetLeftMicros } from '../accounts/admission';
import * as accounts from '../accounts/limits';
import type { RequestId } from '../platform/ids';
import * as ledger from '../requests/ledger';
import * as lifecycle from '../requests/lifecycle';
import { LEASE_MS, phaseOf } from '../requests/queueing';
import type {
  AttemptResult,
  Decision,
  EndedAttempt,
  RequestState,
  RunMessage,
  Running,
  TargetName,
  TargetVerdicts,
} from '../requests/types';
import { type Desk, fillSlots, save } from './desk';
import { learnPaces } from './memory';

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
  | { readonly verdict: 'check'; readonly targets: readonly TargetName[]; readonly sole: boolean }
  /** `stale`: the request moved on. `busy`: another consumer has this release. `later`: not now. */
  | { readonly verdict: 'stale' | 'busy' | 'later' };

export type SettleAnswer =
  | { readonly verdict: 'run'; readonly job: Job }
  | { readonly verdict: 'settled' }
  /** Another attempt decides: what this one stored must go. */
  | { readonly verdict: 'stale' };

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
  if (next === state) return unclaimed(decision);
  save(desk, row, next);
  fillSlots(desk);
  if (next.status !== 'running') return { verdict: 'later' };
  return { verdict: 'run', job: jobOf(desk, next) };
}

function unclaimed(decision: Decision | null): ClaimAnswer {
  if (decision?.next !== 'check') return { verdict: 'stale' };
  const { targets, sole } = decision;
  return { verdict: 'check', targets, sole };
}

export function settle(
  desk: Desk,
  input: {
    readonly request: RequestId;
    readonly token: string;
    readonly result: AttemptResult;
    /** For the attempt that may follow at once; null when this consumer has no time for one. */
    readonly nextToken: string | null;
    readonly verdicts: TargetVerdicts;
  },
): SettleAnswer {
  const { verdicts } = input;
  learnPaces(desk.memory, verdicts);
  const row = ledger.getOne(desk.sql, input.request);
  // It ended and has left for D1, perhaps by this very call: what it stored is not to be touched.
  if (!row) return { verdict: 'settled' };
  if (row.state.status === 'deleted') return { verdict: 'stale' };
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
    fillSlots(desk);
  } else if (!lifecycle.hasSettled(state, input.token)) return { verdict: 'stale' };
  return next.status === 'running' && next.current.token === input.nextToken
    ? { verdict: 'run', job: jobOf(desk, next) }
    : { verdict: 'settled' };
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
  return (attempts) =>
    desk.kinds[state.kind].decide({
      state,
      attempts,
      ...at,
      waiting: desk.memory.waiting,
      budgetLeftMicros: budgetLeft(desk, state, attempts.slice(state.attempts.length)),
      now: desk.now,
      random: desk.random(),
    });
}

/** An attempt that is just ending is not yet in the books: its reservation turns into its cost. */
function budgetLeft(
  desk: Desk,
  state: RequestState,
  ending: readonly EndedAttempt[],
): number | null {
  const account = accounts.loadAccount(desk.sql);
  const usage = accounts.loadUsage(desk.sql);
  if (!account || !usage) return 0;
  const left = budgetLeftMicros(usage, account.limits, desk.now);
  if (left === null || state.status !== 'running') return left;
  return ending.reduce((sum, ended) => sum + ended.reservedMicros - ended.costMicros, left);
}

const jobOf = (desk: Pick<Desk, 'kinds'>, state: Running): Job => ({
  state,
  token: state.current.token,
  targets: desk.kinds[state.kind].targets(state),
});
