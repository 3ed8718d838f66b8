/**
 * How a WebSocket to the foreman is asked for and accepted: one that watches a request, held by the
 * Worker for its client, or one that hears of all events and goes on to the client itself. Both
 * hibernate, so that whoever listens neither pins the object in memory nor costs wall time.
 */
import { checkCredential } from '../accounts/keys/ring';
import { rateLimitOf } from '../accounts/me/view';
import { type Credential, holderOf } from '../accounts/types';
import type { KeyId, RequestId } from '../platform/ids';
import type { EventFilter } from '../webhooks/endpoints/types';
import { read, type Snapshot, type Viewing } from './intake';
import type { Heard } from './object';

/** The socket's first message is the present state; a message follows for every new version. */
export type WatchMessage = Snapshot & Pick<Heard<unknown>, 'rateLimit'>;

export interface WatchInput {
  readonly credential: Credential;
  readonly id: RequestId;
  /** Whether it wants to be shown what there is to see before the end, too. */
  readonly previews?: boolean;
}

export interface StreamInput {
  readonly credential: Credential;
  /** Which events it wants to hear of. */
  readonly events: readonly EventFilter[];
}

/** What a socket keeps while the object sleeps. */
export interface Listening {
  readonly credential: Credential;
  /** Null for one that watches a request. */
  readonly events: readonly EventFilter[] | null;
  /** Messages that its client has sent, though nobody asked for any. */
  readonly sent: number;
}

/** Of all that hear of every event; no request has this id. */
export const STREAMS = 'streams';
const HEADER = 'x-foreman-watch';
/** Beside the id, of those who want to be shown previews of it. */
export const previewsTag = (id: RequestId) => `previews:${id}`;
/** Of those who listen with a token. */
const NO_KEY = 'token';

/** What a listener asks for travels in a header: the object is reachable from this script only. */
export function watchRequest(input: WatchInput | StreamInput): Request {
  return new Request('https://foreman/watch', {
    // A token's subject may be in any script, a header is ASCII.
    headers: { upgrade: 'websocket', [HEADER]: encodeURIComponent(JSON.stringify(input)) },
  });
}

export interface Room {
  readonly view: () => Viewing;
  readonly hasRoom: () => boolean;
  /** Somebody has come. */
  readonly seat: (socket: WebSocket) => void;
}

/** 101, 404 when there is nothing to hear for this credential, 429 when too many listen. */
export function answerWatch(
  ctx: DurableObjectState,
  request: Request,
  { view, hasRoom, seat }: Room,
): Response {
  const asked = request.headers.get(HEADER);
  if (asked === null || request.headers.get('upgrade') !== 'websocket') {
    return new Response(null, { status: 426 });
  }
  // Written by `watchRequest` in this same script.
  const input = JSON.parse(decodeURIComponent(asked)) as WatchInput | StreamInput;
  const mayHear = checkCredential(view(), input.credential, 'requests:read').ok;
  const first = mayHear ? firstMessage(view(), input) : null;
  if (first === null) return new Response(null, { status: 404 });
  if (!hasRoom()) return new Response(null, { status: 429 });
  const { 0: client, 1: server } = new WebSocketPair();
  const { credential } = input;
  ctx.acceptWebSocket(server, [...subjectTags(input), holderTag(credential)]);
  const events = 'id' in input ? null : input.events;
  // Of the 2,048 bytes that a socket may hold, the longest subject leaves half.
  server.serializeAttachment({ credential, events, sent: 0 } satisfies Listening);
  seat(server);
  server.send(first);
  return new Response(null, { status: 101, webSocket: client });
}

/** Attached by `answerWatch`. */
export const listeningOf = (socket: WebSocket) => socket.deserializeAttachment() as Listening;

/** A revoked key hears nothing any more, nor does anybody once the account is suspended. */
export function dismissWatchers(ctx: DurableObjectState, of: KeyId | 'all'): void {
  const sockets = of === 'all' ? ctx.getWebSockets() : ctx.getWebSockets(of);
  for (const socket of sockets) dismiss(socket);
}

export const dismiss = (socket: WebSocket) => socket.close(1008, 'access has ended');

/** Null when the request is not here. */
function firstMessage(desk: Viewing, input: WatchInput | StreamInput): string | null {
  if ('id' in input) {
    const answer = read(desk, input.id);
    return answer.outcome === 'found' ? watchMessage(desk, answer) : null;
  }
  const timestamp = new Date(desk.now).toISOString();
  return JSON.stringify({ type: 'stream.opened', timestamp, data: { events: input.events } });
}

/** A snapshot with how the rate limit stands, as on any answer. */
export function watchMessage(desk: Viewing, { state, position, eta }: Snapshot): string {
  const rateLimit = rateLimitOf(desk);
  return JSON.stringify({ state, position, eta, rateLimit } satisfies WatchMessage);
}

function subjectTags(input: WatchInput | StreamInput): string[] {
  if (!('id' in input)) return [STREAMS];
  return input.previews ? [input.id, previewsTag(input.id)] : [input.id];
}

function holderTag(credential: Credential): string {
  const holder = holderOf(credential);
  return holder.via === 'key' ? holder.keyId : NO_KEY;
}
