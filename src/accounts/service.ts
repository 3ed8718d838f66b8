/**
 * Users, their keys and their limits. A user's foreman decides and keeps them; D1 only lists users.
 */
import { decodeCursor, encodeCursor } from '../platform/cursor';
import { AppError } from '../platform/errors';
import { isId, newId } from '../platform/ids';
import { accountNotFound, listUnavailable, unauthorized } from './errors';
import { issueKey } from './keys';
import type { AccountStore, PageKey } from './store';
import type { Me, NewAccount } from './tenancy';
import {
  type Account,
  type Credential,
  DEFAULT_LIMITS,
  DEFAULT_SCOPES,
  type KeyId,
  type KeyRecord,
  type Limits,
  type Scope,
  type UserId,
} from './types';

/** What this service asks of a user's foreman. Each method may be called again after a fault. */
export interface AccountForeman {
  createAccount(account: NewAccount): Promise<Account>;
  getAccount(): Promise<Account | null>;
  changeLimits(limits: Partial<Limits>): Promise<Account | null>;
  addKey(key: KeyRecord): Promise<KeyRecord | null>;
  revokeKey(id: KeyId): Promise<KeyRecord | null>;
  listKeys(): Promise<KeyRecord[] | null>;
  me(credential: Credential): Promise<Me | null>;
  defaultWebhookSecret(credential: Credential): Promise<string | null>;
}

export interface IssuedKey {
  readonly record: KeyRecord;
  /** The key's text, which is stored nowhere. */
  readonly key: string;
}

export type AccountService = ReturnType<typeof createAccountService>;

export function createAccountService(deps: {
  readonly foreman: (userId: UserId) => AccountForeman;
  readonly store: AccountStore;
  readonly now: () => number;
  readonly keySigningSecret: string;
  readonly createWebhookSecret: () => string;
}) {
  const foremanOf = (id: string) => deps.foreman(userIdOf(id));

  return {
    createUser(input: { readonly name: string; readonly limits: Partial<Limits> }) {
      const createdAt = deps.now();
      const userId = newId('usr', createdAt);
      return deps.foreman(userId).createAccount({
        userId,
        name: input.name,
        limits: { ...DEFAULT_LIMITS, ...input.limits },
        webhookSecret: deps.createWebhookSecret(),
        createdAt,
      });
    },

    async getUser(id: string): Promise<Account> {
      return found('user', await foremanOf(id).getAccount());
    },

    async updateLimits(id: string, limits: Partial<Limits>): Promise<Account> {
      return found('user', await foremanOf(id).changeLimits(limits));
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

    async createKey(input: {
      readonly userId: string;
      readonly name: string;
      readonly scopes: readonly Scope[] | undefined;
    }): Promise<IssuedKey> {
      const userId = userIdOf(input.userId);
      const createdAt = deps.now();
      const id = newId('key', createdAt);
      const issued = issueKey({ userId, keyId: id, signingSecret: deps.keySigningSecret });
      const { secretHash, macVersion } = issued;
      const scopes = [...new Set(input.scopes ?? DEFAULT_SCOPES)];
      const key = { id, name: input.name, scopes, secretHash, macVersion, createdAt };
      const record = await deps.foreman(userId).addKey({ ...key, revokedAt: null });
      return { record: found('user', record), key: issued.key };
    },

    /** Revoked keys too. From the foreman, so that a revocation shows at once. */
    async listKeys(id: string): Promise<readonly KeyRecord[]> {
      return found('user', await foremanOf(id).listKeys());
    },

    async revokeKey(input: { readonly userId: string; readonly keyId: string }): Promise<void> {
      const foreman = foremanOf(input.userId);
      if (!isId('key', input.keyId)) throw accountNotFound('key');
      found('key', await foreman.revokeKey(input.keyId));
    },

    async me(credential: Credential): Promise<Me> {
      const me = await deps.foreman(credential.userId).me(credential);
      if (!me) throw unauthorized();
      return me;
    },

    /** What signs the webhooks of requests that name a URL themselves. */
    async defaultWebhookSecret(credential: Credential): Promise<string> {
      const secret = await deps.foreman(credential.userId).defaultWebhookSecret(credential);
      if (secret === null) throw unauthorized();
      return secret;
    },
  };
}

function userIdOf(id: string): UserId {
  if (!isId('usr', id)) throw accountNotFound('user');
  return id;
}

function found<T>(what: string, value: T | null): T {
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
