/**
 * Carries effects out after the commit. Every send may fail or hang, locally and in the field: it is
 * cut off after 10 s and forgotten, as the foreman's due times send again what nobody confirmed.
 */
import type { DeleteAccountMessage } from '../accounts/types';
import { type Buckets, bucketFor } from '../images/buckets';
import { deleteObjectsOf } from '../images/store';
import type { RequestId, UserId } from '../platform/ids';
import type { Logger } from '../platform/log';
import { within } from '../platform/patience';
import type { AbandonedJob } from '../requests/abandoned';
import type { CancelMessage } from '../requests/types';
import type { Effect } from './desk';

const SEND_TIMEOUT_MS = 10_000;
/** The platform takes 100 messages a batch. */
const BATCH = 100;

export interface Outbox {
  /** Null when there is nothing to send. The promise never rejects. */
  send(effects: readonly Effect[]): Promise<void> | null;
  /** Says whether every stored object of the request is gone. */
  purge(id: RequestId): Promise<boolean>;
}

export function createOutbox(
  env: Pick<Env, 'GENERATION_QUEUE' | 'WEBHOOKS_QUEUE' | 'EVENTS_QUEUE'> & Buckets,
  log: Logger,
): Outbox {
  const sendTo = async (name: string, queue: Queue, bodies: readonly object[]) => {
    for (let from = 0; from < bodies.length; from += BATCH) {
      const batch = bodies.slice(from, from + BATCH).map((body) => ({ body }));
      try {
        const sent = batch.length === 1 ? queue.send(bodies[from]) : queue.sendBatch(batch);
        await within<unknown>(SEND_TIMEOUT_MS, sent);
      } catch (error) {
        log.warn('queue.send_failed', { queue: name, count: batch.length, error });
      }
    }
  };

  return {
    send(effects) {
      const runs = effects.flatMap((e) => ('send' in e && e.send === 'run' ? [e.message] : []));
      const posts = effects.flatMap((e) =>
        'send' in e && e.send === 'deliver' ? [e.message] : [],
      );
      const cancels = effects.flatMap((e) =>
        'send' in e && e.send === 'cancel' ? [cancelMessage(e.userId, e.job)] : [],
      );
      const wakes = effects.flatMap((e) =>
        'send' in e && e.send === 'wake' ? [{ type: 'projection.wake', v: 1, user: e.userId }] : [],
      );
      const deletions = effects.flatMap((e) =>
        'send' in e && e.send === 'delete'
          ? [{ type: 'account.delete', v: 1, user: e.userId } satisfies DeleteAccountMessage]
          : [],
      );
      const sends = [
        runs.length + cancels.length > 0
          ? sendTo('generation', env.GENERATION_QUEUE, [...runs, ...cancels])
          : null,
        posts.length > 0 ? sendTo('webhooks', env.WEBHOOKS_QUEUE, posts) : null,
        wakes.length + deletions.length > 0
          ? sendTo('events', env.EVENTS_QUEUE, [...wakes, ...deletions])
          : null,
      ].filter((send) => send !== null);
      return sends.length === 0 ? null : Promise.all(sends).then(() => undefined);
    },

    async purge(id) {
      try {
        await within(SEND_TIMEOUT_MS, deleteObjectsOf(bucketFor(env, id), id));
        return true;
      } catch (error) {
        log.warn('images.purge_failed', { request_id: id, error });
        return false;
      }
    },
  };
}

function cancelMessage(userId: UserId, job: AbandonedJob): CancelMessage {
  const { token, correlationId: correlation_id } = job;
  return { type: 'generation.cancel', v: 1, user: userId, job: token, correlation_id };
}
