/** What a user's requests have come to, summed up by D1. */
import { usageUnavailable } from '../errors';
import type { Account, UserId } from '../types';
import type { UsageGroup, UsageQuery, UsageStore } from './store';

type Asked = Omit<UsageQuery, 'userId'>;

export type UsageService = ReturnType<typeof createUsageService>;

export function createUsageService(deps: {
  readonly store: UsageStore;
  /** @throws AppError `not_found` for an unknown user. */
  readonly getUser: (id: string) => Promise<Pick<Account, 'userId'>>;
}) {
  /** One group more than asked for when there are more. */
  const ofUser = (userId: UserId, asked: Asked): Promise<UsageGroup[]> =>
    deps.store
      .getPage({ ...asked, userId, limit: asked.limit + 1 })
      .catch((error: unknown) => Promise.reject(usageUnavailable(error)));

  return {
    ofUser,

    /** For the operator, who may name anybody. */
    async ofAny(id: string, asked: Asked): Promise<UsageGroup[]> {
      const { userId } = await deps.getUser(id);
      return ofUser(userId, asked);
    },
  };
}
