/** A generation's output as clients see it. */
import { imageUrl, signedUrl } from '../images/links';
import type { RequestState, Succeeded } from '../requests/types';
import type { PresentOutput } from '../requests/view';
import type { GenerationOutput } from './types';

export function createPresentGeneration(deps: { readonly linkSecret: string }): PresentOutput {
  return (state) => ({
    images: imagesOf(state).map((image) => ({
      id: image.id,
      url: imageUrl(state.origin, image.id),
      signed_url: signedUrl({
        origin: state.origin,
        imageId: image.id,
        expiresAt: image.expiresAt,
        secret: deps.linkSecret,
      }),
      width: image.width,
      height: image.height,
      media_type: image.mediaType,
      bytes: image.bytes,
      sha256: image.sha256,
      seed: image.seed,
      created_at: new Date(image.createdAt).toISOString(),
      expires_at: new Date(image.expiresAt).toISOString(),
    })),
  });
}

/** A generation's output was written by its own consumer. */
export function imagesOf(state: RequestState): GenerationOutput['images'] {
  if (state.status !== 'succeeded') return [];
  return (state.output as unknown as GenerationOutput).images;
}

/** When the first of the images goes. */
export function outputExpiresAt(state: Succeeded): number {
  return Math.min(...imagesOf(state).map((image) => image.expiresAt));
}
