/** What surrounds a change to one user's object: a transaction within it, and the alarm after it. */
import { consoleLogger } from '../platform/log';
import type { Isolate } from './alarm';
import type { Effect } from './desk';
import { type Memory, nextDueAt, snapshot } from './memory';

/** A transaction within the alarm's: what fails in it is undone alone. */
export function isolating(
  storage: DurableObjectStorage,
  memory: Memory,
  effects: Effect[],
): Isolate {
  return (work) => {
    const undo = snapshot(memory);
    const sent = effects.length;
    try {
      storage.transactionSync(work);
      return true;
    } catch (error) {
      undo();
      effects.length = sent;
      consoleLogger.error('foreman.row_failed', { error });
      return false;
    }
  };
}

/** One alarm at the earliest due time. It is never moved later: firing early is harmless. */
export function arm(storage: DurableObjectStorage, memory: Memory): void {
  const due = nextDueAt(storage.sql, memory);
  if (due === null) return;
  if (memory.alarmAt !== null && memory.alarmAt <= due) return;
  memory.alarmAt = due;
  storage.setAlarm(due).catch((error: unknown) => {
    memory.alarmAt = null;
    consoleLogger.error('foreman.alarm_not_set', { error });
  });
}
