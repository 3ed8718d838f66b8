/** Cron → job. Each job is a bounded batch that the next run continues. */
import type { RequestId, UserId } from './platform/ids';
import { LETTER_LIFE_MS } from './requests/dead-letters';
import { TOMBSTONE_LIFE_MS } from './requests/queueing';
import type { Services } from './services';
import { LOG_LIFE_MS } from './webhooks/log/service';

/** A live request is terminal 60 s after its deadline; D1 may lag behind by some minutes. */
const LATE_MS = 300_000;
const LATE_BATCH = 200;
const TOMBSTONE_BATCH = 1_000;
const LETTER_BATCH = 1_000;
const DELIVERY_BATCH = 1_000;

export async function runCron(services: Services): Promise<void> {
  const jobs: Record<string, () => Promise<number | Readonly<Record<string, number>>>> = {
    late_requests: () => recheckLate(services),
    expired_images: () => services.images.sweepExpired({ now: services.now() }),
    // After the sweep, which has counted what is merely past its time.
    orphaned_images: () => services.findOrphans({ now: services.now() }),
    tombstones: () =>
      services.requestStore.deleteTombstones({
        before: services.now() - TOMBSTONE_LIFE_MS,
        limit: TOMBSTONE_BATCH,
      }),
    delivery_log: () =>
      services.deliveryLogStore.deleteOld({
        before: services.now() - LOG_LIFE_MS,
        limit: DELIVERY_BATCH,
      }),
    dead_letters: () =>
      services.deadLetters.store.deleteOld({
        before: services.now() - LETTER_LIFE_MS,
        limit: LETTER_BATCH,
      }),
  };
  for (const [job, run] of Object.entries(jobs)) {
    try {
      const done = await run();
      services.log.info('cron.done', {
        job,
        ...(typeof done === 'number' ? { count: done } : { counts: done }),
      });
    } catch (error) {
      services.log.error('cron.failed', { job, error });
    }
  }
}

/** Wakes the foremen of requests that D1 still shows as live long after their deadline. */
async function recheckLate(services: Services): Promise<number> {
  const before = services.now() - LATE_MS;
  const late = await services.requestStore.getLate({ before, limit: LATE_BATCH });
  const byUser = Map.groupBy(late, ({ userId }) => userId);
  const rechecks = await Promise.allSettled(
    [...byUser].map(([userId, entries]: [UserId, { id: RequestId }[]]) =>
      services.foreman(userId).recheck(entries.map(({ id }) => id)),
    ),
  );
  const failed = rechecks.find((recheck) => recheck.status === 'rejected');
  if (failed)
    services.log.warn('cron.recheck_failed', { job: 'late_requests', error: failed.reason });
  return late.length;
}
