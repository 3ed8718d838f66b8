/**
 * Watching a request: the Worker holds the client and listens on one hibernating WebSocket per
 * request, so that a watcher neither pins the object in memory nor costs wall time.
 */
import { checkCredential } from '../accounts/keys/ring';
import type { Credential } from '../accounts/types';
import type { KeyId, RequestId } from '../platform/ids';
import type { Effect } from './desk';
import { type ReadAnswer, type Snapshot, snapshotOf, type Viewing } from './intake';
import type { Heard } from './object';

/** The socket's first message is the present state; a message follows for every new version. */
export type WatchMessage = Snapshot & Pick<Heard<unknown>, 'rateLimit'>;

const HEADER = 'x-foreman-watch';
/** Of those who watch with a token. */
const NO_KEY = 'token';

/** What a watcher asks for travels in a header: the object is reachable from this script only. */
export function watchRequest(input: { credential: Credential; id: RequestId }): Request {
  return new Request('https://foreman/watch', {
    // A token's subject may be in any script, a header is ASCII.
    headers: { upgrade: 'websocket', [HEADER]: encodeURIComponent(JSON.stringify(input)) },
  });
}

export function answerWatch(
  ctx: DurableObjectState,
  request: Request,
  read: (input: { credential: Credential; id: RequestId }) => Heard<ReadAnswer>,
): Response {
  const asked = request.headers.get(HEADER);
  if (asked === null || request.headers.get('upgrade') !== 'websocket') {
    return new Response(null, { status: 426 });
  }
  // Written by `watchRequest` in this same script.
  const input = JSON.parse(decodeURIComponent(asked)) as { credential: Credential; id: RequestId };
  const { answer, rateLimit } = read(input);
  if (answer.outcome !== 'found') return new Response(null, { status: 404 });
  const { 0: client, 1: server } = new WebSocketPair();
  const { id, credential } = input;
  ctx.acceptWebSocket(server, [id, credential.via === 'key' ? credential.keyId : NO_KEY]);
  // Of the 2,048 bytes that a socket may hold, the longest subject leaves half.
  server.serializeAttachment(credential);
  const { state, position, eta } = answer;
  server.send(JSON.stringify({ state, position, eta, rateLimit } satisfies WatchMessage));
  return new Response(null, { status: 101, webSocket: client });
}

/** A revoked key watches nothing any more, nor does anybody once the account is suspended. */
export function dismissWatchers(ctx: DurableObjectState, of: KeyId | 'all'): void {
  const sockets = of === 'all' ? ctx.getWebSockets() : ctx.getWebSockets(of);
  for (const socket of sockets) dismiss(socket);
}

const dismiss = (socket: WebSocket) => socket.close(1008, 'access has ended');

/** A key may have expired since its watcher came, or been rotated, and a token ends too. */
function mayWatch(desk: Viewing, socket: WebSocket): boolean {
  // Attached by `answerWatch`.
  const credential = socket.deserializeAttachment() as Credential;
  return checkCredential(desk, credential, 'requests:read').ok;
}

export function tellWatchers(
  ctx: DurableObjectState,
  desk: Viewing,
  effects: readonly Effect[],
  rateLimit: () => WatchMessage['rateLimit'],
): void {
  for (const effect of effects) {
    if (!('tell' in effect)) continue;
    const sockets = ctx.getWebSockets(effect.tell);
    if (sockets.length === 0) continue;
    const message: WatchMessage = { ...snapshotOf(desk, effect.state), rateLimit: rateLimit() };
    const text = JSON.stringify(message);
    for (const socket of sockets) {
      try {
        if (mayWatch(desk, socket)) socket.send(text);
        else dismiss(socket);
      } catch {
        // The watcher hung up; its close event is on its way.
      }
    }
  }
}
