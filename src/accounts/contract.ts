/** The JSON of users, keys and limits as clients see it, and how it is made from ours. */
import { z } from '@hono/zod-openapi';
import { nextCursor } from '../platform/openapi';
import type { Me } from './tenancy';
import { type Account, grantableScopes, type KeyRecord, limitsSchema, scopes } from './types';

/** Shown in lists and logs of operators: no control characters, no halves of surrogate pairs. */
const name = z
  .string()
  .min(1)
  .max(100)
  .regex(/\S/, 'must not be blank')
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must be well-formed text without control characters')
  .openapi({ example: 'Acme Studio' });

const limits = z
  .object(limitsSchema.shape)
  .openapi('Limits', { description: '0 means none at all; a null budget means no budget.' });
const partialLimits = limitsSchema.partial().openapi('PartialLimits');
const scope = z.enum(scopes);
const time = z.iso.datetime();

export const newUserSchema = z
  .strictObject({ name, limits: partialLimits.optional() })
  .openapi('NewUser');
export const limitChangesSchema = z.strictObject({ limits: partialLimits }).openapi('LimitChanges');
export const newKeySchema = z
  .strictObject({
    name,
    scopes: z.array(z.enum(grantableScopes)).min(1).max(grantableScopes.length).optional(),
  })
  .openapi('NewKey');

export const userSchema = z
  .object({
    id: z.string().openapi({ example: 'usr_…' }),
    name: z.string(),
    limits,
    created_at: time,
  })
  .openapi('User');
export const userPageSchema = z
  .object({ items: z.array(userSchema), next_cursor: nextCursor })
  .openapi('UserPage');

const keyFields = {
  id: z.string().openapi({ example: 'key_…' }),
  name: z.string(),
  scopes: z.array(scope),
};
export const issuedKeySchema = z
  .object({
    ...keyFields,
    key: z.string().openapi({ example: 'fm_…', description: 'Shown once, in this answer only.' }),
    created_at: time,
  })
  .openapi('IssuedKey');
export const keyPageSchema = z
  .object({
    items: z.array(
      z.object({ ...keyFields, created_at: time, revoked_at: time.nullable() }).openapi('Key'),
    ),
    next_cursor: nextCursor,
  })
  .openapi('KeyPage');

export const meSchema = z
  .object({
    user: z.object({ id: z.string(), name: z.string() }),
    key: z.object(keyFields),
    limits,
    usage: z.object({
      running: z.int(),
      waiting: z.int(),
      images_today: z.int().openapi({ description: 'Accepted since 00:00 UTC.' }),
      month_cost_usd: z.number(),
      month_reserved_usd: z.number().openapi({ description: 'Held back for running calls.' }),
    }),
  })
  .openapi('Me');

const iso = (at: number) => new Date(at).toISOString();

export function presentUser(account: Account): z.output<typeof userSchema> {
  const { userId, name, limits, createdAt } = account;
  return { id: userId, name, limits, created_at: iso(createdAt) };
}

export function presentIssuedKey(issued: {
  readonly record: KeyRecord;
  readonly key: string;
}): z.output<typeof issuedKeySchema> {
  const { id, name, scopes, createdAt } = issued.record;
  return { id, key: issued.key, name, scopes: [...scopes], created_at: iso(createdAt) };
}

export function presentKeys(keys: readonly KeyRecord[]): z.output<typeof keyPageSchema> {
  const items = keys.map(({ id, name, scopes, createdAt, revokedAt }) => ({
    id,
    name,
    scopes: [...scopes],
    created_at: iso(createdAt),
    revoked_at: revokedAt === null ? null : iso(revokedAt),
  }));
  return { items, next_cursor: null };
}

export function presentMe({ account, key, usage }: Me): z.output<typeof meSchema> {
  return {
    user: { id: account.userId, name: account.name },
    key: { id: key.id, name: key.name, scopes: [...key.scopes] },
    limits: account.limits,
    usage: {
      running: usage.running,
      waiting: usage.waiting,
      images_today: usage.unitsToday,
      month_cost_usd: usage.spentMicros / 1e6,
      month_reserved_usd: usage.reservedMicros / 1e6,
    },
  };
}
