/**
 * Users and their limits. A user's foreman decides and keeps them, the directory whose a name is; D1
 * only lists users.
 */
import { z } from 'zod';
import { encodeCursor, idPart, readCursor } from '../platform/cursor';
import { cellOf, isId, newId } from '../platform/ids';
import type { UserNames } from './directory';
import {
  accountNotFound,
  begunElsewhere,
  externalIdTaken,
  listUnavailable,
  unknownModels,
  userGoing,
} from './errors';
import type { AccountStore, PageKey, UserFilter } from './store';
import type { AccountChanges, Creation, NewAccount, StatusChange } from './tenancy';
import {
  type Account,
  type By,
  type Limits,
  type Region,
  type UserId,
  unknownModelsAt,
} from './types';

/** What this service asks of a user's foreman. Each method may be called again after a fault. */
export interface AccountForeman {
  createAccount(input: { account: NewAccount; by: By }): Promise<Creation>;
  getAccount(): Promise<Account | null>;
  changeAccount(input: { changes: AccountChanges; by: By }): Promise<Account | null>;
  changeStatus(input: { status: StatusChange; by: By }): Promise<Account | null>;
}

export interface NewUser {
  readonly name: string;
  /** Unique among the users there are; null for one that needs no name of the operator's. */
  readonly externalId: string | null;
  readonly limits: Partial<Limits>;
  /** Where to make the user's foreman, if Cloudflare can; null: near whoever makes it. */
  readonly region: Region | null;
  /** Where everything of the user is held, for good; null: anywhere. */
  readonly jurisdiction: 'eu' | null;
}

export type AccountService = ReturnType<typeof createAccountService>;

export function createAccountService(deps: {
  readonly foreman: (userId: UserId) => AccountForeman;
  readonly names: UserNames;
  readonly store: AccountStore;
  readonly now: () => number;
  readonly createWebhookSecret: () => string;
  /** Where a new user's own limits say nothing. */
  readonly defaultLimits: Limits;
  /** Also those whose providers are off now: they may be on tomorrow. */
  readonly knowsModel: (id: string) => boolean;
}) {
  const foremanOf = (id: string) => deps.foreman(userIdOf(id));

  const create = (userId: UserId, { name, externalId, limits, region }: NewUser, by: By) => {
    const account: NewAccount = {
      ...{ userId, name, externalId, region },
      status: 'active',
      limits: { ...deps.defaultLimits, ...limits },
      webhookSecret: deps.createWebhookSecret(),
      createdAt: deps.now(),
    };
    return deps.foreman(userId).createAccount({ account, by });
  };

  return {
    /**
     * The name first, then the account. A creation that broke off in between leaves a name whose
     * user has no account: the next one makes it, under the id that is fixed.
     * @throws AppError `conflict` when the external id is another's; `invalid_request` for models
     * that there are not.
     */
    async createUser(input: NewUser & { readonly by: By }): Promise<Account> {
      refuseUnknownModels(input.limits, deps);
      const { externalId, by } = input;
      const cell = input.jurisdiction === 'eu' ? 'e' : '0';
      const ownId = newId('usr', deps.now(), cell);
      const userId = externalId === null ? ownId : await deps.names.claim(externalId, ownId);
      if (externalId !== null && cellOf(userId) !== cell) {
        const isMade = (await deps.foreman(userId).getAccount()) !== null;
        throw (isMade ? externalIdTaken : begunElsewhere)(externalId, userId);
      }
      const { account, made } = await create(userId, input, by);
      if (externalId !== null && !made) throw externalIdTaken(externalId, userId);
      return account;
    },

    /** The user of this name, who is made if there is none. Any number may ask at once. */
    async ensureUser(input: {
      readonly externalId: string;
      readonly name: string;
      readonly by: By;
    }): Promise<UserId> {
      const { externalId, name, by } = input;
      const userId = await deps.names.claim(externalId, newId('usr', deps.now()));
      const known = await deps.foreman(userId).getAccount();
      if (known) return userId;
      const user = { name, externalId, limits: {}, region: null, jurisdiction: null };
      await create(userId, user, by);
      return userId;
    },

    async getUser(id: string): Promise<Account> {
      return found('user', await foremanOf(id).getAccount());
    },

    /** @throws AppError `conflict` for a user that is being deleted. */
    async changeUser(
      id: string,
      input: { readonly changes: AccountChanges; readonly by: By },
    ): Promise<Account> {
      const foreman = foremanOf(id);
      refuseUnknownModels(input.changes.limits ?? {}, deps);
      return staying(found('user', await foreman.changeAccount(input)));
    },

    /** Safe to repeat. @throws AppError `conflict` for a user that is being deleted. */
    async changeStatus(
      id: string,
      input: { readonly status: StatusChange; readonly by: By },
    ): Promise<Account> {
      return staying(found('user', await foremanOf(id).changeStatus(input)));
    },

    async listUsers(
      input: UserFilter & { readonly limit: number; readonly cursor: string | undefined },
    ) {
      const { limit, cursor, ...filter } = input;
      const after = cursor === undefined ? null : pageKeyOf(cursor);
      const page = await deps.store
        .getUserPage({ ...filter, limit: limit + 1, after })
        .catch((error: unknown) => Promise.reject(listUnavailable(error)));
      const items = page.slice(0, limit);
      const last = page.length > items.length ? items.at(-1) : undefined;
      return { items, nextCursor: last ? encodeCursor([last.createdAt, last.userId]) : null };
    },
  };
}

function staying(account: Account): Account {
  if (account.status === 'deleting') throw userGoing();
  return account;
}

/** A slip of the pen would lock a user out in silence. */
function refuseUnknownModels(
  { allowed_models: models }: Partial<Limits>,
  { knowsModel }: { readonly knowsModel: (id: string) => boolean },
): void {
  const unknown = unknownModelsAt(models, knowsModel);
  if (unknown.length > 0) throw unknownModels(unknown);
}

export function userIdOf(id: string): UserId {
  if (!isId('usr', id)) throw accountNotFound('user');
  return id;
}

export function found<T>(what: string, value: T | null): T {
  if (value === null) throw accountNotFound(what);
  return value;
}

const cursorParts = z.tuple([z.number(), idPart('usr')]);

function pageKeyOf(cursor: string): PageKey {
  const [createdAt, id] = readCursor(cursor, cursorParts);
  return { createdAt, id };
}
