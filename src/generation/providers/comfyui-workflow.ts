/**
 * ComfyUI's workflows in API format, `{id: {class_type, inputs}}`: those that Foreman knows by
 * itself, and the client's own with placeholders.
 *
 * `provider_options.comfyui.workflow` replaces the built-in one. In its strings `{{prompt}}`,
 * `{{negative_prompt}}`, `{{model}}`, `{{seed}}`, `{{steps}}`, `{{guidance_scale}}`, `{{width}}`,
 * `{{height}}`, `{{strength}}`, `{{n}}`, `{{image}}` and `{{mask}}` (names of uploaded files for
 * LoadImage) stand for the request's fields; a string that is nothing but a placeholder becomes the
 * number it stands for. Its results are what its nodes save; previews are not. Whoever may send
 * requests may run any workflow that the server can.
 */
import { z } from 'zod';
import type { Json, JsonObject } from '../../platform/json';
import type { ProviderJob } from './provider';

export type Workflow = JsonObject;

/** What the request's fields are in a workflow. */
export interface Values {
  readonly prompt: string;
  readonly negative_prompt: string;
  /** The file name of the checkpoint. */
  readonly model: string;
  readonly seed: number;
  readonly steps: number;
  readonly guidance_scale: number;
  readonly width: number;
  readonly height: number;
  readonly strength: number;
  readonly n: number;
  /** As LoadImage names it; null when the request has none. */
  readonly image: string | null;
  readonly mask: string | null;
}

/** What suits SDXL, which is what most checkpoints are made from. */
const USUAL = { steps: 20, guidance: 7, side: 1024 };

/** Most of the picture stays; under a mask all of it is made anew. */
const USUAL_STRENGTH = { image: 0.75, mask: 1 };

export function valuesOf(
  job: ProviderJob,
  made: { readonly seed: number; readonly image: string | null; readonly mask: string | null },
): Values {
  const strength = job.mask ? USUAL_STRENGTH.mask : USUAL_STRENGTH.image;
  return {
    prompt: job.prompt,
    negative_prompt: job.negativePrompt ?? '',
    model: job.model,
    seed: job.seed ?? made.seed,
    steps: job.steps ?? USUAL.steps,
    guidance_scale: job.guidanceScale ?? USUAL.guidance,
    width: job.size?.width ?? USUAL.side,
    height: job.size?.height ?? USUAL.side,
    strength: job.strength ?? strength,
    n: job.n,
    image: made.image,
    mask: made.mask,
  };
}

/** Options of the built-in workflow. */
export interface Tuning {
  readonly sampler_name: string;
  readonly scheduler: string;
  /** Of the mask: `red` repaints what is white, `alpha` what is transparent. */
  readonly mask_channel: string;
}

export const usualTuning: Tuning = {
  sampler_name: 'euler',
  scheduler: 'normal',
  mask_channel: 'red',
};

/**
 * @param folder of the results: a new one each time, else ComfyUI would take an equal workflow's
 * results from its cache, and names could be guessed.
 */
export function builtInWorkflow(of: {
  readonly values: Values;
  /** Scale the input image to the width and height. */
  readonly isScaled: boolean;
  readonly tuning: Tuning;
  readonly folder: string;
}): Workflow {
  const { values, tuning, folder } = of;
  const canvas = values.image === null ? emptyCanvas(values) : imageCanvas(of);
  return {
    checkpoint: node('CheckpointLoaderSimple', { ckpt_name: values.model }),
    positive: node('CLIPTextEncode', { text: values.prompt, clip: ['checkpoint', CLIP] }),
    negative: node('CLIPTextEncode', { text: values.negative_prompt, clip: ['checkpoint', CLIP] }),
    ...canvas.nodes,
    sampler: node('KSampler', {
      model: ['checkpoint', 0],
      positive: ['positive', 0],
      negative: ['negative', 0],
      latent_image: canvas.latent,
      seed: values.seed,
      steps: values.steps,
      cfg: values.guidance_scale,
      sampler_name: tuning.sampler_name,
      scheduler: tuning.scheduler,
      denoise: values.image === null ? 1 : values.strength,
    }),
    decode: node('VAEDecode', { samples: ['sampler', 0], vae: ['checkpoint', VAE] }),
    save: node('SaveImage', { images: ['decode', 0], filename_prefix: `${folder}/image` }),
  };
}

/** Outputs of CheckpointLoaderSimple. */
const CLIP = 1;
const VAE = 2;

const node = (class_type: string, inputs: JsonObject): JsonObject => ({ class_type, inputs });

interface Canvas {
  readonly nodes: Workflow;
  /** Where the sampler begins. */
  readonly latent: [node: string, output: number];
}

const emptyCanvas = ({ width, height, n }: Values): Canvas => ({
  nodes: { empty: node('EmptyLatentImage', { width, height, batch_size: n }) },
  latent: ['empty', 0],
});

function imageCanvas(of: {
  readonly values: Values;
  readonly isScaled: boolean;
  readonly tuning: Tuning;
}): Canvas {
  const { image, mask, width, height, n } = of.values;
  const nodes: Workflow = { image: node('LoadImage', { image }) };
  if (of.isScaled) {
    // A mask is stretched to the image, so the image is stretched as well, that both agree.
    const crop = mask === null ? 'center' : 'disabled';
    nodes.scaled = node('ImageScale', {
      image: ['image', 0],
      upscale_method: 'lanczos',
      width,
      height,
      crop,
    });
  }
  const pixels = [of.isScaled ? 'scaled' : 'image', 0];
  nodes.encoded = node('VAEEncode', { pixels, vae: ['checkpoint', VAE] });
  let latent: Canvas['latent'] = ['encoded', 0];
  if (n > 1) {
    nodes.batch = node('RepeatLatentBatch', { samples: latent, amount: n });
    latent = ['batch', 0];
  }
  if (mask !== null) {
    nodes.mask = node('LoadImageMask', { image: mask, channel: of.tuning.mask_channel });
    nodes.masked = node('SetLatentNoiseMask', { samples: latent, mask: ['mask', 0] });
    latent = ['masked', 0];
  }
  return { nodes, latent };
}

const template = z
  .record(
    z.string(),
    z.looseObject({ class_type: z.string(), inputs: z.record(z.string(), z.unknown()) }),
  )
  .refine((nodes) => Object.keys(nodes).length > 0);

/** Null for what is no workflow in API format, such as the editor's own `{nodes, links}`. */
export function readTemplate(option: Json): Workflow | null {
  if (option === null || typeof option !== 'object' || Array.isArray(option)) return null;
  return template.safeParse(option).success ? option : null;
}

const PLACEHOLDERS = /\{\{\s*(\w+)\s*\}\}/g;
const ALONE = /^\{\{\s*(\w+)\s*\}\}$/;

type Name = keyof Values;

/** Words in double braces. Those that name no field are left alone: nodes have such syntax too. */
export function placeholdersIn(workflow: Workflow): ReadonlySet<string> {
  const names = JSON.stringify(workflow).matchAll(PLACEHOLDERS);
  return new Set([...names].map(([, name = '']) => name));
}

export function fillTemplate(workflow: Workflow, values: Values): Workflow {
  const members = Object.entries(workflow).map(([key, value]) => [key, fill(value, values)]);
  return Object.fromEntries(members);
}

function fill(value: Json, values: Values): Json {
  if (typeof value === 'string') return fillText(value, values);
  if (Array.isArray(value)) return value.map((item) => fill(item, values));
  return value !== null && typeof value === 'object' ? fillTemplate(value, values) : value;
}

function fillText(text: string, values: Values): Json {
  const meaning = (name: string) => (isName(name, values) ? values[name] : null);
  const [, alone = ''] = ALONE.exec(text) ?? [];
  return (
    meaning(alone) ??
    text.replace(PLACEHOLDERS, (whole, name: string) => String(meaning(name) ?? whole))
  );
}

const isName = (name: string, values: Values): name is Name => Object.hasOwn(values, name);
