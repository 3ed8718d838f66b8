/** What each kind of request brings to the foreman: its rules and the look of its output. */
import { asksOf } from '../generation/asks';
import { floorOf } from '../generation/assess';
import { decideGeneration, inputOf, targetsOf } from '../generation/decide';
import { createPresentGeneration, outputExpiresAt } from '../generation/present';
import type { GenerationSettings } from '../generation/settings';
import type { Settings } from '../platform/config';
import { createPresentRequest, type PresentRequest } from '../requests/view';
import type { Desk } from './desk';

export function createKinds({ catalog }: Pick<GenerationSettings, 'catalog'>): Desk['kinds'] {
  return {
    generation: {
      decide: (input) => decideGeneration(catalog, input),
      asks: (spec) => asksOf(catalog, { model: spec.model, input: inputOf(spec) }),
      floorMicros: (spec) => floorOf(catalog, { ...spec, input: inputOf(spec) }),
      targets: (state) => targetsOf(catalog, state),
      outputExpiresAt,
    },
  };
}

export function createPresenter(settings: Settings): PresentRequest {
  const presentGeneration = createPresentGeneration({ linkSecret: settings.linkSigningSecret });
  return createPresentRequest(presentGeneration);
}
