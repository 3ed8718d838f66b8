/** Holds a tool call until its request ends, and tells whoever asked to be told how it goes. */
import type { Credential } from '../accounts/types';
import type { Snapshot } from '../foreman/intake';
import { isTerminal } from '../requests/types';
import type { McpDeps } from './caller';
import { describeProgress, type Tell } from './progress';

/** A little below the ten seconds that a client may count on. */
const TELL_EVERY_MS = 8_000;

export interface Waiting {
  readonly credential: Credential;
  readonly known: Snapshot;
  readonly ms: number;
  readonly signal: AbortSignal;
  readonly tell: Tell | null;
}

/**
 * The request as it is when it has ended, the time is over or nobody waits any more. It goes on by
 * itself, whatever becomes of the waiting.
 */
export async function awaitEnd(
  input: Waiting,
  deps: Pick<McpDeps, 'requests' | 'present' | 'now'>,
): Promise<Snapshot> {
  const { credential, signal, tell } = input;
  const until = deps.now() + input.ms;
  const say = (snapshot: Snapshot) =>
    tell?.(describeProgress(deps.present(snapshot.state, snapshot)));
  let latest = input.known;
  await say(latest);
  while (!isTerminal(latest.state) && !signal.aborted) {
    const begunAt = deps.now();
    const ms = Math.min(until - begunAt, tell ? TELL_EVERY_MS : Number.POSITIVE_INFINITY);
    if (ms <= 0) break;
    const { id, version } = latest.state;
    latest = await deps.requests.wait({
      credential,
      id,
      ms,
      hungUp: signal,
      known: latest,
      until: (state) => tell !== null && state.version > version,
    });
    // Not for long enough, and nothing new: there is nobody to wait with.
    if (latest.state.version === version && deps.now() < begunAt + ms) break;
    await say(latest);
  }
  return latest;
}
