/** Bytes of images for agents to look at: the image where it is small, a smaller copy where not. */
import type { UserId } from '../accounts/types';
import type { ImageContent } from '../images/serving';
import { asItIs, type VariantAsk, type VariantWidth } from '../images/variants/plan';
import { AppError } from '../platform/errors';

export interface Picture {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
}

/** An image beyond `maxBytes` is shown as a JPEG of this width, if that is within them. */
export interface PictureBound {
  readonly maxBytes: number;
  readonly copyWidth: VariantWidth;
}

const plain = { ifNoneMatch: null, ifModifiedSince: null, range: null, ifRange: null };

interface Wanted {
  readonly image: { readonly id: string; readonly bytes: number };
  readonly viewer: UserId;
  readonly bound: PictureBound;
  readonly now: number;
}

/**
 * Null when it cannot be had within the bound.
 * @throws AppError `not_found`, `unavailable`.
 */
export async function openPicture(
  content: Pick<ImageContent, 'open'>,
  { image, viewer, bound, now }: Wanted,
): Promise<Picture | null> {
  const isSmall = image.bytes <= bound.maxBytes;
  const variant: VariantAsk = isSmall ? asItIs : { width: bound.copyWidth, format: 'jpeg' };
  return openVariant(content, { id: image.id, variant, viewer, maxBytes: bound.maxBytes, now });
}

export async function openVariant(
  content: Pick<ImageContent, 'open'>,
  asked: {
    readonly id: string;
    readonly variant: VariantAsk;
    readonly viewer: UserId;
    readonly maxBytes: number;
    readonly now: number;
  },
): Promise<Picture | null> {
  const { maxBytes, ...wanted } = asked;
  try {
    const opened = await content.open({ ...wanted, headOnly: false, asked: plain });
    if (opened.answer === 'not_modified' || !opened.body) return null;
    if (opened.facts.bytes > maxBytes) {
      await opened.body.cancel();
      return null;
    }
    const bytes = new Uint8Array(await new Response(opened.body).arrayBuffer());
    return { bytes, mediaType: opened.facts.mediaType };
  } catch (fault) {
    if (fault instanceof AppError && isInconvertible(fault)) return null;
    throw fault;
  }
}

const isInconvertible = ({ code }: AppError) =>
  code === 'image_too_large_to_convert' || code === 'image_not_convertible';
