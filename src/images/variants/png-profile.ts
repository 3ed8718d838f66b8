/**
 * The colour profile of a PNG is packed, and the codec unpacks it whatever its size, to no use: some
 * kilobytes would take gigabytes.
 */
const SIGNATURE = '\x89PNG';
const FIRST_CHUNK_AT = 8;
/** Length, type and checksum. */
const CHUNK_FRAME_BYTES = 12;

/** In place. Bytes that are no PNG stay as they are. */
export function withoutProfile(bytes: Uint8Array): Uint8Array {
  const text = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (text(0) !== SIGNATURE) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let kept = FIRST_CHUNK_AT;
  let at = FIRST_CHUNK_AT;
  while (at + CHUNK_FRAME_BYTES <= bytes.length) {
    const end = Math.min(bytes.length, at + CHUNK_FRAME_BYTES + view.getUint32(at));
    if (text(at + 4) !== 'iCCP') {
      if (kept < at) bytes.copyWithin(kept, at, end);
      kept += end - at;
    }
    at = end;
  }
  return bytes.subarray(0, kept);
}
