/**
 * Whose a name is. One Durable Object per external id (the operator's own name of a user, or
 * `<issuer>|<subject>` of one who signs in) is the authority on which user has it, so that two
 * creations at once cannot both succeed and a D1 outage locks nobody out.
 */
import { DurableObject } from 'cloudflare:workers';
import { createHash } from 'node:crypto';
import { isThrownInside, withAnotherTry } from '../platform/durable-objects';
import type { UserId } from '../platform/ids';
import { namesUnavailable } from './errors';

const KEY = 'user';

/** Synchronous, like every change in a foreman: two calls at once cannot both find the name free. */
export class Directory extends DurableObject<Env> {
  /** The user who has the name from now on: the first who claimed it. Safe to call again. */
  claim(userId: UserId): UserId {
    const known = this.find();
    if (known) return known;
    this.ctx.storage.kv.put(KEY, userId);
    return userId;
  }

  find(): UserId | null {
    return this.ctx.storage.kv.get<UserId>(KEY) ?? null;
  }

  /** The name is free again, if it is this user's. */
  async release(userId: UserId): Promise<void> {
    if (this.find() === userId) await this.ctx.storage.deleteAll();
  }
}

/** @throws AppError `unavailable` when a name's object cannot be reached. */
export interface UserNames {
  find(externalId: string): Promise<UserId | null>;
  /** Answers with whoever has the name: another user when it was taken. */
  claim(externalId: string, userId: UserId): Promise<UserId>;
  release(externalId: string, userId: UserId): Promise<void>;
}

export function createUserNames(env: Pick<Env, 'DIRECTORY'>): UserNames {
  const ask = <T>(
    externalId: string,
    call: (entry: DurableObjectStub<Directory>) => Promise<T>,
  ): Promise<T> => {
    const name = createHash('sha256').update(externalId).digest('hex');
    return withAnotherTry(() => call(env.DIRECTORY.getByName(name)), asFault);
  };
  return {
    find: (externalId) => ask(externalId, (entry) => entry.find()),
    claim: (externalId, userId) => ask(externalId, (entry) => entry.claim(userId)),
    release: (externalId, userId) => ask(externalId, (entry) => entry.release(userId)),
  };
}

const asFault = (error: unknown) => (isThrownInside(error) ? error : namesUnavailable(error));
