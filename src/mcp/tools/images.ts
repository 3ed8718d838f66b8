/** Tools about images that there are. */
import { z } from 'zod';
import { imageListQuerySchema } from '../../images/listing';
import { imageViewSchema } from '../../images/types';
import { asItIs, type VariantAsk, variantWidths } from '../../images/variants/plan';
import { imagePageSchema, presentImage } from '../../images/view';
import { INLINE, lineOf, linkBlock, pictureBlock, textBlock } from '../content';
import { pageArguments, queryOf, TIME_FORM } from '../paging';
import { openPicture, openVariant } from '../pictures';
import { tool } from '../tool';
import { idIn } from '../uris';

const reading = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
};
const id = z.string().max(200).describe('Of an image: img_…');
const [NARROWEST] = variantWidths;
/** A copy that was asked for may be larger than one that is shown unasked. */
const MAX_ASKED_BYTES = 786_432;

const list = imageListQuerySchema.shape;

export const imageTools = [
  tool({
    name: 'list_images',
    title: 'List images',
    description:
      'Images of this account that are still kept, newest first, each with a signed URL that opens ' +
      'it. What was made in the last moments may be missing.',
    annotations: reading,
    input: z.strictObject({
      ...pageArguments,
      source: list.source,
      sort_direction: list.sort_direction,
      request_id: z.string().max(200).optional().describe('The request that made them'),
      model: list.model,
      media_type: list.media_type,
      created_after: list.created_after.describe(TIME_FORM),
      created_before: list.created_before.describe(TIME_FORM),
    }),
    output: imagePageSchema,
    run: async ({ request_id: maker, ...asked }, { caller, deps }) => {
      const requestId = maker === undefined ? undefined : idIn(maker);
      const query = queryOf(imageListQuerySchema, { ...asked, request_id: requestId });
      const { userId } = caller.credential;
      const page = await deps.imageList.list({ userId, query, now: deps.now() });
      const via = { origin: caller.origin, linkSecret: deps.linkSecret };
      const items = page.images.map((image) => presentImage(image, via));
      const more = page.nextCursor === null ? [] : ['There are more: give next_cursor as cursor.'];
      const lines = items.length > 0 ? items.map(lineOf) : ['None.'];
      return {
        content: [textBlock([...lines, ...more].join('\n')), ...items.map(linkBlock)],
        structuredContent: { items, next_cursor: page.nextCursor },
      };
    },
  }),
  tool({
    name: 'get_image',
    title: 'Look at an image',
    description:
      'What an image is, with a fresh signed URL, and a picture of it: the image itself up to ' +
      `${INLINE.maxBytes / 1024} KiB, else a copy of ${INLINE.copyWidth} pixels. max_width asks for ` +
      'another size; an image is never enlarged.',
    annotations: reading,
    input: z.strictObject({
      id,
      max_width: z.int().min(NARROWEST).max(2048).optional().describe('Of the picture, in pixels'),
    }),
    output: imageViewSchema,
    run: async ({ id: named, max_width: maxWidth }, { caller, deps }) => {
      const now = deps.now();
      const viewer = caller.credential.userId;
      const facts = await deps.images.describe({ id: idIn(named), viewer, now });
      const image = presentImage(facts, { origin: caller.origin, linkSecret: deps.linkSecret });
      const picture =
        maxWidth === undefined || maxWidth >= image.width
          ? await openPicture(deps.imageContent, { image, viewer, bound: INLINE, now })
          : await openVariant(deps.imageContent, {
              id: image.id,
              variant: asWideAs(maxWidth),
              viewer,
              maxBytes: MAX_ASKED_BYTES,
              now,
            });
      const text = picture
        ? lineOf(image)
        : `${lineOf(image)}\nToo large to be shown here: open the URL, or give a smaller max_width.`;
      return {
        content: [textBlock(text), linkBlock(image), ...(picture ? [pictureBlock(picture)] : [])],
        structuredContent: { ...image },
      };
    },
  }),
  tool({
    name: 'delete_image',
    title: 'Delete an image',
    description:
      'Deletes an image for good; its links end too, and its request shows it no more. Call again ' +
      'if the answer was lost: then there is no such image.',
    annotations: { ...reading, readOnlyHint: false, destructiveHint: true },
    input: z.strictObject({ id }),
    output: z.object({ id: z.string(), deleted: z.literal(true) }),
    run: async ({ id: named }, { caller, deps }) => {
      const { credential } = caller;
      const image = idIn(named);
      await deps.imageRemoval.remove({ credential, id: image });
      return {
        content: [textBlock(`${image} is deleted.`)],
        structuredContent: { id: image, deleted: true },
      };
    },
  }),
];

/** The widest there is that is no wider. */
function asWideAs(maxWidth: number): VariantAsk {
  const width = variantWidths.findLast((one) => one <= maxWidth) ?? NARROWEST;
  return { ...asItIs, width };
}
