/** A strict reader of the PNGs a sketch writes, independent of the writer. */

export interface Chunk {
  type: string;
  data: Uint8Array;
}

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Bit by bit, so that it shares nothing with the writer's table. */
function checksum(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) * 0xedb88320);
  }
  return ~crc >>> 0;
}

/** Throws on a wrong signature, length or checksum, and on bytes after the last chunk. */
export function readChunks(png: Uint8Array): Chunk[] {
  if (SIGNATURE.some((byte, index) => png[index] !== byte)) throw new Error('no PNG signature');
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const chunks: Chunk[] = [];
  let offset = SIGNATURE.length;
  while (offset < png.length) {
    const length = view.getUint32(offset);
    const type = new TextDecoder().decode(png.subarray(offset + 4, offset + 8));
    const stored = view.getUint32(offset + 8 + length);
    if (checksum(png.subarray(offset + 4, offset + 8 + length)) !== stored) {
      throw new Error(`wrong checksum in ${type}`);
    }
    chunks.push({ type, data: png.subarray(offset + 8, offset + 8 + length) });
    offset += 12 + length;
  }
  return chunks;
}

async function inflate(data: Uint8Array): Promise<Uint8Array> {
  const stream = new Response(data.slice()).body?.pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** RGB bytes of an unfiltered picture; throws unless it inflates to exactly (3 w + 1) h bytes. */
export async function readPixels(
  png: Uint8Array,
): Promise<{ width: number; height: number; pixels: Uint8Array }> {
  const chunks = readChunks(png);
  const header = chunks[0]?.data ?? new Uint8Array(13);
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const width = view.getUint32(0);
  const height = view.getUint32(4);
  const rows = await inflate(chunks.find(({ type }) => type === 'IDAT')?.data ?? header);
  const rowBytes = width * 3 + 1;
  if (rows.length !== rowBytes * height) throw new Error(`inflates to ${rows.length} bytes`);
  const pixels = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row++) {
    const start = row * rowBytes;
    if (rows[start] !== 0) throw new Error(`row ${row} has filter ${rows[start]}`);
    pixels.set(rows.subarray(start + 1, start + rowBytes), row * width * 3);
  }
  return { width, height, pixels };
}
