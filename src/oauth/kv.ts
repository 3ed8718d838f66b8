/**
 * The KV namespace as the authorization server's library is given it: whatever is wrong with it is
 * `unavailable`, in time, so that an outage is never taken for a wrong token.
 */
import { AppError } from '../platform/errors';
import { isId, type UserId } from '../platform/ids';
import { within } from '../platform/patience';

/** KV answers in tens of milliseconds, and from far away in hundreds. */
const TIMEOUT_MS = 3_000;

const unavailable = (cause: unknown) =>
  new AppError('unavailable', 'Access of apps cannot be checked right now. Try again shortly.', {
    retryAfterMs: 5_000,
    cause,
  });

export function steadyKv(kv: KVNamespace, timeoutMs = TIMEOUT_MS): KVNamespace {
  const reach =
    (name: 'get' | 'put' | 'delete' | 'list') =>
    async (...args: unknown[]): Promise<unknown> => {
      try {
        return await within(timeoutMs, Reflect.apply(kv[name], kv, args));
      } catch (error) {
        throw unavailable(error);
      }
    };
  const get = reach('get');
  // The library calls no other method, and each of these passes everything on as it is.
  return {
    get: async (key: string, ...how: unknown[]) => (canBe(key) ? get(key, ...how) : null),
    put: reach('put'),
    delete: reach('delete'),
    list: reach('list'),
  } as unknown as KVNamespace;
}

/** As the library names what was agreed. A grant's tokens lie elsewhere. */
const GRANT_KEY = /^grant:(usr_\w{27}):([\w-]{16})$/;

export interface EndedGrant {
  readonly userId: UserId;
  readonly id: string;
}

/** The library has no hook for a grant that it ends by itself, but each ends by this deletion. */
export function tellingOfEnds(
  kv: KVNamespace,
  tell: (grant: EndedGrant) => Promise<void>,
): KVNamespace {
  return {
    ...kv,
    async delete(key: string) {
      await kv.delete(key);
      const [, userId, id] = GRANT_KEY.exec(key) ?? [];
      if (userId && id && isId('usr', userId)) await tell({ userId, id });
    },
  } as KVNamespace;
}

/** KV throws at a longer key, which a client that makes up names would be told was our fault. */
const MAX_KEY_BYTES = 512;
const canBe = (key: string) => Buffer.byteLength(key) <= MAX_KEY_BYTES;
