/**
 * Input images: taken from a data URL, an image id or a URL. A data URL is put to R2 before
 * admission, because the request's row holds 2 MB at most, and is an image id from then on.
 */
import { inspectImage } from '../images/inspect';
import { objectKeyOf, placeOf, placeOfUpload, uploadIdOf, uploadKeyOf } from '../images/keys';
import { MAX_IMAGE_BYTES } from '../images/types';
import { AppError } from '../platform/errors';
import type { UserId } from '../platform/ids';
import { inputsUnavailable, invalidGeneration } from './errors';
import type { FetchedImage } from './fetch-image';
import type { InputImage } from './providers/provider';
import type { GenerationInput } from './types';

const DATA_URL = /^data:(image\/[a-z0-9.+-]+)?;base64,([a-z0-9+/=\s]*)$/i;

export type LoadedInput =
  | { readonly ok: true; readonly image: InputImage }
  /** `final`: another try would find the same. */
  | { readonly ok: false; readonly final: boolean; readonly reason: string };

export interface InputStore {
  /** Puts data URLs away; the answer holds ids and URLs only. */
  keep(input: { userId: UserId; input: GenerationInput }): Promise<GenerationInput>;
  load(input: { userId: UserId; reference: string; timeoutMs: number }): Promise<LoadedInput>;
}

export interface InputStoreDeps {
  readonly bucket: Pick<R2Bucket, 'put'>;
  /** The bytes of an image or upload of this user; null when there is none. */
  readonly read: (input: { userId: UserId; id: string }) => Promise<Uint8Array | null>;
  readonly exists: (input: { userId: UserId; id: string }) => Promise<boolean>;
  /** Refusals and failures come back as a reason. */
  readonly fetchUrl: (input: {
    url: string;
    timeoutMs: number;
    maxBytes: number;
  }) => Promise<FetchedImage>;
}

export function createInputStore(deps: InputStoreDeps): InputStore {
  const keepOne = async (userId: UserId, path: 'image' | 'mask', reference: string) => {
    const fault = (message: string) => invalidGeneration([{ path, message }]);
    if (/^https?:/i.test(reference)) return reference;
    if (reference.startsWith('img_')) {
      if (!(await deps.exists({ userId, id: reference }))) throw fault('there is no such image');
      return reference;
    }
    const encoded = DATA_URL.exec(reference)?.[2];
    if (encoded === undefined)
      throw fault('must be an image id, a base64 data URL or an https URL');
    const bytes = new Uint8Array(Buffer.from(encoded, 'base64'));
    const inspected = inspectImage(bytes);
    if (!inspected.ok) throw fault(inspected.reason);
    const digest = await crypto.subtle.digest('SHA-256', bytes);
    const sha256 = Buffer.from(digest).toString('hex');
    await deps.bucket.put(uploadKeyOf({ userId, sha256 }), bytes, {
      sha256: digest,
      httpMetadata: { contentType: inspected.mediaType },
      customMetadata: {
        user: userId,
        sha256,
        width: String(inspected.width),
        height: String(inspected.height),
      },
    });
    return uploadIdOf({ userId, sha256 });
  };

  return {
    async keep({ userId, input }) {
      const kept = { ...input };
      try {
        if (input.image !== undefined) kept.image = await keepOne(userId, 'image', input.image);
        if (input.mask !== undefined) kept.mask = await keepOne(userId, 'mask', input.mask);
      } catch (error) {
        throw error instanceof AppError ? error : inputsUnavailable(error);
      }
      return kept;
    },

    async load({ userId, reference, timeoutMs }) {
      const found = reference.startsWith('img_')
        ? await readStored(deps, userId, reference)
        : await deps.fetchUrl({
            url: reference,
            timeoutMs,
            maxBytes: MAX_IMAGE_BYTES,
          });
      if (!found.ok) return found;
      const inspected = inspectImage(found.bytes);
      if (!inspected.ok) {
        return { ok: false, final: true, reason: `The input is no image: ${inspected.reason}` };
      }
      return { ok: true, image: { bytes: found.bytes, mediaType: inspected.mediaType } };
    },
  };
}

async function readStored(deps: InputStoreDeps, userId: UserId, id: string) {
  const bytes = await deps.read({ userId, id });
  if (!bytes) return { ok: false as const, final: true, reason: 'The input image is gone.' };
  return { ok: true as const, bytes };
}

/** Finds an image or upload by its id, for its owner only. */
export function createImageReader(
  bucket: Pick<R2Bucket, 'get' | 'head'>,
): Pick<InputStoreDeps, 'read' | 'exists'> {
  const isOf = (object: R2Object | null, userId: UserId) => object?.customMetadata?.user === userId;
  return {
    async read({ userId, id }) {
      const key = keyOf(userId, id);
      const object = key === null ? null : await bucket.get(key);
      return object && isOf(object, userId) ? object.bytes() : null;
    },
    async exists({ userId, id }) {
      const key = keyOf(userId, id);
      return key !== null && isOf(await bucket.head(key), userId);
    },
  };
}

function keyOf(userId: UserId, id: string): string | null {
  const upload = placeOfUpload(id);
  if (upload) return upload.userId === userId ? uploadKeyOf(upload) : null;
  const place = placeOf(id);
  return place && objectKeyOf(place);
}
