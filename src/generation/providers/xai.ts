/** xAI's Images API, through the AI SDK's adapter. */
import { createXai } from '@ai-sdk/xai';
import { z } from 'zod';
import type { AspectRatio } from '../types';
import type { Problem } from './failures';
import { readProblem as readOpenAiProblem } from './openai-problem';
import { defineProvider, type Provider, type ProviderDeps, type ProviderJob } from './provider';
import { ratioFor } from './ratio';
import { type Asked, createSdkProvider, unused } from './sdk';
import { parseJson } from './sdk-images';
import { type ApiConfig, apiSettings } from './settings';
import { createWire } from './wire';

/** Names that decide price, shape or transport of the answer. */
const RESERVED = new Set([
  'model',
  'prompt',
  'n',
  'size',
  'image',
  'images',
  'mask',
  'response_format',
  'stream',
  // 2k has a price of its own.
  'resolution',
]);

/** Those of the API that a request may ask for. Source: docs.x.ai, image generation. */
const RATIOS = [
  '1:1',
  '3:4',
  '4:3',
  '9:16',
  '16:9',
  '2:3',
  '3:2',
] as const satisfies readonly AspectRatio[];

/** 10,000,000,000 ticks are one dollar. */
const TICKS_PER_MICRO_DOLLAR = 10_000;

export const xai = defineProvider({
  name: 'xai',
  settings: apiSettings({
    key: 'XAI_API_KEY',
    url: 'XAI_BASE_URL',
    defaultUrl: 'https://api.x.ai/v1',
  }),
  missing: 'XAI_API_KEY is not set',
  create: createXaiProvider,
});

export function createXaiProvider(
  config: ApiConfig,
  deps: Pick<ProviderDeps, 'fetch' | 'openImage'>,
): Provider {
  const { apiKey, baseUrl } = config;
  return createSdkProvider({
    name: 'xai',
    apiKey,
    wire: createWire(deps.fetch),
    reserved: RESERVED,
    openUrl: deps.openImage,
    model: (id, fetcher) => {
      const tolerant: typeof fetch = async (target, init) =>
        withoutWithheld(await fetcher(target, init));
      return createXai({ apiKey, baseURL: baseUrl, fetch: tolerant }).image(id);
    },
    ask: askFor,
    readProblem,
    readRemarks: (body) => ({ costMicros: readCost(body) }),
  });
}

function askFor(job: ProviderJob): Asked {
  // An edit keeps the shape of its image.
  const aspectRatio = job.image === null ? ratioFor(job, RATIOS) : null;
  return {
    aspectRatio,
    files: ['image'],
    ignored: unused({
      negative_prompt: job.negativePrompt,
      size: aspectRatio === null && job.size,
      aspect_ratio: aspectRatio === null && job.size === null && job.aspectRatio,
      seed: job.seed,
      steps: job.steps,
      guidance_scale: job.guidanceScale,
      // JPEG is what it makes.
      output_format: job.outputFormat !== 'jpeg' && job.outputFormat,
      mask: job.mask,
      strength: job.strength,
    }),
  };
}

const images = z.object({
  data: z.array(
    z.looseObject({
      b64_json: z.string().nullish(),
      url: z.string().nullish(),
      respect_moderation: z.boolean().nullish(),
    }),
  ),
});
type Item = z.output<typeof images>['data'][number];

const isWithheld = ({ b64_json, url, respect_moderation }: Item) =>
  respect_moderation === false || (!b64_json && !url);

/** One image withheld would cost the SDK's caller all the others, which are paid for. */
async function withoutWithheld(response: Response): Promise<Response> {
  if (!response.ok) return response;
  const body = await response.text();
  const { data: answer } = images.safeParse(parseJson(body));
  const shown = answer?.data.filter((item) => !isWithheld(item));
  const isPartial = shown && shown.length < (answer?.data.length ?? 0);
  return new Response(isPartial ? JSON.stringify({ data: shown }) : body, response);
}

const usage = z.object({ usage: z.object({ cost_in_usd_ticks: z.number().nonnegative() }) });

function readCost(body: string): number | null {
  const { data } = usage.safeParse(parseJson(body));
  return data ? Math.ceil(data.usage.cost_in_usd_ticks / TICKS_PER_MICRO_DOLLAR) : null;
}

const OUTPUT_REJECTED = /generated image.{0,40}rejected/i;
const INPUT_REJECTED = /content violates usage guidelines|rejected by content moderation/i;
const FAILED_CHECK = /\bSAFETY_CHECK_TYPE_([A-Z_]{1,64})/;
const PAYMENT = /used all available credits|spending limit|doesn't have any credits/i;
/** A wrong key is a 400 here. */
const AUTH = /^incorrect API key|^no API key/i;

/** Its own errors are `{code, error}`, both of them sentences; some are of OpenAI's shape. */
function readProblem(body: string): Problem {
  const problem = readOpenAiProblem(body);
  const message = problem.message ?? '';
  const [code = null, check] = FAILED_CHECK.exec(message) ?? [];
  return {
    ...problem,
    code: problem.code ?? code,
    refusal: problem.refusal ?? refusalIn(message, check ?? null) ?? withheldIn(body),
    isPayment: problem.isPayment || PAYMENT.test(message),
    isAuth: AUTH.test(message),
  };
}

function refusalIn(message: string, check: string | null): Problem['refusal'] {
  if (OUTPUT_REJECTED.test(message)) return { stage: 'output', categories: [] };
  if (check === null && !INPUT_REJECTED.test(message)) return null;
  return { stage: 'input', categories: check === null ? [] : [check.toLowerCase()] };
}

/** A success that shows none of its images. One without images at all says nothing of the content. */
function withheldIn(body: string): Problem['refusal'] {
  const { data: answer } = images.safeParse(parseJson(body));
  const isRefused = answer?.data.some(({ respect_moderation }) => respect_moderation === false);
  return isRefused ? { stage: 'output', categories: [] } : null;
}
