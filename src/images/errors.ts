import { AppError } from '../platform/errors';

export type ImageErrorCode = 'not_found' | 'gone' | 'range_not_satisfiable' | 'unavailable';

/** One text for unknown, malformed, foreign, expired and wrongly signed: a guess learns nothing. */
export const imageNotFound = () =>
  new AppError<ImageErrorCode>('not_found', 'There is no such image.');

export const linkExpired = () =>
  new AppError<ImageErrorCode>(
    'gone',
    'This link has expired. While the image is kept, GET /v1/images/{id} with an API key signs it anew.',
  );

export const rangeNotSatisfiable = (bytes: number) =>
  new AppError<ImageErrorCode>(
    'range_not_satisfiable',
    `The range begins beyond the end of the image, which has ${bytes} bytes.`,
    { headers: { 'content-range': `bytes */${bytes}` } },
  );

export const imagesUnavailable = () =>
  new AppError<ImageErrorCode>('unavailable', 'Images cannot be read right now.', {
    retryAfterMs: 5_000,
  });
