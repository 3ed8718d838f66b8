/** How long the last successful runs of a target took: for estimates and for ranking by speed. */
import type { Pace } from '../../requests/types';

/** Enough for a steady p90, few enough to follow a provider that changes. */
const MAX_RUNS = 100;
const MIN_RUNS = 10;

/** Durations in ms, oldest first. */
export type Runs = readonly number[];

export function withRun(runs: Runs, durationMs: number): Runs {
  return [...runs, Math.max(0, Math.round(durationMs))].slice(-MAX_RUNS);
}

export function paceOf(runs: Runs): Pace | null {
  if (runs.length < MIN_RUNS) return null;
  const sorted = [...runs].sort((a, b) => a - b);
  return { p50Ms: percentile(sorted, 0.5), p90Ms: percentile(sorted, 0.9) };
}

/** Nearest rank: a duration that was measured. */
function percentile(sorted: Runs, share: number): number {
  return sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
}
