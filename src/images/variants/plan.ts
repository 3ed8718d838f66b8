/**
 * Which copies of an image there may be: some widths and three formats, so that whoever holds a link
 * can have a few dozen made, and no thousands.
 */
import type { PixelSize } from '../formats';
import type { MediaType } from '../types';

export const variantWidths = [
  ...[32, 64, 96, 128, 192, 256, 384, 512, 640, 768],
  ...[1024, 1280, 1536, 2048],
] as const;
export type VariantWidth = (typeof variantWidths)[number];

export const variantFormats = ['png', 'jpeg', 'webp'] as const;
export type VariantFormat = (typeof variantFormats)[number];

/** Null: as the image has it. */
export interface VariantAsk {
  readonly width: VariantWidth | null;
  readonly format: VariantFormat | null;
}

export const asItIs: VariantAsk = { width: null, format: null };

/** A copy that differs from its image. `name` is its name beside it, `256.webp` or `full.webp`. */
export interface VariantPlan extends PixelSize {
  readonly name: string;
  readonly format: VariantFormat;
}

/** Every ask there is, the image itself included. */
export const everyAsk: readonly VariantAsk[] = [null, ...variantWidths].flatMap((width) =>
  [null, ...variantFormats].map((format) => ({ width, format })),
);

/** One name for each ask; several of them may lead to the same copy. */
export const nameOfAsk = ({ width, format }: VariantAsk) =>
  `${width ?? 'full'}.${format ?? 'same'}`;

/** Null when the image itself is what is asked for: it is never enlarged. */
export function planVariant(
  image: PixelSize & { readonly mediaType: MediaType },
  ask: VariantAsk,
): VariantPlan | null {
  const own = formatOf(image.mediaType);
  const width = Math.min(ask.width ?? image.width, image.width);
  const isSameSize = width === image.width;
  if (isSameSize && (ask.format === null || ask.format === own)) return null;
  const format = ask.format ?? own ?? 'png';
  const height = Math.max(1, Math.round((image.height * width) / image.width));
  return { name: `${isSameSize ? 'full' : width}.${format}`, format, width, height };
}

/** Null for GIF, which is read and not written. */
function formatOf(mediaType: MediaType): VariantFormat | null {
  return variantFormats.find((format) => mediaTypeOf(format) === mediaType) ?? null;
}

export const mediaTypeOf = (format: VariantFormat): `image/${VariantFormat}` => `image/${format}`;
