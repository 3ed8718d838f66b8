/**
 * API keys of users: issued, rotated, listed, revoked. A user's foreman decides and keeps them; D1
 * lists those of all users.
 */
import { z } from 'zod';
import { encodeCursor, idPart, readCursor } from '../../platform/cursor';
import { cellOf, isId, newId } from '../../platform/ids';
import {
  accountNotFound,
  invalidExpiry,
  keyCannotRotate,
  keyListUnavailable,
  userGoing,
} from '../errors';
import { found, userIdOf } from '../service';
import {
  type By,
  DEFAULT_SCOPES,
  type KeyId,
  type KeyRecord,
  type Scope,
  type UserId,
} from '../types';
import type { Going, RotateAnswer, Rotation } from './ring';
import type { IndexedKey, KeyPageKey, KeyStore } from './store';
import { issueKey, type KeySigning } from './text';

/** What this service asks of a user's foreman. Each method may be called again after a fault. */
export interface KeyForeman {
  addKey(input: { key: KeyRecord; by: By }): Promise<KeyRecord | Going | null>;
  rotateKey(input: { rotation: Rotation; by: By }): Promise<RotateAnswer | null>;
  revokeKey(input: { id: KeyId; by: By }): Promise<KeyRecord | null>;
  listKeys(): Promise<KeyRecord[] | null>;
}

export interface IssuedKey {
  readonly record: KeyRecord;
  /** The key's text, which is stored nowhere. */
  readonly key: string;
}

interface KeyDeps {
  readonly foreman: (userId: UserId) => KeyForeman;
  readonly store: KeyStore;
  readonly now: () => number;
  readonly signing: KeySigning;
}

export type KeyService = ReturnType<typeof createKeyService>;

const MAX_LIFE_YEARS = 10;

export function createKeyService(deps: KeyDeps) {
  const foremanOf = (id: string) => deps.foreman(userIdOf(id));

  return {
    async createKey(input: {
      readonly userId: string;
      readonly name: string;
      readonly scopes: readonly Scope[] | undefined;
      readonly expiresAt: number | undefined;
      readonly by: By;
    }): Promise<IssuedKey> {
      const userId = userIdOf(input.userId);
      const made = makeKey(deps, { userId, expiresAt: input.expiresAt });
      const scopes = [...new Set(input.scopes ?? DEFAULT_SCOPES)];
      const key: KeyRecord = { ...made.record, name: input.name, scopes, replaces: null };
      const record = found('user', await deps.foreman(userId).addKey({ key, by: input.by }));
      if ('outcome' in record) throw userGoing();
      return { record, key: made.key };
    },

    async rotateKey(input: {
      readonly userId: string;
      readonly keyId: string;
      readonly overlapMs: number;
      /** Undefined: as the old key. */
      readonly expiresAt: number | null | undefined;
      readonly by: By;
    }): Promise<IssuedKey> {
      const userId = userIdOf(input.userId);
      const id = keyIdOf(input.keyId);
      const { expiresAt, overlapMs } = input;
      const made = makeKey(deps, { userId, expiresAt: expiresAt ?? undefined });
      const keepsExpiry = expiresAt === undefined;
      const rotation = { id, successor: made.record, overlapMs, keepsExpiry };
      const answer = found('key', await deps.foreman(userId).rotateKey({ rotation, by: input.by }));
      if (answer.outcome === 'deleting') throw userGoing();
      if (answer.outcome !== 'rotated') throw keyCannotRotate(answer);
      return { record: answer.key, key: made.key };
    },

    /** Ended keys too. From the foreman, so that a revocation shows at once. */
    async listKeys(id: string): Promise<readonly KeyRecord[]> {
      return found('user', await foremanOf(id).listKeys());
    },

    async listActiveKeys(input: {
      readonly limit: number;
      readonly cursor: string | undefined;
      readonly macVersion: number | undefined;
    }): Promise<{ readonly items: readonly IndexedKey[]; readonly nextCursor: string | null }> {
      const { limit, cursor, macVersion = null } = input;
      const after = cursor === undefined ? null : pageKeyOf(cursor);
      const page = await deps.store
        .getActivePage({ limit: limit + 1, after, macVersion, now: deps.now() })
        .catch((error: unknown) => Promise.reject(keyListUnavailable(error)));
      const items = page.slice(0, limit);
      const last = page.length > items.length ? items.at(-1) : undefined;
      return {
        items,
        nextCursor: last ? encodeCursor([last.macVersion, last.createdAt, last.id]) : null,
      };
    },

    async revokeKey(input: {
      readonly userId: string;
      readonly keyId: string;
      readonly by: By;
    }): Promise<void> {
      const foreman = foremanOf(input.userId);
      const id = keyIdOf(input.keyId);
      found('key', await foreman.revokeKey({ id, by: input.by }));
    },
  };
}

/** Before the foreman is called, so that the same call made again finds the same key. */
function makeKey(
  { now, signing }: KeyDeps,
  input: { readonly userId: UserId; readonly expiresAt: number | undefined },
): { readonly key: string; readonly record: Rotation['successor'] } {
  const createdAt = now();
  const expiresAt = expiryOf(input.expiresAt, createdAt);
  const id = newId('key', createdAt, cellOf(input.userId));
  const { key, ...kept } = issueKey({ userId: input.userId, keyId: id, signing });
  return { key, record: { id, ...kept, createdAt, expiresAt, revokedAt: null, lastUsedAt: null } };
}

function expiryOf(at: number | undefined, now: number): number | null {
  if (at === undefined) return null;
  const latest = new Date(now);
  latest.setUTCFullYear(latest.getUTCFullYear() + MAX_LIFE_YEARS);
  if (at <= now) throw invalidExpiry('must be in the future');
  if (at > latest.getTime()) {
    throw invalidExpiry(`must be at most ${MAX_LIFE_YEARS} years from now`);
  }
  return at;
}

function keyIdOf(id: string): KeyId {
  if (!isId('key', id)) throw accountNotFound('key');
  return id;
}

const cursorParts = z.tuple([z.number(), z.number(), idPart('key')]);

function pageKeyOf(cursor: string): KeyPageKey {
  const [macVersion, createdAt, id] = readCursor(cursor, cursorParts);
  return { macVersion, createdAt, id };
}
