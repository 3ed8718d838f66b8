import { AppError } from '../platform/errors';

export type StyleErrorCode = 'not_found' | 'conflict' | 'invalid_request' | 'unavailable';

export const styleNotFound = (id: string) =>
  new AppError<StyleErrorCode>('not_found', `There is no style ${id.slice(0, 64)}.`);

export const styleExists = (id: string) =>
  new AppError<StyleErrorCode>('conflict', `There is a style ${id} already; PUT replaces it.`);

/** A default that every request with the style would be refused for. */
export const unknownDefaultModel = (model: string) =>
  new AppError<StyleErrorCode>('invalid_request', 'Not valid: defaults.model.', {
    errors: [{ path: 'defaults.model', message: `there is no model ${model}` }],
  });

/** D1 does not answer, and this isolate has no copy of what was asked for. */
export const stylesUnavailable = (cause: unknown) =>
  new AppError<StyleErrorCode>('unavailable', 'Styles cannot be read or changed right now.', {
    retryAfterMs: 5_000,
    cause,
  });
