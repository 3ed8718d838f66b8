/** The one outstanding wake-up of the projector: there is something that D1 does not know yet. */
import type { UserId } from '../platform/ids';
import type { Desk } from './desk';

export function wakeProjector(
  desk: Pick<Desk, 'memory' | 'effects' | 'now'>,
  userId: UserId,
): void {
  if (desk.memory.wake) return;
  desk.memory.wake = { sentAt: desk.now, sends: 1, stored: false };
  desk.effects.push({ send: 'wake', userId });
}
