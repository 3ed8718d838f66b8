/**
 * All who listen to one user's foreman. What a change has to tell leaves after its answer, and in
 * turns: a change never waits for its listeners, however many there are. Nothing of it is stored:
 * a timer keeps the object awake while there is something to send, and whatever else ends the object
 * ends its sockets too, so that who listens comes again and reads.
 */
import type { PresentRequest } from '../requests/view';
import type { Effect } from './desk';
import type { Viewing } from './intake';
import { type ShownPreview, showPreview } from './previews';
import { framesForStreams, framesForWatchers, tellingsIn } from './streams-frames';
import { createLane } from './streams-lane';
import { answerWatch, listeningOf, STREAMS } from './watch';

/** Watchers and event streams together: some 30 MB of the object's 128, were all awake. */
const MAX_SOCKETS = 2_000;
/** Streams hear of everything: what happens within so long is told in one go. */
const STREAMS_REST_MS = 50;
/** How soon it is seen that nobody listens any more, and nothing need be made ready for them. */
const COUNT_MS = 10_000;
/** What may wait for one round to end. Beyond it who listens to all events is sent away to read. */
const MAX_TELLINGS = 1_000;
/** Clients have nothing to say; each message wakes the object. */
const MAX_MESSAGES = 16;
const MAX_MESSAGE_CHARS = 1_024;

export interface StreamsDeps {
  readonly ctx: DurableObjectState;
  readonly view: () => Viewing;
  readonly present: PresentRequest;
  readonly maxSockets?: number;
}

export interface Streams {
  /** To one who asks to listen. */
  answer(request: Request): Response;
  /** What a change that is committed has to tell. */
  tell(effects: readonly Effect[]): void;
  /** At once, to those who asked for previews. */
  show(preview: ShownPreview): void;
  /** A client of a stream has said something. */
  hear(socket: WebSocket, message: string | ArrayBuffer): void;
}

export function createStreams(deps: StreamsDeps): Streams {
  const { ctx, maxSockets = MAX_SOCKETS } = deps;
  // Answered by the platform, so that a connection that is kept alive wakes nobody.
  ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'));
  /** No fewer than there are; null: not counted since the object woke. */
  let sockets: number | null = null;
  /** Changes are numbered, so that nobody is told of one from before they came. */
  let told = 0;
  const cameAt = new WeakMap<WebSocket, number>();
  const source = { ...deps, cameAt: (socket: WebSocket) => cameAt.get(socket) ?? 0 };
  let countedAt = 0;

  const count = () => {
    countedAt = Date.now();
    sockets = ctx.getWebSockets().length;
    return sockets;
  };

  /** Only who comes is counted: whoever left is seen when it matters. */
  const hasRoom = () => (sockets ?? count()) < maxSockets || count() < maxSockets;

  const seat = (socket: WebSocket) => {
    sockets = (sockets ?? 0) + 1;
    cameAt.set(socket, told);
  };

  const onIdle = () => {
    if (Date.now() - countedAt >= COUNT_MS) count();
  };

  // Of their own, as hundreds of streams must not keep a watcher waiting.
  const watchers = createLane({
    framesOf: (tellings) => framesForWatchers(source, tellings),
    restMs: 0,
    view: deps.view,
    onIdle,
  });
  const streams = createLane({
    framesOf: (tellings) => framesForStreams(source, tellings),
    restMs: STREAMS_REST_MS,
    view: deps.view,
    onIdle,
  });

  const sendStreamsToRead = () => {
    streams.clear();
    for (const socket of ctx.getWebSockets(STREAMS)) socket.close(1013, 'too many events');
  };

  return {
    answer: (request) => answerWatch(ctx, request, { view: deps.view, hasRoom, seat }),

    tell(effects) {
      if (sockets === 0) return;
      const tellings = tellingsIn(effects, told + 1);
      if (tellings.length === 0) return;
      told += 1;
      watchers.add(tellings);
      streams.add(tellings);
      if (streams.waiting() > MAX_TELLINGS) sendStreamsToRead();
    },

    show: (preview) => showPreview(deps, preview),

    hear(socket, message) {
      const size = typeof message === 'string' ? message.length : message.byteLength;
      const listening = listeningOf(socket);
      const sent = listening.sent + 1;
      if (size > MAX_MESSAGE_CHARS) socket.close(1009, 'a message is too long');
      else if (sent > MAX_MESSAGES) socket.close(1008, 'nothing is to be sent here');
      else socket.serializeAttachment({ ...listening, sent });
    },
  };
}
