/**
 * Equal requests of one user share one output when they ask for it: the first makes it, the others
 * wait for it or have it at once. Runs inside one transaction.
 */
import * as ledger from '../requests/ledger';
import * as lifecycle from '../requests/lifecycle';
import * as reusable from '../requests/reuse';
import type { Finished, Queued, RequestState } from '../requests/types';
import type { Desk } from './desk';

/** An output that ends sooner is of little use to whoever asks for it. */
const MIN_LIFE_MS = 3_600_000;

/** What a new request becomes: finished, waiting for its equal, or (unchanged) on its own. */
export function reuseFor(desk: Desk, state: Queued): RequestState {
  const { reuseKey: key, id: requestId } = state;
  if (key === null) return state;
  const known = reusable.getOne(desk.sql, key);
  if (known?.output && (known.expiresAt ?? 0) > desk.now + MIN_LIFE_MS) {
    return lifecycle.reuse(state, { from: known.requestId, output: known.output }, desk.now);
  }
  const maker = known && !known.output ? ledger.getOne(desk.sql, known.requestId) : null;
  const isLive = maker?.state.status === 'queued' || maker?.state.status === 'running';
  if (known && isLive) return lifecycle.join(state, known.requestId);
  reusable.saveMaker(desk.sql, { key, requestId });
  return state;
}

type Save = (row: ledger.LedgerRow, next: RequestState) => void;

/** The maker has ended: its followers have the output, or the first of them makes it. */
export function concludeReuse(desk: Desk, state: Finished, save: Save): void {
  const { reuseKey: key, id } = state;
  if (key === null || state.reusedFrom !== null) return;
  const followers = ledger.getFollowers(desk.sql, id);
  if (state.status === 'succeeded') {
    const { output } = state;
    const expiresAt = desk.kinds[state.kind].outputExpiresAt(state);
    reusable.saveOutput(desk.sql, { key, requestId: id, output, expiresAt });
    for (const row of followers) {
      if (row.state.status !== 'queued') continue;
      save(row, lifecycle.reuse(row.state, { from: id, output }, desk.now));
    }
    return;
  }
  reusable.deleteOf(desk.sql, { key, requestId: id });
  const [heir, ...others] = followers;
  if (!heir) return;
  reusable.saveMaker(desk.sql, { key, requestId: heir.state.id });
  for (const row of others) {
    if (row.state.status === 'queued') save(row, lifecycle.join(row.state, heir.state.id));
  }
  if (heir.state.status !== 'deleted') save(heir, lifecycle.leave(heir.state));
}

/** Its output goes with it. */
export function forgetReusable(
  desk: Pick<Desk, 'sql'>,
  request: Pick<RequestState, 'id' | 'reuseKey'>,
): void {
  const { reuseKey: key, id: requestId } = request;
  if (key !== null) reusable.deleteOf(desk.sql, { key, requestId });
}
