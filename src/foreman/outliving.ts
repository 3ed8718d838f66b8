/**
 * Calls that outlive their requests, which were canceled, deleted or expired meanwhile. Each keeps
 * its slot until its caller is heard of or its lease is over: to cancel is no way to have more calls
 * under way than one may. In memory only, as leases are short: what a restart forgets is soon over.
 */
import type { Lease, Memory } from './memory';

type Slots = Pick<Memory, 'outliving' | 'active'>;

export function outlive(memory: Slots, { token, until }: Pick<Lease, 'token' | 'until'>): void {
  if (memory.outliving.has(token)) return;
  memory.outliving.set(token, until);
  memory.active += 1;
}

/** Whether a slot came free. */
export function endOutliving(memory: Slots, token: string): boolean {
  if (!memory.outliving.delete(token)) return false;
  memory.active -= 1;
  return true;
}

export function endLost(memory: Slots, now: number): void {
  for (const [token, until] of memory.outliving) {
    if (until <= now) endOutliving(memory, token);
  }
}
