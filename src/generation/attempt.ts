/**
 * One attempt of a generation: load the inputs, call the provider, follow its job if it has one,
 * store the images. Whatever happens is told as a result; nothing is retried here but the put of a
 * paid image and the collection of a job that has ended.
 */
import type { ImageService } from '../images/service';
import type { JsonObject } from '../platform/json';
import type { Logger } from '../platform/log';
import type { AttemptResult, JobProgress, RemoteJob, Running } from '../requests/types';
import { callbackUrl } from './callbacks';
import { sizeFor } from './candidates';
import { type Catalog, MAX_CALL_MS, type Target } from './catalog';
import { inputOf, promptsOf } from './decide';
import { deliver } from './deliver';
import {
  cutShort,
  inputGone,
  inputNotRead,
  noAnswer,
  OUTPUT_UNAVAILABLE,
  ownFault,
  targetGone,
} from './failures';
import type { InputStore } from './inputs';
import { followJob } from './job';
import type {
  CallContext,
  JobAccepted,
  Provider,
  ProviderAnswer,
  ProviderFailure,
  ProviderJob,
  ProviderPreview,
  ProviderSuccess,
} from './providers/provider';
import { type GenerationInput, previewsOf } from './types';

/** An adapter that does not heed its signal is left behind after this much more. */
const GRACE_MS = 1_000;
const INPUT_TIMEOUT_MS = 30_000;
const INPUT_MARGIN_MS = 2_000;
/** How long a provider may take for a job of its own, unless the catalogue says otherwise. */
const JOB_TIMEOUT_MS = 600_000;
/** The images of a job that has ended could not be had: they are asked for again after this. */
const COLLECT_AGAIN_MS = 10_000;
const CANCEL_TIMEOUT_MS = 15_000;

export interface AttemptDeps {
  readonly catalog: Catalog;
  readonly provider: (name: string) => Provider | null;
  readonly inputs: Pick<InputStore, 'load'>;
  readonly images: Pick<ImageService, 'store'>;
  readonly providerTimeoutMs: number;
  readonly imageRetentionMs: number;
  readonly linkSecret: string;
  /** When the invocation has to be done: what it still holds then is lost. */
  readonly endBefore: number;
  readonly now: () => number;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly log: Logger;
}

/** `stale`: the foreman wants the job no more, and sees to its cancellation. */
export type Kept = 'kept' | 'stale' | 'unreachable';

/** What belongs to this attempt alone. */
export interface Attempt {
  readonly state: Running;
  /** Aborted when the attempt is no longer the current one. */
  readonly stale: AbortSignal;
  /** Tells the foreman where the provider's job stands. */
  readonly keep: (progress: JobProgress) => Promise<Kept>;
  /** Hands on what there is to show while the call lasts. Never throws. */
  readonly show: (preview: ProviderPreview) => void;
}

/** See `Followed` for the ends without a result. */
export type Made = AttemptResult | 'left' | 'unwanted';

export async function makeAttempt(attempt: Attempt, deps: AttemptDeps): Promise<Made> {
  const { state } = attempt;
  const { job } = state.current;
  const target = deps.catalog.target(state.current);
  const provider = deps.provider(state.current.provider);
  if (job && provider) return collect({ ...attempt, target, provider, job, firstCheckMs: 0 }, deps);
  if (!target || !provider) return targetGone(job !== null);
  const input = inputOf(state);
  const inputs = await loadInputs(state, input, deps);
  if (!inputs.ok) return inputs.final ? inputGone(inputs.reason) : inputNotRead(inputs.reason);
  const answer = await call(provider, jobFor(target, input, inputs), { ...attempt, target }, deps);
  if (answer.outcome === 'succeeded') return deliverTo(attempt, { target, answer }, deps);
  if (answer.outcome !== 'accepted') return answer;
  return begin({ ...attempt, target, provider, answer }, deps);
}

/** The handle is kept before anybody waits: whoever comes next asks for the same job. */
async function begin(
  of: Attempt & { readonly target: Target; readonly provider: Provider; answer: JobAccepted },
  deps: AttemptDeps,
): Promise<Made> {
  const { handle, providerRequestId, warnings, checkAfterMs: firstCheckMs } = of.answer;
  const accepted = { handle, providerRequestId, warnings, queue: null };
  const kept = await of.keep({ ...accepted, checkAfterMs: null });
  if (kept === 'unreachable') await cancelUnknown(of, handle);
  if (kept !== 'kept') return 'unwanted';
  const wait = { for: 'call' } as const;
  const job: RemoteJob = { ...accepted, acceptedAt: deps.now(), nudged: false, wait };
  return collect({ ...of, job, firstCheckMs }, deps);
}

/** Nobody will ever know of this job but its provider, and the attempt counts as lost. */
async function cancelUnknown(
  { provider, state }: { readonly provider: Provider; readonly state: Running },
  handle: JsonObject,
): Promise<void> {
  const { correlationId } = state;
  const signal = AbortSignal.timeout(CANCEL_TIMEOUT_MS);
  await provider.jobs?.cancel(handle, { signal, correlationId });
}

async function collect(
  of: Attempt & {
    /** Null when it has left the catalogue since the job was begun. */
    readonly target: Target | null;
    readonly provider: Provider;
    readonly job: RemoteJob;
    readonly firstCheckMs: number;
  },
  deps: AttemptDeps,
): Promise<Made> {
  const { state, stale, target, provider, job, firstCheckMs, keep } = of;
  const { handle, providerRequestId, acceptedAt } = job;
  const timeoutMs = target?.timeoutMs ?? JOB_TIMEOUT_MS;
  const answer = await followJob(
    {
      state,
      provider,
      handle,
      providerRequestId,
      acceptedAt,
      timeoutMs,
      firstCheckMs,
      stale,
      // What a provider on this machine can reach, one elsewhere may not: then it is only asked less.
      expectsCallback: provider.jobs?.callsBack === true && state.origin.startsWith('https:'),
      texts: textsOf(inputOf(state)),
    },
    { ...deps, keep },
  );
  if (answer === 'left' || answer === 'unwanted') return answer;
  if (answer.outcome !== 'succeeded') return answer;
  const result = await deliverTo(of, { target, answer }, deps);
  const isLate = deps.now() - acceptedAt > timeoutMs;
  if (result.outcome === 'succeeded' || result.error.code !== OUTPUT_UNAVAILABLE || isLate) {
    return result;
  }
  // It is made and paid for: it is fetched again later rather than made again.
  const checkAfterMs = COLLECT_AGAIN_MS;
  const again = { handle, providerRequestId, warnings: [], queue: null, checkAfterMs };
  return (await keep(again)) === 'kept' ? 'left' : 'unwanted';
}

function deliverTo(
  { state, stale }: Attempt,
  of: { readonly target: Target | null; readonly answer: ProviderSuccess },
  deps: AttemptDeps,
): Promise<AttemptResult> {
  return deliver({ state, stale, ...of, input: inputOf(state) }, deps);
}

const textsOf = (input: GenerationInput): string[] =>
  [input.prompt, input.negative_prompt, input.styled?.prompt, input.styled?.negative_prompt].filter(
    (text) => typeof text === 'string',
  );

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
  const { prompt, negative_prompt: negativePrompt } = promptsOf(input);
  return {
    model: target.model,
    prompt,
    negativePrompt: negativePrompt ?? null,
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
    previews: previewsOf(input),
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
  of: Attempt & { readonly target: Target },
  deps: AttemptDeps,
): Promise<ProviderAnswer> {
  const { state, stale, target, show } = of;
  const untilDeadline = state.deadlineAt - deps.now();
  const longest = Math.min(target.timeoutMs ?? deps.providerTimeoutMs, MAX_CALL_MS);
  const limitMs = Math.max(1, Math.min(longest, untilDeadline));
  const limit = AbortSignal.timeout(limitMs);
  // A submission is short, and breaking it off would leave a job that nobody can find.
  const signal = provider.jobs ? limit : AbortSignal.any([limit, stale]);
  try {
    const context = { ...contextOf(state, signal, deps), preview: show };
    const answer = await Promise.race([
      provider.generate(job, context),
      leftBehind(signal, limitMs),
    ]);
    const isCutShort = limit.aborted && untilDeadline < longest;
    return isCutShort && answer.outcome === 'unknown'
      ? cutShort(answer)
      : notingPreviews(answer, provider, job);
  } catch (error) {
    const { id: request_id, correlationId: correlation_id } = state;
    const fields = { provider: provider.name, request_id, correlation_id };
    deps.log.error('provider.threw', { ...fields, error });
    return ownFault();
  }
}

/** Said here, so that an adapter which shows nothing need not know that there is anything to show. */
function notingPreviews(
  answer: ProviderAnswer,
  provider: Provider,
  job: ProviderJob,
): ProviderAnswer {
  const areIgnored = job.previews > 0 && !provider.showsPreviews?.(job);
  if (!areIgnored || !('warnings' in answer)) return answer;
  return { ...answer, warnings: [...answer.warnings, `${provider.name} ignores previews`] };
}

function contextOf(state: Running, signal: AbortSignal, deps: AttemptDeps): CallContext {
  const { id: requestId, userId, origin, correlationId, traceparent, deadlineAt } = state;
  const { number: attempt } = state.current;
  const place = { origin, userId, requestId, attempt, secret: deps.linkSecret };
  return {
    attempt,
    requestId,
    signal,
    correlationId,
    traceparent,
    deadlineAt,
    callbackUrl: callbackUrl(place),
  };
}

function leftBehind(signal: AbortSignal, limitMs: number): Promise<ProviderFailure> {
  return new Promise((resolve) => {
    const answer = () => resolve(noAnswer(limitMs));
    signal.addEventListener('abort', () => setTimeout(answer, GRACE_MS), { once: true });
  });
}
