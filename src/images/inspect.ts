/**
 * Says what image some bytes are, from the bytes alone, and refuses what is cut short; whole or as
 * they come, in constant memory. It reads the container, not the pixels: a picture whose compressed
 * data is damaged in place passes.
 */
import { createFeed, EndOfFeed, type Feed, type Parse, TooManyReads } from './feed';
import { FORMAT_HEAD_BYTES, formats, NotAnImage } from './formats';
import { MAX_IMAGE_BYTES, type MediaType } from './types';

const MAX_SIDE = 16_384;
const STRANGER_HEAD_BYTES = 512;
/** A GIF of 20 MB has some 80,000 blocks, and nothing has more; this many take 30 ms. */
const MAX_PARTS = 300_000;

export type Inspection =
  | {
      readonly ok: true;
      readonly mediaType: MediaType;
      readonly width: number;
      readonly height: number;
    }
  | Refused;

export interface Refused {
  readonly ok: false;
  /** A clause: `it is cut short`. */
  readonly reason: string;
}

export interface Inspector {
  /** The next bytes; a refusal as soon as it is certain. The bytes are not kept. */
  push(chunk: Uint8Array): Refused | null;
  /** After the last bytes. */
  end(): Inspection;
}

/** Never throws. Width and height are in pixels, as encoded (an EXIF rotation is not applied). */
export function inspectImage(bytes: Uint8Array): Inspection {
  const inspector = createInspector();
  return inspector.push(bytes) ?? inspector.end();
}

export function createInspector(): Inspector {
  const feed = createFeed(MAX_PARTS);
  const parse = readImage(feed);
  let bytes = 0;
  let inspection: Inspection | null = null;

  const proceed = () => {
    try {
      const step = parse.next();
      if (step.done) inspection = step.value;
    } catch (error) {
      inspection = refusalOf(error);
    }
  };

  return {
    push(chunk) {
      bytes += chunk.byteLength;
      if (bytes > MAX_IMAGE_BYTES) inspection = tooLarge();
      if (inspection === null) {
        feed.give(chunk);
        proceed();
      }
      return inspection?.ok === false ? inspection : null;
    },
    end() {
      if (bytes === 0) return { ok: false, reason: 'it is empty' };
      feed.end();
      if (inspection === null) proceed();
      // A parser that is told of the end asks for nothing more.
      return inspection ?? { ok: false, reason: CUT_SHORT };
    },
  };
}

export const tooLarge = (): Refused => ({
  ok: false,
  reason: `it has more than ${MAX_IMAGE_BYTES} bytes`,
});

const CUT_SHORT = 'it is cut short';

function refusalOf(error: unknown): Refused {
  if (error instanceof EndOfFeed) return { ok: false, reason: CUT_SHORT };
  if (error instanceof TooManyReads) return { ok: false, reason: 'it is broken: too many parts' };
  if (error instanceof NotAnImage) return { ok: false, reason: error.message };
  throw error;
}

function* readImage(feed: Feed): Parse<Inspection> {
  const head = yield* feed.peek(FORMAT_HEAD_BYTES);
  const format = formats.find((candidate) => candidate.matches(head));
  if (!format) {
    const stranger = describeStranger(yield* feed.peek(STRANGER_HEAD_BYTES));
    throw new NotAnImage(`it is ${stranger}, not a PNG, JPEG, WebP or GIF`);
  }
  const { width, height } = yield* format.read(feed);
  if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE) {
    throw new NotAnImage(
      `it is ${width}×${height} pixels; each side must be from 1 to ${MAX_SIDE}`,
    );
  }
  return { ok: true, mediaType: format.mediaType, width, height };
}

/** Providers and gateways answer with pages and documents where an image is due. */
function describeStranger(head: Uint8Array): string {
  const text = String.fromCharCode(...head)
    .trimStart()
    .toLowerCase();
  if (text.startsWith('<svg') || (text.startsWith('<?xml') && text.includes('<svg'))) {
    return 'an SVG document';
  }
  if (text.startsWith('<!doctype') || text.startsWith('<html')) return 'an HTML page';
  if (text.startsWith('<?xml')) return 'an XML document';
  if (text.startsWith('{') || text.startsWith('[')) return 'JSON';
  return 'of an unknown kind';
}
