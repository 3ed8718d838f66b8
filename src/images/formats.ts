/**
 * The containers of the four image formats, read from the first byte to the end of the picture. They
 * tell the size in pixels, as encoded (an EXIF rotation is not applied), and find what is cut short.
 */
import type { Feed, Parse } from './feed';
import type { MediaType } from './types';

export interface PixelSize {
  readonly width: number;
  readonly height: number;
}

/** `message` is a clause: `it is broken: no marker`. */
export class NotAnImage extends Error {}

const broken = (what: string) => new NotAnImage(`it is broken: ${what}`);
const noImageData = () => broken('it has no image data');
const noSize = () => new NotAnImage('it has no readable dimensions');

export interface Format {
  readonly mediaType: MediaType;
  /** @param head the first `FORMAT_HEAD_BYTES`, or fewer where there are no more. */
  matches(head: Uint8Array): boolean;
  /** @throws NotAnImage */
  read(feed: Feed): Parse<PixelSize>;
}

export const FORMAT_HEAD_BYTES = 12;

export const formats: readonly Format[] = [
  {
    mediaType: 'image/png',
    matches: (head) => ascii(head, 1, 4) === 'PNG' && head[0] === 0x89,
    read: readPng,
  },
  {
    mediaType: 'image/jpeg',
    matches: (head) => head[0] === 0xff && head[1] === 0xd8 && head[2] === 0xff,
    read: readJpeg,
  },
  {
    mediaType: 'image/webp',
    matches: (head) => ascii(head, 0, 4) === 'RIFF' && ascii(head, 8, 12) === 'WEBP',
    read: readWebp,
  },
  {
    mediaType: 'image/gif',
    matches: (head) => /^GIF8[79]a$/.test(ascii(head, 0, 6)),
    read: readGif,
  },
];

const PNG_SIGNATURE_BYTES = 8;
const PNG_HEADER_BYTES = 13;
const PNG_CHECKSUM_BYTES = 4;

/** Whole chunks from IHDR to IEND; bytes behind IEND are left alone, as decoders do. */
function* readPng(feed: Feed): Parse<PixelSize> {
  yield* feed.skip(PNG_SIGNATURE_BYTES);
  let size: PixelSize | null = null;
  let hasData = false;
  for (;;) {
    const head = yield* feed.take(8);
    const type = ascii(head, 4, 8);
    const length = viewOf(head).getUint32(0);
    if ((size === null) !== (type === 'IHDR')) throw broken('IHDR is not its first chunk');
    if (type === 'IHDR') {
      const header = viewOf(yield* readPngData(feed, head, PNG_HEADER_BYTES));
      size = { width: header.getUint32(0), height: header.getUint32(4) };
    } else if (type === 'IEND') {
      yield* readPngData(feed, head, 0);
      if (!hasData || !size) throw noImageData();
      return size;
    } else {
      if (type === 'IDAT') hasData = true;
      yield* feed.skip(length + PNG_CHECKSUM_BYTES);
    }
  }
}

/** The data of a chunk whose length is known beforehand, its checksum compared. */
function* readPngData(feed: Feed, head: Uint8Array, length: number): Parse<Uint8Array> {
  const type = head.slice(4, 8);
  if (viewOf(head).getUint32(0) !== length) {
    throw broken(`${ascii(type, 0, 4)} has the wrong length`);
  }
  const rest = yield* feed.take(length + PNG_CHECKSUM_BYTES);
  const data = rest.subarray(0, length);
  if (crc32(type, data) !== viewOf(rest).getUint32(length)) {
    throw broken(`the checksum of ${ascii(type, 0, 4)} is wrong`);
  }
  return data;
}

const JPEG_SOS = 0xda;
const JPEG_EOI = 0xd9;
/** A decoder goes over the whole picture for each; encoders write a dozen. */
const MAX_JPEG_SCANS = 500;
/** Baseline, extended and progressive: what decoders of today take. */
const JPEG_FRAMES = [0xc0, 0xc1, 0xc2];

/**
 * Segments from SOI to the EOI of the picture itself: a thumbnail inside has an EOI of its own, and
 * cameras append data behind the end, so neither "somewhere" nor "at the end" would do.
 */
function* readJpeg(feed: Feed): Parse<PixelSize> {
  yield* feed.skip(2);
  let size: PixelSize | null = null;
  let scans = 0;
  let marker = yield* readJpegMarker(feed);
  while (marker !== JPEG_EOI) {
    if (marker < 0xc0) throw broken('no marker');
    let left = viewOf(yield* feed.take(2)).getUint16(0) - 2;
    if (left < 0) throw broken('a segment has no length');
    if (!size && JPEG_FRAMES.includes(marker)) {
      if (left < 5) throw noSize();
      const frame = viewOf(yield* feed.take(5));
      size = { height: frame.getUint16(1), width: frame.getUint16(3) };
      left -= 5;
    }
    yield* feed.skip(left);
    if (marker === JPEG_SOS) {
      if (!size) throw noSize();
      scans += 1;
      if (scans > MAX_JPEG_SCANS) throw broken('it has too many scans');
      marker = yield* feed.skipPast(0xff, endsJpegScan);
    } else marker = yield* readJpegMarker(feed);
  }
  if (scans === 0 || !size) throw noImageData();
  return size;
}

/** FF and what stands behind it; more of FF may fill the room before a marker (ITU-T T.81, B.1.1.2). */
function* readJpegMarker(feed: Feed): Parse<number> {
  const [prefix, code = 0] = yield* feed.take(2);
  if (prefix !== 0xff) throw broken('no marker');
  return code === 0xff ? yield* feed.skipPast(0xff, isNoFill) : code;
}

const isNoFill = (code: number) => code !== 0xff;

/** In compressed data FF 00 is a byte and FF D0–D7 are restarts. */
const endsJpegScan = (code: number) =>
  code !== 0x00 && code !== 0xff && !(code >= 0xd0 && code <= 0xd7);

function* readWebp(feed: Feed): Parse<PixelSize> {
  const head = yield* feed.take(12);
  const found: WebpFound = { canvas: null, hasData: false };
  yield* readWebpChunks(feed, viewOf(head).getUint32(4, true) - 4, found, 'file');
  if (!found.hasData || !found.canvas) throw noImageData();
  if ((yield* feed.drain()) > 1) throw broken('its size differs from the one it states');
  return found.canvas;
}

interface WebpFound {
  /** As the first chunk has it. */
  canvas: PixelSize | null;
  hasData: boolean;
}

/** Each picture tells its size, too, and that is what a decoder makes room for. */
function* readWebpChunks(
  feed: Feed,
  bytes: number,
  found: WebpFound,
  inside: 'file' | 'frame',
): Parse<void> {
  let left = bytes;
  while (left >= 8) {
    const chunk = yield* feed.take(8);
    const type = ascii(chunk, 0, 4);
    const length = viewOf(chunk).getUint32(4, true);
    left -= 8;
    if (length > left) throw broken('a chunk is longer than its file');
    const isFrame = type === 'ANMF' && inside === 'file';
    const isPicture = type === 'VP8 ' || type === 'VP8L';
    let rest = length;
    if (isPicture || !found.canvas) {
      const lead = yield* feed.take(Math.min(length, WEBP_LEAD_BYTES));
      rest -= lead.length;
      const size = webpSize(type, lead);
      found.canvas ??= size;
      if (size.width > found.canvas.width || size.height > found.canvas.height) {
        throw broken('a picture is larger than its canvas');
      }
    }
    if (isPicture) found.hasData = true;
    if (isFrame && rest >= WEBP_FRAME_BYTES) {
      yield* feed.skip(WEBP_FRAME_BYTES);
      yield* readWebpChunks(feed, rest - WEBP_FRAME_BYTES, found, 'frame');
      rest = 0;
    }
    const padding = Math.min(left - length, length % 2);
    yield* feed.skip(rest + padding);
    left -= length + padding;
  }
  yield* feed.skip(Math.max(0, left));
}

/** Of an ANMF chunk: where its picture goes, and for how long (RFC 9649, 2.7.1.1). */
const WEBP_FRAME_BYTES = 16;
const WEBP_LEAD_BYTES = 10;

/** Of the first chunk (RFC 9649: 2.5–2.7, RFC 6386: 9.1). */
function webpSize(type: string, lead: Uint8Array): PixelSize {
  const view = viewOf(lead);
  const uint24 = (at: number) => view.getUint16(at, true) + ((lead[at + 2] ?? 0) << 16);
  if (type === 'VP8X' && lead.length === 10) {
    return { width: 1 + uint24(4), height: 1 + uint24(7) };
  }
  if (type === 'VP8 ' && lead.length === 10 && uint24(3) === 0x2a019d) {
    const side = (at: number) => view.getUint16(at, true) & 0x3fff;
    return { width: side(6), height: side(8) };
  }
  if (type === 'VP8L' && lead.length >= 5 && lead[0] === 0x2f) {
    const bits = view.getUint32(1, true);
    return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
  }
  throw noSize();
}

const GIF_EXTENSION = 0x21;
const GIF_IMAGE = 0x2c;
const GIF_TRAILER = 0x3b;

function* readGif(feed: Feed): Parse<PixelSize> {
  const tableBytes = (flags: number) => (flags & 0x80 ? 3 * 2 ** ((flags & 0x07) + 1) : 0);
  const head = yield* feed.take(13);
  let size = { width: viewOf(head).getUint16(6, true), height: viewOf(head).getUint16(8, true) };
  yield* feed.skip(tableBytes(head[10] ?? 0));
  let hasData = false;
  for (;;) {
    const [block] = yield* feed.take(1);
    if (block === GIF_TRAILER) {
      if (!hasData) throw noImageData();
      return size;
    }
    if (block === GIF_EXTENSION) yield* feed.skip(1);
    else if (block === GIF_IMAGE) {
      const descriptor = yield* feed.take(9);
      // The first picture may reach beyond the screen, which then grows with it.
      if (!hasData) size = around(size, viewOf(descriptor));
      hasData = true;
      yield* feed.skip(tableBytes(descriptor[8] ?? 0) + 1);
    } else throw broken('an unknown block');
    yield* skipGifBlocks(feed);
  }
}

const around = (screen: PixelSize, picture: DataView): PixelSize => ({
  width: Math.max(screen.width, picture.getUint16(0, true) + picture.getUint16(4, true)),
  height: Math.max(screen.height, picture.getUint16(2, true) + picture.getUint16(6, true)),
});

function* skipGifBlocks(feed: Feed): Parse<void> {
  for (;;) {
    const [length = 0] = yield* feed.take(1);
    if (length === 0) return;
    yield* feed.skip(length);
  }
}

const viewOf = (bytes: Uint8Array) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const ascii = (bytes: Uint8Array, from: number, to: number) =>
  String.fromCharCode(...bytes.subarray(from, to));

/** Over a few bytes only, so no table. */
function crc32(...parts: readonly Uint8Array[]): number {
  let crc = 0xffffffff;
  for (const byte of parts.flatMap((part) => [...part])) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
