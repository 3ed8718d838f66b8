/**
 * Whose a name is. One Durable Object per external id (the operator's own name of a user, or
 * `<issuer>|<subject>` of one who signs in) is the authority on which user has it, so that two
 * creations at once cannot both succeed and a D1 outage locks nobody out.
 */
import { DurableObject } from 'cloudflare:workers';
import { createHash } from 'node:crypto';
import type { UserId } from '../platform/ids';

const KEY = 'user';

export class Directory extends DurableObject<Env> {
  /** The user who has the name from now on: the first who claimed it. Safe to call again. */
  async claim(userId: UserId): Promise<UserId> {
    const known = await this.find();
    if (known) return known;
    await this.ctx.storage.put(KEY, userId);
    return userId;
  }

  async find(): Promise<UserId | null> {
    return (await this.ctx.storage.get<UserId>(KEY)) ?? null;
  }

  /** The name is free again, if it is this user's. */
  async release(userId: UserId): Promise<void> {
    if ((await this.find()) === userId) await this.ctx.storage.deleteAll();
  }
}

export interface UserNames {
  find(externalId: string): Promise<UserId | null>;
  /** Answers with whoever has the name: another user when it was taken. */
  claim(externalId: string, userId: UserId): Promise<UserId>;
  release(externalId: string, userId: UserId): Promise<void>;
}

export function createUserNames(env: Pick<Env, 'DIRECTORY'>): UserNames {
  const of = (externalId: string) =>
    env.DIRECTORY.getByName(createHash('sha256').update(externalId).digest('hex'));
  return {
    find: (externalId) => of(externalId).find(),
    claim: (externalId, userId) => of(externalId).claim(userId),
    release: (externalId, userId) => of(externalId).release(userId),
  };
}
