/**
 * Keeps the attempts of one invocation alive: one renewal call per user, whatever their number. A
 * renewal that fails ends nothing, as the foreman may be moving; only its word that a token is stale
 * aborts the call, because another attempt then decides.
 */
import type { RequestId, UserId } from '../platform/ids';

/** A third of the lease, so that two renewals in a row may fail. */
const RENEW_MS = 5_000;

export interface Lease {
  /** Aborted when the attempt is no longer the current one. */
  readonly signal: AbortSignal;
  end(): void;
}

export interface LeaseKeeper {
  hold(claim: { userId: UserId; request: RequestId; token: string }): Lease;
}

export function createLeaseKeeper(
  renew: (
    userId: UserId,
    claims: { request: RequestId; token: string }[],
  ) => Promise<{ stale: string[] }>,
): LeaseKeeper {
  const held = new Map<
    string,
    { userId: UserId; request: RequestId; token: string; abort: AbortController }
  >();
  let timer: ReturnType<typeof setInterval> | undefined;

  const renewUser = async (userId: UserId) => {
    const claims = [...held.values()]
      .filter((claim) => claim.userId === userId)
      .map(({ request, token }) => ({ request, token }));
    try {
      const { stale } = await renew(userId, claims);
      for (const token of stale) held.get(token)?.abort.abort(new Error('stale token'));
    } catch {
      // The next round tries again; the lease outlives two of them.
    }
  };

  const renewAll = () => {
    for (const userId of new Set([...held.values()].map((claim) => claim.userId))) {
      void renewUser(userId);
    }
  };

  return {
    hold(claim) {
      const abort = new AbortController();
      held.set(claim.token, { ...claim, abort });
      timer ??= setInterval(renewAll, RENEW_MS);
      return {
        signal: abort.signal,
        end() {
          held.delete(claim.token);
          if (held.size > 0) return;
          clearInterval(timer);
          timer = undefined;
        },
      };
    },
  };
}
