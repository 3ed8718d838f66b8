/** Images as they are served: to their owner, and behind a verified link to anybody. */
import type { UserId } from '../platform/ids';
import type { Logger } from '../platform/log';
import { imageNotFound, imagesUnavailable, rangeNotSatisfiable } from './errors';
import { type Place, placeOf } from './keys';
import type { ImageFacts } from './objects';
import { type Asked, type ByteRange, select } from './selection';
import type { ImageStore } from './store';

/** All that an answer with an image's bytes tells of it. */
export type ServedFacts = Pick<
  ImageFacts,
  'id' | 'mediaType' | 'bytes' | 'etag' | 'createdAt' | 'expiresAt'
>;

export type OpenedImage =
  | { readonly answer: 'not_modified'; readonly facts: ServedFacts }
  | { readonly answer: 'whole'; readonly facts: ServedFacts; readonly body: ReadableStream | null }
  | {
      readonly answer: 'part';
      readonly facts: ServedFacts;
      readonly body: ReadableStream;
      readonly range: ByteRange;
    };

export interface Asking {
  /** As it came; it may be anything. */
  readonly id: string;
  /** Null behind a verified link, which opens its image to anybody. */
  readonly viewer: UserId | null;
  readonly now: number;
}

/** What of it is asked for. `headOnly`: no body, and no range is looked at (RFC 9110, 14.2). */
export interface Wanted {
  readonly asked: Asked;
  readonly headOnly: boolean;
}

/** An image, or a copy of one, wherever it lies. Both throw the errors of `open`. */
export interface Source<Facts extends ServedFacts = ServedFacts> {
  describe(): Promise<Facts>;
  /** A body that is not read must be cancelled. */
  read(range: ByteRange | null): Promise<{ readonly facts: Facts; readonly body: ReadableStream }>;
}

export interface ImageReader {
  /**
   * @throws AppError `not_found` (malformed, unknown, another's, past its time),
   * `range_not_satisfiable`, `unavailable`.
   */
  open(input: Asking & Wanted): Promise<OpenedImage>;
  /** @throws AppError `not_found`, `unavailable`. */
  describe(input: Asking): Promise<ImageFacts>;
  /** Asks for nothing yet. */
  source(input: Asking): Source<ImageFacts>;
}

export function createImageReader({
  store,
  log,
}: {
  readonly store: Pick<ImageStore, 'getImage' | 'headImage'>;
  readonly log: Logger;
}): ImageReader {
  const ask = async <T>(
    { id }: { readonly id: string },
    call: (place: Place) => Promise<T | null>,
  ): Promise<T> => {
    const place = placeOf(id);
    const found =
      place &&
      (await call(place).catch((error) => {
        log.error('image.read_failed', { image_id: id, error });
        throw imagesUnavailable();
      }));
    if (!found) throw imageNotFound();
    return found;
  };

  const describe: ImageReader['describe'] = async (input) => {
    const facts = await ask(input, (place) => store.headImage(place));
    if (!isVisible(facts, input)) throw imageNotFound();
    return facts;
  };

  const source: ImageReader['source'] = (input) => ({
    describe: () => describe(input),
    async read(range) {
      const image = await ask(input, (place) => store.getImage({ place, range }));
      if (isVisible(image.facts, input)) return image;
      await image.body.cancel();
      throw imageNotFound();
    },
  });

  return { open: (input) => openFrom(source(input), input), describe, source };
}

/** @throws AppError `range_not_satisfiable`, and what the source throws. */
export async function openFrom(source: Source, wanted: Wanted): Promise<OpenedImage> {
  const { headOnly } = wanted;
  const asked = headOnly ? { ...wanted.asked, range: null } : wanted.asked;
  // The bytes are opened at once only where they are sure to be wanted whole.
  if (isPlain(asked) && !headOnly) return { answer: 'whole', ...(await source.read(null)) };
  const facts = await source.describe();
  const selection = select(asked, facts);
  switch (selection.select) {
    case 'nothing_new':
      return { answer: 'not_modified', facts };
    case 'beyond_end':
      throw rangeNotSatisfiable(facts.bytes);
    case 'part': {
      const { range } = selection;
      return { answer: 'part', ...(await source.read(range)), range };
    }
    case 'whole':
      if (headOnly) return { answer: 'whole', facts, body: null };
      return { answer: 'whole', ...(await source.read(null)) };
  }
}

function isVisible(facts: ImageFacts, { viewer, now }: Asking): boolean {
  return now < facts.expiresAt && (viewer === null || viewer === facts.userId);
}

function isPlain(asked: Asked): boolean {
  return asked.ifNoneMatch === null && asked.ifModifiedSince === null && asked.range === null;
}
