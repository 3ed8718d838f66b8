/** What each kind of request brings to the foreman: its rules and the look of its output. */
import { createCatalog } from '../generation/catalog';
import { decideGeneration } from '../generation/decide';
import { createPresentGeneration } from '../generation/present';
import type { Settings } from '../platform/config';
import { createPresentRequest, type PresentRequest } from '../requests/view';
import type { Desk } from './desk';

export function createKinds(settings: Settings): Desk['kinds'] {
  const catalog = createCatalog(settings);
  return { generation: { decide: (input) => decideGeneration(catalog, input) } };
}

export function createPresenter(settings: Settings): PresentRequest {
  const presentGeneration = createPresentGeneration({ linkSecret: settings.linkSigningSecret });
  return createPresentRequest(presentGeneration);
}
