/** Content blocks: links to images, and pictures of them, as many as an answer can carry. */
import type { ContentBlock } from '@modelcontextprotocol/server';
import type { UserId } from '../accounts/types';
import type { ImageView } from '../images/types';
import type { McpDeps } from './caller';
import { openPicture, type Picture, type PictureBound } from './pictures';
import { imageUri } from './uris';

/** Enough to see what came out; a model pays for every pixel it is shown. */
export const INLINE: PictureBound = { maxBytes: 262_144, copyWidth: 512 };
/** 1 MiB in base64, which is what some clients take of one answer. */
const MAX_INLINE_BYTES = 3 * INLINE.maxBytes;

export const textBlock = (text: string): ContentBlock => ({ type: 'text', text });

export const linkBlock = (image: ImageView): ContentBlock => ({
  type: 'resource_link',
  uri: imageUri(image.id),
  name: image.id,
  description: `${image.width}x${image.height}${image.model ? `, by ${image.model}` : ''}`,
  mimeType: image.media_type,
  size: image.bytes,
});

export const pictureBlock = ({ bytes, mediaType }: Picture): ContentBlock => ({
  type: 'image',
  data: Buffer.from(bytes).toString('base64'),
  mimeType: mediaType,
});

/** One after the other, and none that is not to be had: the links lead to all of them. */
export async function pictureBlocks(
  images: readonly ImageView[],
  { imageContent, now, viewer }: Pick<McpDeps, 'imageContent' | 'now'> & { viewer: UserId },
): Promise<ContentBlock[]> {
  const blocks: ContentBlock[] = [];
  let left = MAX_INLINE_BYTES;
  for (const image of images) {
    if (left < INLINE.maxBytes) break;
    const wanted = { image, viewer, bound: INLINE, now: now() };
    const picture = await openPicture(imageContent, wanted).catch(() => null);
    if (!picture) continue;
    left -= picture.bytes.byteLength;
    blocks.push(pictureBlock(picture));
  }
  return blocks;
}

export const lineOf = (image: ImageView) =>
  `${image.id} ${image.width}x${image.height} ${image.media_type}: ${image.signed_url}`;
