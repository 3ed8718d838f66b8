/** The JSON of API keys as clients see it, and how it is made from ours. */
import { z } from '@hono/zod-openapi';
import { nextCursor, pageFields } from '../../platform/openapi';
import { iso, nameSchema } from '../contract';
import { grantableScopes, type KeyRecord, scopes } from '../types';
import type { IndexedKey } from './store';

const scope = z.enum(scopes);
const time = z.iso.datetime();
const MAX_OVERLAP_SECONDS = 604_800;
const DEFAULT_OVERLAP_SECONDS = 86_400;

const expiresAt = z.iso
  .datetime({ offset: true })
  .transform((text) => Date.parse(text))
  .openapi({ type: 'string', format: 'date-time' });
const REFUSED = 'Refused from then on; at most ten years from now.';

export const newKeySchema = z
  .strictObject({
    name: nameSchema,
    scopes: z.array(z.enum(grantableScopes)).min(1).max(grantableScopes.length).optional(),
    expires_at: expiresAt
      .optional()
      .openapi({ description: `${REFUSED} Without it the key stays good.` }),
  })
  .openapi('NewKey');

export const rotationSchema = z
  .strictObject({
    overlap_seconds: z
      .int()
      .min(0)
      .max(MAX_OVERLAP_SECONDS)
      .default(DEFAULT_OVERLAP_SECONDS)
      .openapi({ description: 'How long the old key stays good, unless it expires before.' }),
    expires_at: expiresAt
      .nullable()
      .optional()
      .openapi({ description: `${REFUSED} As the old key without it; null: the key stays good.` }),
  })
  .openapi('KeyRotation');

export const activeKeysQuery = z.strictObject({
  ...pageFields,
  mac_version: z
    .string()
    .regex(/^([1-9]\d?|1[01]\d|12[0-7])$/, 'must be a whole number from 1 to 127')
    .transform(Number)
    .optional()
    .openapi({ type: 'integer', minimum: 1, maximum: 127 }),
});

const keyFields = {
  id: z.string().openapi({ example: 'key_…' }),
  name: z.string(),
  scopes: z.array(scope),
  mac_version: z.int().openapi({ description: 'Version of the secret that has signed it.' }),
  created_at: time,
  expires_at: time.nullable(),
  replaces: z.string().nullable().openapi({ description: 'The key it was made to replace.' }),
};
const lastUsedAt = time.nullable();
export const issuedKeySchema = z
  .object({
    ...keyFields,
    key: z.string().openapi({ example: 'fm_…', description: 'Shown once, in this answer only.' }),
  })
  .openapi('IssuedKey');
const keySchema = z
  .object({
    ...keyFields,
    last_used_at: lastUsedAt.openapi({ description: 'To within ten minutes; null: never.' }),
    revoked_at: time.nullable(),
  })
  .openapi('Key');
export const keyPageSchema = z
  .object({ items: z.array(keySchema), next_cursor: nextCursor })
  .openapi('KeyPage');
const activeKeySchema = z
  .object({
    ...keyFields,
    user_id: z.string().openapi({ example: 'usr_…' }),
    last_used_at: lastUsedAt.openapi({ description: 'To within a day; null: never.' }),
  })
  .openapi('ActiveKey');
export const activeKeyPageSchema = z
  .object({ items: z.array(activeKeySchema), next_cursor: nextCursor })
  .openapi('ActiveKeyPage');

export function presentIssuedKey(issued: {
  readonly record: KeyRecord;
  readonly key: string;
}): z.output<typeof issuedKeySchema> {
  return { ...fieldsOf(issued.record), key: issued.key };
}

export function presentKeys(keys: readonly KeyRecord[]): z.output<typeof keyPageSchema> {
  const items = keys.map((key) => ({
    ...fieldsOf(key),
    last_used_at: isoOrNull(key.lastUsedAt),
    revoked_at: isoOrNull(key.revokedAt),
  }));
  return { items, next_cursor: null };
}

export const presentActiveKey = (key: IndexedKey): z.output<typeof activeKeySchema> => ({
  ...fieldsOf(key),
  user_id: key.userId,
  last_used_at: isoOrNull(key.lastUsedAt),
});

const fieldsOf = (key: Omit<KeyRecord, 'secretHash'>) => ({
  id: key.id,
  name: key.name,
  scopes: [...key.scopes],
  mac_version: key.macVersion,
  created_at: iso(key.createdAt),
  expires_at: isoOrNull(key.expiresAt),
  replaces: key.replaces,
});

const isoOrNull = (at: number | null) => (at === null ? null : iso(at));
