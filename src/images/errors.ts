import { AppError, type FieldError } from '../platform/errors';

export type ImageErrorCode =
  | 'not_found'
  | 'gone'
  | 'range_not_satisfiable'
  | 'payload_too_large'
  | 'unsupported_media_type'
  | 'invalid_request'
  | 'image_too_large_to_convert'
  | 'image_not_convertible'
  | 'unavailable';

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

/** R2 does not answer; nothing is kept. */
export const uploadsUnavailable = (cause: unknown) =>
  new AppError<ImageErrorCode>('unavailable', 'Images cannot be stored right now.', {
    retryAfterMs: 5_000,
    cause,
  });

/** D1 or R2 does not answer. */
export const imageListUnavailable = (cause: unknown) =>
  new AppError<ImageErrorCode>('unavailable', 'The list of images cannot be read right now.', {
    retryAfterMs: 5_000,
    cause,
  });

/** R2 does not answer; nothing has changed, and the same call may be made again. */
export const imageNotDeleted = (cause: unknown) =>
  new AppError<ImageErrorCode>('unavailable', 'The image cannot be deleted right now.', {
    retryAfterMs: 5_000,
    cause,
  });

/** @param longest in seconds. */
export const linkOutlivesImage = (longest: number) =>
  new AppError<ImageErrorCode>('invalid_request', 'Not valid: expires_in_seconds.', {
    errors: [
      { path: 'expires_in_seconds', message: `the image itself ends in ${longest} seconds` },
    ],
  });

export const imageTooLarge = (maxBytes: number) =>
  new AppError<ImageErrorCode>('payload_too_large', `An image may have ${maxBytes} bytes at most.`);

export const lengthRequired = (maxBytes: number) =>
  new AppError<ImageErrorCode>(
    'payload_too_large',
    `Without a Content-Length an image may have ${maxBytes} bytes at most.`,
  );

export const notAnImageType = () =>
  new AppError<ImageErrorCode>(
    'unsupported_media_type',
    'The body must be the bytes of an image, as image/* or application/octet-stream, unencoded.',
  );

/** @param reason a clause: `it is cut short`. */
export const notAnImage = (reason: string) =>
  new AppError<ImageErrorCode>('invalid_request', `The body is no valid image: ${reason}.`);

export const uploadBroken = (cause: unknown) =>
  new AppError<ImageErrorCode>('invalid_request', 'The body could not be read to its end.', {
    cause,
  });

/** @param limits a sentence. */
export const imageTooLargeToConvert = (limits: string) =>
  new AppError<ImageErrorCode>('image_too_large_to_convert', limits);

export const imageNotConvertible = (cause: unknown) =>
  new AppError<ImageErrorCode>(
    'image_not_convertible',
    'This image cannot be converted. It can be had as it is, without `width` and `format`.',
    { cause },
  );

/** Too much is converted at once, or what converts is away. */
export const conversionBusy = (cause: unknown) =>
  new AppError<ImageErrorCode>('unavailable', 'The image cannot be converted right now.', {
    retryAfterMs: 2_000,
    cause,
  });

export const noSuchVariant = (errors: readonly FieldError[]) =>
  new AppError<ImageErrorCode>(
    'invalid_request',
    `Not valid: ${errors.map(({ path }) => path).join(', ')}.`,
    { errors },
  );
