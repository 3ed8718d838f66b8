/**
 * Dead letters: messages that a queue gave up on, and messages that nobody can read. Each is
 * stored; one that was the current wake-up of a request ends it.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { deleteAccountMessageSchema } from '../accounts/types';
import { type DeliveryId, type Id, newId } from '../platform/ids';
import type { Json } from '../platform/json';
import type { Logger } from '../platform/log';
import { done, retryAfter, type Verdict } from '../platform/queue';
import type { DeadLetterStore } from './dead-letter-store';
import {
  cancelMessageSchema,
  projectionMessageSchema,
  type RequestId,
  type RunMessage,
  runMessageSchema,
  type UserId,
} from './types';

const RETRY_SECONDS = 60;
/** Messages hold ids only; what is longer is not one of ours. */
const MAX_MESSAGE_CHARS = 2_000;

/** How long an operator has to look at a letter. */
export const LETTER_LIFE_MS = 7 * 86_400_000;

/** Of a consumer that this part knows nothing of but the shape of its message. */
const deliverMessageSchema = z.object({
  type: z.literal('webhook.deliver'),
  v: z.literal(1),
  user: z.custom<UserId>((value) => typeof value === 'string' && value.startsWith('usr_')),
  delivery: z.custom<DeliveryId>((value) => typeof value === 'string' && value.startsWith('dlv_')),
  correlation_id: z.string(),
});

export type Message = z.output<typeof messageSchema>;
const messageSchema = z.discriminatedUnion('type', [
  runMessageSchema,
  cancelMessageSchema,
  deliverMessageSchema,
  projectionMessageSchema,
  deleteAccountMessageSchema,
]);

export const letterTypes = [
  'generation.run',
  'generation.cancel',
  'webhook.deliver',
  'projection.wake',
  'account.delete',
  'unknown',
] as const satisfies readonly (Message['type'] | 'unknown')[];
export type LetterType = (typeof letterTypes)[number];

export type WorkQueue = 'generation' | 'webhooks' | 'events';
export const workQueues: Readonly<Record<Message['type'], WorkQueue>> = {
  'generation.run': 'generation',
  'generation.cancel': 'generation',
  'webhook.deliver': 'webhooks',
  'projection.wake': 'events',
  'account.delete': 'events',
};

export type LetterId = Id<'ded'>;

export interface DeadLetter {
  readonly id: LetterId;
  /** `unknown` when nobody can read the message. */
  readonly type: LetterType;
  /** Where the message was on its way to or, when nobody knows that, where it was found. */
  readonly queue: string;
  readonly message: Json;
  readonly reason: string;
  readonly userId: UserId | null;
  readonly requestId: RequestId | null;
  readonly correlationId: string | null;
  readonly createdAt: number;
  readonly replayedAt: number | null;
  /** The request that was made from it, where sending the message again could do nothing. */
  readonly replayedAs: RequestId | null;
}

/** A message as it was found. */
export interface Undeliverable {
  readonly queue: string;
  readonly body: unknown;
  readonly reason: string;
}

export interface DeadLetterDeps {
  readonly store: Pick<DeadLetterStore, 'createOne'>;
  readonly foreman: (userId: UserId) => {
    deadLetter(message: Pick<RunMessage, 'request' | 'release'>): Promise<{ settled: boolean }>;
  };
  readonly now: () => number;
  readonly log: Logger;
}

export async function bury(found: Undeliverable, deps: DeadLetterDeps): Promise<Verdict> {
  const message = readMessage(found.body);
  const letter = letterOf(found, message, deps.now());
  const { id: letter_id, queue, reason } = letter;
  try {
    if (message?.type === 'generation.run') await deps.foreman(message.user).deadLetter(message);
    await deps.store.createOne(letter);
  } catch (error) {
    deps.log.error('dead_letter.not_stored', { queue, error });
    return retryAfter(RETRY_SECONDS);
  }
  deps.log.error('dead_letter.stored', { letter_id, queue, reason });
  return done;
}

/** Null when no consumer could read it either. */
export function readMessage(body: unknown): Message | null {
  return messageSchema.safeParse(body).data ?? null;
}

export function letterOf(found: Undeliverable, message: Message | null, now: number): DeadLetter {
  return {
    id: newId('ded', now),
    type: message?.type ?? 'unknown',
    queue: message ? `foreman-${workQueues[message.type]}` : found.queue,
    message: bounded(found.body),
    reason: found.reason,
    userId: message?.user ?? null,
    requestId: message?.type === 'generation.run' ? message.request : null,
    correlationId: message && 'correlation_id' in message ? message.correlation_id : null,
    createdAt: now,
    replayedAt: null,
    replayedAs: null,
  };
}

/**
 * The request that one whose wake-up was lost is made again as. There is one, whichever of its
 * letters is replayed and however often. It keeps the time in the id; hex digits are digits of ids.
 */
export function revivalOf(id: RequestId): RequestId {
  const digest = createHash('sha256').update(`revival of ${id}`).digest('hex');
  return `req_${id.slice('req_'.length, -RANDOM_CHARS)}${digest.slice(0, RANDOM_CHARS)}`;
}
const RANDOM_CHARS = 16;

/** What is too long, or no JSON, is kept as a text that says what it was. */
function bounded(body: unknown): Json {
  const text = asJson(body);
  if (text === null) return 'not JSON';
  return text.length > MAX_MESSAGE_CHARS ? text.slice(0, MAX_MESSAGE_CHARS) : JSON.parse(text);
}

function asJson(body: unknown): string | null {
  try {
    return JSON.stringify(body) ?? null;
  } catch {
    return null;
  }
}
