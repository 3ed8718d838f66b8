/**
 * The Worker's end of watching a request: one WebSocket to the foreman, read as a sequence of
 * snapshots. Closing it is all that a client which hung up costs.
 */
import type { Snapshot } from '../foreman/intake';
import type { WatchMessage } from '../foreman/watch';

export interface Watch {
  /** The present state first, then each new version; null once the foreman is gone. */
  next(timeoutMs: number): Promise<Snapshot | 'timeout' | null>;
  close(): void;
}

export function watchSocket(
  socket: WebSocket,
  /** Is told how the user's rate limit stands, as of the snapshot that is being read. */
  note: (rateLimit: WatchMessage['rateLimit']) => void,
): Watch {
  const messages: WatchMessage[] = [];
  let closed = false;
  let notify: (() => void) | null = null;
  const wake = () => notify?.();
  socket.addEventListener('message', (event) => {
    // Written by foreman/watch.ts in this same script.
    messages.push(JSON.parse(String(event.data)) as WatchMessage);
    wake();
  });
  const end = () => {
    closed = true;
    wake();
  };
  socket.addEventListener('close', end);
  socket.addEventListener('error', end);
  socket.accept();

  return {
    async next(timeoutMs) {
      if (messages.length === 0 && !closed) {
        let timer: ReturnType<typeof setTimeout> | undefined;
        await new Promise<void>((resolve) => {
          notify = resolve;
          timer = setTimeout(resolve, timeoutMs);
        });
        clearTimeout(timer);
        notify = null;
      }
      const message = messages.shift();
      if (!message) return closed ? null : 'timeout';
      const { rateLimit, ...snapshot } = message;
      note(rateLimit);
      return snapshot;
    },
    close() {
      if (closed) return;
      closed = true;
      socket.close(1000);
    },
  };
}
