/**
 * The port to an external image API. An adapter makes one call and says, once and for all, what its
 * end means; it never retries, stores or decides what comes next.
 */
import type { JsonObject } from '../../platform/json';
import type { AttemptError, Outcome } from '../../requests/types';
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
}

export interface ProviderImage {
  readonly bytes: Uint8Array;
  /** The seed this image was made with, where the provider tells it. */
  readonly seed: number | null;
}

export type ProviderAnswer =
  | {
      readonly outcome: 'succeeded';
      readonly images: readonly ProviderImage[];
      /** What the provider says it charged, in micro-dollars; null when the price list decides. */
      readonly costMicros: number | null;
      readonly providerRequestId: string | null;
      readonly warnings: readonly string[];
    }
  | ProviderFailure;

export interface ProviderFailure {
  readonly outcome: Exclude<Outcome, 'succeeded'>;
  /** `message` holds no key, prompt or header. */
  readonly error: AttemptError;
  readonly retryAfterMs: number | null;
  readonly providerRequestId: string | null;
  readonly possiblyBilled: boolean;
}

export interface Provider {
  readonly name: string;
  /** Must not throw for anything the API does; a thrown error is a fault of ours. */
  generate(job: ProviderJob, context: CallContext): Promise<ProviderAnswer>;
}
