/**
 * Messages that the queues gave up on, and messages that cannot be read. Each is stored; one that
 * was the current wake-up of a request ends it.
 */
import { newId } from '../platform/ids';
import type { Json } from '../platform/json';
import type { Logger } from '../platform/log';
import { done, retryAfter, type Verdict } from '../platform/queue';
import { type RunMessage, runMessageSchema } from './types';

const RETRY_SECONDS = 60;
/** Messages hold ids only; what is longer is not one of ours. */
const MAX_BODY_CHARS = 2_000;

export interface DeadLetter {
  readonly queue: string;
  readonly body: unknown;
  readonly reason: string;
}

export interface DeadLetterDeps {
  readonly db: D1Database;
  readonly foreman: (userId: RunMessage['user']) => {
    deadLetter(message: Pick<RunMessage, 'request' | 'release'>): Promise<{ settled: boolean }>;
  };
  readonly now: () => number;
  readonly log: Logger;
}

export async function bury(letter: DeadLetter, deps: DeadLetterDeps): Promise<Verdict> {
  const run = runMessageSchema.safeParse(letter.body);
  try {
    if (run.success) await deps.foreman(run.data.user).deadLetter(run.data);
    await createOne(letter, run.success ? run.data : null, deps);
  } catch (error) {
    deps.log.error('dead_letter.not_stored', { queue: letter.queue, error });
    return retryAfter(RETRY_SECONDS);
  }
  deps.log.error('dead_letter.stored', { queue: letter.queue, reason: letter.reason });
  return done;
}

async function createOne(
  letter: DeadLetter,
  run: RunMessage | null,
  deps: DeadLetterDeps,
): Promise<void> {
  const now = deps.now();
  await deps.db
    .prepare(
      `INSERT INTO dead_letters (id, queue, body, reason, user_id, request_id, created_at)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    )
    .bind(
      newId('ded', now),
      letter.queue,
      describe(letter.body as Json),
      letter.reason,
      run?.user ?? null,
      run?.request ?? null,
      now,
    )
    .run();
}

function describe(body: Json): string {
  try {
    return (JSON.stringify(body) ?? 'undefined').slice(0, MAX_BODY_CHARS);
  } catch {
    return 'not JSON';
  }
}
