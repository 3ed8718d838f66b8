import { AppError } from '../../platform/errors';
import type { TargetName } from '../../requests/types';

export const unknownTarget = () => new AppError('not_found', 'There is no such target.');

export const unreachable = (name: TargetName, cause: unknown) =>
  new AppError('unavailable', `The breaker of ${name} cannot be reached right now.`, {
    retryAfterMs: 2_000,
    cause,
  });
