/**
 * Photon, a codec in WebAssembly, without the wrapper that comes with it: that keeps one instance for
 * the life of the isolate, whose memory never shrinks again and is of no more use once a broken image
 * has made it panic. Here an instance can be dropped.
 */
import type { PixelSize } from '../formats';
import type { VariantFormat } from './plan';

/** Its functions are those of the wrapper (`photon_rs.js`); a pair is an address and a length. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  __wbindgen_start(): void;
  __wbindgen_malloc(bytes: number, alignment: number): number;
  __wbg_photonimage_free(image: number, unused: number): void;
  photonimage_new(address: number, bytes: number, width: number, height: number): number;
  photonimage_new_from_byteslice(address: number, bytes: number): number;
  photonimage_get_width(image: number): number;
  photonimage_get_height(image: number): number;
  photonimage_get_raw_pixels(image: number): [number, number];
  photonimage_get_bytes(image: number): [number, number];
  photonimage_get_bytes_jpeg(image: number, quality: number): [number, number];
  photonimage_get_bytes_webp(image: number): [number, number];
  __wbindgen_free(address: number, bytes: number, alignment: number): void;
}

/** Every method traps (WebAssembly.RuntimeError) on what it cannot do; no other call may follow. */
export interface Photon {
  readonly memoryBytes: number;
  /** PNG, JPEG, WebP or GIF, of an animation the first picture. */
  decode(bytes: Uint8Array): PixelSize & { readonly pixels: Uint8Array<ArrayBuffer> };
  /** WebP is written without loss. */
  encode(
    image: PixelSize & { readonly pixels: Uint8Array },
    format: VariantFormat,
    quality: number,
  ): Uint8Array<ArrayBuffer>;
}

/** Compiled when it is first asked for: most isolates never convert anything. */
export async function loadPhoton(): Promise<WebAssembly.Module> {
  return (await import('@cf-wasm/photon/photon.wasm')).default;
}

export function startPhoton(module: WebAssembly.Module): Photon {
  const codec = instantiate(module);
  const place = (bytes: Uint8Array) => {
    const address = codec.__wbindgen_malloc(bytes.length, 1) >>> 0;
    new Uint8Array(codec.memory.buffer).set(bytes, address);
    return address;
  };
  const takeOut = ([address, length]: [number, number]) => {
    const bytes = new Uint8Array(codec.memory.buffer, address >>> 0, length).slice();
    codec.__wbindgen_free(address, length, 1);
    return bytes;
  };

  return {
    get memoryBytes() {
      return codec.memory.buffer.byteLength;
    },

    decode(bytes) {
      const image = codec.photonimage_new_from_byteslice(place(bytes), bytes.length);
      const width = codec.photonimage_get_width(image);
      const height = codec.photonimage_get_height(image);
      const pixels = takeOut(codec.photonimage_get_raw_pixels(image));
      codec.__wbg_photonimage_free(image, 0);
      return { width, height, pixels };
    },

    encode({ pixels, width, height }, format, quality) {
      const image = codec.photonimage_new(place(pixels), pixels.length, width, height);
      const encoded = {
        png: () => codec.photonimage_get_bytes(image),
        jpeg: () => codec.photonimage_get_bytes_jpeg(image, quality),
        webp: () => codec.photonimage_get_bytes_webp(image),
      }[format]();
      const bytes = takeOut(encoded);
      codec.__wbg_photonimage_free(image, 0);
      return bytes;
    },
  };
}

/** Nothing that is used here calls out, but for the start, which prepares for those that do. */
function instantiate(module: WebAssembly.Module): Exports {
  const imports: Record<string, Record<string, () => void>> = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    imports[from][name] = () => {
      if (!name.startsWith('__wbindgen_init')) throw new Error(`${name} is not there`);
    };
  }
  // The interface above is the module's, whose version is pinned.
  const codec = new WebAssembly.Instance(module, imports).exports as unknown as Exports;
  codec.__wbindgen_start();
  return codec;
}
