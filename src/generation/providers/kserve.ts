/**
 * Model servers of the operator's own that speak one of KServe's two inference protocols. Neither
 * says how a picture is asked for or handed out: the names are those of Hugging Face's diffusers.
 */
import { z } from 'zod';
import type { Json, JsonObject } from '../../platform/json';
import { retryAfterMs } from '../../platform/retry-after';
import {
  delivered,
  exchange,
  failed,
  ignoredFields,
  type Picture,
  type Place,
  placed,
  serverProblem,
  type WholeAnswer,
} from './direct';
import { base64Of, isSuccess, warningsOf, withOptions } from './jobs';
import { v1 } from './kserve-v1';
import { v2 } from './kserve-v2';
import {
  type CallContext,
  defineProvider,
  type Provider,
  type ProviderDeps,
  type ProviderFailure,
  type ProviderJob,
} from './provider';
import { addressed, optional, type ServerConfig, text } from './settings';
import { createWire } from './wire';

const NAME = 'kserve';

const protocols = { v1, v2 } as const;
type ProtocolName = keyof typeof protocols;

export interface Protocol {
  predictPath(model: string): string;
  readinessPath(model: string): string;
  /** `unsent`: parameters that the protocol has no form for. */
  body(parameters: JsonObject): { readonly body: JsonObject; readonly unsent: readonly string[] };
  /** Empty for an answer without pictures. */
  pictures(body: string): Picture[];
  /** What an answer of 200 to the question of readiness says. */
  isReady(body: string): boolean;
}

export interface KserveConfig extends ServerConfig {
  readonly protocol: ProtocolName;
}

const settings = addressed(['KSERVE_BASE_URL'], {
  KSERVE_API_KEY: optional(z.string()),
  KSERVE_PROTOCOL: optional(z.enum(['v1', 'v2'], { error: 'must be v1 or v2' })),
}).transform((values): KserveConfig | null => {
  const baseUrl = text(values, 'KSERVE_BASE_URL');
  const protocol = text(values, 'KSERVE_PROTOCOL') === 'v2' ? 'v2' : 'v1';
  return baseUrl ? { baseUrl, apiKey: text(values, 'KSERVE_API_KEY'), protocol } : null;
});

export const kserve = defineProvider({
  name: NAME,
  settings,
  missing: 'KSERVE_BASE_URL is not set',
  create: createKserveProvider,
});

/** Names that have a field of the request. */
const RESERVED = new Set([
  'prompt',
  'negative_prompt',
  'width',
  'height',
  'num_inference_steps',
  'guidance_scale',
  'seed',
  'num_images',
  'num_images_per_prompt',
  'image',
  'mask_image',
  'strength',
]);

export function createKserveProvider(
  config: KserveConfig,
  deps: Pick<ProviderDeps, 'fetch' | 'openImage'>,
): Provider {
  const server = serverOf(config, deps);
  const protocol = protocols[config.protocol];
  return {
    name: NAME,
    async generate(job, context) {
      const { parameters, ignored } = ask(job);
      const laid = withOptions(parameters, { options: job.options, reserved: RESERVED });
      const { body, unsent } = protocol.body(laid.body);
      const sent = await server.post(protocol.predictPath(job.model), body, context);
      if (!sent.ok) return sent.failure;
      const { answer } = sent;
      if (!isSuccess(answer)) return failureFrom(answer, job, context);
      const options = [...laid.ignored, ...unsent];
      return delivered({
        provider: NAME,
        pictures: protocol.pictures(answer.body).slice(0, job.n),
        openUrl: deps.openImage,
        providerRequestId: null,
        warnings: warningsOf(NAME, { fields: ignored, options }),
      });
    },
  };

  async function failureFrom(
    answer: WholeAnswer,
    job: ProviderJob,
    context: CallContext,
  ): Promise<ProviderFailure> {
    const problem = serverProblem(answer.body);
    const failure = failed({
      provider: NAME,
      answer,
      problem,
      job,
      secrets: config.apiKey === null ? [] : [config.apiKey],
      providerRequestId: null,
    });
    if (answer.status !== 404 && answer.status !== 503) return failure;
    const readiness = await server.get(protocol.readinessPath(job.model), context);
    return readiness.ok ? withReadiness(failure, readiness.answer, protocol) : failure;
  }
}

function serverOf({ baseUrl, apiKey }: KserveConfig, deps: Pick<ProviderDeps, 'fetch'>) {
  const wire = createWire(deps.fetch);
  const authorization: Record<string, string> =
    apiKey === null ? {} : { Authorization: `Bearer ${apiKey}` };
  const common = { provider: NAME, headers: authorization };
  return {
    post: (path: string, body: JsonObject, context: CallContext) =>
      exchange(wire, {
        ...common,
        method: 'POST',
        url: `${baseUrl}${path}`,
        headers: { ...authorization, 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
        context,
      }),
    get: (path: string, context: CallContext) =>
      exchange(wire, { ...common, method: 'GET', url: `${baseUrl}${path}`, context }),
  };
}

/** Loading a model takes minutes; asking costs nothing. */
const LOADING_RETRY_MS = 5_000;

/**
 * A model that is still loading and one that does not exist may answer a prediction alike. Where the
 * question of readiness gets no clear answer, the answer to the prediction stands.
 */
function withReadiness(
  failure: ProviderFailure,
  readiness: WholeAnswer,
  protocol: Protocol,
): ProviderFailure {
  const { status, headers, body } = readiness;
  if (status === 404) {
    return {
      ...failure,
      outcome: 'rejected',
      error: { ...failure.error, code: 'model_not_found', details: { status, kind: 'not_found' } },
    };
  }
  const isLoading = status === 503 || (status === 200 && !protocol.isReady(body));
  if (!isLoading) return failure;
  return {
    ...failure,
    outcome: 'throttled',
    error: { ...failure.error, code: 'model_not_ready', details: { status } },
    retryAfterMs: failure.retryAfterMs ?? retryAfterMs(headers, Date.now()) ?? LOADING_RETRY_MS,
  };
}

function ask(job: ProviderJob): { parameters: JsonObject; ignored: readonly string[] } {
  const mask = job.image ? job.mask : null;
  const places: Place<Json>[] = [
    ['negative_prompt', 'negative_prompt', job.negativePrompt],
    ['size', 'width', job.size?.width],
    ['size', 'height', job.size?.height],
    ['steps', 'num_inference_steps', job.steps],
    ['guidance_scale', 'guidance_scale', job.guidanceScale],
    ['seed', 'seed', job.seed],
    ['image', 'image', job.image && base64Of(job.image)],
    ['mask', 'mask_image', mask && base64Of(mask)],
    ['strength', 'strength', job.image ? job.strength : null],
  ];
  return {
    parameters: {
      prompt: job.prompt,
      ...(job.n > 1 ? { num_images: job.n } : {}),
      ...placed(places),
    },
    ignored: ignoredFields(job, places),
  };
}
