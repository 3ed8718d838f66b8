/** Joins a generation's state with the catalogue of the moment, and asks the plan. */
import type { Decision, EndedAttempt, RequestState, TargetName } from '../requests/types';
import { candidatesFor } from './candidates';
import { type Catalog, hasBreaker } from './catalog';
import { type PlanInput, plan } from './plan';
import type { GenerationInput, StyledPrompt } from './types';

export function decideGeneration(
  catalog: Catalog,
  input: Pick<PlanInput, 'moment' | 'budget' | 'verdicts' | 'now' | 'random'> & {
    readonly state: RequestState;
    readonly attempts: readonly EndedAttempt[];
  },
): Decision {
  const { state, ...rest } = input;
  const { model } = state;
  const asked = inputOf(state);
  const candidates = candidatesFor(catalog, { model, input: asked }, input.verdicts);
  const { maxAttempts, maxCostMicros, onBudget, retryUnknown } = state;
  return plan({
    ...rest,
    candidates,
    maxAttempts,
    maxCostMicros,
    onBudget,
    retryUnknown,
    deadlineAt: state.deadlineAt,
    // Who names no other model has not said which others may see what was refused.
    fallbackOnRefusal: Boolean(asked.fallback_on_refusal && asked.fallback_models?.length),
  });
}

/** The targets that could serve a request and whose calls are watched, in order of preference. */
export function targetsOf(catalog: Catalog, state: RequestState): TargetName[] {
  return candidatesFor(catalog, { model: state.model, input: inputOf(state) })
    .filter(({ passedOver, target }) => passedOver === null && hasBreaker(target))
    .map(({ name }) => name);
}

/** The prompts as they are sent to a provider: what a style has made of them, if there is one. */
export function promptsOf(input: GenerationInput): StyledPrompt {
  const { prompt, negative_prompt } = input.styled ?? input;
  return { prompt, negative_prompt };
}

/** A generation's `input` was parsed by `generationInputSchema` before it was admitted. */
export function inputOf(state: Pick<RequestState, 'input'>): GenerationInput {
  return state.input as unknown as GenerationInput;
}
