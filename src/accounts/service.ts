/** Users and their limits. A user's foreman decides and keeps them; D1 only lists users. */
import { decodeCursor, encodeCursor } from '../platform/cursor';
import { AppError } from '../platform/errors';
import { isId, newId } from '../platform/ids';
import { accountNotFound, listUnavailable } from './errors';
import type { AccountStore, PageKey } from './store';
import type { AccountChanges, NewAccount } from './tenancy';
import { type Account, type By, DEFAULT_LIMITS, type Limits, type UserId } from './types';

/** What this service asks of a user's foreman. Each method may be called again after a fault. */
export interface AccountForeman {
  createAccount(input: { account: NewAccount; by: By }): Promise<Account>;
  getAccount(): Promise<Account | null>;
  changeAccount(input: { changes: AccountChanges; by: By }): Promise<Account | null>;
}

export type AccountService = ReturnType<typeof createAccountService>;

export function createAccountService(deps: {
  readonly foreman: (userId: UserId) => AccountForeman;
  readonly store: AccountStore;
  readonly now: () => number;
  readonly createWebhookSecret: () => string;
}) {
  const foremanOf = (id: string) => deps.foreman(userIdOf(id));

  return {
    createUser(input: {
      readonly name: string;
      readonly limits: Partial<Limits>;
      readonly by: By;
    }) {
      const createdAt = deps.now();
      const userId = newId('usr', createdAt);
      const account: NewAccount = {
        userId,
        name: input.name,
        externalId: null,
        region: null,
        status: 'active',
        limits: { ...DEFAULT_LIMITS, ...input.limits },
        webhookSecret: deps.createWebhookSecret(),
        createdAt,
      };
      return deps.foreman(userId).createAccount({ account, by: input.by });
    },

    async getUser(id: string): Promise<Account> {
      return found('user', await foremanOf(id).getAccount());
    },

    async changeUser(
      id: string,
      input: { readonly changes: AccountChanges; readonly by: By },
    ): Promise<Account> {
      return found('user', await foremanOf(id).changeAccount(input));
    },

    async listUsers(input: { readonly limit: number; readonly cursor: string | undefined }) {
      const after = input.cursor === undefined ? null : pageKeyOf(input.cursor);
      const page = await deps.store
        .getUserPage({ limit: input.limit + 1, after })
        .catch((error: unknown) => Promise.reject(listUnavailable(error)));
      const items = page.slice(0, input.limit);
      const last = page.length > items.length ? items.at(-1) : undefined;
      return { items, nextCursor: last ? encodeCursor([last.createdAt, last.userId]) : null };
    },
  };
}

export function userIdOf(id: string): UserId {
  if (!isId('usr', id)) throw accountNotFound('user');
  return id;
}

export function found<T>(what: string, value: T | null): T {
  if (value === null) throw accountNotFound(what);
  return value;
}

function pageKeyOf(cursor: string): PageKey {
  const [createdAt, id, ...rest] = decodeCursor(cursor) ?? [];
  if (typeof createdAt === 'number' && typeof id === 'string' && isId('usr', id) && !rest.length) {
    return { createdAt, id };
  }
  const errors = [{ path: 'cursor', message: 'is not a cursor of this list' }];
  throw new AppError('invalid_request', 'Not valid: cursor.', { errors });
}
