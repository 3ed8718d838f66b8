// The parts of Foreman's answers that the demo reads. What else they hold is left alone, as any
// client should.
import { z } from 'zod';

const imageSchema = z.object({
  id: z.string(),
  signed_url: z.url(),
  width: z.int(),
  height: z.int(),
  media_type: z.string(),
  bytes: z.int(),
  sha256: z.string(),
});
export type Image = z.output<typeof imageSchema>;

const attemptSchema = z.object({
  number: z.int(),
  provider: z.string(),
  model: z.string(),
  outcome: z.string().nullable(),
  reason: z.string(),
  started_at: z.iso.datetime(),
  duration_ms: z.int().nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
});

export const requestSchema = z.object({
  id: z.string(),
  status: z.string(),
  model: z.string(),
  images: z.array(imageSchema),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  attempts: z.array(attemptSchema),
  waiting: z
    .object({
      reason: z.string(),
      position: z.int().nullable(),
      next_attempt_at: z.iso.datetime().nullable(),
    })
    .nullable(),
  warnings: z.array(z.string()),
  version: z.int(),
});
export type Request = z.output<typeof requestSchema>;

export const eventSchema = z.object({
  type: z.string(),
  timestamp: z.iso.datetime(),
  sequence: z.int(),
  data: requestSchema,
});
export type RequestEvent = z.output<typeof eventSchema>;

export const userSchema = z.object({ id: z.string() });
export const keySchema = z.object({ id: z.string(), key: z.string() });
export const secretSchema = z.object({ secret: z.string() });

/** By the type: an event that is told late carries the request as it is by then. */
export function isLast({ type }: RequestEvent): boolean {
  return type !== 'request.queued' && type !== 'request.running';
}
