/** Image ids and R2 object keys are two spellings of the same place. */
import { ID_BODY_PATTERN, type RequestId, type UserId } from '../platform/ids';
import { IMAGE_ID_PATTERN, type ImageId, type ImagePlace } from './types';

export function imageIdOf(place: ImagePlace): ImageId {
  return `img_${place.requestId.slice('req_'.length)}_${place.attempt}_${place.index}`;
}

export function placeOf(id: string): ImagePlace | null {
  const match = IMAGE_ID_PATTERN.exec(id);
  if (!match) return null;
  const [, body, attempt, index] = match;
  const requestId: RequestId = `req_${body}`;
  return { requestId, attempt: Number(attempt), index: Number(index) };
}

export function objectKeyOf(place: ImagePlace): string {
  return `images/${place.requestId}/${place.attempt}/${place.index}`;
}

/** Input images: the same bytes of the same user are stored once. */
export function uploadKeyOf(input: { userId: string; sha256: string }): string {
  return `uploads/${input.userId}/${input.sha256}`;
}

const UPLOAD_ID = new RegExp(`^img_(${ID_BODY_PATTERN})_([0-9a-f]{64})$`);

/** `img_<user id body>_<sha-256>`: an input image, found by its owner and its content. */
export function uploadIdOf(input: { userId: UserId; sha256: string }): ImageId {
  return `img_${input.userId.slice('usr_'.length)}_${input.sha256}`;
}

export function placeOfUpload(id: string): { userId: UserId; sha256: string } | null {
  const match = UPLOAD_ID.exec(id);
  const [, body, sha256] = match ?? [];
  return body === undefined || sha256 === undefined ? null : { userId: `usr_${body}`, sha256 };
}
