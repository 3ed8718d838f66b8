/** What turns an image into a smaller or otherwise encoded one. */
import type { Logger } from '../../platform/log';
import type { Measures } from '../types';
import type { VariantPlan } from './plan';

export interface Conversion {
  readonly from: Pick<Measures, 'width' | 'height' | 'bytes'>;
  readonly to: VariantPlan;
  /** May be called again, and throws what its reader is to hear of. */
  readonly open: () => Promise<ReadableStream<Uint8Array>>;
}

/** The first picture of an animation; what is transparent is white in a JPEG. */
export interface Codec {
  /** @throws TooLargeToConvert, NotConvertible, CodecBusy, and what `open` throws. */
  convert(conversion: Conversion): Promise<Uint8Array>;
}

/** `message` is a sentence for the caller. */
export class TooLargeToConvert extends Error {}
export class NotConvertible extends Error {}
export class CodecBusy extends Error {}

/** Of 100: what a thumbnail loses of its image is not seen, and above it the bytes grow fast. */
export const QUALITY = 85;

/**
 * The second converts what the first cannot at the moment; an image too large for it waits. One that
 * is too large for the first is too large.
 */
export function firstOf(first: Codec, second: Codec, log: Logger): Codec {
  return {
    async convert(conversion) {
      try {
        return await first.convert(conversion);
      } catch (error) {
        if (error instanceof TooLargeToConvert) throw error;
        log.warn('image.codec_failed', { error });
        return second.convert(conversion).catch((fault) => {
          throw fault instanceof TooLargeToConvert
            ? new CodecBusy(undefined, { cause: error })
            : fault;
        });
      }
    },
  };
}
