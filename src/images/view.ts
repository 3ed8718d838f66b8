/** An image as clients see it, wherever one is shown. */
import { z } from '@hono/zod-openapi';
import { nextCursor } from '../platform/openapi';
import { placeOf } from './keys';
import { imageUrl, manifestUrl, signedUrl } from './links';
import { type ImageView, imageViewSchema, type StoredImage } from './types';

export const imageTags = ['Images'];
export const imageParams = z.object({ id: z.string().openapi({ example: 'img_0…_1_0' }) });

export const imagePageSchema = z
  .object({ items: z.array(imageViewSchema), next_cursor: nextCursor })
  .openapi('ImageList');

export function presentImage(
  image: StoredImage,
  via: { readonly origin: string; readonly linkSecret: string },
): ImageView {
  const { id: imageId, expiresAt } = image;
  const { origin, linkSecret: secret } = via;
  const place = placeOf(imageId);
  const requestId = place && 'requestId' in place ? place.requestId : null;
  return {
    id: imageId,
    url: imageUrl(origin, imageId),
    signed_url: signedUrl({ origin, imageId, expiresAt, secret }),
    manifest_url: requestId && manifestUrl(origin, imageId),
    width: image.width,
    height: image.height,
    media_type: image.mediaType,
    bytes: image.bytes,
    sha256: image.sha256,
    seed: image.seed,
    model: image.model,
    provider: image.provider,
    provider_model: image.providerModel,
    request_id: requestId,
    created_at: new Date(image.createdAt).toISOString(),
    expires_at: new Date(expiresAt).toISOString(),
  };
}
