/** A submission's body: its schema, what fills its gaps, and the checks that need no look-up. Pure. */
import { z } from '@hono/zod-openapi';
import type { FieldError } from '../platform/errors';
import type { JsonObject } from '../platform/json';
import { requestOptionsSchema } from '../requests/options';
import type { AssessedTarget, Assessment } from './assess';
import { AUTO, type Catalog, nameOf } from './catalog';
import { invalidGeneration, unknownModel } from './errors';
import { checkGenerationInput, type GenerationInput, generationInputSchema } from './types';

const reference = z.string().min(1).max(100);

/** Beside what is about the picture: what is about the request and where it comes from. */
const lineageSchema = z.object({
  style: z
    .string()
    .min(1)
    .max(63)
    .nullable()
    .optional()
    .describe('A name from GET /v1/styles; null drops that of the request that this one varies'),
  reuse: z
    .enum(['off', 'exact'])
    .default('off')
    .describe(
      'exact: the same input with the same seed has the output of an earlier request. The images ' +
        'are those of the earlier request: deleting that request deletes them for both',
    ),
  parent_id: reference.optional().describe('A request of yours that this one stems from'),
  variations_of: reference
    .optional()
    .describe('A request of yours: what this one leaves out is taken from it, except the seed'),
  dry_run: z
    .boolean()
    .default(false)
    .describe('Answers with the plan; nothing is accepted, and limits are not looked at'),
});

export const submissionSchema = generationInputSchema
  .partial({ prompt: true })
  .extend(requestOptionsSchema.shape)
  .extend(lineageSchema.shape)
  .extend({ model: z.string().min(1).max(100).optional().describe(`${AUTO} when left out`) });
export type SubmissionBody = z.output<typeof submissionSchema>;

const inputNames = new Set(Object.keys(generationInputSchema.shape));

/** Fields of a body that a style or an earlier request may provide, as they would be written. */
export type Defaults = JsonObject;

export interface Filled {
  readonly model: string;
  readonly input: GenerationInput;
}

/**
 * The input as it is meant: what the client wrote, over what its style sets, over what the request
 * that it varies asked for. `rawBody` has been validated; the whole is validated here.
 * @throws AppError `invalid_request`
 */
export function fill(rawBody: JsonObject, layers: readonly Defaults[]): Filled {
  const { model = AUTO, ...fields } = [rawBody, ...layers].reduceRight<JsonObject>(lay, {});
  // A default for how much an input image is changed says nothing where there is none.
  if (!('image' in fields) && !('strength' in rawBody)) delete fields.strength;
  const input = Object.entries(fields).filter(([name]) => inputNames.has(name));
  const parsed = generationInputSchema.safeParse(Object.fromEntries(input));
  if (!parsed.success) {
    const errors = parsed.error.issues.map(({ path, message }) => ({
      path: path.join('.'),
      message,
    }));
    throw invalidGeneration(errors);
  }
  // Every layer has been validated by itself, the model's name included.
  return { model: model as string, input: parsed.data };
}

const sizeFields = ['width', 'height', 'aspect_ratio'];

/** A size given in one way takes the place of one given in the other. */
function lay(below: JsonObject, above: JsonObject): JsonObject {
  const setsSize = sizeFields.some((name) => name in above);
  const kept = Object.entries(below).filter(([name]) => !(setsSize && sizeFields.includes(name)));
  return { ...Object.fromEntries(kept), ...above };
}

/** @throws AppError `unknown_model` */
export function checkModels(catalog: Catalog, { model, input }: Filled): void {
  const fallbacks = (input.fallback_models ?? []).map((name, index) => ({
    path: `fallback_models.${index}`,
    model: name,
  }));
  const unknown = [{ path: 'model', model }, ...fallbacks].find((n) => !catalog.find(n.model));
  if (unknown) throw unknownModel(unknown);
}

/** @throws AppError `invalid_request` */
export function checkFields(
  body: SubmissionBody,
  input: GenerationInput,
  urlFault: (url: string) => string | null,
): void {
  const faults: FieldError[] = [...checkGenerationInput(input)];
  const webhookFault = body.webhook_url === undefined ? null : urlFault(body.webhook_url);
  if (webhookFault) faults.push({ path: 'webhook_url', message: webhookFault });
  for (const path of ['image', 'mask'] as const) {
    const url = input[path];
    if (url === undefined || !/^https?:/i.test(url)) continue;
    const fault = urlFault(url);
    if (fault) faults.push({ path, message: fault });
  }
  if (faults.length > 0) throw invalidGeneration(faults);
}

/** What was accepted and has no effect. */
export function warningsFor(
  body: SubmissionBody,
  input: GenerationInput,
  judged: { readonly catalog: Catalog; readonly assessment: Pick<Assessment, 'targets'> },
): string[] {
  const { catalog, assessment } = judged;
  const warnings: string[] = [];
  if (body.webhook_events && !body.webhook_url) {
    warnings.push('webhook_events has no effect without webhook_url');
  }
  if (input.fallback_on_refusal && !input.fallback_models?.length) {
    warnings.push('fallback_on_refusal has no effect without fallback_models');
  }
  if (input.previews && input.n > 1) {
    warnings.push('previews has no effect with n above 1');
  }
  if (body.reuse === 'exact' && input.seed === undefined) {
    warnings.push('reuse has no effect without seed');
  }
  return [
    ...warnings,
    ...idleFallbacks(input, catalog, assessment.targets),
    ...idleOptions(input, assessment.targets),
  ];
}

const isAble = ({ skipped }: AssessedTarget) => skipped === null;

function idleFallbacks(
  { fallback_models: fallbacks = [] }: GenerationInput,
  catalog: Catalog,
  targets: readonly AssessedTarget[],
): string[] {
  const able = new Set(targets.filter(isAble).map(({ candidate }) => candidate.name));
  return fallbacks.flatMap((id, index) => {
    const canServe = catalog.find(id)?.targets.some((target) => able.has(nameOf(target)));
    if (canServe) return [];
    return [`fallback_models.${index} has no effect: none of its targets can serve this request`];
  });
}

function idleOptions(
  { provider_options: options = {} }: GenerationInput,
  targets: readonly AssessedTarget[],
): string[] {
  return Object.keys(options).flatMap((provider) => {
    const own = targets.filter(({ candidate }) => candidate.target.provider === provider);
    if (own.some(isAble)) return [];
    const why =
      own.length === 0
        ? 'no target is of that provider'
        : 'none of its targets can serve this request';
    return [`provider_options.${provider} has no effect: ${why}`];
  });
}
