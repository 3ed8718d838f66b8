/** The delivery log as clients see it. */
import { z } from '@hono/zod-openapi';
import { idPart, readCursor } from '../../platform/cursor';
import type { DeliveryId } from '../../platform/ids';
import { nextCursor, pageFields } from '../../platform/openapi';
import { iso } from '../../requests/view';
import { eventTypes, PING } from '../endpoints/types';
import { type Delivery, deliveryEnds } from '../types';
import { deliveryStatuses } from './page';

export const deliverySchema = z
  .object({
    id: z.string().describe('The `webhook-id` it is sent with, each time'),
    type: z.string(),
    request_id: z.string().nullable(),
    endpoint_id: z.string().nullable().describe('null: the URL that the request itself names'),
    url: z.string(),
    status: z.enum(deliveryStatuses),
    reason: z
      .enum(deliveryEnds)
      .nullable()
      .describe(
        'Why it is not tried any more; null while it is, when it was delivered, and for a ping, ' +
          'which is sent once',
      ),
    attempts: z.array(
      z.object({
        at: z.iso.datetime(),
        status: z.int().nullable(),
        duration_ms: z.int(),
        response: z.string().nullable().describe('The first 1 kB of the answer'),
        error: z.string().nullable(),
      }),
    ),
    next_attempt_at: z.iso.datetime().nullable(),
    created_at: z.iso.datetime(),
  })
  .openapi('Delivery');

export const logQuerySchema = z.strictObject({
  ...pageFields,
  status: z.enum(deliveryStatuses).optional(),
  type: z.enum([...eventTypes, PING]).optional(),
});

export const logPageSchema = z
  .object({ items: z.array(deliverySchema), next_cursor: nextCursor })
  .openapi('DeliveryLog');

const time = z.iso.datetime({ offset: true });
export const replaySchema = z
  .strictObject({
    delivery_id: z.string().max(100).optional().describe('One, whatever came of it'),
    from: time.optional(),
    to: time.optional().describe('Up to, and not including'),
    include_delivered: z.boolean().optional().describe('Not only what never arrived'),
    cursor: z.string().max(1_000).optional().describe('`next_cursor` of the call before'),
  })
  .transform(({ delivery_id: deliveryId, ...range }, context) => {
    const fault = (path: string, message: string) => {
      context.addIssue({ code: 'custom', path: [path], message });
      return z.NEVER;
    };
    if (deliveryId !== undefined) {
      const [other] = Object.entries(range).find(([, value]) => value !== undefined) ?? [];
      return other === undefined ? { deliveryId } : fault(other, 'does not go with delivery_id');
    }
    const { from, to, include_delivered: includeDelivered = false, cursor } = range;
    if (from === undefined) return fault('from', 'is missing; give from and to, or delivery_id');
    if (to === undefined) return fault('to', 'is missing');
    const [fromAt, toAt] = [Date.parse(from), Date.parse(to)];
    if (fromAt >= toAt) return fault('to', 'must be later than from');
    return { range: { from: fromAt, to: toAt, includeDelivered }, cursor };
  })
  .openapi('Replay');
export const replayedSchema = z
  .object({
    replayed: z.int().describe('How many are on their way again; those that still were are not'),
    next_cursor: z
      .string()
      .nullable()
      .describe('The range has more: call again with it as `cursor`'),
  })
  .openapi('Replayed');

const cursorParts = z.tuple([idPart('dlv')]);

/** @throws AppError `invalid_request` */
export const readPosition = (cursor: string | undefined): DeliveryId | null =>
  cursor === undefined ? null : readCursor(cursor, cursorParts)[0];

export const presentDelivery = (delivery: Delivery): z.output<typeof deliverySchema> => ({
  id: delivery.id,
  type: delivery.type,
  request_id: delivery.requestId,
  endpoint_id: delivery.endpointId,
  url: delivery.url,
  status: delivery.status,
  reason: delivery.status === 'pending' ? null : delivery.reason,
  attempts: delivery.attempts.map((attempt) => ({
    at: iso(attempt.at),
    status: attempt.status,
    duration_ms: attempt.durationMs,
    response: attempt.response,
    error: attempt.error,
  })),
  next_attempt_at: delivery.status === 'pending' ? iso(delivery.nextAttemptAt) : null,
  created_at: iso(delivery.createdAt),
});
