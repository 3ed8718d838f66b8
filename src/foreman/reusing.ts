/**
 * Equal requests of one user share one output when they ask for it: the first makes it, the others
 * wait for it or have it at once. Who follows whom is the key's to say, so that a new maker is one
 * row however many wait. Runs inside one transaction.
 */
import * as ledger from '../requests/ledger';
import * as lifecycle from '../requests/lifecycle';
import { rankOf } from '../requests/queueing';
import { lastsFor } from '../requests/retention';
import * as reusable from '../requests/reuse';
import type { Finished, Queued, RequestState } from '../requests/types';
import { isTerminal } from '../requests/types';
import type { Desk } from './desk';

/** An output that ends sooner is of little use to whoever asks for it. */
const MIN_LIFE_MS = 3_600_000;
/** One change tells no more than this; the alarm goes on at once. */
const MAX_TOLD = 100;

/**
 * A new request with the output there is; null when it has yet to be made.
 * @param askedMs how long the client itself wants it kept; null when it names no time.
 */
export function findReady(desk: Desk, state: Queued, askedMs: number | null): Finished | null {
  const known = state.reuseKey === null ? null : reusable.getOne(desk.sql, state.reuseKey);
  if (known?.shared?.status !== 'succeeded') return null;
  const expiresAt = known.expiresAt ?? 0;
  if (expiresAt <= desk.now + MIN_LIFE_MS || !lastsFor(askedMs, expiresAt, desk.now)) return null;
  return lifecycle.reuse(state, { from: known.requestId, shared: known.shared }, desk.now);
}

/** Whether a new request has an equal one to wait for. */
export function canJoin(
  desk: Desk,
  { reuseKey: key }: Pick<Queued, 'reuseKey'>,
  askedMs: number | null,
): boolean {
  const equal = key === null ? null : findEqual(desk, key, askedMs);
  return equal !== null && equal !== 'unfit';
}

/** A new request that waits for its equal, or (unchanged) makes it, maybe for itself alone. */
export function joinOrMake(desk: Desk, state: Queued, askedMs: number | null): Queued {
  const { reuseKey: key, id: requestId } = state;
  if (key === null) return state;
  const equal = findEqual(desk, key, askedMs);
  if (equal === 'unfit') return state;
  if (equal === null) {
    reusable.saveMaker(desk.sql, { key, requestId });
    return state;
  }
  if (equal !== 'refused') hurry(desk, equal, rankOf(state));
  return lifecycle.join(state);
}

/**
 * The one that makes it, or that it was refused; null when it has yet to be made. `unfit`: what is
 * made is not kept for as long as is asked, and there are others who have it nevertheless.
 */
function findEqual(
  desk: Desk,
  key: string,
  askedMs: number | null,
): ledger.LedgerRow | 'refused' | 'unfit' | null {
  const known = reusable.getOne(desk.sql, key);
  // A refusal is kept for as long as followers are to be told of it.
  if (known?.shared?.status === 'failed') return 'refused';
  if (known?.shared) {
    return ledger.getFollowers(desk.sql, { reuseKey: key, limit: 1 }).length > 0 ? 'unfit' : null;
  }
  const maker = known ? ledger.getOne(desk.sql, known.requestId) : null;
  if (!maker || maker.state.status === 'deleted' || isTerminal(maker.state)) return null;
  const { retentionMs } = maker.state;
  // Its images are stored later than now.
  const until = desk.now + (retentionMs ?? desk.settings.imageRetentionMs);
  return lastsFor(askedMs, until, desk.now) ? maker : 'unfit';
}

/** Whatever the maker waits for, now or later, the most urgent of its followers waits for, too. */
function hurry(desk: Desk, maker: ledger.LedgerRow, rank: number): void {
  if (rank < maker.rank) ledger.updateRank(desk.sql, { id: maker.state.id, rank });
}

type Save = (row: ledger.LedgerRow, next: RequestState) => void;

/** The maker has ended: its followers share what it came to, or the first of them makes it. */
export function concludeReuse(desk: Desk, state: Finished, save: Save): void {
  const { reuseKey: key, id } = state;
  if (key === null || state.reusedFrom !== null) return;
  if (reusable.getOne(desk.sql, key)?.requestId !== id) return;
  const shared = lifecycle.sharedBy(state);
  if (!shared) {
    passOn(desk, key, save);
    return;
  }
  const isOutput = state.status === 'succeeded';
  const expiresAt = isOutput ? desk.kinds[state.kind].outputExpiresAt(state) : null;
  reusable.saveShared(desk.sql, { key, shared, expiresAt });
  tellFollowers(desk, key, save);
}

/** Tells some; that there may be more is stored, as the object may be gone before their turn. */
export function tellFollowers(desk: Desk, key: string, save: Save): void {
  const known = reusable.getOne(desk.sql, key);
  if (!known?.shared) return;
  const { requestId: from, shared } = known;
  const followers = ledger.getFollowers(desk.sql, { reuseKey: key, limit: MAX_TOLD });
  for (const row of followers) {
    if (row.state.status !== 'queued') continue;
    save(row, lifecycle.reuse(row.state, { from, shared }, desk.now));
  }
  const isDone = followers.length < MAX_TOLD;
  if (isDone && shared.status === 'failed') reusable.deleteOne(desk.sql, key);
  else reusable.updateTelling(desk.sql, { key, at: isDone ? null : desk.now });
}

/** Its output goes with it. */
export function forgetReusable(
  desk: Desk,
  request: Pick<RequestState, 'id' | 'reuseKey'>,
  save: Save,
): void {
  const { reuseKey: key, id } = request;
  if (key === null || reusable.getOne(desk.sql, key)?.requestId !== id) return;
  passOn(desk, key, save);
}

/** One of those that wait makes it; the others wait for that one, as what it makes lasts for all. */
function passOn(desk: Desk, key: string, save: Save): void {
  const [first] = ledger.getFollowers(desk.sql, { reuseKey: key, limit: 1 });
  const id = reusable.getLongestKept(desk.sql, key);
  const heir = id && ledger.getOne(desk.sql, id);
  if (!first || !heir || heir.state.status === 'deleted') {
    reusable.deleteOne(desk.sql, key);
    return;
  }
  hurry(desk, heir, first.rank);
  reusable.saveMaker(desk.sql, { key, requestId: heir.state.id });
  save(heir, lifecycle.leave(heir.state));
}
