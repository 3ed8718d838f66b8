import { AppError } from '../platform/errors';

export type DeadLetterFaultCode =
  | 'not_found'
  | 'conflict'
  | 'unreadable_message'
  | 'invalid_request'
  | 'unavailable';

export const letterNotFound = (id: string) =>
  new AppError<DeadLetterFaultCode>('not_found', `There is no dead letter ${id.slice(0, 64)}.`);

export const unreadableMessage = () =>
  new AppError<DeadLetterFaultCode>(
    'unreadable_message',
    'No consumer can read this message, so sending it again would bring it back here.',
  );

const conflicts = {
  overtaken: 'The request goes on by itself: nobody waits for this message any more.',
  ended: 'The request of this message has ended, and not because the message was lost.',
  absent: 'The request of this message is deleted, or never was.',
} as const;

export const notReplayable = (why: keyof typeof conflicts) =>
  new AppError<DeadLetterFaultCode>('conflict', conflicts[why]);

export const messageNotSent = (cause: unknown) =>
  new AppError<DeadLetterFaultCode>('unavailable', 'The message cannot be sent right now.', {
    retryAfterMs: 5_000,
    cause,
  });
