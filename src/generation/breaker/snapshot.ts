/**
 * What of a breaker survives its eviction. All of it can be learned again from a few calls, so one
 * that cannot be read is dropped, and only a change of phase is worth a write at once.
 */
import { z } from 'zod';
import type { Circuit } from './circuit';
import type { Runs } from './pace';

const time = z.number();
const snapshotSchema = z.object({
  storedAt: time,
  circuit: z.object({
    phase: z.discriminatedUnion('is', [
      z.object({ is: z.literal('closed') }),
      z.object({ is: z.literal('open'), openedAt: time, reason: z.string() }),
    ]),
    coolingUntil: time.nullable(),
    failuresInARow: z.number(),
    recent: z.array(z.object({ startsAt: time, calls: z.number(), failures: z.number() })),
    lastSuccessAt: time.nullable(),
    lastFailureAt: time.nullable(),
  }),
  runs: z.array(z.number()),
});

export interface Snapshot {
  readonly storedAt: number;
  readonly circuit: Circuit;
  readonly runs: Runs;
}

/** Durations move slowly; this is also the most that a healthy target writes. */
const RUNS_EVERY_MS = 30_000;
/** A storm of 429s moves the cool-down with each of them. */
const COOLING_STEP_MS = 1_000;

export function readSnapshot(value: unknown): Snapshot | null {
  const parsed = snapshotSchema.safeParse(value);
  return parsed.success ? parsed.data : null;
}

export function isWorthStoring(kept: Snapshot | null, current: Snapshot): boolean {
  if (openedAt(kept?.circuit) !== openedAt(current.circuit)) return true;
  const coolingBy = (current.circuit.coolingUntil ?? 0) - (kept?.circuit.coolingUntil ?? 0);
  if (coolingBy >= COOLING_STEP_MS) return true;
  const isDue = current.storedAt - (kept?.storedAt ?? 0) >= RUNS_EVERY_MS;
  return isDue && current.runs !== kept?.runs && current.runs.length > 0;
}

const openedAt = (circuit: Circuit | undefined) =>
  circuit?.phase.is === 'open' ? circuit.phase.openedAt : null;
