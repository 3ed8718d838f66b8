/** The terminal of this process. */
import process from 'node:process';
import type { WriteStream } from 'node:tty';
import { DEFAULT_COLUMNS, type Stream, type Terminal } from './terminal';

export function nodeTerminal(): Terminal {
  return {
    stdout: streamOf(process.stdout),
    stderr: streamOf(process.stderr),
    env: process.env,
    now: () => Date.now(),
    every(ms, tick) {
      const timer = setInterval(tick, ms);
      timer.unref();
      return () => clearInterval(timer);
    },
    onInterrupt(listener) {
      process.on('SIGINT', listener);
      return () => process.off('SIGINT', listener);
    },
    exit: (code) => process.exit(code),
  };
}

function streamOf(stream: WriteStream): Stream {
  // `foreman list | head -1`: who reads has enough, which is no failure of ours.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  return {
    isTTY: stream.isTTY === true,
    // A pseudo-terminal of no size says 0.
    get columns() {
      return stream.columns || DEFAULT_COLUMNS;
    },
    write: (content) =>
      new Promise((resolve, reject) => {
        stream.write(content, (error) => (error ? reject(error) : resolve()));
      }),
  };
}
