/**
 * Cloudflare Images by its binding: outside the isolate, lossy WebP, EXIF rotation applied, and
 * billed by the transformation. Documentation: developers.cloudflare.com/images/optimization/binding
 */
import { createDeadline, readBounded } from '../../platform/bounds';
import { MAX_IMAGE_BYTES } from '../types';
import { type Codec, type Conversion, QUALITY, TooLargeToConvert } from './codec';
import { mediaTypeOf } from './plan';

/** A 20 MB image takes a second or two. */
const TIMEOUT_MS = 15_000;
/** The service's own: developers.cloudflare.com/images/get-started/limits */
const MAX_PIXELS = 100_000_000;
const MAX_SIDE = 12_000;

export function createBindingCodec(binding: ImagesBinding): Codec {
  return {
    async convert(conversion) {
      const { width, height } = conversion.from;
      if (width * height > MAX_PIXELS || Math.max(width, height) > MAX_SIDE) {
        throw new TooLargeToConvert(
          `An image may have ${MAX_PIXELS} pixels and sides of ${MAX_SIDE} to be converted.`,
        );
      }
      const deadline = createDeadline(TIMEOUT_MS);
      try {
        const copy = await deadline.race(transform(binding, conversion));
        // The isolate holds all of it, and a photograph as PNG is many times as large.
        const { body, truncated } = await readBounded(copy, MAX_IMAGE_BYTES, deadline);
        if (!truncated) return body;
        throw new TooLargeToConvert(`The copy would have more than ${MAX_IMAGE_BYTES} bytes.`);
      } finally {
        deadline.clear();
      }
    },
  };
}

async function transform(binding: ImagesBinding, { to, open }: Conversion) {
  // The height follows from the width, also for an image that is to be turned.
  const { format, width } = to;
  const result = await binding
    .input(await open())
    .transform({ width, fit: 'scale-down' })
    .output({
      format: mediaTypeOf(format),
      quality: QUALITY,
      anim: false,
      ...(format === 'jpeg' ? { background: '#ffffff' } : {}),
    });
  return result.image();
}
