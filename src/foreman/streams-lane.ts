/** What waits to be told to one sort of listeners, and goes out in turns of its own. */
import { checkCredential } from '../accounts/keys/ring';
import type { Credential } from '../accounts/types';
import { consoleLogger } from '../platform/log';
import type { Viewing } from './intake';
import type { Frame, Telling } from './streams-frames';
import { dismiss } from './watch';

/** How many messages go out in one turn, and how long changes have to themselves before the next. */
const TURN = 100;
const TURN_GAP_MS = 10;

export interface Lane {
  add(tellings: readonly Telling[]): void;
  /** What came since the round began that is under way. */
  waiting(): number;
  clear(): void;
}

export function createLane(input: {
  readonly framesOf: (tellings: readonly Telling[]) => Iterator<Frame>;
  /** Between two rounds: what comes meanwhile is told together. */
  readonly restMs: number;
  readonly view: () => Viewing;
  readonly onIdle: () => void;
}): Lane {
  let pending: Telling[] = [];
  /** What is left of the round that is under way. */
  let round: Iterator<Frame> | null = null;
  let isSet = false;
  let lastTurnAt = 0;

  /** Even at once is after the answer to whoever made the change. */
  const turnIn = (ms: number) => {
    if (isSet) return;
    isSet = true;
    setTimeout(turn, Math.max(0, ms));
  };

  const turn = () => {
    isSet = false;
    try {
      round ??= input.framesOf(pending.splice(0));
      if (sendSome(round, input.view())) round = null;
    } catch (error) {
      round = null;
      consoleLogger.error('foreman.streams_failed', { error });
    }
    lastTurnAt = Date.now();
    if (round) turnIn(TURN_GAP_MS);
    else if (pending.length > 0) turnIn(input.restMs);
    else input.onIdle();
  };

  return {
    add(tellings) {
      pending.push(...tellings);
      turnIn(Math.min(input.restMs, lastTurnAt + input.restMs - Date.now()));
    },
    waiting: () => pending.length,
    clear() {
      pending = [];
      round = null;
    },
  };
}

/** Says whether that was all. */
function sendSome(round: Iterator<Frame>, view: Viewing): boolean {
  const known = new Map<string, boolean>();
  for (let sent = 0; sent < TURN; sent += 1) {
    const next = round.next();
    if (next.done) return true;
    const { socket, credential, text } = next.value;
    try {
      if (mayHear(view, credential, known)) socket.send(text);
      else dismiss(socket);
    } catch {
      // The listener hung up; its close event is on its way.
    }
  }
  return false;
}

/** A key may have expired since its listener came, or been rotated, and a token ends too. */
export function mayHear(
  view: Viewing,
  credential: Credential,
  known: Map<string, boolean>,
): boolean {
  const name = JSON.stringify({ ...credential, from: null });
  const isGood = known.get(name) ?? checkCredential(view, credential, 'requests:read').ok;
  known.set(name, isGood);
  return isGood;
}
