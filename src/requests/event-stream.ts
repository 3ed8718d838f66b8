/**
 * A request as server-sent events: one per version, with the version as its id. It starts where the
 * client left off, heartbeats while nothing happens, and ends with the terminal event. A foreman
 * that moves or restarts is watched anew, so the client notices nothing. `data` is the request as it
 * is when the event is sent, which may be later than when it happened.
 */
import { AppError } from '../platform/errors';
import type { RequestState } from './types';
import { isTerminal } from './types';
import type { PresentRequest } from './view';
import type { Watch } from './watcher';

const HEARTBEAT_MS = 15_000;
const REWATCH_MS = 1_000;
/** How often an unreachable foreman is asked again before the stream ends: half a minute. */
const MAX_REWATCHES = 30;

export function eventStream(input: {
  readonly state: RequestState;
  /** The version the client has seen; 0 for none. */
  readonly after: number;
  readonly watch: () => Promise<Watch | null>;
  /** For the last word on a request that cannot be watched any more. */
  readonly read: () => Promise<RequestState>;
  readonly present: PresentRequest;
}): Response {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  // A client that hangs up makes the next write fail, which ends the loop and closes the watch.
  void follow(input, writer).catch((error: unknown) => letGo(writer, error).catch(() => {}));
  return new Response(readable, {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    },
  });
}

/** Who may not follow any more is told so, and answered in full when trying again. */
async function letGo(writer: WritableStreamDefaultWriter<Uint8Array>, why: unknown): Promise<void> {
  if (!(why instanceof AppError)) return writer.abort();
  await writer.write(new TextEncoder().encode(`: ${why.code}\n\n`));
  await writer.close();
}

async function follow(
  input: Parameters<typeof eventStream>[0],
  writer: WritableStreamDefaultWriter<Uint8Array>,
): Promise<void> {
  const encoder = new TextEncoder();
  let seen = input.after;
  const tell = async (state: RequestState) => {
    for (const event of state.events.filter((candidate) => candidate.version > seen)) {
      const data = JSON.stringify({
        type: event.type,
        timestamp: new Date(event.at).toISOString(),
        sequence: event.version,
        data: input.present(state),
      });
      await writer.write(
        encoder.encode(`id: ${event.version}\nevent: ${event.type}\ndata: ${data}\n\n`),
      );
      seen = event.version;
    }
  };

  await tell(input.state);
  let ended = isTerminal(input.state);
  while (!ended) {
    const watch = await watchAgain(input.watch);
    if (!watch) {
      await tell(await input.read());
      break;
    }
    const closed = writer.closed.catch(() => watch.close());
    try {
      let latest = await watch.next(HEARTBEAT_MS);
      while (latest !== null && !ended) {
        if (latest === 'timeout') await writer.write(encoder.encode(': heartbeat\n\n'));
        else {
          await tell(latest.state);
          ended = isTerminal(latest.state);
        }
        if (!ended) latest = await watch.next(HEARTBEAT_MS);
      }
    } finally {
      watch.close();
      void closed;
    }
    if (!ended) await pause();
  }
  await writer.close();
}

async function watchAgain(watch: () => Promise<Watch | null>): Promise<Watch | null> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await watch();
    } catch (error) {
      const isAway = error instanceof AppError && error.code === 'unavailable';
      if (!isAway || tries === MAX_REWATCHES) throw error;
    }
    await pause();
  }
}

const pause = () => new Promise((resolve) => setTimeout(resolve, REWATCH_MS));
