import { AppError } from '../platform/errors';

export type McpErrorCode = 'forbidden' | 'invalid_request';

export const strangeHost = () =>
  new AppError<McpErrorCode>(
    'forbidden',
    'This server does not answer under this name: use localhost, or the PUBLIC_URL of whoever runs it.',
  );

export const strangePage = () =>
  new AppError<McpErrorCode>(
    'forbidden',
    'Pages of this origin may not call it; whoever runs this service can name it in CORS_ORIGINS.',
  );

export const tooManyMessages = (most: number) =>
  new AppError<McpErrorCode>(
    'invalid_request',
    `A batch may have ${most} messages; send them one by one.`,
  );

/** Two names for one thing that say different things. */
export const twoStepCounts = () =>
  new AppError<McpErrorCode>('invalid_request', 'Not valid: num_inference_steps.', {
    errors: [{ path: 'num_inference_steps', message: 'differs from steps; give one of them' }],
  });
