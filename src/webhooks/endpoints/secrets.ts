/**
 * The secrets of one receiver and their replacement, pure. Two are valid at the most: receivers try
 * each signature, so signing with an old secret opens nothing to whoever has found it, and dropping it
 * early shuts out receivers that have not been told of the new one yet.
 */
import type { KeyedRotation } from '../../accounts/types';
import type { MadeSecret, RotationRefusal, SecretRotation, SigningSecret } from './types';

/** Newest first; what has expired signs nothing. */
export const signingSecrets = (secrets: readonly SigningSecret[], now: number): readonly string[] =>
  secrets.filter((secret) => signs(secret, now)).map(({ secret }) => secret);

const signs = ({ expiresAt }: SigningSecret, now: number) => expiresAt === null || now < expiresAt;

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

/** Far more than anybody needs in a day: a row does not grow with the calls. */
const MAX_KEYED_ROTATIONS = 10;

/** What is known of the keys of rotations once this one is made. */
export function remembered(
  rotations: readonly KeyedRotation[],
  { madeBy: key, overlapMs }: SecretRotation,
  at: number,
): readonly KeyedRotation[] {
  const earlier = rotations.filter((one) => at - one.at < REPLAYABLE_MS);
  const all = key === null ? earlier : [{ key, overlapMs, at }, ...earlier];
  return all.slice(0, MAX_KEYED_ROTATIONS);
}

interface Rotated<Secret> {
  readonly secrets: readonly Secret[];
  readonly rotations: readonly KeyedRotation[];
}

/** The secret that this rotation has made before, be it the newest or not; null: it is a new one. */
export function madeBefore<Secret extends MadeSecret>(
  { secrets, rotations }: Rotated<Secret>,
  { secret, madeBy, overlapMs }: SecretRotation,
  now: number,
): Secret | { readonly refusal: RotationRefusal } | null {
  const same = secrets.find((one) => one.secret === secret);
  if (same) return same;
  const first = rotations.find(({ key, at }) => isReplay({ madeBy: key, at }, madeBy, { now }));
  if (!first) return null;
  if (first.overlapMs !== overlapMs) return { refusal: 'mismatch' };
  const made = secrets.find((one) => one.madeBy === madeBy && signs(one, now));
  return made ?? { refusal: 'followed' };
}
