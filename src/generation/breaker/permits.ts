/**
 * Who may be calling a target at the moment. In memory only: what an eviction loses is made again
 * when its holder extends it, and what a killed holder leaves behind runs out.
 */

export interface Permits {
  /** Permit → until when it counts. */
  readonly held: Map<string, number>;
  /** The permit that was last given under an open breaker. */
  probe: string | null;
}

/** A permit that nobody extends is that of a process that died: it must not block for long. */
const PERMIT_MS = 30_000;

export const noPermits = (): Permits => ({ held: new Map(), probe: null });

export function reserve(
  permits: Permits,
  {
    permit,
    isProbe,
    now,
  }: { readonly permit: string; readonly isProbe: boolean; readonly now: number },
): void {
  extend(permits, { permit, until: now + PERMIT_MS });
  if (isProbe) permits.probe = permit;
}

/** Never shortens: a call that waits at its provider has asked for longer. */
export function extend(
  { held }: Permits,
  { permit, until }: { readonly permit: string; readonly until: number },
): void {
  held.set(permit, Math.max(held.get(permit) ?? 0, until));
}

export function release(permits: Permits, permit: string): void {
  permits.held.delete(permit);
  if (permits.probe === permit) permits.probe = null;
}

/** `<user>/<request>/<attempt>`: whose calls are out is read off what they hold. */
export const holderOf = (permit: string) => permit.split('/', 1)[0] ?? permit;

export const callsOf = ({ held }: Permits, who: string) =>
  [...held.keys()].filter((permit) => holderOf(permit) === who).length;

/** What `permit` has to reckon with: its own place is not taken from it. Null: all that is held. */
export function othersOf(
  permits: Permits,
  { permit, now }: { readonly permit: string | null; readonly now: number },
): { readonly inUse: number; readonly isProbing: boolean; readonly isOwn: boolean } {
  for (const [expired, until] of permits.held) {
    if (until <= now) release(permits, expired);
  }
  const isOwn = permit !== null && permits.held.has(permit);
  const isProbing = permits.probe !== null && permits.probe !== permit;
  return { inUse: permits.held.size - Number(isOwn), isProbing, isOwn };
}
