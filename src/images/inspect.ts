/**
 * Says what image some bytes are, from the bytes alone, and refuses what is cut short. It reads the
 * container, not the pixels: a picture whose compressed data is damaged in place passes.
 */
import { imageSize } from 'image-size';
import { MAX_IMAGE_BYTES, type MediaType } from './types';

const MAX_SIDE = 16_384;

export type Inspection =
  | {
      readonly ok: true;
      readonly mediaType: MediaType;
      readonly width: number;
      readonly height: number;
    }
  /** `reason` is a clause: `it is cut short`. */
  | { readonly ok: false; readonly reason: string };

/** Never throws. Width and height are in pixels, as encoded (an EXIF rotation is not applied). */
export function inspectImage(bytes: Uint8Array): Inspection {
  const refuse = (reason: string): Inspection => ({ ok: false, reason });
  if (bytes.byteLength === 0) return refuse('it is empty');
  if (bytes.byteLength > MAX_IMAGE_BYTES) {
    return refuse(`it has ${bytes.byteLength} bytes; the limit is ${MAX_IMAGE_BYTES}`);
  }
  const format = formats.find((candidate) => candidate.matches(bytes));
  if (!format) return refuse(`it is ${describeStranger(bytes)}, not a PNG, JPEG, WebP or GIF`);
  const walk = format.walk(bytes);
  if ('fault' in walk) return refuse(walk.fault);
  const size = dimensions(bytes.subarray(0, walk.headEnd));
  if (!size) return refuse('it has no readable dimensions');
  const { width, height } = size;
  if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE) {
    return refuse(`it is ${width}×${height} pixels; each side must be from 1 to ${MAX_SIDE}`);
  }
  return { ok: true, mediaType: format.mediaType, width, height };
}

/** `headEnd`: no dimensions are told behind it. */
type Walk = { readonly headEnd: number } | { readonly fault: string };

interface Format {
  readonly mediaType: MediaType;
  matches(bytes: Uint8Array): boolean;
  walk(bytes: Uint8Array): Walk;
}

const cutShort: Walk = { fault: 'it is cut short' };
const broken = (what: string): Walk => ({ fault: `it is broken: ${what}` });

const formats: readonly Format[] = [
  {
    mediaType: 'image/png',
    matches: (bytes) => ascii(bytes, 1, 4) === 'PNG' && bytes[0] === 0x89,
    walk: walkPng,
  },
  {
    mediaType: 'image/jpeg',
    matches: (bytes) => bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff,
    walk: walkJpeg,
  },
  {
    mediaType: 'image/webp',
    matches: (bytes) => ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 12) === 'WEBP',
    walk: walkWebp,
  },
  {
    mediaType: 'image/gif',
    matches: (bytes) => /^GIF8[79]a$/.test(ascii(bytes, 0, 6)),
    walk: walkGif,
  },
];

const PNG_SIGNATURE_BYTES = 8;
/** Length, type and checksum around a chunk's data. */
const PNG_CHUNK_FRAME_BYTES = 12;

/** Whole chunks from IHDR to IEND; bytes behind IEND are left alone, as decoders do. */
function walkPng(bytes: Uint8Array): Walk {
  const view = viewOf(bytes);
  let hasData = false;
  for (let at = PNG_SIGNATURE_BYTES; at + PNG_CHUNK_FRAME_BYTES <= bytes.length; ) {
    const type = ascii(bytes, at + 4, at + 8);
    const end = at + PNG_CHUNK_FRAME_BYTES + view.getUint32(at);
    if (end > bytes.length) return cutShort;
    const first = at === PNG_SIGNATURE_BYTES;
    if (first !== (type === 'IHDR')) return broken('IHDR is not its first chunk');
    if (type === 'IHDR' || type === 'IEND') {
      if (end - at !== (first ? 25 : 12)) return broken(`${type} has the wrong length`);
      if (crc32(bytes.subarray(at + 4, end - 4)) !== view.getUint32(end - 4)) {
        return broken(`the checksum of ${type} is wrong`);
      }
    }
    if (type === 'IDAT') hasData = true;
    if (type === 'IEND') return hasData ? { headEnd: 33 } : broken('it has no image data');
    at = end;
  }
  return cutShort;
}

/** 20 MB in segments of 64 kB are 320. `image-size` takes its time over many small ones. */
const MAX_JPEG_SEGMENTS = 4_096;

/**
 * Segments from SOI to the EOI of the picture itself: a thumbnail inside has an EOI of its own, and
 * cameras append data behind the end, so neither "somewhere" nor "at the end" would do.
 */
function walkJpeg(bytes: Uint8Array): Walk {
  let headEnd: number | null = null;
  let segments = 0;
  let at = 2;
  while (at + 4 <= bytes.length || (headEnd && at + 2 <= bytes.length)) {
    const marker = bytes[at + 1] ?? 0;
    if (bytes[at] !== 0xff || marker < 0xc0 || marker === 0xff) return broken('no marker');
    if (marker === 0xd9) return headEnd ? { headEnd } : broken('it has no image data');
    segments += 1;
    if (segments > MAX_JPEG_SEGMENTS) return broken('it has too many segments');
    at += 2 + (((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0));
    if (marker !== 0xda) continue;
    headEnd ??= Math.min(at, bytes.length);
    at = nextJpegMarker(bytes, at);
  }
  return cutShort;
}

/** Skips compressed data, in which FF 00 is a data byte and FF D0–D7 are restart marks. */
function nextJpegMarker(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(0xff, from); at !== -1; at = bytes.indexOf(0xff, at + 1)) {
    const next = bytes[at + 1];
    if (next === undefined) break;
    if (next !== 0x00 && !(next >= 0xd0 && next <= 0xd7)) return at;
  }
  return bytes.length;
}

function walkWebp(bytes: Uint8Array): Walk {
  const view = viewOf(bytes);
  const end = 8 + view.getUint32(4, true);
  if (end > bytes.length) return cutShort;
  if (bytes.length - end > 1) return broken('its size differs from the one it states');
  let hasData = false;
  let at = 12;
  while (at + 8 <= end) {
    const type = ascii(bytes, at, at + 4);
    const size = view.getUint32(at + 4, true);
    if (at + 8 + size > end) return cutShort;
    if (type === 'VP8 ' || type === 'VP8L' || type === 'ANMF') hasData = true;
    at += 8 + size + (size % 2);
  }
  return hasData ? { headEnd: bytes.length } : broken('it has no image data');
}

function walkGif(bytes: Uint8Array): Walk {
  const tableBytes = (flags: number) => (flags & 0x80 ? 3 * 2 ** ((flags & 0x07) + 1) : 0);
  let hasData = false;
  let at = 13 + tableBytes(bytes[10] ?? 0);
  while (at < bytes.length) {
    const block = bytes[at];
    if (block === 0x3b) return hasData ? { headEnd: 13 } : broken('it has no image data');
    if (block === 0x21) at = skipGifBlocks(bytes, at + 2);
    else if (block === 0x2c) {
      hasData = true;
      at = skipGifBlocks(bytes, at + 11 + tableBytes(bytes[at + 9] ?? 0));
    } else return broken('an unknown block');
  }
  return cutShort;
}

function skipGifBlocks(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] !== 0) at += 1 + (bytes[at] ?? 0);
  return at + 1;
}

function dimensions(head: Uint8Array): { width: number; height: number } | null {
  try {
    const { width, height } = imageSize(head);
    return { width, height };
  } catch {
    return null;
  }
}

/** Providers and gateways answer with pages and documents where an image is due. */
function describeStranger(bytes: Uint8Array): string {
  const text = ascii(bytes, 0, 512).trimStart().toLowerCase();
  if (text.startsWith('<svg') || (text.startsWith('<?xml') && text.includes('<svg'))) {
    return 'an SVG document';
  }
  if (text.startsWith('<!doctype') || text.startsWith('<html')) return 'an HTML page';
  if (text.startsWith('<?xml')) return 'an XML document';
  if (text.startsWith('{') || text.startsWith('[')) return 'JSON';
  return 'of an unknown kind';
}

const viewOf = (bytes: Uint8Array) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const ascii = (bytes: Uint8Array, from: number, to: number) =>
  String.fromCharCode(...bytes.subarray(from, to));

/** Over a few bytes only, so no table. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
