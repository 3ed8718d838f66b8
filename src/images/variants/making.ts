/**
 * Copies of images: made when they are first asked for, kept beside their image, and served only
 * while it is there.
 */
import { createHash } from 'node:crypto';
import type { Logger } from '../../platform/log';
import { type Buckets, bucketForKey } from '../buckets';
import { conversionBusy, imageNotConvertible, imageTooLargeToConvert } from '../errors';
import { inspectImage } from '../inspect';
import { imageIdOf, objectKeyOf, type Place, variantKeyOf } from '../keys';
import { factsOf, type ImageFacts, putOptionsOf } from '../objects';
import type { Source } from '../reader';
import type { ByteRange } from '../selection';
import { type Codec, CodecBusy, NotConvertible, TooLargeToConvert } from './codec';
import type { VariantPlan } from './plan';

export interface Variants {
  /** Of an image whose facts were just read. Made once, whatever is asked of the source. */
  source(input: {
    readonly image: ImageFacts;
    readonly place: Place;
    readonly plan: VariantPlan;
    readonly original: Source;
  }): Source;
}

export interface VariantsDeps {
  readonly buckets: Buckets;
  readonly codec: Codec;
  /** Lets work outlive the answer. */
  readonly background: (work: Promise<unknown>) => void;
  readonly log: Logger;
}

export function createVariants(deps: VariantsDeps): Variants {
  return {
    source({ image, place, plan, original }) {
      const kept = keptAt(place, plan, deps);
      let made: Promise<{ facts: ImageFacts; bytes: Uint8Array }> | null = null;
      const make = () => {
        made ??= convert({ image, plan, original }, deps.codec).then((variant) => {
          deps.background(keep({ ...variant, place, plan }, deps));
          return variant;
        });
        return made;
      };
      return {
        async describe() {
          const facts = made ? null : await kept.describe();
          return facts ? asPartOf(image, facts) : (await make()).facts;
        },
        async read(range) {
          const found = made ? null : await kept.read(range);
          if (found) return { facts: asPartOf(image, found.facts), body: found.body };
          const { facts, bytes } = await make();
          return { facts, body: streamOf(within(bytes, range)) };
        },
      };
    },
  };
}

const streamOf = (bytes: Uint8Array) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });

const within = (bytes: Uint8Array, range: ByteRange | null) =>
  range ? bytes.subarray(range.offset, range.offset + range.length) : bytes;

/** Its times are those of the image, which may have been renewed since. */
function asPartOf(image: ImageFacts, variant: ImageFacts): ImageFacts {
  const { createdAt, expiresAt } = image;
  return { ...variant, createdAt, expiresAt, etag: etagOf(variant) };
}

/** The same before and after it is stored. */
const etagOf = ({ sha256 }: Pick<ImageFacts, 'sha256'>) => `"${sha256.slice(0, 32)}"`;

async function convert(
  of: { readonly image: ImageFacts; readonly plan: VariantPlan; readonly original: Source },
  codec: Codec,
): Promise<{ facts: ImageFacts; bytes: Uint8Array }> {
  const { image, plan, original } = of;
  const open = async () => (await original.read(null)).body;
  const bytes = await codec.convert({ from: image, to: plan, open }).catch((error) => {
    throw faultOf(error);
  });
  const inspected = inspectImage(bytes);
  if (!inspected.ok) throw imageNotConvertible(inspected.reason);
  const { mediaType, width, height } = inspected;
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const measures = { mediaType, width, height, bytes: bytes.byteLength, sha256 };
  return { bytes, facts: { ...image, ...measures, etag: etagOf(measures) } };
}

function faultOf(error: unknown): unknown {
  if (error instanceof TooLargeToConvert) return imageTooLargeToConvert(error.message);
  if (error instanceof NotConvertible) return imageNotConvertible(error.cause);
  if (error instanceof CodecBusy) return conversionBusy(error.cause);
  return error;
}

/** What cannot be read is made again. */
function keptAt(place: Place, { name }: VariantPlan, { buckets, log }: VariantsDeps) {
  const key = variantKeyOf(place, name);
  const bucket = bucketForKey(buckets, key);
  const failed = (error: unknown) => {
    log.warn('image.variant_unreadable', { image_id: imageIdOf(place), error });
    return null;
  };
  const describe = async () => {
    const object = await bucket.head(key);
    return object ? factsOf(place, object) : null;
  };
  const read = async (range: ByteRange | null) => {
    const object = await bucket.get(key, range ? { range } : {});
    return object ? { facts: factsOf(place, object), body: object.body } : null;
  };
  return {
    describe: () => describe().catch(failed),
    read: (range: ByteRange | null) => read(range).catch(failed),
  };
}

/**
 * Never throws. Who deletes an image does so before it lists what lies beside it: either that finds
 * the copy, or the image is missing here and the copy goes again.
 */
async function keep(
  variant: {
    readonly place: Place;
    readonly plan: VariantPlan;
    readonly facts: ImageFacts;
    readonly bytes: Uint8Array;
  },
  { buckets, log }: VariantsDeps,
): Promise<void> {
  const { place, plan, facts, bytes } = variant;
  const key = variantKeyOf(place, plan.name);
  const bucket = bucketForKey(buckets, key);
  try {
    await bucket.put(key, bytes, putOptionsOf({ ...facts, place }));
    const image = await bucket.head(objectKeyOf(place)).catch(() => null);
    if (!image) await bucket.delete(key);
  } catch (error) {
    log.warn('image.variant_not_kept', { image_id: facts.id, error });
  }
}
