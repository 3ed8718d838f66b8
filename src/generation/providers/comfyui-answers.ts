/** What ComfyUI's server answers: its queue, its history and its refusals. */
import { z } from 'zod';
import { noProblem, type Problem } from './failures';
import { readJson } from './jobs';

export const acceptedSchema = z.object({
  prompt_id: z.string().min(1).max(200),
  /** Parts of the workflow that are left out, while the rest runs. */
  node_errors: z.record(z.string(), z.unknown()).catch({}),
});

export const uploadedSchema = z
  .object({ name: z.string().min(1), subfolder: z.string().catch('') })
  .transform(({ name, subfolder }) => (subfolder === '' ? name : `${subfolder}/${name}`));

/** `[number, prompt_id, …]`: the lowest number goes first, and the list is in no order. */
const entries = z.array(z.tuple([z.number(), z.string()]).rest(z.unknown()));

const queueSchema = z.object({ queue_running: entries, queue_pending: entries });

export type Queue = z.output<typeof queueSchema>;

export const readQueue = (body: string): Queue | null => readJson(body, queueSchema);

/** Where a job is in the queue, 0 when it runs; null when it is not there. */
export function placeIn(queue: Queue, id: string): number | null {
  if (queue.queue_running.some(([, running]) => running === id)) return 0;
  const order = [...queue.queue_pending].sort(([a], [b]) => a - b);
  const index = order.findIndex(([, waiting]) => waiting === id);
  return index === -1 ? null : index + 1;
}

const imageSchema = z.object({
  filename: z.string().min(1),
  subfolder: z.string().catch(''),
  type: z.string(),
});

export type StoredFile = z.output<typeof imageSchema>;

const recordSchema = z.object({
  outputs: z.record(z.string(), z.unknown()).catch({}),
  status: z
    .object({ status_str: z.string(), messages: z.array(z.unknown()).catch([]) })
    .nullish()
    .catch(null),
});

export type HistoryRecord = z.output<typeof recordSchema>;

const historySchema = z.record(z.string(), recordSchema);

/** `record` is null when the server knows of no such end. Null: the body is no history. */
export function readHistory(
  body: string,
  id: string,
): { readonly record: HistoryRecord | null } | null {
  const history = readJson(body, historySchema);
  return history && { record: history[id] ?? null };
}

const savedSchema = z.object({ images: z.array(z.unknown()) });

/** What the workflow saved; previews are of type `temp`. */
export function savedImages({ outputs }: HistoryRecord): StoredFile[] {
  return Object.values(outputs).flatMap((output) => {
    const saved = savedSchema.safeParse(output);
    const images = saved.success ? saved.data.images : [];
    return images.flatMap((image) => {
      const file = imageSchema.safeParse(image);
      return file.success && file.data.type === 'output' ? [file.data] : [];
    });
  });
}

const failureSchema = z.tuple([
  z.enum(['execution_error', 'execution_interrupted']),
  z.object({
    node_type: z.string().catch(''),
    exception_type: z.string().catch(''),
    exception_message: z.string().catch(''),
  }),
]);

/** Why a job has failed; null when it has not. */
export function executionFailure({
  status,
}: HistoryRecord): { readonly code: string; readonly message: string } | null {
  if (status?.status_str !== 'error') return null;
  for (const entry of status.messages) {
    const failure = failureSchema.safeParse(entry);
    if (!failure.success) continue;
    const [code, { node_type, exception_type, exception_message }] = failure.data;
    if (code === 'execution_interrupted') {
      return { code, message: 'the job was interrupted at the server' };
    }
    return { code, message: `${node_type}: ${exception_type}: ${exception_message}` };
  }
  return { code: 'execution_error', message: '' };
}

const faultSchema = z.object({
  type: z.string().catch(''),
  message: z.string().catch(''),
  details: z.string().catch(''),
});

const refusalSchema = z.object({
  error: z.union([z.string(), faultSchema]).nullish().catch(null),
  node_errors: z.record(z.string(), z.object({ errors: z.array(faultSchema).catch([]) })).catch({}),
});

/** The first fault of a node says more than the sentence above all of them. */
export function readProblem(body: string): Problem {
  const refusal = readJson(body, refusalSchema);
  if (!refusal) return noProblem;
  const { error, node_errors } = refusal;
  if (typeof error === 'string') return { ...noProblem, message: error };
  const [first] = Object.values(node_errors).flatMap(({ errors }) => errors);
  const said = first ?? error;
  if (!said) return noProblem;
  const message = said.details ? `${said.message}: ${said.details}` : said.message;
  return { ...noProblem, message, code: said.type || null };
}
