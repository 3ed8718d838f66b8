/**
 * Input images: taken from a data URL, an image id or a URL. A data URL is put to R2 before
 * admission, because the request's row holds 2 MB at most, and is an image id from then on.
 */
import { inspectImage } from '../images/inspect';
import type { ImageService } from '../images/service';
import { MAX_IMAGE_BYTES } from '../images/types';
import { AppError } from '../platform/errors';
import type { UserId } from '../platform/ids';
import { inputsUnavailable, invalidGeneration } from './errors';
import type { FetchedImage } from './fetch-image';
import type { InputImage } from './providers/provider';
import type { GenerationInput } from './types';

const DATA_URL = /^data:(image\/[a-z0-9.+-]+)?;base64,([a-z0-9+/=\s]*)$/i;

type Part = 'image' | 'mask';

export type LoadedInput =
  | { readonly ok: true; readonly image: InputImage }
  /** `final`: another try would find the same. */
  | { readonly ok: false; readonly final: boolean; readonly reason: string };

export interface InputStore {
  /** Refuses what `keep` would refuse, and keeps nothing. */
  check(input: { userId: UserId; input: GenerationInput }): Promise<void>;
  /** Puts data URLs away; the answer holds ids and URLs only. */
  keep(input: { userId: UserId; input: GenerationInput }): Promise<GenerationInput>;
  load(input: {
    userId: UserId;
    reference: string;
    timeoutMs: number;
    signal?: AbortSignal;
  }): Promise<LoadedInput>;
}

export interface InputStoreDeps {
  readonly images: Pick<ImageService, 'keepUpload' | 'exists' | 'readBytes'>;
  /** Refusals and failures come back as a reason. */
  readonly fetchUrl: (input: {
    url: string;
    timeoutMs: number;
    maxBytes: number;
    signal?: AbortSignal;
  }) => Promise<FetchedImage>;
  /** Epoch ms. */
  readonly now: () => number;
}

export function createInputStore(deps: InputStoreDeps): InputStore {
  const faultAt = (path: Part, message: string) => invalidGeneration([{ path, message }]);

  /** The bytes of a data URL; anything else is a reference that stays as it is. */
  const read = async (userId: UserId, path: Part, reference: string) => {
    if (/^https?:/i.test(reference)) return reference;
    if (reference.startsWith('img_')) {
      const isThere = await deps.images.exists({ userId, id: reference, now: deps.now() });
      if (!isThere) throw faultAt(path, 'there is no such image');
      return reference;
    }
    const encoded = DATA_URL.exec(reference)?.[2];
    if (encoded !== undefined) return new Uint8Array(Buffer.from(encoded, 'base64'));
    throw faultAt(path, 'must be an image id, a base64 data URL or an https URL');
  };

  const checkOne = async (userId: UserId, path: Part, reference: string) => {
    const bytes = await read(userId, path, reference);
    if (typeof bytes === 'string') return;
    const inspected = inspectImage(bytes);
    if (!inspected.ok) throw faultAt(path, inspected.reason);
  };

  const keepOne = async (userId: UserId, path: Part, reference: string) => {
    const bytes = await read(userId, path, reference);
    if (typeof bytes === 'string') return bytes;
    const kept = await deps.images.keepUpload({ userId, image: { bytes }, now: deps.now() });
    if (kept.outcome === 'invalid') throw faultAt(path, kept.reason);
    return kept.image.id;
  };

  return {
    async check({ userId, input: { image, mask } }) {
      await orUnavailable(async () => {
        if (image !== undefined) await checkOne(userId, 'image', image);
        if (mask !== undefined) await checkOne(userId, 'mask', mask);
      });
    },

    async keep({ userId, input }) {
      const kept = { ...input };
      await orUnavailable(async () => {
        if (input.image !== undefined) kept.image = await keepOne(userId, 'image', input.image);
        if (input.mask !== undefined) kept.mask = await keepOne(userId, 'mask', input.mask);
      });
      return kept;
    },

    async load({ userId, reference, ...limits }) {
      const found = reference.startsWith('img_')
        ? await readStored(deps, userId, reference)
        : await deps.fetchUrl({ url: reference, ...limits, maxBytes: MAX_IMAGE_BYTES });
      if (!found.ok) return found;
      const inspected = inspectImage(found.bytes);
      if (!inspected.ok) {
        return { ok: false, final: true, reason: `The input is no image: ${inspected.reason}` };
      }
      return { ok: true, image: { bytes: found.bytes, mediaType: inspected.mediaType } };
    },
  };
}

async function orUnavailable(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw error instanceof AppError ? error : inputsUnavailable(error);
  }
}

/** Past its time too: the request was accepted while the image was there. */
async function readStored(deps: InputStoreDeps, userId: UserId, id: string) {
  const bytes = await deps.images.readBytes({ userId, id });
  if (!bytes) return { ok: false as const, final: true, reason: 'The input image is gone.' };
  return { ok: true as const, bytes };
}
