/**
 * ComfyUI, on the operator's own machine: a workflow goes into the server's queue under an id that
 * is chosen here, and what it saved is fetched by name. It has no prices and no moderation.
 */
import { z } from 'zod';
import {
  acceptedSchema,
  executionFailure,
  type HistoryRecord,
  placeIn,
  savedImages,
} from './comfyui-answers';
import { type Plan, planFor } from './comfyui-plan';
import {
  askHistory,
  askQueue,
  type Caller,
  confidential,
  failureOfCall,
  NAME,
  openFile,
  post,
  type Server,
  upload,
} from './comfyui-server';
import { invalidOutput } from './failures';
import { checkAfterMs, isSuccess, jobFailed, type Reply, readJson } from './jobs';
import {
  type CallContext,
  defineProvider,
  type JobAccepted,
  type PollAnswer,
  type PollContext,
  type Provider,
  type ProviderAnswer,
  type ProviderDeps,
  type ProviderFailure,
  type ProviderJob,
} from './provider';
import { addressed, optional, type ServerConfig, text } from './settings';
import { createWire } from './wire';

export const comfyui = defineProvider({
  name: NAME,
  settings: comfyUiSettings(),
  missing: 'COMFYUI_BASE_URL is not set',
  create: createComfyUiProvider,
});

type Deps = Pick<ProviderDeps, 'fetch' | 'now'>;

export interface ComfyUiConfig extends ServerConfig {
  /** Clients may bring whole workflows, which can do whatever the server's nodes can. */
  readonly allowsWorkflows: boolean;
}

function comfyUiSettings(): z.ZodType<ComfyUiConfig | null> {
  const flag = z.enum(['true', 'false'], { error: 'must be "true" or "false"' });
  return addressed(['COMFYUI_BASE_URL'], {
    COMFYUI_API_KEY: optional(z.string()),
    COMFYUI_WORKFLOWS: optional(flag),
  }).transform((values) => {
    const baseUrl = text(values, 'COMFYUI_BASE_URL');
    if (!baseUrl) return null;
    const allowsWorkflows = text(values, 'COMFYUI_WORKFLOWS') === 'true';
    return { baseUrl, apiKey: text(values, 'COMFYUI_API_KEY'), allowsWorkflows };
  });
}

export function createComfyUiProvider(config: ComfyUiConfig, deps: Deps): Provider {
  const server: Server = { config, wire: createWire(deps.fetch), now: deps.now };
  return {
    name: NAME,
    generate: (job, context) => generate(server, planFor(NAME, job, config), { job, context }),
    jobs: {
      callsBack: false,
      async poll(handle, context) {
        const known = handleSchema.safeParse(handle);
        return known.success ? poll(server, known.data, context) : { outcome: 'missing' };
      },
      async cancel(handle, context) {
        const known = handleSchema.safeParse(handle);
        return known.success ? cancel(server, known.data.prompt_id, context) : 'gone';
      },
    },
  };
}

const handleSchema = z.object({ prompt_id: z.string(), seed: z.number().nullable() });

type Handle = z.output<typeof handleSchema>;

async function generate(
  server: Server,
  plan: ReturnType<typeof planFor>,
  { job, context }: { readonly job: ProviderJob; readonly context: CallContext },
): Promise<ProviderAnswer> {
  if (!plan.ok) return unusable(plan.message);
  const { needs } = plan;
  const image = needs.image && job.image ? await upload(server, job.image, context) : null;
  if (image && !image.ok) return image.failure;
  const mask = needs.mask && job.mask ? await upload(server, job.mask, context) : null;
  if (mask && !mask.ok) return mask.failure;
  const id = crypto.randomUUID();
  const seed = job.seed ?? anySeed();
  const workflow = plan.build({ id, seed, image: image?.name ?? null, mask: mask?.name ?? null });
  const reply = await post(server, context, {
    path: '/prompt',
    // Without a client id of its own, a job's progress goes to every open editor.
    body: { prompt: workflow, prompt_id: id, client_id: NAME },
  });
  const handle: Handle = { prompt_id: id, seed: plan.isSeeded ? seed : null };
  return submitted(server, { reply, handle, plan, job, context });
}

/** KSampler has no seed of its own choosing. */
const anySeed = () => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;

interface Submission {
  readonly reply: Reply;
  readonly handle: Handle;
  readonly plan: Plan;
  readonly job: ProviderJob;
  readonly context: CallContext;
}

function submitted(server: Server, of: Submission): ProviderAnswer {
  const { reply, handle, plan, job, context } = of;
  const failure = failureOfCall(server, reply, { job, signal: context.signal });
  // The job's id is known whatever came back, so what may have been accepted can be looked up.
  // (Older servers choose the id themselves: there such a job is missing.)
  if (failure) return failure.outcome === 'unknown' ? accepted(handle, plan.warnings) : failure;
  const answer = reply.arrived ? readJson(reply.body, acceptedSchema) : null;
  if (!answer) return accepted(handle, plan.warnings);
  const leftOut = Object.keys(answer.node_errors);
  return accepted({ ...handle, prompt_id: answer.prompt_id }, [
    ...plan.warnings,
    ...leftOut.map((node) => `${NAME} leaves out what depends on node ${node} of the workflow`),
  ]);
}

const accepted = (handle: Handle, warnings: readonly string[]): JobAccepted => ({
  outcome: 'accepted',
  handle,
  checkAfterMs: checkSoon({ waitedMs: 0 }),
  providerRequestId: handle.prompt_id,
  warnings,
});

/** The server calls nobody back, whoever expects it. */
const checkSoon = ({ waitedMs }: Pick<PollContext, 'waitedMs'>) =>
  checkAfterMs({ waitedMs, expectsCallback: false });

function unusable(message: string): ProviderFailure {
  return {
    outcome: 'rejected',
    error: { code: 'invalid_workflow', message, details: { kind: 'parameter' } },
    retryAfterMs: null,
    providerRequestId: null,
    possiblyBilled: false,
  };
}

/**
 * The queue is asked first: a job goes from there into the history in one step, so one that is in
 * neither, in this order, is nowhere.
 */
async function poll(server: Server, handle: Handle, context: PollContext): Promise<PollAnswer> {
  const { prompt_id: id } = handle;
  const queue = await askQueue(server, context);
  if (!queue.ok) return queue.silence;
  const place = placeIn(queue.value, id);
  if (place !== null) {
    return {
      outcome: 'pending',
      checkAfterMs: checkSoon(context),
      queuePosition: place === 0 ? null : place,
      isQueued: place > 0,
    };
  }
  const history = await askHistory(server, context, id);
  if (!history.ok) return history.silence;
  const { record } = history.value;
  return record ? ended(server, { handle, record, context }) : { outcome: 'missing' };
}

function ended(
  server: Server,
  of: { readonly handle: Handle; readonly record: HistoryRecord; readonly context: PollContext },
): PollAnswer {
  const { handle, record, context } = of;
  const providerRequestId = handle.prompt_id;
  const failure = executionFailure(record);
  if (failure) {
    return jobFailed({
      provider: NAME,
      ...failure,
      confidential: confidential(server, context.texts),
      providerRequestId,
      possiblyBilled: false,
    });
  }
  const files = savedImages(record);
  if (files.length === 0) {
    const message = 'the workflow saved no image';
    return { ...invalidOutput({ message, providerRequestId }), possiblyBilled: false };
  }
  return {
    outcome: 'succeeded',
    images: files.map((file) => ({
      seed: handle.seed,
      open: (signal) => openFile(server, file, signal),
    })),
    costMicros: 0,
    providerRequestId,
    warnings: [],
  };
}

/**
 * A waiting job is taken out of the queue. A running one is interrupted only when it is this one:
 * older servers interrupt whatever runs, whosever it is.
 */
async function cancel(
  server: Server,
  id: string,
  context: Caller,
): Promise<'gone' | 'unreachable'> {
  const deleted = await post(server, context, { path: '/queue', body: { delete: [id] } });
  if (!hasSucceeded(deleted)) return 'unreachable';
  const queue = await askQueue(server, context);
  if (!queue.ok) return 'unreachable';
  if (placeIn(queue.value, id) !== 0) return 'gone';
  const interrupted = await post(server, context, { path: '/interrupt', body: { prompt_id: id } });
  return hasSucceeded(interrupted) ? 'gone' : 'unreachable';
}

const hasSucceeded = (reply: Reply) => reply.arrived && isSuccess(reply.answer);
