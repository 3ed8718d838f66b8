/** Deletes what retention has passed. Bounded, and safe to repeat or to run twice at once. */
import type { ImageStore, SweptBucket } from './store';

const BATCH = 100;
/** Bounds one run; what is left over waits for the next. */
const MAX_BATCHES = 10;
/** A request that was accepted with an upload may need it until its deadline, 24 h at the longest. */
const UPLOAD_GRACE_MS = 25 * 3_600_000;

/**
 * A bucket or an index that fails keeps nothing else from being swept.
 * @throws what failed first, after all that could be done.
 */
export async function sweepAll(store: ImageStore, now: number): Promise<number> {
  const sweeps = store.buckets.flatMap((bucket) => [
    () => sweepRows(bucket, store, now),
    () => sweepObjects(bucket, now),
    () => sweepUploads(bucket, now),
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
  for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
    const rows = await bucket.getExpiredRows({ now, limit: BATCH });
    if (rows.length === 0) break;
    await bucket.deleteKeys(rows.map((row) => row.key));
    await deleteRows(rows.map((row) => row.id));
    swept += rows.length;
    if (rows.length < BATCH) break;
  }
  return swept;
}

/** What no row knows of: images whose process died between the put and the settle. */
async function sweepObjects(bucket: SweptBucket, now: number): Promise<number> {
  let swept = 0;
  for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
    const { keys, more } = await bucket.getExpiredObjects(now);
    await bucket.deleteKeys(keys);
    swept += keys.length;
    if (!more) break;
  }
  return swept;
}

/**
 * Uploads sort by user, not by time, so a run goes on where the last one stopped, and round again.
 * One that is renewed in the moment between the look and the deletion is lost: its id answers 404,
 * and the client uploads it again.
 */
async function sweepUploads(bucket: SweptBucket, now: number): Promise<number> {
  const before = now - UPLOAD_GRACE_MS;
  const start = await bucket.getUploadsPosition();
  let after = start;
  let swept = 0;
  for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
    const { keys, next } = await bucket.getExpiredUploads({ after, before });
    await bucket.deleteKeys(keys);
    swept += keys.length;
    after = next;
    if (after === null) break;
  }
  if (after !== start) await bucket.setUploadsPosition(after);
  return swept;
}
