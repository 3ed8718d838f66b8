/** Bytes as base64, as they come: no more than a chunk of an image is held at any time. */

/** Three bytes are four characters: only a number of bytes that 3 divides can be followed by more. */
const GROUP = 3;

export async function* base64Of(source: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = new Uint8Array();
  for await (const chunk of source) {
    const bytes = Buffer.concat([rest, chunk]);
    const whole = bytes.byteLength - (bytes.byteLength % GROUP);
    if (whole > 0) yield bytes.toString('base64', 0, whole);
    rest = new Uint8Array(bytes.subarray(whole));
  }
  if (rest.byteLength > 0) yield Buffer.from(rest).toString('base64');
}
