/** The JSON of API keys as clients see it, and how it is made from ours. */
import { z } from '@hono/zod-openapi';
import { nextCursor } from '../platform/openapi';
import { iso, nameSchema } from './contract';
import { grantableScopes, type KeyRecord, scopes } from './types';

const scope = z.enum(scopes);
const time = z.iso.datetime();

export const newKeySchema = z
  .strictObject({
    name: nameSchema,
    scopes: z.array(z.enum(grantableScopes)).min(1).max(grantableScopes.length).optional(),
  })
  .openapi('NewKey');

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
