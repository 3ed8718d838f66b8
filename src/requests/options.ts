/** The part of a submission that is about the request itself, whatever its kind. */
import { z } from 'zod';
import { MAX_RETENTION_HOURS } from './retention';
import { onBudgets, priorities } from './types';

/** The ends of a request: what a webhook is sent for that names no events. */
export const endEventTypes = [
  'request.succeeded',
  'request.failed',
  'request.canceled',
  'request.expired',
] as const;
/** All that may happen to a request. */
export const requestEventTypes = ['request.queued', 'request.running', ...endEventTypes] as const;

const MAX_METADATA = 16;

export const requestOptionsSchema = z.object({
  priority: z.enum(priorities).default('normal'),
  deadline_seconds: z.int().min(5).max(86_400).default(900),
  max_attempts: z.int().min(1).max(10).default(4),
  max_cost_usd: z.number().min(0).max(1_000_000).optional(),
  on_budget: z
    .enum(onBudgets)
    .default('reject')
    .describe(
      'What becomes of it when the budget of the month does not reach: reject refuses it with 429; ' +
        'wait accepts it, and it waits until money is free, or until its deadline',
    ),
  retention_hours: z
    .int()
    .min(1)
    .max(MAX_RETENTION_HOURS)
    .optional()
    .describe(
      'How long what comes out is kept, from when it is stored; when left out, and at the most, as ' +
        'the account’s limit of this name says',
    ),
  retry_unknown: z
    .boolean()
    .default(true)
    .describe('Whether a call whose outcome is unknown may be made once more'),
  webhook_url: z.url().max(2048).optional(),
  webhook_events: z
    .array(z.enum([...requestEventTypes, 'request.*']))
    .min(1)
    .max(8)
    .optional()
    .describe('What `webhook_url` is told of: the four ends when left out'),
  metadata: z
    .record(z.string().min(1).max(64), z.string().max(512))
    .refine((metadata) => Object.keys(metadata).length <= MAX_METADATA, {
      message: `must have at most ${MAX_METADATA} members`,
    })
    .default({}),
});
export type RequestOptions = z.output<typeof requestOptionsSchema>;
