/**
 * What `generate_image` and `edit_image` take: fields of a submission under their own names, those of
 * the call beside them, and the names that image servers of the Model Context Protocol have had.
 */
import { z } from 'zod';
import { type SubmissionBody, submissionSchema } from '../generation/submission';
import type { JsonObject } from '../platform/json';
import { twoStepCounts } from './errors';
import { idIn } from './uris';

/** Below the 60 s after which most clients give a call up. */
export const USUAL_WAIT_SECONDS = 50;
const MAX_WAIT_SECONDS = 300;

const submission = submissionSchema.required({ prompt: true }).shape;

export const waitSeconds = z
  .int()
  .min(0)
  .max(MAX_WAIT_SECONDS)
  .default(USUAL_WAIT_SECONDS)
  .describe(
    'How many seconds to wait for the end; 0: not at all. Keep it below the time limit of your ' +
      'client, which is 60 s unless it counts progress',
  );

/** Of the call, not of the submission. */
const callArguments = {
  idempotency_key: z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe(
      'Any text of yours. The same call with the same key gets the same request, which is made and ' +
        'billed once: call again with it when an answer was lost',
    ),
  wait_seconds: waitSeconds,
};

export const generateArguments = z.strictObject({
  prompt: submission.prompt.describe('What the image is to show'),
  model: submission.model.describe(
    'An id from list_models; the best that is available if left out',
  ),
  negative_prompt: submission.negative_prompt.describe('What the image is not to show'),
  n: submission.n.describe('How many images'),
  width: submission.width.describe("In pixels, with height; the model's own size if left out"),
  height: submission.height.describe('In pixels, with width'),
  aspect_ratio: submission.aspect_ratio.describe('width:height, instead of width and height'),
  seed: submission.seed.describe('The same seed and input give the same image, where a model can'),
  steps: submission.steps.describe(
    "How many steps of diffusion: more take longer and may cost more; the model's own if left out",
  ),
  num_inference_steps: submission.steps.describe('Another name for steps'),
  guidance_scale: submission.guidance_scale.describe(
    "How closely to follow the prompt, the higher the closer; the model's own if left out",
  ),
  output_format: submission.output_format.describe(
    "The model's own if left out; list_models has those that it can",
  ),
  style: submission.style.describe(
    'The name of a style of this service, should you have been told one',
  ),
  provider_options: submission.provider_options,
  fallback_models: submission.fallback_models.describe('Tried in this order when model fails'),
  fallback_on_refusal: submission.fallback_on_refusal,
  max_cost_usd: submission.max_cost_usd.describe(
    'In US dollars, for all images together: refused if it could cost more',
  ),
  // A default would count as given, and keys that agents hold would stand for another call.
  on_budget: submission.on_budget
    .unwrap()
    .optional()
    .describe(
      'When the budget of the month does not reach: reject (the default) refuses it; wait accepts ' +
        'it, and it waits until money is free, or until its deadline',
    ),
  deadline_seconds: submission.deadline_seconds.describe(
    'In seconds from now: what has not been made by then expires',
  ),
  priority: submission.priority.describe('Among your own requests that wait'),
  retention_hours: submission.retention_hours,
  reuse: submission.reuse,
  metadata: submission.metadata.describe(
    'Up to 16 texts of yours by name; list_requests filters by them',
  ),
  ...callArguments,
});

export const editArguments = generateArguments.extend({
  prompt: submission.prompt.describe('What the image is to become'),
  image: submission.image
    .unwrap()
    .describe('The image to start from: an image id, a data URL, or an https URL'),
  mask: submission.mask.describe(
    'An image of the same size that says where to repaint, given in the same ways: transparent ' +
      'with models of OpenAI, white with others. Not every model takes one: see list_models',
  ),
  strength: submission.strength.describe(
    "How far to go from the image: 0 keeps it, 1 hardly looks at it; the model's own if left out",
  ),
});

export type AskedArguments = z.output<typeof generateArguments> | z.output<typeof editArguments>;

/**
 * `rawBody` has what was given and nothing else, so that the same call is known by its key whatever
 * defaults are added later, and however long it waits.
 * @throws AppError `invalid_request`
 */
export function submissionOf(
  asked: AskedArguments,
  given: ReadonlySet<string>,
): { readonly body: SubmissionBody; readonly rawBody: JsonObject } {
  const { idempotency_key: _key, wait_seconds: _wait, num_inference_steps, ...all } = asked;
  const fields = Object.fromEntries(
    Object.entries(all).filter(([name]) => given.has(name)),
  ) as Partial<typeof all>;
  const { steps = num_inference_steps } = fields;
  if (num_inference_steps !== undefined && steps !== num_inference_steps) throw twoStepCounts();
  const named = Object.fromEntries(
    (['image', 'mask'] as const).flatMap((name) => {
      const reference = (fields as { image?: string; mask?: string })[name];
      return reference === undefined ? [] : [[name, idIn(reference)]];
    }),
  );
  const counted = steps === undefined ? {} : { steps };
  // Checked JSON values, none of them undefined.
  const rawBody = { ...fields, ...named, ...counted } as JsonObject;
  return { body: submissionSchema.parse(rawBody), rawBody };
}
