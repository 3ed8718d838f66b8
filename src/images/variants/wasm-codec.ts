/** The codec that runs in the isolate itself, which has 128 MB for all that it does. */
import type { Sleep } from '../../platform/patience';
import { inspectImage } from '../inspect';
import { type Codec, type Conversion, NotConvertible, QUALITY, TooLargeToConvert } from './codec';
import type { Photon } from './photon';
import { withoutProfile } from './png-profile';
import { flatten, shrink } from './scaling';
import { createTurns } from './turns';

/**
 * A pixel takes up to 16 bytes of the codec's memory and 4 beside it: 90 MB. All that models make of
 * four megapixels is within it, 2048×2048 and 2752×1536 alike.
 */
export const MAX_WASM_PIXELS = 4_500_000;
/** They are held twice while they are decoded. */
export const MAX_WASM_BYTES = 12 * 1024 * 1024;
/** The memory of an instance never shrinks; 1024×1024 needs 20 MB. */
const KEPT_MEMORY_BYTES = 32 * 1024 * 1024;
/** One converts while another's bytes come. */
const AT_ONCE = 2;

export interface WasmCodecDeps {
  readonly load: () => Promise<WebAssembly.Module>;
  readonly start: (module: WebAssembly.Module) => Photon;
  readonly sleep: Sleep;
  readonly now: () => number;
}

export function createWasmCodec(deps: WasmCodecDeps): Codec {
  const turns = createTurns({ ...deps, atOnce: AT_ONCE });
  let kept: Photon | null = null;

  const run = (module: WebAssembly.Module, bytes: Uint8Array, conversion: Conversion) => {
    if (!isAsTold(bytes, conversion)) throw new NotConvertible();
    const photon = kept ?? deps.start(module);
    kept = null;
    const converted = convertBy(photon, bytes, conversion);
    if (photon.memoryBytes <= KEPT_MEMORY_BYTES) kept = photon;
    return converted;
  };

  return {
    async convert(conversion) {
      const { from, open } = conversion;
      if (from.width * from.height > MAX_WASM_PIXELS || from.bytes > MAX_WASM_BYTES) {
        throw new TooLargeToConvert(
          `An image may have ${MAX_WASM_PIXELS} pixels and ${MAX_WASM_BYTES} bytes to be converted.`,
        );
      }
      return turns.take(async () => {
        const module = await deps.load();
        const bytes = await new Response(await open()).bytes();
        return run(module, bytes, conversion);
      });
    },
  };
}

/** Its memory follows the size that the bytes tell, in whatever place; what it is not told it may claim. */
function isAsTold(bytes: Uint8Array, { from }: Conversion): boolean {
  const told = inspectImage(bytes);
  return told.ok && told.width === from.width && told.height === from.height;
}

function convertBy(
  photon: Photon,
  bytes: Uint8Array,
  { from, to }: Conversion,
): Uint8Array<ArrayBuffer> {
  try {
    const image = photon.decode(withoutProfile(bytes));
    // What the bytes hold was bounded by what they say.
    if (image.width !== from.width || image.height !== from.height) {
      throw new Error('the image is not of the size it has told');
    }
    const isSmaller = to.width < from.width;
    const pixels = isSmaller ? shrink(image.pixels, image, to) : image.pixels;
    if (to.format === 'jpeg') flatten(pixels);
    return photon.encode({ pixels, width: to.width, height: to.height }, to.format, QUALITY);
  } catch (cause) {
    throw new NotConvertible(undefined, { cause });
  }
}
