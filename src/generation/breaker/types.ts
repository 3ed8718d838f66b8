/** What is said between a breaker and those who ask it: plain data, fit for the wire. */
import type { Outcome, Pace, TargetName, TargetVerdict } from '../../requests/types';

/** The end of one call, as its caller saw it. */
export interface CallEnd {
  readonly permit: string;
  readonly outcome: Outcome;
  /** `details.kind` of its error: `auth`, `payment`, …; null when there is none. */
  readonly errorKind: string | null;
  readonly retryAfterMs: number | null;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** A verdict less its pace: what follows from the calls alone. */
export type Standing = Omit<TargetVerdict, 'pace'>;

export interface Answer {
  readonly verdict: TargetVerdict;
  /** A permit was reserved, so the verdict is for its holder and nobody else. */
  readonly reserved: boolean;
}

/** All that a breaker knows, for operators and dry runs. */
export interface BreakerView extends TargetVerdict {
  readonly openedAt: number | null;
  readonly failuresInARow: number;
  /** Calls of the last minute that count. */
  readonly window: { readonly calls: number; readonly failures: number };
  /** Permits that are out. Calls of an uncapped target under a closed breaker need none. */
  readonly inUse: number;
  readonly lastSuccessAt: number | null;
  readonly lastFailureAt: number | null;
  readonly pace: Pace | null;
}

export function partsOf(name: TargetName): { readonly provider: string; readonly model: string } {
  const slash = name.indexOf('/');
  return { provider: name.slice(0, slash), model: name.slice(slash + 1) };
}
