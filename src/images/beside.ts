/** The parts and variants of images, which go when their image goes. */
import { behind, IMAGES_PREFIX, nextTo, objectKeyOf } from './keys';

/** Sorts behind every key under `images/`. */
const LAST = 'images0';

export interface Beside {
  /** Of images, sorted. */
  readonly keys: readonly string[];
  /** How many pages of the bucket may be looked at. */
  readonly looks: number;
}

export interface FoundBeside {
  readonly beside: string[];
  /** Of how many of the images, from the first on, this is all. */
  readonly complete: number;
  readonly looks: number;
}

/** One look takes in all images that lie on its page, so neighbours cost one together. */
export async function getBeside(
  bucket: Pick<R2Bucket, 'list'>,
  { keys, looks: maxLooks }: Beside,
): Promise<FoundBeside> {
  const ends = keys.map(endOf);
  const images = new Set(keys);
  const beside: string[] = [];
  let [complete, looks, after] = [0, 0, ''];
  for (; looks < maxLooks && complete < keys.length; looks += 1) {
    const next = keys[complete] ?? LAST;
    if (after < next) after = next;
    const { objects, truncated } = await bucket.list({ prefix: IMAGES_PREFIX, startAfter: after });
    for (const { key } of objects) {
      const found = nextTo(key);
      if (found && found.is !== 'image' && images.has(objectKeyOf(found.place))) beside.push(key);
    }
    after = truncated ? (objects.at(-1)?.key ?? LAST) : LAST;
    while (complete < keys.length && (ends[complete] ?? LAST) <= after) complete += 1;
  }
  return { beside, complete, looks };
}

/** A key that is not made here has nothing beside it. */
function endOf(key: string): string {
  const found = nextTo(key);
  return found ? behind(found.place) : key;
}
