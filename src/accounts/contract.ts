/** The JSON of users and limits as clients see it, and how it is made from ours. */
import { z } from '@hono/zod-openapi';
import { cellOf } from '../platform/ids';
import { nextCursor } from '../platform/openapi';
import {
  type Account,
  accountStatuses,
  limitsSchema,
  type Region,
  regions,
  regionsInUnion,
} from './types';

/** Shown in lists and logs of operators: no control characters, no halves of surrogate pairs. */
export const nameSchema = z
  .string()
  .min(1)
  .max(100)
  .regex(/\S/, 'must not be blank')
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must be well-formed text without control characters')
  .openapi({ example: 'Acme Studio' });

/** `<issuer>|<subject>` of whoever signs in has to fit: a subject alone may have 255 characters. */
const MAX_EXTERNAL_ID_CHARS = 600;
/** Compared as it is, character by character. */
export const externalIdSchema = z
  .string()
  .max(MAX_EXTERNAL_ID_CHARS)
  .regex(/\S/, 'must not be blank')
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must be well-formed text without control characters')
  .openapi({ example: 'customer-42' });

export const limitsView = z.object(limitsSchema.shape).openapi('Limits', {
  description:
    '0 means none at all. null means no such limit: no budget, images of any size, every model.',
});
const partialLimits = limitsSchema.partial().openapi('PartialLimits');
const regionSchema = z.enum(regions);
const jurisdictionSchema = z.enum(['eu']);
const statusSchema = z.enum(accountStatuses);
const time = z.iso.datetime();

export const newUserSchema = z
  .strictObject({
    name: nameSchema,
    external_id: externalIdSchema.optional().openapi({
      description: 'Your own name of the user: no two users have the same.',
    }),
    limits: partialLimits.optional(),
    region: regionSchema.optional().openapi({
      description: 'Where to keep the user, as far as Cloudflare can. A hint, taken once.',
    }),
    jurisdiction: jurisdictionSchema.optional().openapi({
      description:
        'Where the user’s requests, keys and images are kept, for good. The index for lists and history is elsewhere. Absent: anywhere.',
    }),
  })
  .refine(isRegionWithin, {
    path: ['region'],
    error: `must be one of ${regionsInUnion.join(', ')} with the jurisdiction eu`,
  })
  .openapi('NewUser');
export const userChangesSchema = z
  .strictObject({ name: nameSchema.optional(), limits: partialLimits.optional() })
  .refine(
    ({ name, limits = {} }) => name !== undefined || Object.keys(limits).length > 0,
    'must name what to change: name, limits or both',
  )
  .openapi('UserChanges');
export const userFilterFields = {
  external_id: externalIdSchema.optional(),
  status: statusSchema.optional(),
};
export const userSchema = z
  .object({
    id: z.string().openapi({ example: 'usr_…' }),
    name: z.string(),
    external_id: z.string().nullable(),
    region: regionSchema.nullable(),
    jurisdiction: jurisdictionSchema.nullable(),
    status: statusSchema,
    limits: limitsView,
    created_at: time,
  })
  .openapi('User');
export const userPageSchema = z
  .object({ items: z.array(userSchema), next_cursor: nextCursor })
  .openapi('UserPage');

function isRegionWithin(place: {
  readonly region?: Region | undefined;
  readonly jurisdiction?: 'eu' | undefined;
}): boolean {
  const { region, jurisdiction } = place;
  if (region === undefined || jurisdiction !== 'eu') return true;
  return (regionsInUnion as readonly Region[]).includes(region);
}

export const iso = (at: number) => new Date(at).toISOString();

export function presentUser(account: Account): z.output<typeof userSchema> {
  const { userId, name, externalId, region, status, limits, createdAt } = account;
  const jurisdiction = cellOf(userId) === 'e' ? 'eu' : null;
  return {
    ...{ id: userId, name, external_id: externalId, region, jurisdiction, status, limits },
    created_at: iso(createdAt),
  };
}
