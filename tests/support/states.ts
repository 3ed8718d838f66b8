/** Request states for pure tests, built by the real transitions. */
import * as lifecycle from '../../src/requests/lifecycle';
import type {
  AttemptResult,
  ChosenTarget,
  Decision,
  Queued,
  RequestSpec,
  RequestState,
  Running,
} from '../../src/requests/types';

export const NOW = 1_800_000_000_000;

export const target: ChosenTarget = {
  provider: 'openai',
  model: 'gpt-image-1',
  reason: 'first choice',
  priceMicros: 42_000,
  repeatable: false,
};

export function specOf(overrides: Partial<RequestSpec> = {}): RequestSpec {
  return {
    id: 'req_0aaaaaaaaaaaaaaaaaaaaaaaaaa',
    userId: 'usr_0bbbbbbbbbbbbbbbbbbbbbbbbbb',
    kind: 'generation',
    model: 'gpt-image-1',
    input: { prompt: 'a red sunset', n: 1 },
    units: 1,
    metadata: {},
    priority: 'normal',
    maxAttempts: 4,
    maxCostMicros: null,
    floorMicros: 0,
    onBudget: 'reject',
    retryUnknown: true,
    retentionMs: null,
    webhook: null,
    retryOf: null,
    parentId: null,
    variationsOf: null,
    reuseKey: null,
    idempotencyKey: null,
    createdAt: NOW,
    deadlineAt: NOW + 900_000,
    origin: 'https://foreman.test',
    correlationId: 'correlation-1',
    traceparent: null,
    ...overrides,
  };
}

export const tryTarget = (): Decision => ({ next: 'attempt', target });

export function queued(overrides: Partial<RequestSpec> = {}): Queued {
  return lifecycle.accept(specOf(overrides), []);
}

export function released(overrides: Partial<RequestSpec> = {}): RequestState {
  return lifecycle.release(queued(overrides), NOW);
}

export function running(token = 'token-1', overrides: Partial<RequestSpec> = {}): Running {
  const state = lifecycle.claim(
    released(overrides),
    { release: 1, token, decide: tryTarget },
    NOW + 10,
  );
  if (state.status !== 'running') throw new Error(`expected running, got ${state.status}`);
  return state;
}

export const success: AttemptResult = {
  outcome: 'succeeded',
  output: { images: [] },
  costMicros: 42_000,
  providerRequestId: 'provider-1',
  warnings: [],
};

export function failure(
  outcome: Exclude<AttemptResult['outcome'], 'succeeded'>,
  extra: Partial<Extract<AttemptResult, { error: object }>> = {},
): AttemptResult {
  return {
    outcome,
    error: { code: 'server_error', message: 'it broke' },
    retryAfterMs: null,
    providerRequestId: null,
    possiblyBilled: false,
    ...extra,
  };
}
