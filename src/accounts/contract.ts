/** The JSON of users and limits as clients see it, and how it is made from ours. */
import { z } from '@hono/zod-openapi';
import { nextCursor } from '../platform/openapi';
import { type Account, limitsSchema } from './types';

/** Shown in lists and logs of operators: no control characters, no halves of surrogate pairs. */
export const nameSchema = z
  .string()
  .min(1)
  .max(100)
  .regex(/\S/, 'must not be blank')
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must be well-formed text without control characters')
  .openapi({ example: 'Acme Studio' });

export const limitsView = z
  .object(limitsSchema.shape)
  .openapi('Limits', { description: '0 means none at all; a null budget means no budget.' });
const partialLimits = limitsSchema.partial().openapi('PartialLimits');
const time = z.iso.datetime();

export const newUserSchema = z
  .strictObject({ name: nameSchema, limits: partialLimits.optional() })
  .openapi('NewUser');
export const userChangesSchema = z
  .strictObject({ name: nameSchema.optional(), limits: partialLimits.optional() })
  .openapi('UserChanges');
export const userSchema = z
  .object({
    id: z.string().openapi({ example: 'usr_…' }),
    name: z.string(),
    limits: limitsView,
    created_at: time,
  })
  .openapi('User');
export const userPageSchema = z
  .object({ items: z.array(userSchema), next_cursor: nextCursor })
  .openapi('UserPage');

export const iso = (at: number) => new Date(at).toISOString();

export function presentUser(account: Account): z.output<typeof userSchema> {
  const { userId, name, limits, createdAt } = account;
  return { id: userId, name, limits, created_at: iso(createdAt) };
}
