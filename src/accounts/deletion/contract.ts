/** The JSON of a user's deletion as the operator sees it. */
import { z } from '@hono/zod-openapi';
import { iso } from '../contract';
import type { Deletion, DeletionStage } from './progress';

const count = z.int().min(0);
const time = z.iso.datetime();

export const deletionSchema = z
  .object({
    user_id: z.string().openapi({ example: 'usr_…' }),
    status: z.enum(['running', 'completed']),
    requested_at: time,
    completed_at: time.nullable(),
    requests_deleted: count,
    objects_deleted: count.openapi({ description: 'Images, uploads, and parts of such, in R2.' }),
    rows_deleted: count.openapi({ description: 'Of the index, in D1.' }),
    last_error: z.enum(['d1', 'r2', 'directory', 'kv']).nullable().openapi({
      description: 'What did not do as it was asked when this last went on. It is asked again.',
    }),
    waiting_for: z
      .enum(['requests', 'index', 'calls', 'jobs'])
      .nullable()
      .openapi({
        description:
          'What must have come to its end before this goes on: canceled requests, news that are on ' +
          'their way to the index, calls that were running (16 minutes at most, when their process ' +
          'has died), jobs that are being canceled at their providers.',
      }),
  })
  .openapi('UserDeletion');

/** What each stage may have to wait for. */
const awaited = {
  requests: 'requests',
  archive: null,
  uploads: null,
  index: 'index',
  calls: 'calls',
  account: 'jobs',
  over: null,
} as const satisfies Record<DeletionStage, string | null>;

export function presentDeletion(deletion: Deletion): z.output<typeof deletionSchema> {
  const { userId, requestedAt, completedAt, deleted, lastError, isHeld, stage } = deletion;
  return {
    user_id: userId,
    status: completedAt === null ? 'running' : 'completed',
    requested_at: iso(requestedAt),
    completed_at: completedAt === null ? null : iso(completedAt),
    requests_deleted: deleted.requests,
    objects_deleted: deleted.objects,
    rows_deleted: deleted.rows,
    last_error: lastError,
    waiting_for: isHeld && completedAt === null ? awaited[stage] : null,
  };
}
