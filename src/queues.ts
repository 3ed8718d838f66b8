/**
 * Message type → consumer. Each message is answered on its own: a poison one among good ones is
 * stored as a dead letter and holds nobody up.
 */
import { claimDeletion } from './accounts/deletion/consumer';
import { deleteAccountMessageSchema } from './accounts/types';
import { cancelJob } from './generation/cancel-job';
import { claimGeneration } from './generation/consumer';
import { createLeaseKeeper } from './generation/leases';
import { dead, type Verdict } from './platform/queue';
import { bury } from './requests/dead-letters';
import { project } from './requests/projector';
import { cancelMessageSchema, projectionMessageSchema, runMessageSchema } from './requests/types';
import type { Services } from './services';
import { claimWebhook } from './webhooks/consumer';
import { deliverMessageSchema } from './webhooks/types';

const DEAD_LETTERS = 'foreman-dead-letters';
/**
 * The platform ends an invocation after its 15th minute. The last attempt starts in its 8th, takes
 * up to half a minute for inputs and four for the call, and has the rest to store and settle.
 */
const START_WITHIN_MS = 480_000;
const END_WITHIN_MS = 840_000;
/** Beyond this many detached calls an isolate's memory is at risk: further ones are waited for. */
const MAX_DETACHED = 64;

interface Consumed {
  readonly verdict: Verdict;
  /** The slow part, when there is one: it runs under a lease. */
  readonly run: (() => Promise<void>) | null;
}

export async function consumeBatch(
  batch: MessageBatch,
  services: Services,
  context: Pick<ExecutionContext, 'waitUntil'>,
): Promise<void> {
  const deps = invocationDeps(services);
  await Promise.all(
    batch.messages.map(async (message) => {
      const { verdict, run } = await consume(batch.queue, message.body, deps);
      const settled =
        verdict.verdict === 'dead' ? await buried(batch, message, verdict, services) : verdict;
      if (settled.verdict === 'retry') message.retry({ delaySeconds: settled.afterSeconds });
      else message.ack();
      if (run) await detachOrAwait(run, services, context);
    }),
  );
}

async function consume(
  queue: string,
  body: unknown,
  deps: ReturnType<typeof invocationDeps>,
): Promise<Consumed> {
  const { services } = deps;
  if (queue === DEAD_LETTERS) {
    const letter = { queue, body, reason: 'the queue gave up on it' };
    return { verdict: await bury(letter, services.deadLetters), run: null };
  }
  switch ((body as { type?: unknown } | null)?.type) {
    case 'generation.run': {
      const message = runMessageSchema.safeParse(body);
      if (message.success) return claimGeneration(message.data, deps.generation);
      break;
    }
    case 'generation.cancel': {
      const message = cancelMessageSchema.safeParse(body);
      if (message.success) {
        return { verdict: await cancelJob(message.data, services.generationConsumer), run: null };
      }
      break;
    }
    case 'webhook.deliver': {
      const message = deliverMessageSchema.safeParse(body);
      if (message.success) return claimWebhook(message.data, services.webhookConsumer);
      break;
    }
    case 'projection.wake': {
      const message = projectionMessageSchema.safeParse(body);
      if (message.success) {
        return { verdict: await project(message.data, services.projector), run: null };
      }
      break;
    }
    case 'account.delete': {
      const message = deleteAccountMessageSchema.safeParse(body);
      if (message.success) return claimDeletion(message.data, services.deletionConsumer);
      break;
    }
  }
  return { verdict: dead('no consumer understands it'), run: null };
}

async function buried(
  batch: MessageBatch,
  message: Message,
  verdict: Extract<Verdict, { verdict: 'dead' }>,
  services: Services,
): Promise<Verdict> {
  const letter = { queue: batch.queue, body: message.body, reason: verdict.reason };
  return bury(letter, services.deadLetters);
}

/** What lives as long as one invocation: timers may not outlive it, nor be shared by two. */
function invocationDeps(services: Services) {
  const leases = createLeaseKeeper((userId, claims) => services.foreman(userId).renew(claims));
  const startBefore = services.now() + START_WITHIN_MS;
  const endBefore = services.now() + END_WITHIN_MS;
  const generation = { ...services.generationConsumer, leases, startBefore, endBefore };
  return { services, generation };
}

async function detachOrAwait(
  run: () => Promise<void>,
  services: Services,
  context: Pick<ExecutionContext, 'waitUntil'>,
): Promise<void> {
  const running = run().catch((error: unknown) => {
    services.log.error('consumer.failed', { error });
  });
  if (!services.settings.detachCalls || services.detached.count >= MAX_DETACHED) return running;
  services.detached.count += 1;
  context.waitUntil(
    running.finally(() => {
      services.detached.count -= 1;
    }),
  );
}
