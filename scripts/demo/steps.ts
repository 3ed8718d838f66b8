// A run of named steps under one time limit. What a step has started is stopped at the end, the
// latest first, however the run came to its end.

/** Stopping a server takes a fraction of this; one that hangs must not hold up the exit. */
const STOP_LIMIT_MS = 10_000;

export class StepError extends Error {
  constructor(step: string, cause: unknown) {
    super(`${step}: ${messageOf(cause)}`, { cause });
  }
}

export interface Run {
  /** @throws StepError naming the step, also when `signal` ends it. */
  step<T>(name: string, work: () => Promise<T>): Promise<T>;
  atEnd(stop: () => Promise<void>): void;
  end(): Promise<void>;
}

export function createRun(signal: AbortSignal): Run {
  const stops: (() => Promise<void>)[] = [];
  const ended = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  ended.catch(() => {});
  return {
    async step(name, work) {
      try {
        signal.throwIfAborted();
        return await Promise.race([work(), ended]);
      } catch (error) {
        throw new StepError(name, signal.aborted ? signal.reason : error);
      }
    },
    atEnd: (stop) => stops.unshift(stop),
    async end() {
      const limit = new Promise<void>((resolve) => setTimeout(resolve, STOP_LIMIT_MS).unref());
      const stopAll = async () => {
        for (const stop of stops) await stop().catch(() => {});
      };
      await Promise.race([stopAll(), limit]);
    },
  };
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // `fetch failed` says nothing; its cause does.
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
