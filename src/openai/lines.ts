/**
 * Lines that are held until a request ends. Headers are kept back while a failure may still have its
 * true status; before a proxy would take the line for dead they are sent, and white space keeps it
 * alive, which JSON may begin with. A failure after that is written, and the line then broken off:
 * no client takes it for a success.
 */
import type { Text } from './answer';
import type { Failure } from './errors';
import { responseOf } from './errors';

export interface LineTiming {
  /** What an official client waits by default; whoever waits longer is told that it goes on. */
  readonly holdMs: number;
  /** Less than the minute after which proxies cut a line on which they have heard nothing. */
  readonly commitAfterMs: number;
  /** Between signs of life: several to a minute, as one may be late. */
  readonly beatMs: number;
  /** How long a client may take nothing before it is given up, and what it holds is let go. */
  readonly stallMs: number;
}

/** What becomes of a line whose client takes no more of it. */
export interface Leaving extends Pick<LineTiming, 'stallMs'> {
  /** Also when it has hung up. */
  readonly onLeft: () => void;
}

export const LINE_TIMING: LineTiming = {
  holdMs: 600_000,
  commitAfterMs: 50_000,
  beatMs: 15_000,
  stallMs: 60_000,
};

export type Ended =
  | { readonly outcome: 'images'; readonly text: Text }
  | { readonly outcome: 'failure'; readonly failure: Failure };

const HEADERS = {
  'content-type': 'application/json',
  // What waits to compress it, or to fill a buffer, holds the signs of life back.
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

const HELD = Symbol('held');

/** Time for the error to leave: what still waits to be sent is lost with a line that breaks. */
const LAST_WORDS_MS = 250;

/** @param ended must not reject: what goes wrong is a failure to be told. */
export async function holdLine(
  ended: Promise<Ended>,
  line: Pick<LineTiming, 'commitAfterMs' | 'beatMs'> & Leaving,
): Promise<Response> {
  const early = await orAfter(line.commitAfterMs, ended);
  if (early === HELD) return stream(late(ended, line.beatMs), HEADERS, line);
  return early.outcome === 'failure'
    ? responseOf(early.failure)
    : stream(early.text, { 'content-type': 'application/json' }, line);
}

async function* late(ended: Promise<Ended>, beatMs: number): AsyncGenerator<string> {
  for (;;) {
    yield ' ';
    const answer = await orAfter(beatMs, ended);
    if (answer === HELD) continue;
    if (answer.outcome === 'images') return yield* answer.text;
    yield JSON.stringify(answer.failure.body);
    await new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS));
    throw new Error('the line is broken off behind a failure');
  }
}

/** `HELD` once the time is over. */
export async function orAfter<T>(ms: number, work: Promise<T>): Promise<T | typeof HELD> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<typeof HELD>((resolve) => {
    timer = setTimeout(() => resolve(HELD), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

export const isHeld = (answer: unknown): answer is typeof HELD => answer === HELD;

/** Read only as fast as the client takes it. */
export function stream(
  text: Text,
  headers: Readonly<Record<string, string>>,
  { stallMs, onLeft }: Leaving,
): Response {
  const encoder = new TextEncoder();
  const parts = text[Symbol.asyncIterator]();
  let stalling: ReturnType<typeof setTimeout> | undefined;
  const leave = () => {
    clearTimeout(stalling);
    onLeft();
    // A part that is being waited for comes first: nobody waits for that.
    parts.return?.().catch(() => {});
  };
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(stalling);
        const { done, value } = await parts.next();
        if (done) return controller.close();
        controller.enqueue(encoder.encode(value));
        stalling = setTimeout(() => {
          controller.error(new Error('the client takes nothing'));
          leave();
        }, stallMs);
      },
      cancel: leave,
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers });
}
