/**
 * What the providers behind the AI SDK share. `doGenerate` is called directly: it makes one HTTP
 * call and never retries. The SDK maps the job onto the API and reads the images; every end without
 * images is read here.
 */
import { APICallError, type ImageModelV4 } from '@ai-sdk/provider';
import type { JsonObject } from '../../platform/json';
import { failureOf, idFrom, invalidOutput, lost, notSent, type Problem, refused } from './failures';
import type {
  CallContext,
  InputImage,
  Provider,
  ProviderFailure,
  ProviderImage,
  ProviderJob,
  ProviderSuccess,
} from './provider';
import { createExchange, type Exchange, type ExchangedAnswer } from './sdk-exchange';
import { imageFrom, type OpenUrl, readLoosely, UnusableAnswer } from './sdk-images';
import { AnswerTooLarge, ConnectionFault, type Wire } from './wire';

type CallOptions = Parameters<ImageModelV4['doGenerate']>[0];

/** What is sent of a job, and which of its fields are not. */
export interface Asked {
  readonly size?: `${number}x${number}` | null;
  readonly aspectRatio?: `${number}:${number}` | null;
  readonly seed?: number | null;
  /** Those of the job's files that the model takes; some packages throw when given another. */
  readonly files?: readonly ('image' | 'mask')[];
  /** For the SDK's own mapping; the client's options are laid into the body after it. */
  readonly providerOptions?: CallOptions['providerOptions'];
  /** On top of those that every call has. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Names of fields of the request. */
  readonly ignored: readonly string[];
}

/** What an answer says besides its images. */
export interface Remarks {
  /** What the provider charged for the whole call, in micro-dollars. */
  readonly costMicros?: number | null;
  /** Of the first image. */
  readonly seed?: number | null;
  /** By image, for all of them: whether it is blanked out for its content. */
  readonly withheld?: readonly boolean[];
  /** Nothing here is what was asked for, and this is why. */
  readonly problem?: Problem | null;
}

/** The fields that have a value: what the client left out is not sent. */
export const given = <T>(fields: Readonly<Record<string, T | null>>): Record<string, T> =>
  Object.fromEntries(
    Object.entries(fields).filter((field): field is [string, T] => field[1] !== null),
  );

/** Names of the fields that the client gave and the provider has no use for. */
export const unused = (fields: Readonly<Record<string, unknown>>): string[] =>
  Object.keys(fields).filter((name) => fields[name] !== null && fields[name] !== false);

export interface SdkProvider {
  readonly name: string;
  readonly apiKey: string | null;
  readonly wire: Wire;
  /** Around `wire`, for a call that shows previews. */
  streaming?(wire: Wire, job: ProviderJob, context: CallContext): Wire;
  /** See `Provider`. */
  showsPreviews?(job: ProviderJob): boolean;
  /** Names in `provider_options` that Foreman sets itself or leaves out. */
  readonly reserved: ReadonlySet<string>;
  /** Opens an image that the provider answers with by URL. */
  readonly openUrl: OpenUrl;
  model(id: string, fetcher: typeof fetch): ImageModelV4;
  ask(job: ProviderJob): Asked;
  /** Of an answer that is no success, and of a success without images. */
  readProblem(body: string, headers: Headers): Problem;
  /** Of an answer with images. Long strings in `body` are cut, pictures foremost. */
  readRemarks?(body: string, headers: Headers, job: ProviderJob): Remarks;
  /** Header of the provider's own id of the request; `x-request-id` when absent. */
  readonly idHeader?: string;
  /** The same in the body, for APIs that have it there. Long strings in `body` are cut. */
  readId?(body: string): string | null;
}

export function createSdkProvider(spec: SdkProvider): Provider {
  return {
    name: spec.name,
    async generate(job, context) {
      const { options } = job;
      const wire = spec.streaming?.(spec.wire, job, context) ?? spec.wire;
      const exchange = createExchange(wire, { options, reserved: spec.reserved });
      const call: Call = { spec, exchange, job, context, asked: spec.ask(job) };
      try {
        return withRemarks(await imagesOf(call), call);
      } catch (error) {
        return endOf(error, call);
      }
    },
    showsPreviews: (job) => spec.showsPreviews?.(job) ?? false,
  };
}

interface Call {
  readonly spec: SdkProvider;
  readonly exchange: Exchange;
  readonly job: ProviderJob;
  readonly context: CallContext;
  readonly asked: Asked;
}

/** @throws UnusableAnswer, and whatever the SDK throws. */
async function imagesOf(call: Call): Promise<ProviderImage[]> {
  const { spec, exchange } = call;
  const deps = { openUrl: spec.openUrl, provider: spec.name };
  try {
    const { images } = await spec.model(call.job.model, exchange.fetch).doGenerate(optionsOf(call));
    const found = images.flatMap((image) => imageFrom(exchange.urlOf(image) ?? image, deps) ?? []);
    if (found.length === 0) throw new UnusableAnswer(`${spec.name} answered without an image`);
    return found;
  } catch (error) {
    const answer = exchange.answer();
    const body = answer && isSuccess(answer) ? unreadBody(error, answer) : null;
    if (body === null) throw error;
    return readLoosely(body, deps);
  }
}

/** The body of a success that the SDK will not read, or will not download from; else null. */
function unreadBody(error: unknown, answer: ExchangedAnswer): string | null {
  if (APICallError.isInstance(error)) return error.responseBody ?? null;
  // It downloads from no private address: whether that is allowed is for `openUrl` to say.
  const isDownload = error instanceof Error && error.name === 'AI_DownloadError';
  return isDownload ? answer.outline() : null;
}

function optionsOf({ job, context, asked }: Call): CallOptions {
  const { image, mask } = job;
  const files = asked.files ?? [];
  return {
    prompt: job.prompt,
    n: job.n,
    size: asked.size ?? undefined,
    aspectRatio: asked.aspectRatio ?? undefined,
    seed: asked.seed ?? undefined,
    files: image && files.includes('image') ? [fileOf(image)] : undefined,
    mask: mask && files.includes('mask') ? fileOf(mask) : undefined,
    providerOptions: asked.providerOptions ?? {},
    headers: {
      'X-Correlation-Id': context.correlationId,
      traceparent: context.traceparent ?? undefined,
      ...asked.headers,
    },
    abortSignal: context.signal,
  };
}

const fileOf = ({ bytes, mediaType }: InputImage) => ({
  type: 'file' as const,
  data: bytes,
  mediaType,
});

const isSuccess = ({ status }: ExchangedAnswer) => status >= 200 && status < 300;

function withRemarks(
  images: readonly ProviderImage[],
  call: Call,
): ProviderSuccess | ProviderFailure {
  const { spec, exchange, job } = call;
  const answer = exchange.answer();
  const remarks = (answer && spec.readRemarks?.(answer.outline(), answer.headers, job)) ?? {};
  if (answer && remarks.problem) return failed(remarks.problem, answer, call);
  const providerRequestId = idOf(call);
  const shown = images.filter((_image, index) => remarks.withheld?.[index] !== true);
  const [first, ...others] = shown.slice(0, job.n);
  if (!first) {
    return refused({
      provider: spec.name,
      stage: 'output',
      categories: [],
      code: null,
      providerRequestId,
    });
  }
  return {
    outcome: 'succeeded',
    images: [{ ...first, seed: remarks.seed ?? first.seed }, ...others],
    costMicros: remarks.costMicros ?? null,
    providerRequestId,
    warnings: warningsOf(call),
  };
}

const warningsOf = ({ spec: { name }, exchange, asked }: Call): string[] => [
  ...asked.ignored.map((field) => `${name} ignores ${field}`),
  ...exchange
    .ignoredOptions()
    .map((option) => `${name} ignores provider_options.${name}.${option}`),
];

/** @throws what is none of the API's doing. */
function endOf(error: unknown, call: Call): ProviderFailure {
  const { spec, exchange, context } = call;
  const provider = spec.name;
  const isAborted = context.signal.aborted;
  const providerRequestId = idOf(call);
  if (error instanceof ConnectionFault) {
    return error.sent
      ? lost({ provider, isAborted, providerRequestId })
      : notSent({ provider, isAborted });
  }
  const answer = exchange.answer();
  if (!answer) throw error;
  const problem = spec.readProblem(answer.outline(), answer.headers);
  if (!isSuccess(answer)) return failed(problem, answer, call);
  const cause = APICallError.isInstance(error) ? error.cause : error;
  if (cause instanceof AnswerTooLarge) {
    const message = `${provider} answered with more than images can take`;
    return invalidOutput({ message, providerRequestId });
  }
  if (!answer.isWhole()) return lost({ provider, isAborted, providerRequestId });
  const saysWhy = problem.refusal || problem.isAccountBlocked || problem.isPayment;
  if (saysWhy) return failed(problem, answer, call);
  const message =
    error instanceof UnusableAnswer ? error.message : `${provider} answered without an image`;
  const details: JsonObject = problem.code === null ? {} : { provider_code: problem.code };
  return invalidOutput({ message, details, providerRequestId });
}

function failed(problem: Problem, answer: ExchangedAnswer, call: Call): ProviderFailure {
  const { spec, job } = call;
  return failureOf({
    provider: spec.name,
    answer,
    problem,
    confidential: {
      secrets: spec.apiKey === null ? [] : [spec.apiKey],
      texts: [job.prompt, ...(job.negativePrompt === null ? [] : [job.negativePrompt])],
    },
    providerRequestId: idOf(call),
    now: Date.now(),
  });
}

const idOf = ({ spec, exchange }: Call): string | null => {
  const answer = exchange.answer();
  if (!answer) return null;
  return idFrom(answer.headers, spec.idHeader) ?? spec.readId?.(answer.outline()) ?? null;
};
