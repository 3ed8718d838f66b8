/**
 * The secrets of one receiver and their replacement, pure. Two are valid at the most: receivers try
 * each signature, so signing with an old secret opens nothing to whoever has found it, and dropping it
 * early shuts out receivers that have not been told of the new one yet.
 */
import type { SigningSecret } from './types';

/** Newest first; what has expired signs nothing. */
export const signingSecrets = (secrets: readonly SigningSecret[], now: number): readonly string[] =>
  secrets
    .filter(({ expiresAt }) => expiresAt === null || now < expiresAt)
    .map(({ secret }) => secret);

/** The one that was newest goes on for `overlapMs`; one from before that ends at once. */
export function rotated<Secret extends SigningSecret>(
  secrets: readonly Secret[],
  next: Secret,
  overlap: { readonly overlapMs: number; readonly now: number },
): readonly Secret[] {
  const [newest] = secrets;
  const { overlapMs, now } = overlap;
  if (!newest || overlapMs === 0) return [next];
  return [next, { ...newest, expiresAt: now + overlapMs }];
}

/** A lost answer is asked for again within minutes; a key that is used later means something new. */
const REPLAYABLE_MS = 24 * 3_600_000;

/** Whether this `Idempotency-Key` asks for what is there already, made with it a short while ago. */
export const isReplay = (
  made: { readonly madeBy: string | null; readonly at: number },
  key: string | null,
  { now }: { readonly now: number },
): boolean => key !== null && made.madeBy === key && now - made.at < REPLAYABLE_MS;
