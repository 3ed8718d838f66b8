/** API keys of users: issued, listed, revoked. A user's foreman decides and keeps them. */
import { isId, newId } from '../platform/ids';
import { accountNotFound } from './errors';
import { issueKey } from './keys';
import { found, userIdOf } from './service';
import {
  type By,
  DEFAULT_SCOPES,
  type KeyId,
  type KeyRecord,
  type Scope,
  type UserId,
} from './types';

/** What this service asks of a user's foreman. Each method may be called again after a fault. */
export interface KeyForeman {
  addKey(input: { key: KeyRecord; by: By }): Promise<KeyRecord | null>;
  revokeKey(input: { id: KeyId; by: By }): Promise<KeyRecord | null>;
  listKeys(): Promise<KeyRecord[] | null>;
}

export interface IssuedKey {
  readonly record: KeyRecord;
  /** The key's text, which is stored nowhere. */
  readonly key: string;
}

export type KeyService = ReturnType<typeof createKeyService>;

export function createKeyService(deps: {
  readonly foreman: (userId: UserId) => KeyForeman;
  readonly now: () => number;
  readonly keySigningSecret: string;
}) {
  const foremanOf = (id: string) => deps.foreman(userIdOf(id));

  return {
    async createKey(input: {
      readonly userId: string;
      readonly name: string;
      readonly scopes: readonly Scope[] | undefined;
      readonly by: By;
    }): Promise<IssuedKey> {
      const userId = userIdOf(input.userId);
      const createdAt = deps.now();
      const id = newId('key', createdAt);
      const issued = issueKey({ userId, keyId: id, signingSecret: deps.keySigningSecret });
      const { secretHash, macVersion } = issued;
      const scopes = [...new Set(input.scopes ?? DEFAULT_SCOPES)];
      const key: KeyRecord = {
        ...{ id, name: input.name, scopes, secretHash, macVersion, createdAt },
        ...{ expiresAt: null, revokedAt: null, lastUsedAt: null, replaces: null },
      };
      const record = await deps.foreman(userId).addKey({ key, by: input.by });
      return { record: found('user', record), key: issued.key };
    },

    /** Revoked keys too. From the foreman, so that a revocation shows at once. */
    async listKeys(id: string): Promise<readonly KeyRecord[]> {
      return found('user', await foremanOf(id).listKeys());
    },

    async revokeKey(input: {
      readonly userId: string;
      readonly keyId: string;
      readonly by: By;
    }): Promise<void> {
      const foreman = foremanOf(input.userId);
      if (!isId('key', input.keyId)) throw accountNotFound('key');
      found('key', await foreman.revokeKey({ id: input.keyId, by: input.by }));
    },
  };
}
