/**
 * Cloudflare Images by its binding: outside the isolate, lossy WebP, EXIF rotation applied, and
 * billed by the transformation. Documentation: developers.cloudflare.com/images/optimization/binding
 */
import { within } from '../../platform/patience';
import { type Codec, QUALITY } from './codec';
import { mediaTypeOf } from './plan';

/** A 20 MB image takes a second or two. */
const TIMEOUT_MS = 15_000;

export function createBindingCodec(binding: ImagesBinding): Codec {
  return {
    async convert({ to, open }) {
      const work = async () => {
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
        return new Response(result.image()).bytes();
      };
      return within(TIMEOUT_MS, work());
    },
  };
}
