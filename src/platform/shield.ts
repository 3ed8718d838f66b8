/**
 * What one address may do without anybody's key: fail to say who it is, knock at the operator's
 * door, open signed links, fetch public keys. Counted by the rate-limit binding, by address and purpose, so that one
 * purpose does not eat what another is allowed. It protects the service, not a quota: where it
 * cannot count, it lets through.
 */
import type { Whence } from './actor';
import { addressGroup } from './client-address';
import { AppError } from './errors';
import type { Logger } from './log';
import { within } from './patience';

/** `auth`: failed authentications only. */
export type Purpose = 'auth' | 'admin' | 'link' | 'callback' | 'keys' | 'oauth';

export interface Shield {
  /** Counts once per request and purpose. @throws AppError `too_many_from_address` */
  count(purpose: Purpose, from: Whence): Promise<void>;
}

/** The binding counts where the Worker runs and answers at once; a second means that it will not. */
const TIMEOUT_MS = 1_000;
/** The period of the binding in wrangler.toml. */
const PERIOD_MS = 60_000;

export function createShield(deps: {
  /** Absent where no binding is: then nothing is counted. */
  readonly limiter: RateLimit | undefined;
  readonly log: Logger;
  readonly timeoutMs?: number;
}): Shield {
  const { limiter, log, timeoutMs = TIMEOUT_MS } = deps;
  const counted = new WeakMap<Whence, Map<Purpose, Promise<boolean>>>();

  const allows = async (limiter: RateLimit, key: string): Promise<boolean> => {
    try {
      return (await within(timeoutMs, limiter.limit({ key }))).success;
    } catch (error) {
      log.warn('shield.unreachable', { error });
      return true;
    }
  };

  return {
    async count(purpose, from) {
      if (!limiter || from.address === null) return;
      const ofRequest = counted.get(from) ?? new Map<Purpose, Promise<boolean>>();
      counted.set(from, ofRequest);
      const allowed =
        ofRequest.get(purpose) ?? allows(limiter, `${purpose}:${addressGroup(from.address)}`);
      ofRequest.set(purpose, allowed);
      if (!(await allowed)) throw tooManyFromAddress(purpose);
    },
  };
}

const told: Record<Purpose, string> = {
  auth: 'Too many requests without a valid credential',
  admin: 'Too many requests for the operator’s routes',
  link: 'Too many signed links were opened',
  callback: 'Too many callbacks without a genuine signature',
  keys: 'Too many requests for public keys and metadata',
  oauth: 'Too many requests to register apps and to let them in',
};

const tooManyFromAddress = (purpose: Purpose) =>
  new AppError(
    'too_many_from_address',
    `${told[purpose]} from this address within a minute. Try again in a minute.`,
    { retryAfterMs: PERIOD_MS },
  );
