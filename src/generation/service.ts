/** Takes a generation in: checks what only the catalogue can check, then hands it to the foreman. */
import type { Credential } from '../accounts/types';
import { newId } from '../platform/ids';
import type { Json, JsonObject } from '../platform/json';
import { fingerprintOf } from '../requests/idempotency';
import { requestOptionsSchema, webhookEventTypes } from '../requests/options';
import type { RequestService, Submitted } from '../requests/service';
import type { RequestSpec } from '../requests/types';
import { type Candidate, candidatesFor } from './candidates';
import type { Catalog } from './catalog';
import { costLimitTooLow, invalidGeneration, noTargetAvailable, unknownModel } from './errors';
import type { InputStore } from './inputs';
import { passedOverTargets } from './plan';
import { checkGenerationInput, type GenerationInput, generationInputSchema } from './types';

export const submissionSchema = generationInputSchema
  .extend(requestOptionsSchema.shape)
  .extend({ model: generationInputSchema.shape.prompt.max(100).default('auto') });
export type SubmissionBody = ReturnType<typeof submissionSchema.parse>;

export interface SubmitInput {
  readonly credential: Credential;
  readonly body: SubmissionBody;
  /** The body as it came: equal bodies have equal fingerprints, whatever defaults are added. */
  readonly rawBody: Json;
  readonly context: Pick<
    RequestSpec,
    'idempotencyKey' | 'origin' | 'correlationId' | 'traceparent'
  >;
}

export interface GenerationService {
  submit(input: SubmitInput): Promise<Submitted>;
}

export function createGenerationService(deps: {
  readonly catalog: Catalog;
  readonly requests: Pick<RequestService, 'submit'>;
  readonly inputs: InputStore;
  /** Why a URL must not be called; null when it may. `origin` is where the service was reached. */
  readonly urlFault: (url: string, origin: string) => string | null;
  readonly now: () => number;
}): GenerationService {
  return {
    async submit({ credential, body, rawBody, context }) {
      const input = inputPart(body);
      checkFields(body, input, (url) => deps.urlFault(url, context.origin));
      for (const [index, model] of (input.fallback_models ?? []).entries()) {
        if (!deps.catalog.find(model))
          throw unknownModel({ path: `fallback_models.${index}`, model });
      }
      if (!deps.catalog.find(body.model)) throw unknownModel({ path: 'model', model: body.model });
      const candidates = candidatesFor(deps.catalog, { model: body.model, input });
      const floorMicros = checkServable(candidates, body);
      const stored = await deps.inputs.keep({ userId: credential.userId, input });
      const now = deps.now();
      const spec: RequestSpec = {
        ...context,
        id: newId('req', now),
        userId: credential.userId,
        kind: 'generation',
        model: body.model,
        input: stored as unknown as JsonObject,
        units: input.n,
        metadata: body.metadata,
        priority: body.priority,
        maxAttempts: body.max_attempts,
        maxCostMicros: body.max_cost_usd === undefined ? null : Math.round(body.max_cost_usd * 1e6),
        retryUnknown: body.retry_unknown,
        webhook: body.webhook_url
          ? { url: body.webhook_url, events: body.webhook_events ?? webhookEventTypes }
          : null,
        retryOf: null,
        createdAt: now,
        deadlineAt: now + body.deadline_seconds * 1000,
      };
      const fingerprint = await fingerprintOf(rawBody);
      const warnings = warningsFor(body, candidates);
      return deps.requests.submit({ credential, spec, warnings, floorMicros, fingerprint });
    },
  };
}

/** What is about the picture; the rest of the body is about the request. */
function inputPart(body: SubmissionBody): GenerationInput {
  const names = new Set(Object.keys(generationInputSchema.shape));
  const part = Object.fromEntries(Object.entries(body).filter(([name]) => names.has(name)));
  return part as GenerationInput;
}

function checkFields(
  body: SubmissionBody,
  input: GenerationInput,
  urlFault: (url: string) => string | null,
): void {
  const faults = checkGenerationInput(input);
  const webhookFault = body.webhook_url === undefined ? null : urlFault(body.webhook_url);
  if (webhookFault) faults.push({ path: 'webhook_url', message: webhookFault });
  for (const path of ['image', 'mask'] as const) {
    const reference = input[path];
    if (reference === undefined || !/^https?:/i.test(reference)) continue;
    const fault = urlFault(reference);
    if (fault) faults.push({ path, message: fault });
  }
  if (faults.length > 0) throw invalidGeneration(faults);
}

/** @returns the price of the cheapest target that can serve, in micro-dollars. */
function checkServable(candidates: readonly Candidate[], body: SubmissionBody): number {
  const able = candidates.filter((candidate) => candidate.passedOver === null);
  if (able.length === 0) throw noTargetAvailable(passedOverTargets(candidates));
  const cheapest = Math.min(...able.map((candidate) => candidate.priceMicros));
  if (body.max_cost_usd !== undefined && cheapest > body.max_cost_usd * 1e6) {
    throw costLimitTooLow(cheapest / 1e6);
  }
  return cheapest;
}

function warningsFor(body: SubmissionBody, candidates: readonly Candidate[]): string[] {
  const warnings: string[] = [];
  if (body.webhook_events && !body.webhook_url) {
    warnings.push('webhook_events has no effect without webhook_url');
  }
  const providers = new Set<string>(candidates.map(({ target }) => target.provider));
  for (const provider of Object.keys(body.provider_options ?? {})) {
    if (!providers.has(provider)) {
      warnings.push(`provider_options.${provider} has no effect: no target is of that provider`);
    }
  }
  return warnings;
}
