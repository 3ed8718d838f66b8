/** A preview as one binary message: the length of its head, the head as JSON, its bytes. */
import type { Preview } from './types';

const HEAD_LENGTH_BYTES = 4;

export function encodePreview({ attempt, index, mediaType, bytes }: Preview): Uint8Array {
  const head = new TextEncoder().encode(JSON.stringify({ attempt, index, mediaType }));
  const frame = new Uint8Array(HEAD_LENGTH_BYTES + head.byteLength + bytes.byteLength);
  new DataView(frame.buffer).setUint32(0, head.byteLength);
  frame.set(head, HEAD_LENGTH_BYTES);
  frame.set(bytes, HEAD_LENGTH_BYTES + head.byteLength);
  return frame;
}

/** Of a message that `encodePreview` has made. The bytes are a view of it, not a copy. */
export function decodePreview(frame: ArrayBuffer): Preview {
  const headEnd = HEAD_LENGTH_BYTES + new DataView(frame).getUint32(0);
  const head = new TextDecoder().decode(new Uint8Array(frame).subarray(HEAD_LENGTH_BYTES, headEnd));
  const { attempt, index, mediaType } = JSON.parse(head) as Omit<Preview, 'bytes'>;
  return { attempt, index, mediaType, bytes: new Uint8Array(frame, headEnd) };
}
