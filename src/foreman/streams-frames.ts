/** What is said to whom: watchers hear of their request, streams of every event they asked for. */
import type { Credential } from '../accounts/types';
import { eventBody, wants } from '../webhooks/event';
import type { Effect } from './desk';
import { snapshotOf } from './intake';
import type { StreamsDeps } from './streams';
import { listeningOf, STREAMS, watchMessage } from './watch';

export type Telling = { readonly number: number } & Extract<
  Effect,
  { readonly tell: unknown } | { readonly broadcast: unknown }
>;

export interface Source extends StreamsDeps {
  /** The number of the last change before it came; 0 when that was before the object woke. */
  readonly cameAt: (socket: WebSocket) => number;
}

export const tellingsIn = (effects: readonly Effect[], number: number): Telling[] =>
  effects.flatMap((effect) =>
    'tell' in effect || 'broadcast' in effect ? [{ ...effect, number }] : [],
  );

export interface Frame {
  readonly socket: WebSocket;
  readonly credential: Credential;
  readonly text: string;
}

/** Each version by itself, so that nobody is told of a state that has passed as of the present one. */
export function* framesForWatchers(source: Source, tellings: readonly Telling[]): Generator<Frame> {
  for (const telling of tellings) {
    if (!('tell' in telling)) continue;
    const sockets = source.ctx
      .getWebSockets(telling.tell)
      .filter((socket) => source.cameAt(socket) < telling.number);
    if (sockets.length === 0) continue;
    const desk = source.view();
    const text = watchMessage(desk, snapshotOf(desk, telling.state));
    for (const socket of sockets) {
      yield { socket, credential: listeningOf(socket).credential, text };
    }
  }
}

/** Texts are made once, however many hear them, and only when somebody does. */
export function* framesForStreams(source: Source, tellings: readonly Telling[]): Generator<Frame> {
  const sockets = source.ctx.getWebSockets(STREAMS);
  if (sockets.length === 0) return;
  const messages = tellings.flatMap((telling) => messagesOf(source, telling));
  for (const socket of sockets) {
    const { credential, events } = listeningOf(socket);
    const cameAt = source.cameAt(socket);
    for (const { number, type, text } of messages) {
      if (number > cameAt && wants(events ?? [], type)) yield { socket, credential, text };
    }
  }
}

/** The body of the webhook of the same event, with an id in front: the request as it was then. */
function messagesOf({ present }: Source, telling: Telling) {
  const { number } = telling;
  if ('broadcast' in telling) {
    const { id, type, body } = telling.broadcast;
    return [{ number, type, text: identified(id, body) }];
  }
  const { state, since } = telling;
  const events = state.events.filter(({ version }) => version > since);
  if (events.length === 0) return [];
  const view = present(state);
  return events.map((event) => ({
    number,
    type: event.type,
    text: identified(`${state.id}:${event.version}`, eventBody(event, view)),
  }));
}

/** `body` is an object's JSON with at least one member. */
const identified = (id: string, body: string) => `{"id":${JSON.stringify(id)},${body.slice(1)}`;
