/**
 * So many at once, in one isolate. Who waits looks again by itself: a request can neither be woken by
 * another nor rely on it to end, as its client may be gone. So a turn counts for a time only.
 */
import type { Sleep } from '../../platform/patience';
import { CodecBusy } from './codec';

/** A client waits this long rather than ask again. */
const PATIENCE_MS = 5_000;
const LOOK_EVERY_MS = 25;
/** Longer than any turn that is still alive. */
const LEASE_MS = 15_000;

export interface Turns {
  /** @throws CodecBusy, and what the work throws. */
  take<T>(work: () => Promise<T>): Promise<T>;
}

export function createTurns(deps: {
  readonly atOnce: number;
  readonly sleep: Sleep;
  readonly now: () => number;
}): Turns {
  const { atOnce, sleep, now } = deps;
  const taken = new Set<{ readonly until: number }>();

  const isFull = () => {
    for (const turn of taken) if (turn.until <= now()) taken.delete(turn);
    return taken.size >= atOnce;
  };

  return {
    async take(work) {
      const deadline = now() + PATIENCE_MS;
      while (isFull()) {
        if (now() >= deadline) throw new CodecBusy();
        await sleep(LOOK_EVERY_MS);
      }
      const turn = { until: now() + LEASE_MS };
      taken.add(turn);
      try {
        return await work();
      } finally {
        taken.delete(turn);
      }
    },
  };
}
