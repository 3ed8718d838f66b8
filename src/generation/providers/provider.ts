/**
 * The port to an external image API. An adapter makes one call and says, once and for all, what its
 * end means; it never retries, stores or decides what comes next.
 */
import type { z } from 'zod';
import type { JsonObject } from '../../platform/json';
import type { AttemptError, Outcome, Preview } from '../../requests/types';
import type { AspectRatio, OutputFormat } from '../types';

/** One call to one target. What the target cannot use comes back as a warning, never in silence. */
export interface ProviderJob {
  /** The provider's own name of the model. */
  readonly model: string;
  readonly prompt: string;
  readonly negativePrompt: string | null;
  readonly n: number;
  /** Pixels; null when the client left the size to the provider. */
  readonly size: { readonly width: number; readonly height: number } | null;
  readonly aspectRatio: AspectRatio | null;
  readonly seed: number | null;
  readonly steps: number | null;
  readonly guidanceScale: number | null;
  readonly outputFormat: OutputFormat | null;
  readonly image: InputImage | null;
  readonly mask: InputImage | null;
  readonly strength: number | null;
  /** How many interim pictures to show, 0–3; 0 unless one image is asked for. */
  readonly previews: number;
  /** The client's options for this provider, as they came. */
  readonly options: JsonObject;
}

export interface InputImage {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
}

export interface CallContext {
  /** Number of this attempt of its request, from 1. */
  readonly attempt: number;
  readonly requestId: string;
  /** Aborts at the attempt's time limit or when the attempt is no longer wanted. */
  readonly signal: AbortSignal;
  /** Sent along where the provider's API has a place for it. */
  readonly correlationId: string;
  /** W3C trace context of the submission, if it had one. */
  readonly traceparent: string | null;
  /** When the request is given up, epoch ms: work that would end later is of no use. */
  readonly deadlineAt: number;
  /** Where a provider with jobs may tell that this attempt's job has ended. */
  readonly callbackUrl: string;
  /** Takes what there is to show before the end. Never throws, and is not waited for. */
  readonly preview?: (preview: ProviderPreview) => void;
}

export type ProviderPreview = Omit<Preview, 'attempt'>;

/** What comes as bytes is held in memory; what comes by URL is opened when it is stored. */
export type ProviderImage = {
  /** The seed this image was made with, where the provider tells it. */
  readonly seed: number | null;
} & (
  | { readonly bytes: Uint8Array }
  /** May be called again. @throws Error when there is no image to be had. */
  | { readonly open: (signal: AbortSignal) => Promise<OpenImage> }
);

export interface OpenImage {
  readonly body: ReadableStream<Uint8Array>;
  /** Bytes to come; null when the sender does not say. */
  readonly length: number | null;
}

export interface ProviderSuccess {
  readonly outcome: 'succeeded';
  readonly images: readonly ProviderImage[];
  /** What the provider says it charged, in micro-dollars; null when the price list decides. */
  readonly costMicros: number | null;
  readonly providerRequestId: string | null;
  readonly warnings: readonly string[];
}

export interface ProviderFailure {
  readonly outcome: Exclude<Outcome, 'succeeded'>;
  /** `message` holds no key, prompt or header. A refusal has `details.moderation`. */
  readonly error: AttemptError;
  readonly retryAfterMs: number | null;
  readonly providerRequestId: string | null;
  readonly possiblyBilled: boolean;
}

/** The provider has a job of its own for this call; it is stored before anybody waits for it. */
export interface JobAccepted {
  readonly outcome: 'accepted';
  /** All that `poll` and `cancel` need: ids and URLs, no key, at most some 2 kB of JSON. */
  readonly handle: JsonObject;
  readonly checkAfterMs: number;
  readonly providerRequestId: string | null;
  readonly warnings: readonly string[];
}

export type ProviderAnswer = ProviderSuccess | ProviderFailure | JobAccepted;

/** Where moderation stepped in, and on what grounds, as far as the provider says. */
export type Moderation = {
  readonly stage: 'input' | 'output';
  readonly categories: string[];
  readonly provider: string;
  readonly provider_code: string | null;
  /** The account is blocked, whatever the prompt: another prompt will not help. */
  readonly account_level: boolean;
};

export interface PollContext {
  readonly signal: AbortSignal;
  readonly correlationId: string;
  readonly traceparent: string | null;
  /** Since the provider accepted the job. */
  readonly waitedMs: number;
  /** Whether the provider was given a callback URL that it can reach: then checks may be rare. */
  readonly expectsCallback: boolean;
  /** What the user wrote, to be kept out of messages. */
  readonly texts: readonly string[];
}

export type PollAnswer =
  | ProviderSuccess
  | ProviderFailure
  | {
      readonly outcome: 'pending';
      readonly checkAfterMs: number;
      /** In the provider's own queue, 1 is next; null when it runs or the provider does not say. */
      readonly queuePosition: number | null;
      /** Whether the provider says that it waits for a machine rather than runs. */
      readonly isQueued: boolean;
    }
  /** The provider does not know the job: for a moment after its acceptance that is no fault. */
  | { readonly outcome: 'missing' }
  /** The question got no answer (network, 5xx, 429), which says nothing of the job. */
  | { readonly outcome: 'unreachable'; readonly retryAfterMs: number | null };

export interface ProviderJobs {
  /** Whether the API tells of the end of a job by a callback, where it was given one. */
  readonly callsBack: boolean;
  /** One call. Must not throw for anything the API does. */
  poll(handle: JsonObject, context: PollContext): Promise<PollAnswer>;
  /** `gone`: canceled, ended or unknown by now. Must not throw for anything the API does. */
  cancel(
    handle: JsonObject,
    context: Pick<PollContext, 'signal' | 'correlationId'>,
  ): Promise<'gone' | 'unreachable'>;
}

export interface Provider {
  readonly name: string;
  /** Must not throw for anything the API does; a thrown error is a fault of ours. */
  generate(job: ProviderJob, context: CallContext): Promise<ProviderAnswer>;
  /** Whether it shows previews of this job, as far as it is asked for them; else it shows none. */
  showsPreviews?(job: ProviderJob): boolean;
  /** For APIs whose `generate` may answer `accepted`. */
  readonly jobs?: ProviderJobs;
}

export interface ProviderDeps {
  /** Bound: a detached `fetch` is an illegal call. */
  readonly fetch: typeof fetch;
  /**
   * An image by a URL that someone else chose (`fetch-untrusted`).
   * @throws Error when there is no image to be had.
   */
  readonly openImage: (url: string, signal: AbortSignal) => Promise<OpenImage>;
  /** Resolves after `ms`, or once the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly now: () => number;
}

/**
 * A provider as one file declares it. `settings` reads its own settings from the environment: null
 * when they are not given, which turns it off for the reason `missing`; an issue when one is wrong.
 */
export interface ProviderDefinition<Name extends string, Config> {
  readonly name: Name;
  readonly settings: z.ZodType<Config | null>;
  readonly missing: string;
  create(config: Config, deps: ProviderDeps): Provider;
}

export const defineProvider = <const Name extends string, Config>(
  definition: ProviderDefinition<Name, Config>,
): ProviderDefinition<Name, Config> => definition;
