/** The request as clients see it, on every surface and in webhooks. */
import { z } from '@hono/zod-openapi';
import { imageViewSchema } from '../images/types';
import type { JsonObject } from '../platform/json';
import type { Eta } from './estimate';
import { costMicros } from './money';
import {
  type EndedAttempt,
  isTerminal,
  outcomes,
  type RequestState,
  type RunningAttempt,
  requestErrorCodes,
  requestStatuses,
} from './types';

const isoTime = z.iso.datetime();
/** Any JSON object; its depth was bounded when it came in. */
const jsonObject = z.record(z.string(), z.unknown());
const usd = z.number().describe('US dollars');

export const attemptViewSchema = z
  .object({
    number: z.int(),
    provider: z.string(),
    model: z.string().describe("The provider's own name of the model"),
    outcome: z.enum(outcomes).nullable().describe('null while the call runs'),
    reason: z.string().describe('Why this target'),
    started_at: isoTime,
    completed_at: isoTime.nullable(),
    duration_ms: z.int().nullable(),
    cost_usd: usd,
    possibly_billed: z
      .boolean()
      .describe('The provider may have charged for a call that brought nothing'),
    provider_request_id: z.string().nullable(),
    error: z.object({ code: z.string(), message: z.string(), details: jsonObject }).nullable(),
  })
  .openapi('Attempt');

export const requestViewSchema = z
  .object({
    id: z.string(),
    status: z.enum(requestStatuses),
    model: z.string(),
    input: jsonObject,
    images: z.array(imageViewSchema),
    error: z
      .object({
        code: z.enum(requestErrorCodes),
        message: z.string(),
        details: jsonObject,
      })
      .nullable(),
    attempts: z.array(attemptViewSchema),
    waiting: z
      .object({
        reason: z.enum([
          'queue',
          'backoff',
          'throttled',
          'breaker_open',
          'provider_queue',
          'reuse',
          'budget',
        ]),
        position: z
          .int()
          .nullable()
          .describe("Among the user's own, or in the provider's queue; 1 is next"),
        next_attempt_at: isoTime.nullable(),
        eta: z
          .object({ p50: isoTime, p90: isoTime })
          .nullable()
          .describe('When half, and nine of ten, of such requests have ended; null until known'),
      })
      .nullable(),
    warnings: z.array(z.string()),
    metadata: z.record(z.string(), z.string()),
    priority: z.enum(['low', 'normal', 'high']),
    retry_of: z.string().nullable(),
    parent_id: z.string().nullable(),
    variations_of: z.string().nullable(),
    reused_from: z
      .string()
      .nullable()
      .describe('The equal request whose images, or refusal, this one has at no cost'),
    version: z.int(),
    cost_usd: usd,
    created_at: isoTime,
    started_at: isoTime.nullable(),
    completed_at: isoTime.nullable(),
    expires_at: isoTime.describe('The deadline: the request is terminal by then'),
    urls: z.object({ self: z.url(), events: z.url(), cancel: z.url() }),
  })
  .openapi('Request');
export type RequestView = z.output<typeof requestViewSchema>;

/** What a kind's output looks like to clients. */
export type PresentOutput = (state: RequestState) => Pick<RequestView, 'images'>;
export type PresentRequest = (
  state: RequestState,
  facts?: { readonly position: number | null; readonly eta: Eta | null },
) => RequestView;

export function createPresentRequest(presentOutput: PresentOutput): PresentRequest {
  return (state, facts) => {
    const self = `${state.origin}/v1/requests/${state.id}`;
    const running = state.status === 'running' ? [presentRunning(state.current)] : [];
    return {
      id: state.id,
      status: state.status,
      model: state.model,
      input: state.input,
      ...presentOutput(state),
      error: 'error' in state ? state.error : null,
      attempts: [...state.attempts.map(presentEnded), ...running],
      waiting: presentWaiting(state, facts ?? { position: null, eta: null }),
      warnings: warningsOf(state),
      metadata: { ...state.metadata },
      priority: state.priority,
      retry_of: state.retryOf,
      parent_id: state.parentId,
      variations_of: state.variationsOf,
      reused_from: state.reusedFrom,
      version: state.version,
      cost_usd: usdOf(costMicros(state)),
      created_at: iso(state.createdAt),
      started_at: state.startedAt === null ? null : iso(state.startedAt),
      completed_at: isTerminal(state) ? iso(state.completedAt) : null,
      expires_at: iso(state.deadlineAt),
      urls: { self, events: `${self}/events`, cancel: `${self}/cancel` },
    };
  };
}

function warningsOf(state: RequestState): string[] {
  const ofOutput = state.status === 'succeeded' ? state.outputWarnings : [];
  return [...new Set([...state.warnings, ...ofOutput])];
}

function presentEnded(attempt: EndedAttempt): RequestView['attempts'][number] {
  const details: JsonObject = { ...attempt.error?.details };
  if (attempt.retryAfterMs !== null) details.retry_after_ms = attempt.retryAfterMs;
  return {
    number: attempt.number,
    provider: attempt.provider,
    model: attempt.model,
    outcome: attempt.outcome,
    reason: attempt.reason,
    started_at: iso(attempt.startedAt),
    completed_at: iso(attempt.completedAt),
    duration_ms: attempt.completedAt - attempt.startedAt,
    cost_usd: usdOf(attempt.costMicros),
    possibly_billed: attempt.possiblyBilled,
    provider_request_id: attempt.providerRequestId,
    error: attempt.error
      ? { code: attempt.error.code, message: attempt.error.message, details }
      : null,
  };
}

function presentRunning(attempt: RunningAttempt): RequestView['attempts'][number] {
  return {
    number: attempt.number,
    provider: attempt.provider,
    model: attempt.model,
    outcome: null,
    reason: attempt.reason,
    started_at: iso(attempt.startedAt),
    completed_at: null,
    duration_ms: null,
    cost_usd: 0,
    possibly_billed: false,
    provider_request_id: null,
    error: null,
  };
}

type Facts = NonNullable<Parameters<PresentRequest>[1]>;

function presentWaiting(state: RequestState, facts: Facts): RequestView['waiting'] {
  const eta = facts.eta && { p50: iso(facts.eta.p50At), p90: iso(facts.eta.p90At) };
  if (state.status === 'running') {
    const queue = state.current.job?.queue;
    if (!queue) return null;
    return { reason: 'provider_queue', position: queue.position, next_attempt_at: null, eta };
  }
  if (state.status !== 'queued') return null;
  if (state.wait.for === 'time') {
    const { reason, until } = state.wait;
    return { reason, position: null, next_attempt_at: iso(until), eta };
  }
  if (state.wait.for === 'budget') {
    const { until } = state.wait;
    return { reason: 'budget', position: null, next_attempt_at: iso(until), eta };
  }
  const reason = state.wait.for === 'request' ? 'reuse' : 'queue';
  return { reason, position: facts.position, next_attempt_at: null, eta };
}

export const iso = (at: number) => new Date(at).toISOString();
const usdOf = (micros: number) => micros / 1e6;
