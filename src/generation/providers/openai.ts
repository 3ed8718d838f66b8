/**
 * OpenAI's Images API and whatever speaks it, through the AI SDK's adapter. `doGenerate` is called
 * directly: it makes one HTTP call and never retries.
 */
import { createOpenAI } from '@ai-sdk/openai';
import { APICallError } from '@ai-sdk/provider';
import type { AspectRatio } from '../types';
import { failureOf, invalidOutput, isModeration, requestIdOf } from './openai-errors';
import {
  AnswerTooLarge,
  ConnectionFault,
  createExchange,
  type Exchange,
  type Origin,
} from './openai-exchange';
import { decodeImages, type FetchImage, readLoosely, UnusableAnswer } from './openai-images';
import type {
  CallContext,
  InputImage,
  Provider,
  ProviderAnswer,
  ProviderFailure,
  ProviderJob,
} from './provider';

export interface OpenAiConfig {
  readonly apiKey: string;
  /** Includes `/v1`, without a slash at the end. */
  readonly baseUrl: string;
  readonly fetch: typeof fetch;
  /**
   * Fetches an image that a compatible server answers with by `url`. Such a URL is chosen by someone
   * else, so this is `fetch-untrusted`; without it those answers are `invalid_output`.
   */
  readonly fetchImage?: FetchImage;
}

type Size = `${number}x${number}`;

const GPT_IMAGE_SIZES: Partial<Record<AspectRatio, Size>> = {
  '1:1': '1024x1024',
  '3:2': '1536x1024',
  '2:3': '1024x1536',
};
const DALL_E_3_SIZES: Partial<Record<AspectRatio, Size>> = {
  '1:1': '1024x1024',
  '16:9': '1792x1024',
  '9:16': '1024x1792',
};

/** The size an aspect ratio stands for with this model; null when it has none. */
export function openAiSizeFor(model: string, aspectRatio: AspectRatio): Size | null {
  if (model.startsWith('gpt-image-')) return GPT_IMAGE_SIZES[aspectRatio] ?? null;
  if (model === 'dall-e-3') return DALL_E_3_SIZES[aspectRatio] ?? null;
  return null;
}

export function createOpenAiProvider(config: OpenAiConfig): Provider {
  const origin: Origin = { answeredAt: 0 };
  return {
    name: 'openai',
    async generate(job, context) {
      const exchange = createExchange(config.fetch, job.options, origin);
      const call: Call = { config, exchange, job, context, asked: askFor(job) };
      try {
        return succeeded(await imagesOf(call), call);
      } catch (error) {
        return endOf(error, call);
      }
    },
  };
}

interface Call {
  readonly config: OpenAiConfig;
  readonly exchange: Exchange;
  readonly job: ProviderJob;
  readonly context: CallContext;
  readonly asked: Asked;
}

/** What is sent of a job, and which fields are not. */
interface Asked {
  readonly size: Size | null;
  readonly outputFormat: string | null;
  readonly ignored: readonly string[];
}

function askFor(job: ProviderJob): Asked {
  const mapped = job.aspectRatio && openAiSizeFor(job.model, job.aspectRatio);
  const size: Size | null = job.size ? `${job.size.width}x${job.size.height}` : mapped;
  // DALL·E knows no output_format, and makes PNG.
  const hasFormats = !job.model.startsWith('dall-e-');
  const ignored: readonly [field: string, isIgnored: boolean][] = [
    ['negative_prompt', job.negativePrompt !== null],
    ['seed', job.seed !== null],
    ['steps', job.steps !== null],
    ['guidance_scale', job.guidanceScale !== null],
    ['strength', job.strength !== null],
    ['aspect_ratio', job.aspectRatio !== null && size === null],
    ['output_format', !hasFormats && job.outputFormat !== null && job.outputFormat !== 'png'],
  ];
  return {
    size,
    outputFormat: hasFormats ? job.outputFormat : null,
    ignored: ignored.filter(([, isIgnored]) => isIgnored).map(([field]) => field),
  };
}

async function imagesOf(call: Call): Promise<Uint8Array[]> {
  const { config, exchange, job, context, asked } = call;
  const { apiKey, baseUrl } = config;
  const client = createOpenAI({ apiKey, baseURL: baseUrl, fetch: exchange.fetch });
  try {
    const { images } = await client.image(job.model).doGenerate({
      prompt: job.prompt,
      n: job.n,
      size: asked.size ?? undefined,
      aspectRatio: undefined,
      seed: undefined,
      files: job.image ? [fileOf(job.image)] : undefined,
      mask: job.mask ? fileOf(job.mask) : undefined,
      providerOptions: asked.outputFormat ? { openai: { outputFormat: asked.outputFormat } } : {},
      headers: {
        'X-Correlation-Id': context.correlationId,
        traceparent: context.traceparent ?? undefined,
      },
      abortSignal: context.signal,
    });
    return decodeImages(images.filter((image) => typeof image === 'string'));
  } catch (error) {
    const body = isSuccess(exchange) && APICallError.isInstance(error) && error.responseBody;
    if (typeof body !== 'string') throw error;
    return await readLoosely(body, { fetchImage: config.fetchImage, signal: context.signal });
  }
}

const fileOf = ({ bytes, mediaType }: InputImage) => ({
  type: 'file' as const,
  data: bytes,
  mediaType,
});

function isSuccess(exchange: Exchange): boolean {
  const status = exchange.answer()?.status ?? 0;
  return status >= 200 && status < 300;
}

function succeeded(images: readonly Uint8Array[], call: Call): ProviderAnswer {
  const { exchange, job, asked } = call;
  const warnings = [
    ...asked.ignored.map((field) => `openai ignores ${field}`),
    ...exchange
      .ignoredOptions()
      .map((option) => `openai ignores provider_options.openai.${option}`),
  ];
  return {
    outcome: 'succeeded',
    images: images.slice(0, job.n).map((bytes) => ({ bytes, seed: null })),
    costMicros: null,
    providerRequestId: requestIdOf(exchange.answer()?.headers ?? new Headers()),
    warnings,
  };
}

/** @throws what is none of the API's doing. */
function endOf(error: unknown, call: Call): ProviderFailure {
  const { config, exchange, job, context } = call;
  const confidential = {
    secrets: [config.apiKey],
    texts: [job.prompt, ...(job.negativePrompt === null ? [] : [job.negativePrompt])],
  };
  if (error instanceof ConnectionFault) {
    return error.sent ? lost(call) : notSent(context.signal.aborted);
  }
  const answer = exchange.answer();
  if (!answer) throw error;
  const failed = (body: string) => failureOf({ ...answer, body }, confidential, Date.now());
  if (!isSuccess(exchange)) {
    return failed(APICallError.isInstance(error) ? (error.responseBody ?? '') : '');
  }
  if (context.signal.aborted) return lost(call);
  if (error instanceof UnusableAnswer) {
    if (isModeration(error.body)) return failed(error.body);
    return invalidOutput(answer, error.message);
  }
  if (APICallError.isInstance(error) && error.cause instanceof AnswerTooLarge) {
    return invalidOutput(answer, 'openai answered with more than images can take');
  }
  return lost(call);
}

/** The request went out and its end is unknown. */
function lost({ context, exchange }: Call): ProviderFailure {
  const headers = exchange.answer()?.headers;
  return {
    outcome: 'unknown',
    error: context.signal.aborted
      ? { code: 'timeout', message: 'openai did not answer in time' }
      : { code: 'connection_lost', message: 'the connection to openai was lost during the call' },
    retryAfterMs: null,
    providerRequestId: headers ? requestIdOf(headers) : null,
    possiblyBilled: true,
  };
}

const notSent = (isAborted: boolean): ProviderFailure => ({
  outcome: 'not_sent',
  error: isAborted
    ? { code: 'timeout', message: 'openai could not be reached in time' }
    : { code: 'connection_failed', message: 'openai could not be reached' },
  retryAfterMs: null,
  providerRequestId: null,
  possiblyBilled: false,
});
