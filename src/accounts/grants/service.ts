/** The apps that a user has let in, as the user sees and ends them. */
import { AppError } from '../../platform/errors';
import type { Logger } from '../../platform/log';
import { deniedFault } from '../errors';
import { found } from '../service';
import type { Credential, Denial, UserId } from '../types';
import type { AppGrant } from './types';

type Denied = { readonly outcome: Denial };

/** What this service asks of a user's foreman. */
export interface GrantForeman {
  addGrant(input: {
    credential: Credential;
    grant: AppGrant;
  }): Promise<{ isAdded: boolean } | Denied>;
  grants(input: { credential: Credential }): Promise<{ grants: readonly AppGrant[] } | Denied>;
  grantToEnd(input: { credential: Credential; id: string }): Promise<AppGrant | Denied | null>;
  endGrant(input: { credential: Credential; id: string }): Promise<object | Denied>;
}

/** What the authorization server holds of a user; it is shared by all places with some delay. */
export interface HeldGrants {
  ids(userId: UserId): Promise<ReadonlySet<string>>;
  end(input: { readonly userId: UserId; readonly id: string }): Promise<void>;
}

export type GrantService = ReturnType<typeof createGrantService>;

/** KV's lists may be a minute behind: what is younger need not be in them. */
const LIST_LAG_MS = 120_000;

export function createGrantService(deps: {
  readonly foreman: (userId: UserId) => GrantForeman;
  readonly held: HeldGrants;
  readonly now: () => number;
  readonly log: Logger;
}) {
  const idsHeld = async (userId: UserId) => {
    try {
      return await deps.held.ids(userId);
    } catch (error) {
      deps.log.warn('grant.not_compared', { user_id: userId, error });
      return null;
    }
  };

  return {
    /** Newest first, without those that ended before anybody told the foreman; all if KV is away. */
    async list(credential: Credential): Promise<readonly AppGrant[]> {
      const { userId } = credential;
      const answer = await deps.foreman(userId).grants({ credential });
      const { grants } = allowed(answer, 'requests:read');
      if (grants.length === 0) return [];
      const held = await idsHeld(userId);
      if (held === null) return grants;
      const isHeld = ({ id, createdAt }: AppGrant) =>
        held.has(id) || deps.now() - createdAt < LIST_LAG_MS;
      return grants.filter(isHeld);
    },

    /** @throws AppError `not_found`. From then on no token of it opens anything. */
    async end({ credential, id }: { credential: Credential; id: string }): Promise<void> {
      const { userId } = credential;
      const foreman = deps.foreman(userId);
      const grant = await foreman.grantToEnd({ credential, id });
      found('grant', grant === null ? null : allowed(grant, 'requests:write'));
      allowed(await foreman.endGrant({ credential, id }), 'requests:write');
      try {
        await deps.held.end({ userId, id });
      } catch (error) {
        // It is worth nothing any more, and ends there by itself.
        deps.log.warn('grant.not_erased', { user_id: userId, error });
      }
    },

    /** @throws AppError `conflict` when there are too many. */
    async add(input: { credential: Credential; grant: AppGrant }): Promise<void> {
      const { credential } = input;
      const answer = await deps.foreman(credential.userId).addGrant(input);
      if (!allowed(answer, 'requests:read').isAdded) throw tooManyGrants();
    },
  };
}

const tooManyGrants = () =>
  new AppError(
    'conflict',
    'This account has let in as many apps as it may; end one of them first.',
  );

function allowed<T extends object>(answer: T | Denied, scope: string): T {
  if ('outcome' in answer) throw deniedFault(answer.outcome, scope);
  return answer;
}
