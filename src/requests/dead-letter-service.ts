/** What an operator does with dead letters: look, send again, remove. */
import { z } from 'zod';
import { type AuditAction, auditEvent } from '../accounts/audit/event';
import type { By } from '../accounts/types';
import type { Revival, ReviveAnswer } from '../foreman/reviving';
import { encodeCursor, idPart, readCursor } from '../platform/cursor';
import { isId } from '../platform/ids';
import type { LogFields, Logger } from '../platform/log';
import {
  letterNotFound,
  messageNotSent,
  notReplayable,
  unreadableMessage,
} from './dead-letter-errors';
import type { DeadLetterStore, LetterPageQuery } from './dead-letter-store';
import {
  type DeadLetter,
  type LetterId,
  type Message,
  readMessage,
  revivalOf,
  type WorkQueue,
  workQueues,
} from './dead-letters';
import { unavailable } from './errors';
import type { RequestStore } from './store';
import type { RequestId, RunMessage, UserId } from './types';

export interface DeadLetterService {
  get(id: string): Promise<DeadLetter>;
  list(
    input: Pick<LetterPageQuery, 'limit' | 'type' | 'userId'> & {
      readonly cursor: string | undefined;
    },
  ): Promise<{ readonly items: readonly DeadLetter[]; readonly nextCursor: string | null }>;
  /** Once is enough: again, it does nothing and answers the same. */
  replay(input: { readonly id: string; readonly by: By }): Promise<DeadLetter>;
  remove(input: { readonly id: string; readonly by: By }): Promise<void>;
}

export function createDeadLetterService(deps: {
  readonly store: DeadLetterStore;
  readonly requests: Pick<RequestStore, 'getOne'>;
  readonly foreman: (userId: UserId) => { revive(revival: Revival): Promise<ReviveAnswer> };
  readonly send: (queue: WorkQueue, message: Message) => Promise<unknown>;
  readonly now: () => number;
  readonly log: Logger;
}): DeadLetterService {
  const get = async (id: string): Promise<DeadLetter> => {
    const letter = isId('ded', id) ? await fromD1(deps.store.getOne(id)) : null;
    if (!letter) throw letterNotFound(id);
    return letter;
  };

  const send = async (message: Message): Promise<void> => {
    try {
      await deps.send(workQueues[message.type], message);
    } catch (error) {
      throw messageNotSent(error);
    }
  };

  /** The request that is made instead, or null when the message itself is of use. */
  const revive = async (message: RunMessage): Promise<RequestId | null> => {
    const { user: userId, request, release } = message;
    const as = { id: revivalOf(request), createdAt: deps.now() };
    const foreman = deps.foreman(userId);
    let answer = await foreman.revive({ request, release, as, archived: null });
    if (answer.outcome === 'absent') {
      const [earlier, archived] = await fromD1(
        Promise.all([as.id, request].map((id) => deps.requests.getOne({ userId, id }))),
      );
      if (earlier) return as.id;
      if (archived && archived !== 'deleted') {
        answer = await foreman.revive({ request, release, as, archived });
      }
    }
    if (answer.outcome === 'revived') return answer.request;
    if (answer.outcome === 'live') return null;
    throw notReplayable(answer.outcome);
  };

  return {
    get,

    async list({ cursor, ...query }) {
      const after = cursor === undefined ? null : lastOf(cursor);
      const { limit } = query;
      const page = await fromD1(deps.store.getPage({ ...query, after, limit: limit + 1 }));
      const items = page.slice(0, limit);
      const last = page.length > items.length ? items.at(-1) : undefined;
      return { items, nextCursor: last ? encodeCursor([last.createdAt, last.id]) : null };
    },

    async replay({ id, by }) {
      const letter = await get(id);
      if (letter.replayedAt !== null) return letter;
      const message = readMessage(letter.message);
      if (!message) throw unreadableMessage();
      const as = message.type === 'generation.run' ? await revive(message) : null;
      if (as === null) await send(message);
      const at = deps.now();
      const event = eventOf('dead_letter.replayed', { letter, by, as }, at);
      const replayed = await fromD1(deps.store.updateReplayed({ id: letter.id, at, as, event }));
      const outcome = as === null ? 'sent' : 'revived';
      deps.log.info('dead_letter.replayed', { ...fieldsOf(letter, by), outcome });
      return replayed ?? { ...letter, replayedAt: at, replayedAs: as };
    },

    async remove({ id, by }) {
      const letter = await get(id);
      const event = eventOf('dead_letter.deleted', { letter, by }, deps.now());
      await fromD1(deps.store.deleteOne({ id: letter.id, event }));
      deps.log.info('dead_letter.removed', fieldsOf(letter, by));
    },
  };
}

function eventOf(
  action: Extract<AuditAction, `dead_letter.${string}`>,
  of: { readonly letter: DeadLetter; readonly by: By; readonly as?: RequestId | null },
  now: number,
) {
  const { id: target, type, userId, requestId } = of.letter;
  const details = { type, request_id: requestId };
  const replayed = of.as === undefined ? details : { ...details, replayed_as: of.as };
  return auditEvent(of.by, { action, userId, target, details: replayed }, now);
}

function fieldsOf(letter: DeadLetter, { from }: By): LogFields {
  return {
    correlation_id: from.correlationId,
    letter_id: letter.id,
    queue: letter.queue,
    ...(letter.userId === null ? {} : { user_id: letter.userId }),
    ...(letter.requestId === null ? {} : { request_id: letter.requestId }),
  };
}

const cursorParts = z.tuple([z.number(), idPart('ded')]);

function lastOf(cursor: string): { createdAt: number; id: LetterId } {
  const [createdAt, id] = readCursor(cursor, cursorParts);
  return { createdAt, id };
}

async function fromD1<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw unavailable('Dead letters', error);
  }
}
