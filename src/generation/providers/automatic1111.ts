/** The API of AUTOMATIC1111's Stable Diffusion web UI, and of forks that kept it (Forge, SD.Next). */
import { z } from 'zod';
import { inspectImage } from '../../images/inspect';
import type { Json, JsonObject } from '../../platform/json';
import {
  delivered,
  exchange,
  failed,
  ignoredFields,
  type Place,
  placed,
  serverProblem,
} from './direct';
import { base64Of, isSuccess, readJson, warningsOf, withOptions } from './jobs';
import { defineProvider, type Provider, type ProviderDeps, type ProviderJob } from './provider';
import { addressed, optional, type ServerConfig, text } from './settings';
import { createWire } from './wire';

const NAME = 'automatic1111';

/** `apiKey` is `user:password`. */
const settings = addressed(['AUTOMATIC1111_BASE_URL'], {
  AUTOMATIC1111_AUTH: optional(z.string().regex(/^[^:]+:.+$/, 'must be like user:password')),
}).transform((values): ServerConfig | null => {
  const baseUrl = text(values, 'AUTOMATIC1111_BASE_URL');
  return baseUrl ? { baseUrl, apiKey: text(values, 'AUTOMATIC1111_AUTH') } : null;
});

export const automatic1111 = defineProvider({
  name: NAME,
  settings,
  missing: 'AUTOMATIC1111_BASE_URL is not set',
  create: createAutomatic1111Provider,
});

/**
 * Names that have a field of the request, decide how many pictures come back and how, or change the
 * server for everybody: `override_settings` reaches each of its options.
 */
const RESERVED = new Set([
  'prompt',
  'negative_prompt',
  'seed',
  'steps',
  'cfg_scale',
  'width',
  'height',
  'batch_size',
  'n_iter',
  'init_images',
  'include_init_images',
  'mask',
  'denoising_strength',
  'infotext',
  'override_settings',
  'override_settings_restore_afterwards',
  'send_images',
  'save_images',
  'do_not_save_samples',
  'do_not_save_grid',
  'script_name',
  'script_args',
]);

/** The model that stands for whatever checkpoint the server has loaded. */
const LOADED = 'default';

export function createAutomatic1111Provider(
  { baseUrl, apiKey }: ServerConfig,
  deps: Pick<ProviderDeps, 'fetch' | 'openImage'>,
): Provider {
  const wire = createWire(deps.fetch);
  const login = apiKey === null ? null : Buffer.from(apiKey).toString('base64');
  const secrets = apiKey === null ? [] : [apiKey, passwordIn(apiKey)];
  return {
    name: NAME,
    async generate(job, context) {
      const { fields, defaults, ignored } = ask(job);
      const { body, ignored: options } = withOptions(fields, {
        options: job.options,
        reserved: RESERVED,
      });
      const sent = await exchange(wire, {
        provider: NAME,
        method: 'POST',
        url: `${baseUrl}/sdapi/v1/${job.image ? 'img2img' : 'txt2img'}`,
        headers: {
          'Content-Type': 'application/json',
          ...(login === null ? {} : { Authorization: `Basic ${login}` }),
        },
        body: JSON.stringify({ ...defaults, ...body }),
        context,
      });
      if (!sent.ok) return sent.failure;
      const { answer } = sent;
      if (!isSuccess(answer)) {
        const problem = serverProblem(answer.body);
        return failed({ provider: NAME, answer, problem, job, secrets, providerRequestId: null });
      }
      const made = readPictures(answer.body, job);
      return delivered({
        provider: NAME,
        pictures: made.pictures,
        openUrl: deps.openImage,
        providerRequestId: null,
        warnings: [...warningsOf(NAME, { fields: ignored, options }), ...made.warnings],
      });
    },
  };
}

const passwordIn = (login: string) => login.slice(login.indexOf(':') + 1);

/** `defaults` hold where the client's options do not say otherwise. */
interface Asked {
  readonly fields: JsonObject;
  readonly defaults: JsonObject;
  readonly ignored: readonly string[];
}

function ask(job: ProviderJob): Asked {
  const size = job.size ?? (job.image && sizeOf(job.image.bytes));
  const mask = job.image ? job.mask : null;
  const places: Place<Json>[] = [
    ['negative_prompt', 'negative_prompt', job.negativePrompt],
    ['size', 'width', size?.width],
    ['size', 'height', size?.height],
    ['seed', 'seed', job.seed],
    ['steps', 'steps', job.steps],
    ['guidance_scale', 'cfg_scale', job.guidanceScale],
    ['image', 'init_images', job.image && [base64Of(job.image)]],
    ['strength', 'denoising_strength', job.image ? job.strength : null],
    ['mask', 'mask', mask && base64Of(mask)],
  ];
  return {
    fields: {
      prompt: job.prompt,
      batch_size: job.n,
      ...(job.model === LOADED ? {} : { override_settings: { sd_model_checkpoint: job.model } }),
      ...placed(places),
    },
    defaults: mask ? INPAINTING : {},
    // The server makes PNG unless it is configured otherwise.
    ignored: ignoredFields(job, places, job.outputFormat === 'png' ? ['output_format'] : []),
  };
}

/** The web UI's own defaults, which its API does not share: the whole picture, from what is there. */
const INPAINTING: JsonObject = { inpainting_fill: 1, inpaint_full_res: false };

const SIDE_STEP = 8;
const SIDES = { min: 64, max: 2048 };

/** The picture's own size as the server can make it; its default would be 512×512, whatever comes in. */
function sizeOf(image: Uint8Array): { width: number; height: number } | null {
  const inspected = inspectImage(image);
  if (!inspected.ok) return null;
  const { width, height } = inspected;
  const shrink = Math.min(1, SIDES.max / Math.max(width, height));
  const side = (pixels: number) =>
    Math.max(SIDES.min, Math.round((pixels * shrink) / SIDE_STEP) * SIDE_STEP);
  return { width: side(width), height: side(height) };
}

const answerSchema = z.object({
  images: z.array(z.string()).nullish().catch(null),
  /** JSON in a string. */
  info: z.string().catch(''),
});

const infoSchema = z.object({
  all_seeds: z.array(z.int()).catch([]),
  /** 1 when a contact sheet of all pictures comes first. */
  index_of_first_image: z.int().min(0).catch(0),
  sd_model_name: z.string().nullish().catch(null),
  sd_model_hash: z.string().nullish().catch(null),
});
type Info = z.output<typeof infoSchema>;

function readPictures(body: string, job: ProviderJob) {
  const answer = readJson(body, answerSchema);
  const info = readJson(answer?.info ?? '', infoSchema);
  const first = info?.index_of_first_image ?? 0;
  // Extensions append pictures of their own, such as what ControlNet made of its input.
  const images = answer?.images?.slice(first, first + job.n) ?? [];
  return {
    pictures: images.map((source, index) => ({ source, seed: info?.all_seeds[index] ?? null })),
    warnings: info ? otherCheckpoint(job.model, info) : [],
  };
}

/** A checkpoint that the server does not have is passed over in silence for the one it has loaded. */
function otherCheckpoint(asked: string, { sd_model_name: used, sd_model_hash: hash }: Info) {
  if (asked === LOADED || !used || asked === hash) return [];
  if (stem(asked) === stem(used) || (hash && asked.endsWith(`[${hash}]`))) return [];
  return [`${NAME} used the checkpoint ${used}`];
}

/** `folder/name.safetensors [hash]` and `name` are the same checkpoint. */
const stem = (checkpoint: string) =>
  checkpoint
    .replace(/\s*\[[0-9a-f]+\]$/i, '')
    .replace(/^.*[\\/]/, '')
    .replace(/\.(?:safetensors|ckpt|pt)$/i, '')
    .toLowerCase();
