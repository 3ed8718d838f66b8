/** Deletes what retention has passed. Bounded, and safe to repeat or to run twice at once. */
import { nextTo } from './keys';
import type { ImageStore, Swept, SweptBucket } from './store';

/** With what lies beside them about as many keys as R2 deletes in one call. */
const BATCH = 500;
/** Bounds one run; what is left over waits for the next: 10,000 images of each bucket. */
const MAX_BATCHES = 20;
/**
 * Images that expire one by one among others that stay cost a look each, and only so many go. An
 * invocation may call R2 and D1 10,000 times in all; looks are made one after the other.
 */
const MAX_LOOKS = 1_000;
/** Pages of 1,000 objects. */
const MAX_PAGES: Readonly<Record<Swept, number>> = { images: 30, uploads: 10 };
/** A request that was accepted with an upload may need it until its deadline, 24 h at the longest. */
const GRACE_MS: Readonly<Record<Swept, number>> = { images: 0, uploads: 25 * 3_600_000 };

/**
 * A bucket or an index that fails keeps nothing else from being swept.
 * @throws what failed first, after all that could be done.
 */
export async function sweepAll(
  store: Pick<ImageStore, 'buckets' | 'deleteRows'>,
  now: number,
): Promise<number> {
  const sweeps = store.buckets.flatMap((bucket) => [
    () => sweepRows(bucket, store, now),
    () => sweepObjects(bucket, 'images', now),
    () => sweepObjects(bucket, 'uploads', now),
  ]);
  let swept = 0;
  const failures: { readonly error: unknown }[] = [];
  for (const sweep of sweeps) {
    try {
      swept += await sweep();
    } catch (error) {
      failures.push({ error });
    }
  }
  const [first] = failures;
  if (first) throw first.error;
  return swept;
}

/** Objects go before their rows, so that a run that dies in between leaves what the next one finds. */
async function sweepRows(
  bucket: SweptBucket,
  { deleteRows }: Pick<ImageStore, 'deleteRows'>,
  now: number,
): Promise<number> {
  let swept = 0;
  let looks = MAX_LOOKS;
  for (let batch = 0; batch < MAX_BATCHES && looks > 0; batch += 1) {
    const rows = await bucket.getExpiredRows({ now, limit: BATCH });
    if (rows.length === 0) break;
    const sorted = rows.toSorted((one, other) => (one.key < other.key ? -1 : 1));
    const found = await bucket.getBeside({ keys: sorted.map(({ key }) => key), looks });
    const whole = sorted.slice(0, found.complete);
    await bucket.deleteKeys([...whole.map(({ key }) => key), ...found.beside]);
    await deleteRows(whole.map(({ id }) => id));
    swept += whole.length;
    looks -= found.looks;
    if (rows.length < BATCH) break;
  }
  return swept;
}

/**
 * What no row knows of: uploads, and images whose process died between the put and the settle. Keys
 * sort by request or user and not by expiry, so a run goes on where the last one stopped, and round
 * again. An upload that is renewed in the moment between the look and the deletion is lost: its id
 * answers 404, and the client uploads it again.
 */
async function sweepObjects(bucket: SweptBucket, of: Swept, now: number): Promise<number> {
  const before = now - GRACE_MS[of];
  const start = await bucket.getPosition(of);
  let after = start;
  let swept = 0;
  for (let page = 0; page < MAX_PAGES[of]; page += 1) {
    const { keys, next } = await bucket.getExpired({ of, after, before });
    await bucket.deleteKeys(keys);
    swept += keys.filter((key) => isWhole(key, of)).length;
    after = next;
    if (after === null) break;
  }
  if (after !== start) await bucket.setPosition(of, after);
  return swept;
}

/** Parts and variants are no images of their own. */
const isWhole = (key: string, of: Swept) => of === 'uploads' || nextTo(key)?.is === 'image';
