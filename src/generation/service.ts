/** Takes generations in: makes whole what was asked, judges it, and hands it to the foreman. */
import { deniedFault, forbidden } from '../accounts/errors';
import type { Authorization, Credential } from '../accounts/types';
import type { AppError } from '../platform/errors';
import { cellOf, newId, type RequestId } from '../platform/ids';
import type { Json, JsonObject } from '../platform/json';
import { fingerprintOf } from '../requests/idempotency';
import { endEventTypes } from '../requests/options';
import { HOUR_MS } from '../requests/retention';
import type { RequestService, Submission, Submitted } from '../requests/service';
import type { RequestSpec, RequestState } from '../requests/types';
import { type Assessment, assess, watchedTargets } from './assess';
import type { BreakerWatch } from './breaker-watch';
import type { Catalog } from './catalog';
import { inputOf } from './decide';
import { costLimitTooLow, invalidGeneration, noTargetAvailable } from './errors';
import type { InputStore } from './inputs';
import { blamingOriginal, findRequest, inheritedFields, originalOf } from './lineage';
import { passedOverTargets } from './plan';
import type { Prospect } from './prospect';
import {
  checkFields,
  checkModels,
  type Defaults,
  type Filled,
  fill,
  type SubmissionBody,
  warningsFor,
} from './submission';
import type { GenerationInput, StyledPrompt } from './types';

export interface SubmitInput {
  readonly credential: Credential;
  readonly body: SubmissionBody;
  /** The body as it came: equal bodies have equal fingerprints, whatever defaults are added. */
  readonly rawBody: JsonObject;
  readonly context: Pick<
    RequestSpec,
    'idempotencyKey' | 'origin' | 'correlationId' | 'traceparent'
  >;
  /** See `Submission`. */
  readonly ownKey?: Submission['ownKey'];
}

export interface GenerationService {
  submit(input: SubmitInput): Promise<Submitted>;
  /**
   * All by one credential, each on its own; one hop to the foreman and one transaction for all that
   * come through.
   */
  submitAll(inputs: readonly SubmitInput[]): Promise<PromiseSettledResult<Submitted>[]>;
  /** What would become of it. @throws AppError like `submit`, for what could not be served. */
  foresee(input: SubmitInput): Promise<Prospect>;
}

/** A prompt template of the operator's, by its name. */
export interface Style {
  readonly id: string;
  /** What it sets where the client does not. */
  readonly defaults: Defaults;
  apply(asked: StyledPrompt): StyledPrompt;
}

export interface GenerationServiceDeps {
  readonly catalog: Catalog;
  readonly requests: Pick<RequestService, 'submit' | 'submitAll' | 'replayOf' | 'get'>;
  readonly inputs: InputStore;
  /** The foreman's word on who asks. */
  readonly authorize: (credential: Credential) => Promise<Authorization>;
  /** Null: there is no such style. */
  readonly style: (id: string) => Promise<Style | null>;
  readonly breakers: Pick<BreakerWatch, 'peek'>;
  /** Why a URL must not be called; null when it may. `origin` is where the service was reached. */
  readonly urlFault: (url: string, origin: string) => string | null;
  readonly now: () => number;
}

interface Judged extends Filled {
  readonly assessment: Extract<Assessment, { possible: true }>;
  readonly warnings: readonly string[];
  readonly parentId: RequestId | null;
  readonly variationsOf: RequestId | null;
  /** Fields that are as the request that it varies had them. */
  readonly inherited: ReadonlySet<string>;
}

export function createGenerationService(deps: GenerationServiceDeps): GenerationService {
  const judge = async (input: SubmitInput): Promise<Judged> => {
    const { credential, body, rawBody, context } = input;
    const named = (path: 'parent_id' | 'variations_of') =>
      findRequest(deps.requests, { credential, path, id: body[path] });
    const [parent, original] = await Promise.all([named('parent_id'), named('variations_of')]);
    const style = await findStyle(deps, body, original);
    // What a style that is taken over sets has been weighed against the original's own fields.
    const defaults = (body.style !== undefined && style?.defaults) || {};
    const taken = original ? originalOf(original) : {};
    const filled = fill(rawBody, [defaults, taken]);
    const inherited = inheritedFields(filled, { original: taken, said: [rawBody, defaults] });
    const styled = style ? { style: style.id, styled: style.apply(filled.input) } : {};
    const whole = { model: filled.model, input: { ...filled.input, ...styled } };
    await blamingOriginal(inherited, () => {
      checkFields(body, whole.input, (url) => deps.urlFault(url, context.origin));
      checkModels(deps.catalog, whole);
    });
    const maxCostMicros = microsOf(body.max_cost_usd);
    const assessment = assess(deps.catalog, { ...whole, maxCostMicros });
    if (!assessment.possible) throw impossible(assessment);
    return {
      ...whole,
      assessment,
      warnings: warningsFor(body, whole.input, { catalog: deps.catalog, assessment }),
      inherited,
      parentId: parent?.id ?? null,
      variationsOf: original?.id ?? null,
    };
  };

  const prepare = async (input: SubmitInput, fingerprint: string): Promise<Submission> => {
    const judged = await judge(input);
    const { credential, ownKey } = input;
    const { userId } = credential;
    const kept = await blamingOriginal(judged.inherited, () =>
      deps.inputs.keep({ userId, input: judged.input }),
    );
    const spec = await specOf({ ...input, judged: { ...judged, input: kept }, now: deps.now() });
    const made = { credential, spec, warnings: judged.warnings, fingerprint };
    return ownKey ? { ...made, ownKey } : made;
  };

  /**
   * It may have been accepted before, and be refused now for what has changed since. A foreman that
   * was handed it has looked by itself. Who may not ask at all is told that, and no more.
   */
  const replayOr = async (fault: unknown, { input, fingerprint, check }: Faulty) => {
    const { credential, context } = input;
    const { idempotencyKey: key } = context;
    if (key === null || input.ownKey === 'renew') {
      await check();
      throw fault;
    }
    const earlier = await deps.requests.replayOf({ credential, key, fingerprint });
    if (earlier) return earlier;
    throw fault;
  };

  const tryToPrepare = async (input: SubmitInput) => {
    const fingerprint = await fingerprintOf(input.rawBody);
    const [prepared] = await Promise.allSettled([prepare(input, fingerprint)]);
    return { input, fingerprint, prepared };
  };

  return {
    async submit(input) {
      const { fingerprint, prepared } = await tryToPrepare(input);
      return prepared.status === 'fulfilled'
        ? deps.requests.submit(prepared.value)
        : replayOr(prepared.reason, { input, fingerprint, check: checkOnce(deps, input) });
    },

    async submitAll(inputs) {
      const [first] = inputs;
      if (!first) return [];
      const items = await Promise.all(inputs.map(tryToPrepare));
      const check = checkOnce(deps, first);
      const ready = items.flatMap(({ prepared }) =>
        prepared.status === 'fulfilled' ? [prepared.value] : [],
      );
      const answers = ready.length === 0 ? [] : await deps.requests.submitAll(ready);
      const next = answers.values();
      return Promise.allSettled(
        items.map(async ({ input, fingerprint, prepared }) => {
          if (prepared.status === 'rejected') {
            return replayOr(prepared.reason, { input, fingerprint, check });
          }
          const answer = next.next().value;
          if (answer?.status === 'fulfilled') return answer.value;
          throw answer?.reason;
        }),
      );
    },

    async foresee(input) {
      const judged = await judge(input);
      const { model, warnings } = judged;
      const { userId } = input.credential;
      await blamingOriginal(judged.inherited, () =>
        deps.inputs.check({ userId, input: judged.input }),
      );
      const maxCostMicros = microsOf(input.body.max_cost_usd);
      const health = await deps.breakers.peek(watchedTargets(judged.assessment));
      const asked = { model, input: judged.input, maxCostMicros };
      return { model, warnings, health, assessment: assess(deps.catalog, asked, health) };
    },
  };
}

/** What cannot be handed to the foreman. */
interface Faulty {
  readonly input: SubmitInput;
  readonly fingerprint: string;
  /** @throws AppError `unauthorized`, `forbidden`, `account_suspended`. */
  readonly check: () => Promise<void>;
}

function checkOnce(
  deps: Pick<GenerationServiceDeps, 'authorize'>,
  { credential }: Pick<SubmitInput, 'credential'>,
): Faulty['check'] {
  let checked: Promise<void> | null = null;
  return () => {
    checked ??= checkCredential(deps, credential);
    return checked;
  };
}

async function checkCredential(
  { authorize }: Pick<GenerationServiceDeps, 'authorize'>,
  credential: Credential,
): Promise<void> {
  const scope = 'requests:write';
  const verdict = await authorize(credential);
  if (!verdict.ok) throw deniedFault(verdict.code, scope);
  if (!verdict.scopes.includes(scope)) throw forbidden(scope);
}

function impossible(assessment: Extract<Assessment, { possible: false }>): AppError {
  if (assessment.cheapestMicros !== null) return costLimitTooLow(assessment.cheapestMicros / 1e6);
  return noTargetAvailable(passedOverTargets(assessment.targets.map(({ candidate }) => candidate)));
}

/** The style that the client names, or that its original had; null drops that one. */
async function findStyle(
  deps: Pick<GenerationServiceDeps, 'style'>,
  { style: asked }: SubmissionBody,
  original: RequestState | null,
): Promise<Style | null> {
  const id = asked === undefined ? original && inputOf(original).style : asked;
  if (typeof id !== 'string') return null;
  const style = await deps.style(id);
  if (style) return style;
  throw invalidGeneration([
    asked === undefined
      ? {
          path: 'variations_of',
          message: `its style ${id} is gone: name another, or null for none`,
        }
      : { path: 'style', message: 'there is no such style' },
  ]);
}

async function specOf(
  input: SubmitInput & { readonly judged: Judged; readonly now: number },
): Promise<RequestSpec> {
  const { credential, body, context, judged, now } = input;
  const { model, input: asked, parentId, variationsOf } = judged;
  const canBeReused = body.reuse === 'exact' && asked.seed !== undefined;
  return {
    ...context,
    id: newId('req', now, cellOf(credential.userId)),
    userId: credential.userId,
    kind: 'generation',
    model,
    input: asJson(asked),
    units: asked.n,
    metadata: body.metadata,
    priority: body.priority,
    maxAttempts: body.max_attempts,
    maxCostMicros: microsOf(body.max_cost_usd),
    floorMicros: judged.assessment.cheapestMicros,
    onBudget: body.on_budget,
    retryUnknown: body.retry_unknown,
    retentionMs: body.retention_hours === undefined ? null : body.retention_hours * HOUR_MS,
    webhook: body.webhook_url
      ? { url: body.webhook_url, events: body.webhook_events ?? endEventTypes }
      : null,
    retryOf: null,
    parentId,
    variationsOf,
    reuseKey: canBeReused ? await reuseKeyOf(model, asked) : null,
    createdAt: now,
    deadlineAt: now + body.deadline_seconds * 1000,
  };
}

/** Who looks on while it is made changes nothing of what is made. */
const reuseKeyOf = (model: string, { previews: _, ...input }: GenerationInput) =>
  fingerprintOf({ model, input: asJson(input) } as Json);

const microsOf = (usd: number | undefined) => (usd === undefined ? null : Math.round(usd * 1e6));

/** It was parsed from JSON, and holds nothing else; `inputOf` is the way back. */
const asJson = (input: GenerationInput) => input as unknown as JsonObject;
