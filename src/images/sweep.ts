/** Deletes what retention has passed. Bounded, and safe to repeat or to run twice at once. */
import type { ImageStore } from './store';

const BATCH = 100;
/** Bounds one run; what is left over waits for the next. */
const MAX_BATCHES = 10;

/** Objects go before their rows, so that a run that dies in between leaves what the next one finds. */
export async function sweepRows(store: ImageStore, now: number): Promise<number> {
  let swept = 0;
  for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
    const rows = await store.getExpiredRows({ now, limit: BATCH });
    if (rows.length === 0) break;
    await store.deleteKeys(rows.map((row) => row.key));
    await store.deleteRows(rows.map((row) => row.id));
    swept += rows.length;
    if (rows.length < BATCH) break;
  }
  return swept;
}

/** What no row knows of: images whose process died between the put and the settle. */
export async function sweepObjects(store: ImageStore, now: number): Promise<number> {
  let swept = 0;
  for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
    const { keys, more } = await store.getExpiredObjects(now);
    await store.deleteKeys(keys);
    swept += keys.length;
    if (!more) break;
  }
  return swept;
}
