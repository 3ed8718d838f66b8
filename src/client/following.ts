/** A request until it has ended: by long-polls, so that each version is known as soon as it is there. */
import { type Connection, unwrap } from './connection';
import { retryAfterMs } from './retrying';
import { type CallOptions, type ForemanRequest, hasEnded } from './types';

/** Half of what Foreman holds a line for at the most: what stands between may be less patient. */
const HOLD_SECONDS = 30;
/** Where the line is not held, because something on the way drops the wish. */
const POLL_MS = 1_000;

/** Each version that is seen, the present one first, and the last one last. */
export async function* follow(
  connection: Connection,
  id: string,
  options: CallOptions = {},
): AsyncGenerator<ForemanRequest, void, undefined> {
  yield* followFrom(connection, { id, request: null, idempotencyKey: null }, options);
}

/** As `follow`; a version that is known already is not brought again. */
export async function* followFrom(
  { http, surroundings }: Connection,
  from: {
    readonly id: string;
    readonly request: ForemanRequest | null;
    /** What it was submitted with. */
    readonly idempotencyKey: string | null;
  },
  { signal = new AbortController().signal }: CallOptions = {},
): AsyncGenerator<ForemanRequest, void, undefined> {
  let known = from.request;
  while (known === null || !hasEnded(known)) {
    const headers = known && {
      prefer: `wait=${HOLD_SECONDS}`,
      'if-none-match': `"${known.version}"`,
    };
    const answer = await http.GET('/v1/requests/{id}', {
      params: { path: { id: from.id }, ...(headers && { header: headers }) },
      signal,
    });
    const { response } = answer;
    const seen = response.status === 304 ? known : unwrap(answer, from.idempotencyKey);
    if (seen !== null && seen.version !== known?.version) {
      known = seen;
      yield known;
    } else if (!response.headers.has('preference-applied')) {
      await surroundings.pause(retryAfterMs(response.headers) ?? POLL_MS, signal);
    }
  }
}
