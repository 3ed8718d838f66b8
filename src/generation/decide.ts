/** Joins a generation's state with the catalogue of the moment, and asks the plan. */
import type { Decision, EndedAttempt, RequestState } from '../requests/types';
import { candidatesFor } from './candidates';
import type { Catalog } from './catalog';
import { type PlanInput, plan } from './plan';
import type { GenerationInput } from './types';

export function decideGeneration(
  catalog: Catalog,
  input: Pick<PlanInput, 'moment' | 'budgetLeftMicros' | 'now' | 'random'> & {
    readonly state: RequestState;
    readonly attempts: readonly EndedAttempt[];
  },
): Decision {
  const { state, attempts, moment, budgetLeftMicros, now, random } = input;
  const candidates = candidatesFor(catalog, { model: state.model, input: inputOf(state) });
  const { maxAttempts, maxCostMicros, retryUnknown } = state;
  return plan({
    candidates,
    attempts,
    moment,
    maxAttempts,
    maxCostMicros,
    budgetLeftMicros,
    retryUnknown,
    now,
    random,
  });
}

/** A generation's `input` was parsed by `generationInputSchema` before it was admitted. */
export function inputOf(state: Pick<RequestState, 'input'>): GenerationInput {
  return state.input as unknown as GenerationInput;
}
