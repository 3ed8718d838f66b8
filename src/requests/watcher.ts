/**
 * The Worker's end of watching a request: one WebSocket to the foreman, read as a sequence of
 * snapshots, with the previews that come in between. Closing it is all that a client which hung up
 * costs.
 */
import type { Snapshot } from '../foreman/intake';
import type { WatchMessage } from '../foreman/watch';
import { decodePreview } from './preview-frame';
import type { Preview } from './types';

export interface Watch {
  /**
   * The present state first, then the newest that was not read yet; null once the watch is over. A
   * snapshot holds all events so far, so one that a slow reader misses is no loss, and no more than
   * one is ever held for it.
   */
  next(timeoutMs: number): Promise<Snapshot | 'timeout' | null>;
  close(): void;
}

export function watchSocket(
  socket: WebSocket,
  /** Is told how the user's rate limit stands, as of the snapshot that is being read. */
  note: (rateLimit: WatchMessage['rateLimit']) => void,
  /** Is given each preview as it comes; must not throw. */
  onPreview: (preview: Preview) => void = () => {},
): Watch {
  let newest: WatchMessage | null = null;
  let isOver = false;
  let wake: (() => void) | null = null;
  socket.binaryType = 'arraybuffer';
  socket.addEventListener('message', ({ data }) => {
    // Written by the foreman in this same script: text by watch.ts, all else by previews.ts.
    if (typeof data !== 'string') {
      if (!isOver) onPreview(decodePreview(data));
      return;
    }
    newest = JSON.parse(data) as WatchMessage;
    wake?.();
  });
  const end = () => {
    isOver = true;
    wake?.();
  };
  socket.addEventListener('close', end);
  socket.addEventListener('error', end);
  socket.accept();

  return {
    async next(timeoutMs) {
      if (newest === null && !isOver) {
        let timer: ReturnType<typeof setTimeout> | undefined;
        await new Promise<void>((resolve) => {
          wake = resolve;
          timer = setTimeout(resolve, timeoutMs);
        });
        clearTimeout(timer);
        wake = null;
      }
      const message = newest;
      newest = null;
      if (!message) return isOver ? null : 'timeout';
      const { rateLimit, ...snapshot } = message;
      note(rateLimit);
      return snapshot;
    },
    close() {
      if (isOver) return;
      socket.close(1000);
      end();
    },
  };
}
