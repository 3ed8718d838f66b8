/**
 * Headers that parts far from HTTP add to the answer of the request they are serving. What is noted
 * outside of one, in a queue's consumer say, is dropped.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

export interface AnswerNotes {
  /** The later note of a name wins. */
  note(headers: Readonly<Record<string, string>>): void;
  /** Drops what was noted: an answer that lets nobody in tells nothing of what lies behind it. */
  forget(): void;
  /** Runs the work of one request and answers with what was noted during it. */
  collect(work: () => Promise<void>): Promise<ReadonlyMap<string, string>>;
}

export function createAnswerNotes(): AnswerNotes {
  const requests = new AsyncLocalStorage<Map<string, string>>();
  return {
    note(headers) {
      const noted = requests.getStore();
      for (const [name, value] of Object.entries(headers)) noted?.set(name, value);
    },
    forget() {
      requests.getStore()?.clear();
    },
    async collect(work) {
      const noted = new Map<string, string>();
      await requests.run(noted, work);
      return noted;
    },
  };
}
