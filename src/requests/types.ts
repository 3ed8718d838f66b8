/**
 * The request as the lifecycle knows it: one accepted job with attempts, whatever the job is. What
 * was asked for (`input`) and what came out (`output`) are opaque here; `kind` says who reads them.
 */
import { z } from 'zod';
import type { Id, RequestId, UserId } from '../platform/ids';
import type { JsonObject } from '../platform/json';

export type { RequestId, UserId };

export const requestKinds = ['generation'] as const;
export type RequestKind = (typeof requestKinds)[number];

export const requestStatuses = [
  'queued',
  'running',
  'succeeded',
  'failed',
  'canceled',
  'expired',
] as const;
export type RequestStatus = (typeof requestStatuses)[number];

export const priorities = ['low', 'normal', 'high'] as const;
export type Priority = (typeof priorities)[number];

/** `reject`: refused at the door, or, once accepted, paid for. `wait`: accepted, and waits for money. */
export const onBudgets = ['reject', 'wait'] as const;
export type OnBudget = (typeof onBudgets)[number];

/** What ended an attempt. `generation/plan.ts` says what follows from each. */
export const outcomes = [
  'succeeded',
  'refused',
  'rejected',
  'throttled',
  'not_sent',
  'failed',
  'unknown',
] as const;
export type Outcome = (typeof outcomes)[number];

export const requestErrorCodes = [
  'content_refused',
  'provider_failed',
  'no_target_available',
  'budget_exceeded',
  'deadline_exceeded',
  'dead_lettered',
  'invalid_output',
  'storage_failed',
  'input_unavailable',
  'canceled',
  'account_suspended',
] as const;
export type RequestErrorCode = (typeof requestErrorCodes)[number];

/** Why a request ended without output. `details.retryable` says whether `/retry` may help. */
export interface RequestError {
  readonly code: RequestErrorCode;
  readonly message: string;
  readonly details: JsonObject;
}

/** Why one attempt ended without output; `message` is the provider's reason, redacted. */
export interface AttemptError {
  readonly code: string;
  readonly message: string;
  readonly details?: JsonObject;
}

interface AttemptBase {
  readonly number: number;
  readonly provider: string;
  readonly model: string;
  /** Why this target: `first choice`, `fallback after …`, `retry after …`. */
  readonly reason: string;
  readonly startedAt: number;
  /** Held back from the budget while the call runs. */
  readonly reservedMicros: number;
  /** A lost call to this target costs nothing, so it may be repeated freely. */
  readonly repeatable: boolean;
}

export interface RunningAttempt extends AttemptBase {
  readonly token: string;
  /** The provider's own job for this attempt; null while (or when) the call itself is the work. */
  readonly job: RemoteJob | null;
}

/** A job that goes on at the provider by itself. It outlives whoever asks for it. */
export interface RemoteJob {
  /** The adapter's own: all it needs to ask for the job or to cancel it. */
  readonly handle: JsonObject;
  readonly acceptedAt: number;
  readonly providerRequestId: string | null;
  readonly warnings: readonly string[];
  /** What the provider last said of its own queue; null when the job runs or it does not say. */
  readonly queue: { readonly position: number | null } | null;
  /** The provider called while somebody was asking: there may be news that the asker did not see. */
  readonly nudged: boolean;
  readonly wait: JobWait;
}

/** Asked for under a lease, left alone until a time, or sent to the queue to be asked for. */
export type JobWait =
  | { readonly for: 'call' }
  | { readonly for: 'time'; readonly until: number }
  | { readonly for: 'claim'; readonly sentAt: number; readonly sends: number };

/** What a consumer reports of a job that has not ended. */
export interface JobProgress {
  readonly handle: JsonObject;
  readonly providerRequestId: string | null;
  readonly warnings: readonly string[];
  readonly queue: RemoteJob['queue'];
  /** When to ask again; null: the consumer goes on asking under its lease. */
  readonly checkAfterMs: number | null;
}

export interface EndedAttempt extends AttemptBase {
  /** Of the caller that settled it; null when the foreman ended it without its caller. */
  readonly token: string | null;
  readonly completedAt: number;
  readonly outcome: Outcome;
  readonly costMicros: number;
  /** The provider may have charged for a call that brought nothing. `costMicros` counts it. */
  readonly possiblyBilled: boolean;
  readonly providerRequestId: string | null;
  readonly retryAfterMs: number | null;
  readonly error: AttemptError | null;
}

export interface RequestEvent {
  readonly type: `request.${RequestStatus}`;
  readonly version: number;
  readonly at: number;
}

export interface WebhookTarget {
  readonly url: string;
  readonly events: readonly string[];
}

/** What the client asked for and where it came from: fixed at admission. */
export interface RequestSpec {
  readonly id: RequestId;
  readonly userId: UserId;
  readonly kind: RequestKind;
  readonly model: string;
  readonly input: JsonObject;
  /** What the request counts as against the daily limit; images for a generation. */
  readonly units: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly priority: Priority;
  readonly maxAttempts: number;
  readonly maxCostMicros: number | null;
  /** The least it can cost, in micro-dollars; 0 when a free target can serve it. */
  readonly floorMicros: number;
  /** What becomes of it when the user's budget does not reach. */
  readonly onBudget: OnBudget;
  readonly retryUnknown: boolean;
  /**
   * How long what comes out is kept, from when it is stored. Null is for who submits and names no
   * time: an admitted request has a number, unless an earlier version admitted it.
   */
  readonly retentionMs: number | null;
  readonly webhook: WebhookTarget | null;
  readonly retryOf: RequestId | null;
  /** A request of the same user that the client says this one stems from. */
  readonly parentId: RequestId | null;
  /** The request whose input this one varies. */
  readonly variationsOf: RequestId | null;
  /** What equal requests share, SHA-256; null when the client wants no results reused. */
  readonly reuseKey: string | null;
  readonly idempotencyKey: string | null;
  readonly createdAt: number;
  readonly deadlineAt: number;
  /** Scheme and host that links in answers and webhooks start with. */
  readonly origin: string;
  readonly correlationId: string;
  readonly traceparent: string | null;
}

interface StateBase extends RequestSpec {
  readonly version: number;
  readonly events: readonly RequestEvent[];
  readonly attempts: readonly EndedAttempt[];
  readonly warnings: readonly string[];
  readonly startedAt: number | null;
  /** Number of the last wake-up sent for this request; a message with another one is stale. */
  readonly release: number;
  /** The equal request whose end this one shares: its output, or its refusal. */
  readonly reusedFrom: RequestId | null;
}

/** What a request waits for. Only the first two want a slot. */
export type Wait =
  | { readonly for: 'slot' }
  | { readonly for: 'claim'; readonly sentAt: number; readonly sends: number }
  | {
      readonly for: 'time';
      readonly until: number;
      readonly reason: WaitReason;
    }
  /** An equal request of the same user is under way, and its output will do. */
  | { readonly for: 'request' }
  /** For so much of the user's budget to come free; `until` is when the budget begins anew. */
  | { readonly for: 'budget'; readonly micros: number; readonly until: number };

/** `provider_queue`: all the calls that the provider allows at once are in use. */
export type WaitReason = 'backoff' | 'throttled' | 'breaker_open' | 'provider_queue';

export interface Queued extends StateBase {
  readonly status: 'queued';
  readonly wait: Wait;
  /** Kept for it of the user's budget; 0 when it costs nothing, or takes what is there at its turn. */
  readonly holdMicros: number;
}

export interface Running extends StateBase {
  readonly status: 'running';
  readonly startedAt: number;
  readonly current: RunningAttempt;
}

export interface Succeeded extends StateBase {
  readonly status: 'succeeded';
  readonly completedAt: number;
  readonly output: JsonObject;
  /** What was said of the output as it was made; it holds for everyone who has it. */
  readonly outputWarnings: readonly string[];
  /** When some of the output went last; absent while it is whole. */
  readonly revisedAt?: number;
}

export interface Unsuccessful extends StateBase {
  readonly status: 'failed' | 'canceled' | 'expired';
  readonly completedAt: number;
  readonly error: RequestError;
}

export type Finished = Succeeded | Unsuccessful;
export type RequestState = Queued | Running | Finished;

/** What a request came to, as far as it holds for every equal one. */
export type Shared =
  | Pick<Succeeded, 'status' | 'output' | 'outputWarnings'>
  | { readonly status: 'failed'; readonly error: RequestError };

/** What is left of a deleted request: enough to keep late news from bringing it back. */
export interface Tombstone {
  readonly id: RequestId;
  readonly userId: UserId;
  readonly status: 'deleted';
  readonly version: number;
  readonly deletedAt: number;
  /** Whether its stored objects are known to be gone. */
  readonly purged: boolean;
  /** Null for a request of which D1 has it. */
  readonly usage: RequestUsage | null;
}

/** What a request has used: facts without content, which outlive it. */
export interface RequestUsage {
  readonly model: string;
  readonly createdAt: number;
  /** In the order in which they were first called. */
  readonly providers: readonly ProviderUse[];
}

export interface ProviderUse {
  readonly provider: string;
  /** That it made; images for a generation. */
  readonly units: number;
  readonly costMicros: number;
}

/** A target as the ledger names it. */
export type TargetName = `${string}/${string}`;

/** How long the last runs of a target took, when there were enough to say. */
export interface Pace {
  readonly p50Ms: number;
  readonly p90Ms: number;
}

/** Whether a target may be called now, by all that is known of its last calls, whoever made them. */
export interface TargetVerdict {
  readonly state: 'closed' | 'half_open' | 'open' | 'cooling' | 'full';
  /** Null: now. Else when it is worth asking again. */
  readonly blockedUntil: number | null;
  /** Why it is blocked, for the ledger; null when it is not. */
  readonly reason: string | null;
  readonly pace: Pace | null;
}
export type TargetVerdicts = Readonly<Record<TargetName, TargetVerdict>>;

/** The user's, as one request sees it: what is left, with what is held for that request. */
export interface Budget {
  /** Null when there is no limit. */
  readonly leftMicros: number | null;
  readonly renewsAt: number;
}

/** What the plan says when an attempt is wanted. Pure data, decided inside the transaction. */
export type Decision =
  | { readonly next: 'attempt'; readonly target: ChosenTarget }
  | {
      readonly next: 'wait';
      readonly until: number;
      readonly reason: WaitReason;
      /** Others wait for the same: their order is to be kept. */
      readonly inTurn: boolean;
    }
  /** The cheapest target that may serve it costs more than is left of the budget. */
  | { readonly next: 'wait_for_budget'; readonly micros: number; readonly until: number }
  /** The verdicts on these targets are missing; `sole`: no other target can serve the request. */
  | { readonly next: 'check'; readonly targets: readonly TargetName[]; readonly sole: boolean }
  | { readonly next: 'end'; readonly error: RequestError };

export interface ChosenTarget {
  readonly provider: string;
  readonly model: string;
  readonly reason: string;
  readonly priceMicros: number;
  readonly repeatable: boolean;
}

/** What a consumer reports of a finished call. */
export type AttemptResult =
  | {
      readonly outcome: 'succeeded';
      readonly output: JsonObject;
      readonly costMicros: number;
      readonly providerRequestId: string | null;
      readonly warnings: readonly string[];
    }
  | {
      readonly outcome: Exclude<Outcome, 'succeeded'>;
      readonly error: AttemptError;
      readonly retryAfterMs: number | null;
      readonly providerRequestId: string | null;
      /** Whether the provider may charge for it nevertheless. */
      readonly possiblyBilled: boolean;
    };

export type RunMessage = z.output<typeof runMessageSchema>;
/** Wake-up for one release of one request; holds ids only. */
export const runMessageSchema = z.object({
  type: z.literal('generation.run'),
  v: z.literal(1),
  user: z.custom<Id<'usr'>>((value) => typeof value === 'string' && value.startsWith('usr_')),
  request: z.custom<RequestId>((value) => typeof value === 'string' && value.startsWith('req_')),
  release: z.int().positive(),
  correlation_id: z.string(),
});

export type CancelMessage = z.output<typeof cancelMessageSchema>;
/** A job at a provider that nobody waits for any more; its handle is in the foreman. */
export const cancelMessageSchema = z.object({
  type: z.literal('generation.cancel'),
  v: z.literal(1),
  user: z.custom<Id<'usr'>>((value) => typeof value === 'string' && value.startsWith('usr_')),
  job: z.string(),
  correlation_id: z.string(),
});

/** The platform takes 32 MiB a message; the object that hands it on has 128 MB for everything. */
export const MAX_PREVIEW_BYTES = 8 * 1024 * 1024;

/**
 * Something to show while an attempt still runs: kept nowhere, and told to who listens then. What
 * it is depends on the kind of request.
 */
export interface Preview {
  readonly attempt: number;
  /** Of this attempt, from 0. */
  readonly index: number;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

export type ProjectionMessage = z.output<typeof projectionMessageSchema>;
/** Tells the projector that a foreman holds news for D1. */
export const projectionMessageSchema = z.object({
  type: z.literal('projection.wake'),
  v: z.literal(1),
  user: z.custom<Id<'usr'>>((value) => typeof value === 'string' && value.startsWith('usr_')),
});

export function isTerminal(state: RequestState): state is Finished {
  return state.status !== 'queued' && state.status !== 'running';
}
