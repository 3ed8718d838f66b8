/** Images as they are served: to their owner, and behind a verified link to anybody. */
import type { UserId } from '../platform/ids';
import type { Logger } from '../platform/log';
import { imageNotFound, imagesUnavailable, rangeNotSatisfiable } from './errors';
import { type Place, placeOf } from './keys';
import type { ImageFacts } from './objects';
import { type Asked, type ByteRange, select } from './selection';
import type { ImageStore } from './store';

export type OpenedImage =
  | { readonly answer: 'not_modified'; readonly facts: ImageFacts }
  | { readonly answer: 'whole'; readonly facts: ImageFacts; readonly body: ReadableStream | null }
  | {
      readonly answer: 'part';
      readonly facts: ImageFacts;
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

export interface ImageReader {
  /**
   * @param headOnly no body is opened, and a range is not looked at (RFC 9110, 14.2).
   * @throws AppError `not_found` (malformed, unknown, another's, past its time),
   * `range_not_satisfiable`, `unavailable`.
   */
  open(input: Asking & { asked: Asked; headOnly: boolean }): Promise<OpenedImage>;
  /** @throws AppError `not_found`, `unavailable`. */
  describe(input: Asking): Promise<ImageFacts>;
}

export function createImageReader({
  store,
  log,
}: {
  readonly store: Pick<ImageStore, 'getImage' | 'headImage'>;
  readonly log: Logger;
}): ImageReader {
  const read = async <T>(
    { id }: { readonly id: string },
    ask: (place: Place) => Promise<T | null>,
  ): Promise<T> => {
    const place = placeOf(id);
    const found =
      place &&
      (await ask(place).catch((error) => {
        log.error('image.read_failed', { image_id: id, error });
        throw imagesUnavailable();
      }));
    if (!found) throw imageNotFound();
    return found;
  };

  const describe: ImageReader['describe'] = async (input) => {
    const facts = await read(input, (place) => store.headImage(place));
    if (!isVisible(facts, input)) throw imageNotFound();
    return facts;
  };

  const fetchBytes = async (input: Asking, range: ByteRange | null) => {
    const image = await read(input, (place) => store.getImage({ place, range }));
    if (isVisible(image.facts, input)) return image;
    await image.body.cancel();
    throw imageNotFound();
  };

  const open: ImageReader['open'] = async (input) => {
    const asked = input.headOnly ? { ...input.asked, range: null } : input.asked;
    // The bytes are opened at once only where they are sure to be wanted whole.
    if (isPlain(asked) && !input.headOnly) {
      return { answer: 'whole', ...(await fetchBytes(input, null)) };
    }
    const facts = await describe(input);
    const selection = select(asked, facts);
    switch (selection.select) {
      case 'nothing_new':
        return { answer: 'not_modified', facts };
      case 'beyond_end':
        throw rangeNotSatisfiable(facts.bytes);
      case 'part': {
        const { range } = selection;
        return { answer: 'part', ...(await fetchBytes(input, range)), range };
      }
      case 'whole':
        if (input.headOnly) return { answer: 'whole', facts, body: null };
        return { answer: 'whole', ...(await fetchBytes(input, null)) };
    }
  };

  return { open, describe };
}

function isVisible(facts: ImageFacts, { viewer, now }: Asking): boolean {
  return now < facts.expiresAt && (viewer === null || viewer === facts.userId);
}

function isPlain(asked: Asked): boolean {
  return asked.ifNoneMatch === null && asked.ifModifiedSince === null && asked.range === null;
}
