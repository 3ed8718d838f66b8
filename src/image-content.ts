/** The wiring of what serves images: their codecs, their copies and the cache before them. */
import { waitUntil } from 'cloudflare:workers';
import type { Buckets } from './images/buckets';
import type { ImageReader } from './images/reader';
import { createImageContent, type ImageContent } from './images/serving';
import { createSharedCache } from './images/shared-cache';
import { createBindingCodec } from './images/variants/binding-codec';
import { firstOf } from './images/variants/codec';
import { createVariants } from './images/variants/making';
import { loadPhoton, startPhoton } from './images/variants/photon';
import { createWasmCodec } from './images/variants/wasm-codec';
import type { Logger } from './platform/log';
import type { Sleep } from './platform/patience';

export function createImageContentFor(
  env: Buckets & Pick<Env, 'IMAGE_TRANSFORM'>,
  deps: {
    readonly reader: Pick<ImageReader, 'source'>;
    readonly sleep: Sleep;
    readonly now: () => number;
    readonly log: Logger;
  },
): ImageContent {
  const { reader, sleep, log } = deps;
  const background = (work: Promise<unknown>) => waitUntil(work);
  const wasm = createWasmCodec({ ...deps, load: loadPhoton, start: startPhoton });
  const binding = env.IMAGE_TRANSFORM;
  const codec = binding ? firstOf(createBindingCodec(binding), wasm, log) : wasm;
  return createImageContent({
    reader,
    variants: createVariants({ buckets: env, codec, background, log }),
    shared: createSharedCache({ cache: caches.default, background, sleep, log }),
  });
}
