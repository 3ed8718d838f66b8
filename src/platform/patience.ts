/** Waiting: for a time, and for others no longer than that. */

/** Resolves after `ms`, or once the signal aborts. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>;

export const sleep: Sleep = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    const wake = () => {
      clearTimeout(timer);
      resolve();
    };
    signal?.addEventListener('abort', wake, { once: true });
  });

/**
 * What comes of the work, unless it takes longer. Work that does goes on, unheard.
 * @throws what the work throws, or Error when time is up.
 */
export async function within<T>(ms: number, work: Promise<T>, nap: Sleep = sleep): Promise<T> {
  const answered = new AbortController();
  const late = nap(ms, answered.signal).then(() => {
    throw new Error(`no answer within ${ms} ms`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    answered.abort();
  }
}
