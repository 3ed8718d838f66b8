/** Stability AI's Stable Image API (v2beta): one form, one image. Source: its API reference. */
import { z } from 'zod';
import type { Json } from '../../platform/json';
import type { AspectRatio } from '../types';
import {
  delivered,
  exchange,
  failed,
  formOf,
  ignoredFields,
  type Place,
  placed,
  type WholeAnswer,
} from './direct';
import { idFrom, noProblem, type Problem, refused } from './failures';
import { isSuccess, readJson, warningsOf, withOptions } from './jobs';
import {
  defineProvider,
  type InputImage,
  type Provider,
  type ProviderAnswer,
  type ProviderDeps,
  type ProviderFailure,
  type ProviderJob,
} from './provider';
import { type ApiConfig, apiSettings } from './settings';
import { createWire } from './wire';

const NAME = 'stability';

export const stability = defineProvider({
  name: NAME,
  settings: apiSettings({
    key: 'STABILITY_API_KEY',
    url: 'STABILITY_BASE_URL',
    defaultUrl: 'https://api.stability.ai',
  }),
  missing: 'STABILITY_API_KEY is not set',
  create: createStabilityProvider,
});

/** Names that decide the price or the shape of the answer, or have a field of the request. */
const RESERVED = new Set([
  'model',
  'mode',
  'prompt',
  'negative_prompt',
  'image',
  'mask',
  'strength',
  'aspect_ratio',
  'seed',
  'output_format',
  'cfg_scale',
]);

/** More than 150 calls in 10 seconds shut an account out for this long. */
const RATE_LIMIT_MS = 60_000;

export function createStabilityProvider(
  { apiKey, baseUrl }: ApiConfig,
  deps: Pick<ProviderDeps, 'fetch' | 'openImage'>,
): Provider {
  const wire = createWire(deps.fetch);
  return {
    name: NAME,
    async generate(job, context) {
      const { fields, files, ignored } = ask(job);
      const { body, ignored: options } = withOptions(fields, {
        options: job.options,
        reserved: RESERVED,
      });
      const sent = await exchange(wire, {
        provider: NAME,
        method: 'POST',
        url: `${baseUrl}${SERVICES[serviceOf(job.model)]}`,
        // As JSON, the finish reason comes in one piece with the picture.
        headers: { Authorization: `Bearer ${apiKey}`, Accept: 'application/json' },
        body: formOf(body, files),
        context,
      });
      if (!sent.ok) return sent.failure;
      const { answer } = sent;
      if (!isSuccess(answer)) return failureFrom(answer, job, apiKey);
      return pictureFrom(answer, warningsOf(NAME, { fields: ignored, options }), deps);
    },
  };
}

const SERVICES = {
  core: '/v2beta/stable-image/generate/core',
  ultra: '/v2beta/stable-image/generate/ultra',
  sd3: '/v2beta/stable-image/generate/sd3',
  inpaint: '/v2beta/stable-image/edit/inpaint',
} as const;
type Service = keyof typeof SERVICES;

/** `core`, `ultra` and `inpaint` are models by themselves; any other is a variant of sd3. */
const serviceOf = (model: string): Service =>
  model === 'core' || model === 'ultra' || model === 'inpaint' ? model : 'sd3';

const RATIOS: readonly (AspectRatio | null)[] = [
  '21:9',
  '16:9',
  '3:2',
  '5:4',
  '1:1',
  '4:5',
  '2:3',
  '9:16',
  '9:21',
];

/** 0 stands for any seed there. */
const isSeed = (seed: number | null) => seed !== null && seed >= 1 && seed <= 4_294_967_294;

/** Must be given with a picture: as much of the picture as of the prompt. */
const USUAL_STRENGTH = 0.5;

function ask(job: ProviderJob) {
  const service = serviceOf(job.model);
  const image = service === 'core' ? null : job.image;
  const hasFreeRatio = service === 'core' || service === 'ultra' || (service === 'sd3' && !image);
  const makesFormat = service !== 'sd3' || job.outputFormat !== 'webp';
  const texts: Place<Json>[] = [
    ['negative_prompt', 'negative_prompt', job.negativePrompt],
    ['seed', 'seed', isSeed(job.seed) ? job.seed : null],
    ['output_format', 'output_format', makesFormat ? job.outputFormat : null],
    [
      'aspect_ratio',
      'aspect_ratio',
      hasFreeRatio && RATIOS.includes(job.aspectRatio) ? job.aspectRatio : null,
    ],
    ['guidance_scale', 'cfg_scale', service === 'sd3' ? job.guidanceScale : null],
    ['strength', 'strength', image && service !== 'inpaint' ? strengthOf(job) : null],
  ];
  const files: Place<InputImage>[] = [
    ['image', 'image', image],
    ['mask', 'mask', service === 'inpaint' ? job.mask : null],
  ];
  return {
    fields: {
      prompt: job.prompt,
      ...(service === 'sd3' ? { model: job.model } : {}),
      ...(service === 'sd3' && image ? { mode: 'image-to-image' } : {}),
      ...placed(texts),
    },
    files: placed(files),
    ignored: ignoredFields(job, [...texts, ...files]),
  };
}

const strengthOf = (job: ProviderJob) => job.strength ?? USUAL_STRENGTH;

const pictureSchema = z.object({
  image: z.string().nullish(),
  finish_reason: z.string().nullish(),
  seed: z.int().min(0).nullish().catch(null),
});

function pictureFrom(
  answer: WholeAnswer,
  warnings: readonly string[],
  deps: Pick<ProviderDeps, 'openImage'>,
): ProviderAnswer {
  const providerRequestId = idFrom(answer.headers);
  const picture = readJson(answer.body, pictureSchema);
  if (picture?.finish_reason === 'CONTENT_FILTERED') {
    // The picture beside it is a blur, and counts as a successful generation.
    const code = picture.finish_reason;
    return refused({ provider: NAME, stage: 'output', categories: [], code, providerRequestId });
  }
  return delivered({
    provider: NAME,
    pictures: picture?.image ? [{ source: picture.image, seed: picture.seed ?? null }] : [],
    openUrl: deps.openImage,
    providerRequestId,
    warnings,
  });
}

const errorSchema = z.object({
  id: z
    .string()
    .regex(/^[\w-]{1,200}$/)
    .nullish()
    .catch(null),
  name: z
    .string()
    .regex(/^[A-Za-z][\w.-]{0,63}$/)
    .nullish()
    .catch(null),
  errors: z.array(z.string()).catch([]),
});

function failureFrom(answer: WholeAnswer, job: ProviderJob, apiKey: string): ProviderFailure {
  const error = readJson(answer.body, errorSchema);
  const problem: Problem = {
    ...noProblem,
    message: error?.errors.join('; ') ?? null,
    code: error?.name ?? null,
    refusal: error?.name === 'content_moderation' ? { stage: 'input', categories: [] } : null,
  };
  return failed({
    provider: NAME,
    answer,
    problem,
    job,
    secrets: [apiKey],
    providerRequestId: idFrom(answer.headers) ?? error?.id ?? null,
    retryAfterMs: answer.status === 429 ? RATE_LIMIT_MS : null,
  });
}
