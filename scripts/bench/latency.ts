// What Foreman adds to a request: by the ledger's clock from its acceptance to its end, less the
// time for which the provider that made its image had the call, by the provider's own clock.
import type { Call, Ended } from '../../tests/e2e/support/storm.ts';

export interface Latency {
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
}

/** Time lost to calls that failed counts, and so does the time until an answer is given up. */
export function addedMs(request: Ended, calls: readonly Call[]): number {
  const wholeMs = Date.parse(request.completed_at) - Date.parse(request.created_at);
  const made = calls.find(({ behaviour }) => behaviour.mode === 'ok');
  if (!made?.endedAt) throw new Error(`${request.id} has no call that made its image`);
  return wholeMs - (made.endedAt - made.at);
}

export function latencyOf(added: readonly number[]): Latency {
  const sorted = added.toSorted((a, b) => a - b);
  const at = (share: number) =>
    round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN);
  return { p50: at(0.5), p95: at(0.95), max: at(1) };
}

export const round = (value: number) => Number(value.toFixed(1));
