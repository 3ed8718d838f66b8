/**
 * One attempt of a generation: load the inputs, call the provider, check the images, store them.
 * Whatever happens is told as a result; nothing is retried here but the put of a paid image.
 */

import { inspectImage } from '../images/inspect';
import type { ImageService } from '../images/service';
import type { JsonObject } from '../platform/json';
import type { Logger } from '../platform/log';
import type { AttemptResult, Running } from '../requests/types';
import { priceOf, sizeFor } from './candidates';
import type { Catalog, Target } from './catalog';
import { inputOf } from './decide';
import type { InputStore } from './inputs';
import { INPUT_UNAVAILABLE, STORAGE_FAILED } from './plan';
import type {
  Provider,
  ProviderAnswer,
  ProviderFailure,
  ProviderImage,
  ProviderJob,
} from './providers/provider';
import type { GenerationInput, GenerationOutput } from './types';

/** An adapter that does not heed its signal is left behind after this much more. */
const GRACE_MS = 1_000;
const INPUT_TIMEOUT_MS = 30_000;
const INPUT_MARGIN_MS = 2_000;

export interface AttemptDeps {
  readonly catalog: Catalog;
  readonly provider: (name: string) => Provider | null;
  readonly inputs: Pick<InputStore, 'load'>;
  readonly images: Pick<ImageService, 'store'>;
  readonly providerTimeoutMs: number;
  readonly imageRetentionMs: number;
  /** When the invocation has to be done: what it still holds then is lost. */
  readonly endBefore: number;
  readonly now: () => number;
  readonly log: Logger;
}

export async function makeAttempt(
  state: Running,
  stale: AbortSignal,
  deps: AttemptDeps,
): Promise<AttemptResult> {
  const target = deps.catalog.target(state.current);
  const provider = deps.provider(state.current.provider);
  if (!target || !provider) return rejected('target_gone', 'This target is no longer configured.');
  const input = inputOf(state);
  const inputs = await loadInputs(state, input, deps);
  if (!inputs.ok)
    return inputs.final ? rejected(INPUT_UNAVAILABLE, inputs.reason) : notSent(inputs.reason);
  const job = jobFor(target, input, inputs);
  const answer = await call(provider, job, { state, stale }, deps);
  if (answer.outcome !== 'succeeded') return answer;
  return deliver(answer, { state, stale, target, input }, deps);
}

async function loadInputs(state: Running, input: GenerationInput, deps: AttemptDeps) {
  // Well before the deadline, so that no call is taken for made which was not.
  const untilDeadline = state.deadlineAt - deps.now() - INPUT_MARGIN_MS;
  const limit = Math.min(INPUT_TIMEOUT_MS, deps.providerTimeoutMs, untilDeadline);
  const timeoutMs = Math.max(1, limit);
  const load = async (reference: string | undefined) => {
    if (reference === undefined) return null;
    const { userId } = state;
    return deps.inputs.load({ userId, reference, timeoutMs }).catch((error: unknown) => {
      deps.log.warn('attempt.input_failed', { request_id: state.id, error });
      return { ok: false as const, final: false, reason: 'The input image cannot be read now.' };
    });
  };
  const [image, mask] = await Promise.all([load(input.image), load(input.mask)]);
  for (const loaded of [image, mask]) if (loaded && !loaded.ok) return loaded;
  return {
    ok: true as const,
    image: image?.ok ? image.image : null,
    mask: mask?.ok ? mask.image : null,
  };
}

function jobFor(
  target: Target,
  input: GenerationInput,
  inputs: Pick<ProviderJob, 'image' | 'mask'>,
): ProviderJob {
  return {
    model: target.model,
    prompt: input.prompt,
    negativePrompt: input.negative_prompt ?? null,
    n: input.n,
    size: sizeFor(target, input),
    aspectRatio: input.aspect_ratio ?? null,
    seed: input.seed ?? null,
    steps: input.steps ?? null,
    guidanceScale: input.guidance_scale ?? null,
    outputFormat: input.output_format ?? null,
    image: inputs.image,
    mask: inputs.mask,
    strength: input.strength ?? null,
    options: optionsFor(target, input),
  };
}

/** They came in as JSON, which is all that a JSON object is. */
function optionsFor(target: Target, input: GenerationInput): JsonObject {
  return (input.provider_options?.[target.provider] ?? {}) as JsonObject;
}

async function call(
  provider: Provider,
  job: ProviderJob,
  of: { readonly state: Running; readonly stale: AbortSignal },
  deps: AttemptDeps,
): Promise<ProviderAnswer> {
  const { state } = of;
  const limitMs = Math.max(1, Math.min(deps.providerTimeoutMs, state.deadlineAt - deps.now()));
  const limit = AbortSignal.timeout(limitMs);
  const signal = AbortSignal.any([limit, of.stale]);
  const context = {
    attempt: state.current.number,
    requestId: state.id,
    signal,
    correlationId: state.correlationId,
    traceparent: state.traceparent,
  };
  try {
    return await Promise.race([provider.generate(job, context), leftBehind(signal, limitMs)]);
  } catch (error) {
    const { id: request_id, correlationId: correlation_id } = state;
    deps.log.error('provider.threw', {
      provider: provider.name,
      request_id,
      correlation_id,
      error,
    });
    return unknown('internal_error', 'The call ended in a fault of Foreman.');
  }
}

function leftBehind(signal: AbortSignal, limitMs: number): Promise<ProviderFailure> {
  return new Promise((resolve) => {
    const answer = () => resolve(unknown('timeout', `No answer within ${limitMs} ms.`));
    signal.addEventListener('abort', () => setTimeout(answer, GRACE_MS), { once: true });
  });
}

async function deliver(
  answer: Extract<ProviderAnswer, { outcome: 'succeeded' }>,
  of: {
    readonly state: Running;
    readonly stale: AbortSignal;
    readonly target: Target;
    readonly input: GenerationInput;
  },
  deps: AttemptDeps,
): Promise<AttemptResult> {
  const { state, target, input } = of;
  const checked = check(answer.images.slice(0, input.n));
  if (!checked.ok) return invalidOutput(checked.reason, answer.providerRequestId);
  const until = Math.min(state.deadlineAt, deps.endBefore);
  const untilTheEnd = AbortSignal.timeout(Math.max(1, until - deps.now()));
  const stored = await deps.images.store({
    requestId: state.id,
    attempt: state.current.number,
    userId: state.userId,
    images: checked.images,
    retentionMs: deps.imageRetentionMs,
    now: deps.now(),
    signal: AbortSignal.any([untilTheEnd, of.stale]),
  });
  if (!stored) return notStored(answer.providerRequestId);
  const output: GenerationOutput = { images: stored };
  return {
    outcome: 'succeeded',
    output: output as unknown as JsonObject,
    costMicros: answer.costMicros ?? priceOf(target, input) * stored.length,
    providerRequestId: answer.providerRequestId,
    warnings: [
      ...answer.warnings,
      ...deviations({ stored, made: answer.images.length, target, input }),
    ],
  };
}

function check(images: readonly ProviderImage[]) {
  if (images.length === 0) return { ok: false as const, reason: 'there is no image' };
  const checked = [];
  for (const image of images) {
    const inspected = inspectImage(image.bytes);
    if (!inspected.ok) return inspected;
    checked.push({ ...image, ...inspected });
  }
  return { ok: true as const, images: checked };
}

/** What came is kept, but not in silence. */
function deviations(of: {
  readonly stored: GenerationOutput['images'];
  readonly made: number;
  readonly target: Target;
  readonly input: GenerationInput;
}): string[] {
  const { stored, made, target, input } = of;
  const warnings: string[] = [];
  const asked = sizeFor(target, input);
  const other = asked
    ? stored.find((image) => image.width !== asked.width || image.height !== asked.height)
    : undefined;
  if (asked && other) {
    warnings.push(
      `asked for ${asked.width}x${asked.height}, ${target.provider} made ${other.width}x${other.height}`,
    );
  }
  if (made !== input.n) {
    warnings.push(`asked for ${input.n} image(s), ${target.provider} made ${made}`);
  }
  const format = input.output_format;
  const odd = format && stored.find((image) => image.mediaType !== `image/${format}`);
  if (odd) warnings.push(`asked for ${format}, ${target.provider} made ${odd.mediaType}`);
  return warnings;
}

const notSent = (message: string): ProviderFailure => ({
  outcome: 'not_sent',
  error: { code: INPUT_UNAVAILABLE, message },
  retryAfterMs: null,
  providerRequestId: null,
  possiblyBilled: false,
});

const rejected = (code: string, message: string): ProviderFailure => ({
  outcome: 'rejected',
  error: { code, message },
  retryAfterMs: null,
  providerRequestId: null,
  possiblyBilled: false,
});

const unknown = (code: string, message: string): ProviderFailure => ({
  outcome: 'unknown',
  error: { code, message },
  retryAfterMs: null,
  providerRequestId: null,
  possiblyBilled: true,
});

const notStored = (providerRequestId: string | null): ProviderFailure => ({
  outcome: 'failed',
  error: { code: STORAGE_FAILED, message: 'The images were made but could not be stored.' },
  retryAfterMs: null,
  providerRequestId,
  possiblyBilled: true,
});

const invalidOutput = (reason: string, providerRequestId: string | null): ProviderFailure => ({
  outcome: 'failed',
  error: { code: 'invalid_output', message: `The answer is no valid image: ${reason}` },
  retryAfterMs: null,
  providerRequestId,
  possiblyBilled: true,
});
