/** The audit trail as operators see it, and how they ask for it. */
import { z } from '@hono/zod-openapi';
import { nextCursor, pageFields } from '../../platform/openapi';
import { type AuditEvent, auditActions } from './event';

const time = z.iso.datetime({ offset: true });
const actorTypes = [
  'operator',
  'system',
  'key',
  'token',
  'grant',
] as const satisfies readonly AuditEvent['actor']['type'][];

export const auditQuerySchema = z.strictObject({
  ...pageFields,
  user_id: z.string().max(100).optional(),
  action: z.enum(auditActions).optional(),
  actor_id: z.string().max(600).optional().openapi({
    description:
      'The id of a key, `<issuer>|<subject>` of a token, or `<key id>|<client id>` of an app',
  }),
  target: z.string().max(600).optional(),
  created_after: time.optional(),
  created_before: time.optional(),
});

const auditEventSchema = z
  .object({
    id: z.string().openapi({ example: 'aud_0…' }),
    at: z.iso.datetime(),
    action: z.enum(auditActions),
    actor: z.object({
      type: z.enum(actorTypes),
      id: z
        .string()
        .nullable()
        .openapi({
          description:
            'Of the key, `<issuer>|<subject>` of the token, or `<key id>|<client id>` of an app and ' +
            'the key it was let in with; null for the operator’s own token',
        }),
    }),
    address: z.string().nullable().openapi({ description: 'The address the call came from' }),
    correlation_id: z.string(),
    user_id: z.string().nullable().openapi({ description: 'Whose things were touched' }),
    target: z
      .string()
      .nullable()
      .openapi({ description: 'The id of what was touched, other than the user' }),
    details: z.record(z.string(), z.unknown()),
  })
  .openapi('AuditEvent');
export const auditPageSchema = z
  .object({ items: z.array(auditEventSchema), next_cursor: nextCursor })
  .openapi('AuditPage');

export function presentAuditEvent(event: AuditEvent): z.output<typeof auditEventSchema> {
  const { id, at, action, actor, address, correlationId, userId, target, details } = event;
  return {
    id,
    at: new Date(at).toISOString(),
    action,
    actor,
    address,
    correlation_id: correlationId,
    user_id: userId,
    target,
    details,
  };
}
