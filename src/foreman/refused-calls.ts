/**
 * Calls under a key of the service's own that were refused. Their clients make them again by
 * themselves, and say of it only that it is a repetition; but it has lost no answer, so each is let
 * have a request of its own. In memory: a foreman that forgets them answers with that of an equal
 * call, for which nobody pays anew.
 */
export type RefusedCalls = Map<string, { readonly count: number; readonly until: number }>;

/** Clients wait for a minute at the most before they try again, and then for some seconds of chance. */
const LIFE_MS = 90_000;
/** A user's memory is not filled by refusals. */
const MAX_KEYS = 1_000;

export function noteRefused(calls: RefusedCalls, key: string, now: number): void {
  for (const [other, { until }] of calls) if (until <= now) calls.delete(other);
  if (calls.size >= MAX_KEYS && !calls.has(key)) return;
  calls.set(key, { count: (calls.get(key)?.count ?? 0) + 1, until: now + LIFE_MS });
}

/** @returns whether one was refused that has not come again until now. */
export function takeRefused(calls: RefusedCalls, key: string, now: number): boolean {
  const known = calls.get(key);
  if (!known) return false;
  if (known.count > 1) calls.set(key, { ...known, count: known.count - 1 });
  else calls.delete(key);
  return known.until > now;
}
