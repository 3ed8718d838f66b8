/** A request once more, as a new one: all that was asked, nothing of what became of it. Pure. */
import type { RequestSpec, RequestState } from './types';

export function retrySpec(
  state: RequestState,
  as: Pick<RequestSpec, 'id' | 'createdAt'>,
): RequestSpec {
  return {
    ...specOf(state),
    ...as,
    deadlineAt: as.createdAt + (state.deadlineAt - state.createdAt),
    retryOf: state.id,
    idempotencyKey: null,
    // What is tried again is to be made again.
    reuseKey: null,
  };
}

function specOf(state: RequestState): RequestSpec {
  const { id, userId, kind, model, input, units, metadata, priority } = state;
  const {
    maxAttempts,
    maxCostMicros,
    floorMicros,
    onBudget,
    retryUnknown,
    retentionMs,
    webhook,
    retryOf,
    idempotencyKey,
  } = state;
  const { parentId, variationsOf, reuseKey } = state;
  const { createdAt, deadlineAt, origin, correlationId, traceparent } = state;
  return {
    id,
    userId,
    kind,
    model,
    input,
    units,
    metadata,
    priority,
    maxAttempts,
    maxCostMicros,
    floorMicros,
    onBudget,
    retryUnknown,
    retentionMs,
    webhook,
    retryOf,
    parentId,
    variationsOf,
    reuseKey,
    idempotencyKey,
    createdAt,
    deadlineAt,
    origin,
    correlationId,
    traceparent,
  };
}
