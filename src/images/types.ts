import { z } from '@hono/zod-openapi';
import { ID_BODY_PATTERN, type RequestId, type UserId } from '../platform/ids';

/**
 * `img_<request id body>_<attempt>_<index>` for what a request made, `img_<user id body>_<sha-256>`
 * for an upload: the R2 key can be read off it.
 */
export type ImageId = `img_${string}`;

/** Where an image lies: request, attempt (from 1) and index within the attempt (from 0). */
export interface ImagePlace {
  readonly requestId: RequestId;
  readonly attempt: number;
  readonly index: number;
}

/** Where an upload lies: the same bytes of the same user are stored once. */
export interface UploadPlace {
  readonly userId: UserId;
  /** Hex. */
  readonly sha256: string;
}

export const mediaTypes = ['image/png', 'image/jpeg', 'image/webp', 'image/gif'] as const;
export type MediaType = (typeof mediaTypes)[number];

export const IMAGE_ID_PATTERN = new RegExp(`^img_(${ID_BODY_PATTERN})_([1-9]\\d?)_(\\d)$`);

export const MAX_IMAGE_BYTES = 20 * 1024 * 1024;

/** An image on its way here. */
export interface OpenImage {
  readonly body: ReadableStream<Uint8Array>;
  /** Bytes to come; null when the sender does not say. */
  readonly length: number | null;
}

/** An image to be stored, not yet looked at: held in memory, or to be opened when it is stored. */
export type ImageSource = {
  readonly seed: number | null;
} & (
  | { readonly bytes: Uint8Array }
  /** May be called again. @throws Error whose message says why there is no image to be had. */
  | { readonly open: (signal: AbortSignal) => Promise<OpenImage> }
);

/** What an image is, as its bytes tell. */
export interface Measures {
  readonly mediaType: MediaType;
  readonly width: number;
  readonly height: number;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

/** What made an image; null throughout for an upload. */
export interface Maker {
  /** As it was asked for. */
  readonly model: string | null;
  readonly provider: string | null;
  /** The provider's own name of the model. */
  readonly providerModel: string | null;
}

export const noMaker: Maker = { model: null, provider: null, providerModel: null };

/** One image as the request's output keeps it. `id` leads to the R2 object without a look-up. */
export interface StoredImage extends Maker {
  readonly id: ImageId;
  readonly width: number;
  readonly height: number;
  readonly mediaType: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly seed: number | null;
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** An image as clients see it. */
export const imageViewSchema = z
  .object({
    id: z.string(),
    url: z.url().describe('Stable; wants the API key'),
    signed_url: z.url().describe('Opens without a key until the image expires or is deleted'),
    manifest_url: z.url().nullable().describe('How it was made, signed; null for an upload'),
    width: z.int(),
    height: z.int(),
    media_type: z.string(),
    bytes: z.int(),
    sha256: z.string(),
    seed: z.int().nullable(),
    model: z.string().nullable().describe('As it was asked for; null for an upload'),
    provider: z.string().nullable().describe('That made it; null for an upload'),
    provider_model: z
      .string()
      .nullable()
      .describe("The provider's own name of the model; null for an upload"),
    request_id: z.string().nullable().describe('The request that made it; null for an upload'),
    created_at: z.iso.datetime(),
    expires_at: z.iso.datetime(),
  })
  .openapi('Image');
export type ImageView = z.output<typeof imageViewSchema>;
