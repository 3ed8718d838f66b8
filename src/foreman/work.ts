/** What consumers do to requests: claim a release, renew leases, settle attempts. */
import { budgetLeftMicros } from '../accounts/admission';
import * as accounts from '../accounts/limits';
import type { RequestId } from '../platform/ids';
import * as ledger from '../requests/ledger';
import * as lifecycle from '../requests/lifecycle';
import { LEASE_MS } from '../requests/queueing';
import type {
  AttemptResult,
  EndedAttempt,
  RequestState,
  RunMessage,
  Running,
} from '../requests/types';
import { type Desk, fillSlots, save } from './desk';

/** All that a consumer needs for one call. */
export interface Job {
  readonly state: Running;
  readonly token: string;
}

export type ClaimAnswer =
  | { readonly verdict: 'run'; readonly job: Job }
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
  message: Pick<RunMessage, 'request' | 'release'> & { readonly token: string },
): ClaimAnswer {
  const row = ledger.getOne(desk.sql, message.request);
  if (!row || row.state.status === 'deleted') return { verdict: 'stale' };
  const { state } = row;
  if (state.status === 'running' && state.current.token === message.token) {
    return { verdict: 'run', job: jobOf(state) };
  }
  if (state.status === 'running' && state.release === message.release) return { verdict: 'busy' };
  const next = lifecycle.claim(
    state,
    {
      release: message.release,
      token: message.token,
      decide: deciderFor(desk, state, 'slot_given'),
    },
    desk.now,
  );
  if (next === state) return { verdict: 'stale' };
  save(desk, row, next);
  fillSlots(desk);
  return next.status === 'running' ? { verdict: 'run', job: jobOf(next) } : { verdict: 'later' };
}

export function settle(
  desk: Desk,
  input: {
    readonly request: RequestId;
    readonly token: string;
    readonly result: AttemptResult;
    /** For the attempt that may follow at once; null when this consumer has no time for one. */
    readonly nextToken: string | null;
  },
): SettleAnswer {
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
      decide: deciderFor(desk, state, 'attempt_ended'),
    },
    desk.now,
  );
  if (next !== state) {
    save(desk, row, next);
    fillSlots(desk);
  } else if (!lifecycle.hasSettled(state, input.token)) return { verdict: 'stale' };
  return next.status === 'running' && next.current.token === input.nextToken
    ? { verdict: 'run', job: jobOf(next) }
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
  const decide = deciderFor(desk, state, 'attempt_ended');
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
  moment: 'attempt_ended' | 'slot_given',
): lifecycle.Decide {
  return (attempts) =>
    desk.kinds[state.kind].decide({
      state,
      attempts,
      moment,
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

const jobOf = (state: Running): Job => ({ state, token: state.current.token });
