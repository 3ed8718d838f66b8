/**
 * Whose turn it is at a target that takes only so many calls at once. A place that comes free is owed
 * to whoever has the fewest calls out, and among equals to the first who came, so that a user with a
 * long backlog keeps nobody else out. In memory only: who waits asks again soon, and stands in line
 * anew.
 */

/** User → since when it waits, and until when it is believed to. */
export type Line = Map<string, { readonly since: number; readonly until: number }>;

interface Asker {
  readonly who: string;
  readonly now: number;
}

/**
 * Longer than the slowest way back to the line: two seconds until it is asked for, the turns of a
 * backlog, an alarm and a queue. Who ends, or finds a place elsewhere, keeps one idle for as long.
 */
const BELIEVED_MS = 5_000;

export function join(line: Line, { who, now }: Asker): void {
  line.set(who, { since: line.get(who)?.since ?? now, until: now + BELIEVED_MS });
}

export function leave(line: Line, who: string): void {
  line.delete(who);
}

/** How many users wait. */
export function lengthOf(line: Line, now: number): number {
  for (const [who, { until }] of line) {
    if (until <= now) line.delete(who);
  }
  return line.size;
}

/** How many free places are owed to others before this user gets one. */
export function owedToOthers(
  line: Line,
  { who, now, callsOf }: Asker & { readonly callsOf: (who: string) => number },
): number {
  if (lengthOf(line, now) === 0) return 0;
  const [own, since] = [callsOf(who), line.get(who)?.since ?? now];
  const isBefore = ([other, waits]: [string, { readonly since: number }]) => {
    const theirs = callsOf(other);
    return other !== who && (theirs < own || (theirs === own && waits.since < since));
  };
  return [...line].filter(isBefore).length;
}
