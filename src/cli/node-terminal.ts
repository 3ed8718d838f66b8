/** The terminal of this process. */
import process from 'node:process';
import type { WriteStream } from 'node:tty';
import { DEFAULT_COLUMNS, type Stream, type Terminal } from './terminal';

export function nodeTerminal(): Terminal {
  return {
    stdout: stdout(process.stdout),
    stderr: stderr(process.stderr),
    readInput,
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

/** `foreman list | head -1`: who reads has enough, which is no failure of ours. */
function stdout(stream: WriteStream): Stream {
  // Any other fault is that of the write that met it.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
  });
  return streamOf(stream, (content) => {
    return new Promise((resolve, reject) => {
      stream.write(content, (error) => (error ? reject(error) : resolve()));
    });
  });
}

/** The work goes on when nobody hears of it: what was paid for is still to be saved. */
function stderr(stream: WriteStream): Stream {
  stream.on('error', () => {});
  return streamOf(
    stream,
    (content) => new Promise((resolve) => stream.write(content, () => resolve())),
  );
}

const streamOf = (stream: WriteStream, write: Stream['write']): Stream => ({
  isTTY: stream.isTTY === true,
  // A terminal may be made wider; a pseudo-terminal of no size says 0.
  get columns() {
    return stream.columns || DEFAULT_COLUMNS;
  },
  write,
});

async function readInput(most: number): Promise<string> {
  process.stdin.setEncoding('utf8');
  let text = '';
  for await (const chunk of process.stdin) {
    text += chunk;
    if (text.length > most) break;
  }
  return text;
}
