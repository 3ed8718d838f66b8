import { AppError, type FieldError } from '../platform/errors';

export type GenerationErrorCode =
  | 'invalid_request'
  | 'unknown_model'
  | 'no_target_available'
  | 'budget_exceeded'
  | 'unavailable';

export const invalidGeneration = (errors: readonly FieldError[]) =>
  new AppError<GenerationErrorCode>(
    'invalid_request',
    `Not valid: ${errors.map((error) => error.path).join(', ')}.`,
    { errors },
  );

export const unknownModel = (input: { readonly path: string; readonly model: string }) =>
  new AppError<GenerationErrorCode>('unknown_model', 'There is no such model.', {
    errors: [{ path: input.path, message: `unknown model ${input.model.slice(0, 100)}` }],
  });

export const noTargetAvailable = (targets: readonly object[]) =>
  new AppError<GenerationErrorCode>(
    'no_target_available',
    'No target of this model can serve this request.',
    { extensions: { targets } },
  );

export const costLimitTooLow = (cheapestUsd: number) =>
  new AppError<GenerationErrorCode>(
    'budget_exceeded',
    `max_cost_usd is below the cheapest target, which costs ${cheapestUsd} USD.`,
    { errors: [{ path: 'max_cost_usd', message: `must be at least ${cheapestUsd}` }] },
  );

/** R2 does not answer; nothing was accepted. */
export const inputsUnavailable = (cause: unknown) =>
  new AppError<GenerationErrorCode>('unavailable', 'Input images cannot be stored right now.', {
    retryAfterMs: 5_000,
    cause,
  });
