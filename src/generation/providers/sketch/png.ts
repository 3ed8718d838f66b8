/**
 * PNG writer for 8-bit RGB (https://www.w3.org/TR/png-3/). Compression is the platform's zlib, so
 * bytes are the same on each run of one runtime, and may differ between two zlib builds.
 */

const SIGNATURE = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const CHANNELS = 3;
const FILTER_SUB = 1;
const FILTER_UP = 2;
/** Every how many bytes the choice of a row's filter looks; all would cost as much as filtering. */
const PROBE_STEP = 7;

const crcTable = new Uint32Array(256).map((_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** CRC-32 as PNG and zlib define it, as an unsigned number. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) {
    crc = (crcTable[(crc ^ (bytes[i] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

function header(width: number, height: number): Uint8Array {
  const data = new Uint8Array(13);
  const view = new DataView(data.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  // Bit depth 8, colour type 2 (RGB), zlib, adaptive filters, not interlaced.
  data.set([8, 2, 0, 0, 0], 8);
  return chunk('IHDR', data);
}

function distance(difference: number): number {
  const byte = difference & 0xff;
  return byte < 128 ? byte : 256 - byte;
}

function chooseFilter(row: Uint8Array, above: Uint8Array): number {
  let sub = 0;
  let up = 0;
  for (let i = CHANNELS; i < row.length; i += PROBE_STEP) {
    const value = row[i] ?? 0;
    sub += distance(value - (row[i - CHANNELS] ?? 0));
    up += distance(value - (above[i] ?? 0));
  }
  return sub < up ? FILTER_SUB : FILTER_UP;
}

/** Writes the filter byte and the filtered row to `out` from `start`. */
function filterRow(row: Uint8Array, above: Uint8Array, out: Uint8Array, start: number): void {
  const filter = chooseFilter(row, above);
  out[start] = filter;
  const first = start + 1;
  if (filter === FILTER_UP) {
    for (let i = 0; i < row.length; i++) out[first + i] = (row[i] ?? 0) - (above[i] ?? 0);
    return;
  }
  for (let i = 0; i < CHANNELS; i++) out[first + i] = row[i] ?? 0;
  for (let i = CHANNELS; i < row.length; i++) {
    out[first + i] = (row[i] ?? 0) - (row[i - CHANNELS] ?? 0);
  }
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/**
 * @param strips the picture's rows from the top, in pieces of whole rows of RGB bytes. A piece is
 *   read before the next is asked for, so the caller may reuse its buffer.
 */
export async function encodePng(input: {
  width: number;
  height: number;
  strips: Iterable<Uint8Array>;
}): Promise<Uint8Array> {
  const rowBytes = input.width * CHANNELS;
  const deflate = new CompressionStream('deflate');
  const compressed = new Response(deflate.readable).arrayBuffer();
  const writer = deflate.writable.getWriter();
  let above: Uint8Array = new Uint8Array(rowBytes);
  for (const strip of input.strips) {
    const rows = strip.length / rowBytes;
    const filtered = new Uint8Array(rows * (rowBytes + 1));
    for (let row = 0; row < rows; row++) {
      const bytes = strip.subarray(row * rowBytes, (row + 1) * rowBytes);
      filterRow(bytes, above, filtered, row * (rowBytes + 1));
      above = bytes;
    }
    above = above.slice();
    await writer.write(filtered);
  }
  await writer.close();
  return concatenate([
    SIGNATURE,
    header(input.width, input.height),
    chunk('IDAT', new Uint8Array(await compressed)),
    chunk('IEND', new Uint8Array(0)),
  ]);
}
