/** The bytes of images and of their copies: by key from where they lie, by link through the cache. */
import type { UserId } from '../platform/ids';
import { imageNotFound } from './errors';
import { type Place, placeOf } from './keys';
import { type ImageReader, type OpenedImage, openFrom, type Source, type Wanted } from './reader';
import type { SharedCache } from './shared-cache';
import type { Variants } from './variants/making';
import { planVariant, type VariantAsk } from './variants/plan';

export interface ContentWanted extends Wanted {
  /** As it came; it may be anything. */
  readonly id: string;
  readonly variant: VariantAsk;
  readonly now: number;
}

/** `readAt`, in epoch ms: from then on it may have been deleted. */
export type ServedImage = OpenedImage & { readonly readAt: number };

/**
 * Both throw AppError `not_found` (malformed, unknown, another's, past its time),
 * `range_not_satisfiable`, `image_too_large_to_convert`, `image_not_convertible`, `unavailable`.
 */
export interface ImageContent {
  open(input: ContentWanted & { readonly viewer: UserId }): Promise<ServedImage>;
  /** Behind a verified link. Asks neither D1 nor a foreman, and while it is cached not R2 either. */
  openShared(input: ContentWanted): Promise<ServedImage>;
  /** For whoever has deleted the image: no link opens it here from now on. Never throws. */
  forgetCached(place: Place): Promise<void>;
}

export function createImageContent(deps: {
  readonly reader: Pick<ImageReader, 'source'>;
  readonly variants: Variants;
  readonly shared: SharedCache;
}): ImageContent {
  const { reader, variants, shared } = deps;

  /** The image itself or its copy, found out when it is first needed. */
  const sourceFor = (
    input: Omit<ContentWanted, keyof Wanted>,
    viewer: UserId | null,
    place: Place,
  ): Source => {
    const original = reader.source({ ...input, viewer });
    const { variant } = input;
    if (variant.width === null && variant.format === null) return original;
    let found: Promise<Source> | null = null;
    const choose = async () => {
      const image = await original.describe();
      const plan = planVariant(image, variant);
      return plan ? variants.source({ image, place, plan, original }) : original;
    };
    const chosen = () => {
      found ??= choose();
      return found;
    };
    return {
      describe: async () => (await chosen()).describe(),
      read: async (range) => (await chosen()).read(range),
    };
  };

  const placeIn = ({ id }: ContentWanted) => {
    const place = placeOf(id);
    if (!place) throw imageNotFound();
    return place;
  };

  return {
    async open({ viewer, ...input }) {
      const source = sourceFor(input, viewer, placeIn(input));
      return { ...(await openFrom(source, input)), readAt: input.now };
    },

    async openShared(input) {
      const { variant, now } = input;
      const place = placeIn(input);
      const origin = sourceFor(input, null, place);
      const key = { place, variant, now };
      const entry = await shared.find({ ...key, origin });
      if (!entry) {
        const opened = await openFrom(origin, input);
        if (opened.answer !== 'whole' || !opened.body) return { ...opened, readAt: now };
        const { facts, body } = opened;
        return { ...opened, body: shared.keep({ ...key, origin }, { facts, body }), readAt: now };
      }
      try {
        return { ...(await openFrom(entry.source, input)), readAt: entry.readAt };
      } finally {
        entry.drop();
      }
    },

    forgetCached: (place) => shared.forget(place),
  };
}
