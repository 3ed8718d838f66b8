import { AppError } from '../platform/errors';

export type StreamErrorCode =
  | 'upgrade_required'
  | 'too_many_streams'
  | 'forbidden'
  | 'invalid_request';

export const upgradeRequired = () =>
  new AppError<StreamErrorCode>(
    'upgrade_required',
    'This is a WebSocket: ask for it with the headers of an upgrade.',
    { headers: { upgrade: 'websocket', connection: 'Upgrade' } },
  );

/** A socket that its client has left is known to be free within seconds. */
const RETRY_AFTER_MS = 5_000;

export const tooManyStreams = () =>
  new AppError<StreamErrorCode>(
    'too_many_streams',
    'Too many streams and waiting reads of this account are open. Close some, or read without waiting.',
    { retryAfterMs: RETRY_AFTER_MS },
  );

export const strangePage = () =>
  new AppError<StreamErrorCode>(
    'forbidden',
    'Pages of this origin may not open it; whoever runs this service can name it in CORS_ORIGINS.',
  );

export const unknownFilters = (names: readonly string[]) =>
  new AppError<StreamErrorCode>('invalid_request', 'Not valid: events.', {
    errors: names.map((name) => ({
      path: 'events',
      message: `${JSON.stringify(name.slice(0, 64))} is no event, nor \`*\`, \`request.*\` or \`endpoint.*\``,
    })),
  });
