/** The catalogue in OpenAI's shape: what can be asked for now. `GET /v1/models` has the rest. */
import { z } from '@hono/zod-openapi';
import type { Catalog, Model } from '../generation/catalog';
import { modelNotFound } from './errors';

export const modelSchema = z
  .object({
    id: z.string(),
    object: z.literal('model'),
    created: z.int().describe('0: it is not known when the model was made'),
    owned_by: z.string().describe('The provider that is asked first'),
  })
  .openapi('OpenAiModel');

export const modelListSchema = z
  .object({ object: z.literal('list'), data: z.array(modelSchema) })
  .openapi('OpenAiModelList');

export function presentModels(catalog: Catalog): z.output<typeof modelListSchema> {
  const available = catalog.models.filter((model) => whyNot(model, catalog) === null);
  return { object: 'list', data: available.map(presentModel) };
}

/** @throws AppError `unknown_model` */
export function presentNamed(id: string, catalog: Catalog): z.output<typeof modelSchema> {
  const model = catalog.find(id);
  if (!model) throw modelNotFound(id, null);
  const reason = whyNot(model, catalog);
  if (reason !== null) throw modelNotFound(id, `is not available here: ${reason}`);
  return presentModel(model);
}

const presentModel = ({ id, targets }: Model): z.output<typeof modelSchema> => ({
  id,
  object: 'model',
  created: 0,
  owned_by: targets[0]?.provider ?? 'foreman',
});

/** Null while one of its targets can be called. */
function whyNot({ targets }: Model, catalog: Catalog): string | null {
  const reasons = targets.map((target) => catalog.unavailable(target));
  return reasons.includes(null) ? null : [...new Set(reasons)].join('; ');
}
