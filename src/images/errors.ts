import { AppError } from '../platform/errors';

export type ImageErrorCode =
  | 'not_found'
  | 'gone'
  | 'range_not_satisfiable'
  | 'payload_too_large'
  | 'unsupported_media_type'
  | 'invalid_request'
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
