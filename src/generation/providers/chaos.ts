/**
 * Models that fail on purpose, one way each, with the outcomes a real provider would end in. Client
 * developers test their unhappy paths with them; so do we. What they deliver is a sketch.
 */
import { z } from 'zod';
import {
  type CallContext,
  defineProvider,
  type Moderation,
  type Provider,
  type ProviderFailure,
  type ProviderJob,
  type ProviderSuccess,
} from './provider';
import { optional } from './settings';
import { type DrawSketch, randomSeed, showSketches, sketchPicture } from './sketch';
import { drawSketch } from './sketch/draw';

/** Longer than a client's patience with one poll, shorter than its patience with a test. */
const SLOW_MS = 8_000;

/** The least that an HTTP `Retry-After` can say besides 0. */
const THROTTLE_MS = 1_000;

const FLAKY = /^chaos-flaky-([1-9])$/;

export const chaos = defineProvider({
  name: 'chaos',
  settings: z
    .object({
      CHAOS_MODELS: optional(z.enum(['true', 'false'], { error: 'must be "true" or "false"' })),
    })
    .transform((settings) => (settings.CHAOS_MODELS === 'true' ? {} : null)),
  missing: 'CHAOS_MODELS is not true',
  create: (_config, deps) => createChaosProvider({ draw: drawSketch, sleep: deps.sleep }),
});

export interface ChaosDeps {
  /** Resolves after `ms`, or once the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly draw: DrawSketch;
}

export function createChaosProvider(deps: ChaosDeps): Provider {
  return {
    name: 'chaos',
    async generate(job, context) {
      const flaky = FLAKY.exec(job.model);
      if (flaky) return flakily(Number(flaky[1]), job, context, deps);
      switch (job.model) {
        case 'chaos-accept-then-drop':
          return failure('unknown', 'connection_lost', 'the connection was lost after acceptance');
        case 'chaos-5xx-after-accept':
          return failure('failed', 'server_error', 'chaos answered 500');
        case 'chaos-throttle':
          return failure('throttled', 'rate_limit_exceeded', 'chaos answered 429');
        case 'chaos-slow':
          return slowly(job, context, deps);
        case 'chaos-refuse-input':
          return refusal('input');
        case 'chaos-refuse-output':
          return refusal('output');
        case 'chaos-corrupt-image':
          return corrupted(await sketchPicture(job, deps.draw));
        default:
          return failure('rejected', 'model_not_found', `there is no model ${job.model}`, {
            kind: 'not_found',
          });
      }
    },
    showsPreviews: ({ model }) => model === 'chaos-slow',
  };
}

/** Fails each request's first `times` attempts. */
async function flakily(
  times: number,
  job: ProviderJob,
  context: CallContext,
  deps: ChaosDeps,
): Promise<ProviderSuccess | ProviderFailure> {
  if (context.attempt > times) return sketchPicture(job, deps.draw);
  return failure('failed', 'server_error', `chaos fails attempt ${context.attempt} of ${times}`);
}

async function slowly(
  job: ProviderJob,
  context: CallContext,
  deps: ChaosDeps,
): Promise<ProviderSuccess | ProviderFailure> {
  const seeded = { ...job, seed: job.seed ?? randomSeed() };
  await showSketches(seeded, context, deps.draw);
  // A sleep that rejects on abort ends like one that resolves.
  await deps.sleep(SLOW_MS, context.signal).catch(() => {});
  if (context.signal.aborted) return failure('unknown', 'timeout', 'chaos did not answer in time');
  return sketchPicture(seeded, deps.draw);
}

/** The first half of each picture: right at the start, cut short at the end. */
function corrupted(answer: ProviderSuccess): ProviderSuccess {
  return {
    ...answer,
    images: answer.images.map((image) =>
      'bytes' in image
        ? { ...image, bytes: image.bytes.slice(0, Math.floor(image.bytes.byteLength / 2)) }
        : image,
    ),
  };
}

function refusal(stage: Moderation['stage']): ProviderFailure {
  const moderation: Moderation = {
    stage,
    categories: ['chaos'],
    provider: 'chaos',
    provider_code: 'moderation_blocked',
    account_level: false,
  };
  const message = `chaos refused the ${stage === 'input' ? 'prompt' : 'image it made'}`;
  const refused = failure('refused', 'moderation_blocked', message, { moderation });
  return { ...refused, possiblyBilled: stage === 'output' };
}

function failure(
  outcome: ProviderFailure['outcome'],
  code: string,
  message: string,
  details?: ProviderFailure['error']['details'],
): ProviderFailure {
  return {
    outcome,
    error: { code, message, ...(details ? { details } : {}) },
    retryAfterMs: outcome === 'throttled' ? THROTTLE_MS : null,
    providerRequestId: null,
    possiblyBilled: outcome === 'unknown',
  };
}
