/** Takes a generation in: checks what only the catalogue can check, then hands it to the foreman. */
import { z } from '@hono/zod-openapi';
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
  .extend({ model: z.string().min(1).max(100).default('auto') });
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
  readonly requests: Pick<RequestService, 'submit' | 'replayOf'>;
  readonly inputs: InputStore;
  /** Why a URL must not be called; null when it may. `origin` is where the service was reached. */
  readonly urlFault: (url: string, origin: string) => string | null;
  readonly now: () => number;
}): GenerationService {
  const admit = async (input: SubmitInput, fingerprint: string): Promise<Submitted> => {
    const { credential, body, context } = input;
    const part = inputPart(body);
    checkFields(body, part, (url) => deps.urlFault(url, context.origin));
    checkModels(deps.catalog, body);
    const candidates = candidatesFor(deps.catalog, { model: body.model, input: part });
    const floorMicros = checkServable(candidates, body);
    const kept = await deps.inputs.keep({ userId: credential.userId, input: part });
    const spec = specOf({ ...input, kept, now: deps.now() });
    const warnings = warningsFor(body, candidates);
    return deps.requests.submit({ credential, spec, warnings, floorMicros, fingerprint });
  };

  return {
    async submit(input) {
      const { credential, context } = input;
      const fingerprint = await fingerprintOf(input.rawBody);
      try {
        return await admit(input, fingerprint);
      } catch (error) {
        // It may have been accepted before, and be refused now for what has changed since.
        const { idempotencyKey: key } = context;
        const earlier =
          key === null ? null : await deps.requests.replayOf({ credential, key, fingerprint });
        if (earlier) return earlier;
        throw error;
      }
    },
  };
}

function specOf(
  input: SubmitInput & { readonly kept: GenerationInput; readonly now: number },
): RequestSpec {
  const { credential, body, context, kept, now } = input;
  return {
    ...context,
    id: newId('req', now),
    userId: credential.userId,
    kind: 'generation',
    model: body.model,
    input: asJson(kept),
    units: kept.n,
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
}

/** It was parsed from JSON, and holds nothing else; `inputOf` is the way back. */
const asJson = (input: GenerationInput) => input as unknown as JsonObject;

function checkModels(catalog: Catalog, body: SubmissionBody): void {
  const named = [
    { path: 'model', model: body.model },
    ...(body.fallback_models ?? []).map((model, index) => ({
      path: `fallback_models.${index}`,
      model,
    })),
  ];
  const unknown = named.find(({ model }) => !catalog.find(model));
  if (unknown) throw unknownModel(unknown);
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
