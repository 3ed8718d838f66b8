/** Ends of calls, short to write. */
import type { CallEnd } from '../../../src/generation/breaker/types';

let calls = 0;

/** A call of 100 ms that fails now, unless told otherwise. */
export function endOf(overrides: Partial<CallEnd> = {}): CallEnd {
  calls += 1;
  const endedAt = overrides.endedAt ?? Date.now();
  return {
    permit: `permit-${calls}`,
    outcome: 'failed',
    errorKind: null,
    retryAfterMs: null,
    startedAt: endedAt - 100,
    endedAt,
    ...overrides,
  };
}
