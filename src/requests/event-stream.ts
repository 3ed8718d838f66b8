/**
 * A request as server-sent events: one per version, with the version as its id. It starts where the
 * client left off, heartbeats while nothing happens, and ends with the terminal event. A foreman
 * that moves or restarts is watched anew, so the client notices nothing. `data` is the request as it
 * is when the event is sent, which may be later than when it happened.
 */
import type { Snapshot } from '../foreman/intake';
import { createDeadline } from '../platform/bounds';
import { AppError } from '../platform/errors';
import type { PreviewFeed } from './preview-events';
import type { RequestEvent, RequestState } from './types';
import { isTerminal } from './types';
import type { PresentRequest } from './view';
import type { Watch } from './watcher';

export interface StreamTiming {
  /** How long nothing may be heard: less than what proxies and load balancers wait, a minute at most. */
  readonly heartbeatMs: number;
  /** After which a foreman that went away is watched anew. */
  readonly rewatchMs: number;
  /** How long a client may take nothing before it is given up, and what it holds is let go. */
  readonly stallMs: number;
}

const TIMING: StreamTiming = { heartbeatMs: 15_000, rewatchMs: 1_000, stallMs: 60_000 };
/** How often an unreachable foreman is asked again before the stream ends: half a minute. */
const MAX_REWATCHES = 30;
/** When a browser that lost its line comes again: soon, and not all of them within one second. */
const RETRY_MS = 2_000;

interface Following {
  readonly snapshot: Snapshot;
  /** The version the client has seen; 0 for none. */
  readonly after: number;
  /** The first one is under way already, so that who may not watch is refused and not streamed to. */
  readonly watch: Watch | null;
  readonly watchAgain: () => Promise<Watch | null>;
  /** For the last word on a request that cannot be watched any more. */
  readonly read: () => Promise<Snapshot>;
  readonly present: PresentRequest;
  /** Of those who asked for what there is to see before the end. */
  readonly previews?: PreviewFeed | null;
  /** Aborts when the client is gone, as far as the platform knows. */
  readonly hungUp: AbortSignal;
}

/**
 * The version that a client has seen, by its `Last-Event-ID`; 0 for none. An id that was never sent
 * is no place to go on from: such a client is told everything, rather than left without the end.
 */
export function versionSeen(lastEventId: string | undefined, state: RequestState): number {
  const version = /^\d{1,9}$/.test(lastEventId ?? '') ? Number(lastEventId) : 0;
  return version > lastVersion(state) ? 0 : version;
}

/** There is nothing left to tell to who has seen this version. */
export const hasSeenAll = (version: number, state: RequestState): boolean =>
  isTerminal(state) && version === lastVersion(state);

const lastVersion = (state: RequestState) => state.events.at(-1)?.version ?? 0;

export const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

export function eventStream(following: Following, timing: StreamTiming = TIMING): Response {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const line = createLine(writable.getWriter(), { ...timing, hungUp: following.hungUp });
  void follow(following, line, timing).catch((error: unknown) => letGo(line, error));
  return new Response(readable, { headers: STREAM_HEADERS });
}

/** What is written waits for the client to take it, so a slow one is never written ahead to. */
interface Line {
  /** @throws once the client is gone, or has taken nothing for too long. */
  write(text: string): Promise<void>;
  /** Aborts when the client is gone. */
  readonly gone: AbortSignal;
  close(): Promise<void>;
  cut(): void;
}

function createLine(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  { stallMs, hungUp }: { readonly stallMs: number; readonly hungUp: AbortSignal },
): Line {
  const encoder = new TextEncoder();
  const going = new AbortController();
  const leave = () => going.abort();
  writer.closed.catch(leave);
  hungUp.addEventListener('abort', leave, { once: true });
  if (hungUp.aborted) leave();
  const within = async (step: Promise<void>) => {
    const deadline = createDeadline(stallMs, going.signal);
    await deadline.race(step).finally(deadline.clear);
  };
  return {
    write: (text) => within(writer.write(encoder.encode(text))),
    gone: going.signal,
    close: () => within(writer.close()),
    cut() {
      leave();
      // Nobody reads it any more.
      writer.abort().catch(() => {});
    },
  };
}

/** Who may not follow any more is told so, and answered in full when trying again. */
async function letGo(line: Line, why: unknown): Promise<void> {
  try {
    if (!(why instanceof AppError)) return line.cut();
    await line.write(`: ${why.code}\n\n`);
    await line.close();
  } catch {
    line.cut();
  }
}

async function follow(following: Following, line: Line, timing: StreamTiming): Promise<void> {
  const tell = createTeller(following, line);
  let watch = following.watch;
  line.gone.addEventListener('abort', () => watch?.close(), { once: true });
  try {
    await line.write(`retry: ${RETRY_MS}\n\n`);
    following.previews?.tellBy(line.write);
    let ended = await tell(following.snapshot);
    while (!ended && !line.gone.aborted) {
      if (!watch) {
        await tell(await following.read());
        break;
      }
      ended = await tellAll(watch, { tell, line, timing });
      if (ended || line.gone.aborted) break;
      watch = await watchAgain(following, line, timing);
      if (line.gone.aborted) watch?.close();
    }
    await line.close();
  } finally {
    watch?.close();
  }
}

/** @returns whether the request has ended; if not, the watch is over. */
async function tellAll(
  watch: Watch,
  {
    tell,
    line,
    timing,
  }: { readonly tell: Tell; readonly line: Line; readonly timing: StreamTiming },
): Promise<boolean> {
  for (;;) {
    const latest = await watch.next(timing.heartbeatMs);
    if (latest === null || line.gone.aborted) return false;
    if (latest === 'timeout') await line.write(': heartbeat\n\n');
    else if (await tell(latest)) return true;
  }
}

/** @returns whether the request has ended. */
type Tell = (snapshot: Snapshot) => Promise<boolean>;

function createTeller({ after, present }: Following, line: Line): Tell {
  let seen = after;
  return async (snapshot) => {
    for (const event of snapshot.state.events) {
      if (event.version <= seen) continue;
      await line.write(textOf(event, snapshot, present));
      seen = event.version;
    }
    return isTerminal(snapshot.state);
  };
}

function textOf(event: RequestEvent, snapshot: Snapshot, present: PresentRequest): string {
  const data = JSON.stringify({
    type: event.type,
    timestamp: new Date(event.at).toISOString(),
    sequence: event.version,
    data: present(snapshot.state, snapshot),
  });
  return `id: ${event.version}\nevent: ${event.type}\ndata: ${data}\n\n`;
}

async function watchAgain(
  following: Following,
  line: Line,
  { rewatchMs }: StreamTiming,
): Promise<Watch | null> {
  for (let tries = 1; ; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, rewatchMs));
    if (line.gone.aborted) return null;
    try {
      return await following.watchAgain();
    } catch (error) {
      const isAway = error instanceof AppError && error.code === 'unavailable';
      if (!isAway || tries === MAX_REWATCHES) throw error;
    }
  }
}
