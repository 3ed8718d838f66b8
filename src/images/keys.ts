/** Image ids and R2 object keys are two spellings of the same place. */
import { ID_BODY_PATTERN, isId, type RequestId, type UserId } from '../platform/ids';
import { IMAGE_ID_PATTERN, type ImageId, type ImagePlace, type UploadPlace } from './types';

export const IMAGES_PREFIX = 'images/';
export const UPLOADS_PREFIX = 'uploads/';

export type Place = ImagePlace | UploadPlace;

const OBJECT_KEY = /^images\/(req_[^/]+)\/([1-9]\d?)\/(\d)(|\.part|@.+)$/;

/** What an object under `images/` is. */
export type ObjectKind = 'image' | 'part' | 'variant';

const UPLOAD_ID = new RegExp(`^img_(${ID_BODY_PATTERN})_([0-9a-f]{64})$`);

export function imageIdOf(place: Place): ImageId {
  return 'requestId' in place
    ? `img_${place.requestId.slice('req_'.length)}_${place.attempt}_${place.index}`
    : `img_${place.userId.slice('usr_'.length)}_${place.sha256}`;
}

export function placeOf(id: string): Place | null {
  const made = IMAGE_ID_PATTERN.exec(id);
  if (made) {
    const [, body, attempt, index] = made;
    return { requestId: `req_${body}`, attempt: Number(attempt), index: Number(index) };
  }
  const [, body, sha256] = UPLOAD_ID.exec(id) ?? [];
  return body === undefined || sha256 === undefined ? null : { userId: `usr_${body}`, sha256 };
}

export function objectKeyOf(place: Place): string {
  return 'requestId' in place
    ? `${prefixOfRequest(place.requestId)}${place.attempt}/${place.index}`
    : `${prefixOfUploads(place.userId)}${place.sha256}`;
}

/** The image that an object under `images/` is, or lies beside; null for a key that is not made here. */
export function nextTo(
  key: string,
): { readonly place: ImagePlace; readonly is: ObjectKind } | null {
  const [, request = '', attempt, index, rest] = OBJECT_KEY.exec(key) ?? [];
  if (!isId('req', request)) return null;
  const is = rest === '' ? 'image' : rest === '.part' ? 'part' : 'variant';
  return { place: { requestId: request, attempt: Number(attempt), index: Number(index) }, is };
}

/** Sorts behind an image and all that lies beside it, and before the next image. */
export const behind = (place: Place) => `${objectKeyOf(place)}A`;

/** The request or the user that a key names; null for a key that is not made here. */
export function ownerOf(key: string): RequestId | UserId | null {
  const [, owner = ''] = key.split('/');
  return isId('req', owner) || isId('usr', owner) ? owner : null;
}

/** Bytes on their way to an image of a request; it lies where the request's objects are deleted. */
export const partKeyOf = (place: ImagePlace) => `${objectKeyOf(place)}.part`;

/** The same for an upload, whose place is known only at its end. */
export const uploadPartKeyOf = (userId: UserId, unique: string) =>
  `${prefixOfUploads(userId)}${unique}.part`;

/** A smaller or otherwise encoded copy of an image; it is deleted along with it. */
export const variantKeyOf = (place: Place, name: string) => `${prefixOfVariants(place)}${name}`;
export const prefixOfVariants = (place: Place) => `${objectKeyOf(place)}@`;

export const prefixOfRequest = (requestId: RequestId) => `${IMAGES_PREFIX}${requestId}/`;
export const prefixOfUploads = (userId: UserId) => `${UPLOADS_PREFIX}${userId}/`;
