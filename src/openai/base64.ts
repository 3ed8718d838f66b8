/** Bytes as base64, as they come: no more than a chunk of an image is held at any time. */
import type { JsonObject } from '../platform/json';

/** Three bytes are four characters: only a number of bytes that 3 divides can be followed by more. */
const GROUP = 3;
const SLICE_BYTES = GROUP * 32_768;

export async function* base64Of(
  source: ReadableStream<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<string> {
  let rest = new Uint8Array();
  for await (const chunk of source) {
    const bytes = Buffer.concat([rest, chunk]);
    const whole = bytes.byteLength - (bytes.byteLength % GROUP);
    if (whole > 0) yield bytes.toString('base64', 0, whole);
    rest = new Uint8Array(bytes.subarray(whole));
  }
  if (rest.byteLength > 0) yield Buffer.from(rest).toString('base64');
}

/** Bytes that are held already, so that their base64 is not held beside them as a whole. */
export function* slicesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += SLICE_BYTES) {
    yield bytes.subarray(at, at + SLICE_BYTES);
  }
}

/** A JSON object whose last member is the image. */
export async function* imageJson(
  members: JsonObject,
  image: Parameters<typeof base64Of>[0],
): AsyncGenerator<string> {
  const before = membersOf(members);
  yield `{${before}${before === '' ? '' : ','}"b64_json":"`;
  yield* base64Of(image);
  yield '"}';
}

export const membersOf = (members: JsonObject) => JSON.stringify(members).slice(1, -1);
