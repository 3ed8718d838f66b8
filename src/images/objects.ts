/** An image as its R2 object tells it: the bytes are the object's, all else is in its metadata. */
import { z } from 'zod';
import type { RequestId, UserId } from '../platform/ids';
import { imageIdOf, type Place } from './keys';
import { type ImageId, type Maker, type Measures, mediaTypes } from './types';

/** Times in epoch ms. */
export interface ImageFacts extends Measures, Maker {
  readonly id: ImageId;
  /** Null for an upload. */
  readonly requestId: RequestId | null;
  readonly userId: UserId;
  readonly seed: number | null;
  /** As a header has it, with quotes. */
  readonly etag: string;
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** All that an image's own view needs. */
export type ImageDescription = Omit<ImageFacts, 'etag'>;

export type NewImage = Omit<ImageFacts, 'id' | 'requestId' | 'etag'> & { readonly place: Place };

/** R2 refuses bytes that do not match the hash. */
export function putOptionsOf(image: NewImage): R2PutOptions {
  return {
    sha256: image.sha256,
    httpMetadata: { contentType: image.mediaType },
    customMetadata: {
      user: image.userId,
      sha256: image.sha256,
      width: String(image.width),
      height: String(image.height),
      ...(image.seed === null ? {} : { seed: String(image.seed) }),
      ...(image.model === null ? {} : { model: image.model }),
      ...(image.provider === null ? {} : { provider: image.provider }),
      ...(image.providerModel === null ? {} : { provider_model: image.providerModel }),
      created_at: String(image.createdAt),
      expires_at: String(image.expiresAt),
    },
  };
}

const count = z
  .string()
  .regex(/^\d{1,16}$/)
  .transform(Number);
const metadataSchema = z.object({
  user: z
    .string()
    .startsWith('usr_')
    .transform((id) => id as UserId),
  sha256: z.string(),
  width: count,
  height: count,
  seed: count.optional(),
  // Objects of earlier versions do not say what made them.
  model: z.string().optional(),
  provider: z.string().optional(),
  provider_model: z.string().optional(),
  created_at: count.optional(),
  expires_at: count.optional(),
});

/** @throws ZodError for an object without the metadata of `putOptionsOf`. */
export function factsOf(place: Place, object: R2Object): ImageFacts {
  const metadata = metadataSchema.parse(object.customMetadata);
  return {
    id: imageIdOf(place),
    requestId: 'requestId' in place ? place.requestId : null,
    userId: metadata.user,
    mediaType: z.enum(mediaTypes).parse(object.httpMetadata?.contentType),
    width: metadata.width,
    height: metadata.height,
    bytes: object.size,
    sha256: metadata.sha256,
    seed: metadata.seed ?? null,
    model: metadata.model ?? null,
    provider: metadata.provider ?? null,
    providerModel: metadata.provider_model ?? null,
    etag: object.httpEtag,
    createdAt: metadata.created_at ?? object.uploaded.getTime(),
    expiresAt: expiryOf(object),
  };
}

/** What the first uploads, which do not say when they end, were given by a rule of the bucket. */
const UNTOLD_LIFE_MS = 30 * 86_400_000;

export function expiryOf(object: R2Object): number {
  const told = count.safeParse(object.customMetadata?.expires_at);
  return told.success ? told.data : object.uploaded.getTime() + UNTOLD_LIFE_MS;
}
