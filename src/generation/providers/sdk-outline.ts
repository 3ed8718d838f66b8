/**
 * Notes a JSON body while it passes, with its pictures left out: what an answer says besides them
 * (a seed, a charge, why there is none) is small, and the SDK tells only what its schema names.
 */

/** Longer than a signed URL, shorter than a picture in base64. */
const MAX_STRING_BYTES = 8 * 1024;
/** Room for the heads of eight pictures. */
const MAX_OUTLINE_BYTES = 128 * 1024;
const QUOTE = 0x22;

export interface Outline {
  readonly passing: TransformStream<Uint8Array, Uint8Array>;
  /** Whether the body came to its end. */
  isWhole(): boolean;
  /** The body with its long strings cut; empty when it is not whole, or large even so. */
  text(): string;
}

export function createOutline(): Outline {
  const kept: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  let stringBytes = 0;
  let isWhole = false;

  const keep = (bytes: Uint8Array) => {
    // A copy: a view would hold on to the whole chunk.
    kept.push(new Uint8Array(bytes));
    size += bytes.byteLength;
  };
  const note = (chunk: Uint8Array) => {
    for (let at = 0; at < chunk.byteLength && size <= MAX_OUTLINE_BYTES; ) {
      const quote = chunk.indexOf(QUOTE, at);
      const end = quote === -1 ? chunk.byteLength : quote;
      keep(chunk.subarray(at, Math.min(end, at + Math.max(0, MAX_STRING_BYTES - stringBytes))));
      stringBytes = quote === -1 ? stringBytes + end - at : 0;
      if (quote !== -1) keep(chunk.subarray(quote, quote + 1));
      at = end + 1;
    }
  };

  const passing = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      note(chunk);
      controller.enqueue(chunk);
    },
    flush() {
      isWhole = true;
    },
  });
  const text = () => {
    if (!isWhole || size > MAX_OUTLINE_BYTES) return '';
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const piece of kept) {
      bytes.set(piece, at);
      at += piece.byteLength;
    }
    return new TextDecoder().decode(bytes);
  };
  return { passing, isWhole: () => isWhole, text };
}
