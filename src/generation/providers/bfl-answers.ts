/** What Black Forest Labs answers, read tolerantly: only what decides something is asked for. */
import { z } from 'zod';
import { noProblem, type Problem } from './failures';
import { readJson } from './jobs';

const text = z.string().nullish().catch(null);
const amount = z.number().nonnegative().nullish().catch(null);

/** Both moderation statuses come with HTTP 200, and moderated jobs are not charged for. */
const STAGES = { 'Request Moderated': 'input', 'Content Moderated': 'output' } as const;

export type ModeratedStatus = keyof typeof STAGES;

export const isModerated = (status: string): status is ModeratedStatus =>
  Object.hasOwn(STAGES, status);

export const stageOf = (status: ModeratedStatus) => STAGES[status];

/** Of `error`, the names that speak of the content. */
export const isPolicyCode = (code: string | null) => code === 'content_policy_violation';

export const acceptedSchema = z.object({
  id: z.string().min(1).max(200),
  polling_url: text,
  cost: amount,
});

const reasonsSchema = z
  .object({ 'Moderation Reasons': z.array(z.string().max(64)).max(32) })
  .transform((details) => details['Moderation Reasons'])
  .catch([]);

export const progressSchema = z.object({
  status: z.string(),
  result: z
    .object({ sample: text, seed: z.int().nonnegative().nullish().catch(null) })
    .nullish()
    .catch(null),
  details: reasonsSchema,
  error: text,
  message: text,
  cost: amount,
});

export type Progress = z.output<typeof progressSchema>;

/** 100 credits are a dollar. */
export const microsOf = (credits: number | null | undefined): number | null =>
  typeof credits === 'number' ? Math.round(credits * 10_000) : null;

const problemSchema = z.object({
  error: text,
  message: text,
  /** A sentence, or FastAPI's list of what is wrong with the body. */
  detail: z
    .union([
      z.string(),
      z
        .array(z.object({ loc: z.array(z.union([z.string(), z.number()])), msg: z.string() }))
        .transform((faults) =>
          faults.map(({ loc, msg }) => `${loc.slice(1).join('.')}: ${msg}`).join('; '),
        ),
    ])
    .nullish()
    .catch(null),
  status: text,
  details: reasonsSchema,
  retry_after: amount,
});

export function readProblem(body: string): { problem: Problem; retryAfterMs: number | null } {
  const read = readJson(body, problemSchema);
  if (!read) return { problem: noProblem, retryAfterMs: null };
  const code = nameOf(read.error);
  const status = read.status ?? '';
  const stage = isModerated(status) ? stageOf(status) : isPolicyCode(code) ? 'input' : null;
  const problem: Problem = {
    ...noProblem,
    message: read.message ?? read.detail ?? read.error ?? null,
    code,
    refusal: stage && { stage, categories: read.details },
  };
  const seconds = read.retry_after ?? null;
  return { problem, retryAfterMs: seconds === null ? null : Math.ceil(seconds * 1_000) };
}

/** The code in `error`, which may hold a sentence as well. */
export const nameOf = (error: string | null | undefined): string | null =>
  error && /^[a-z][a-z_]{0,63}$/.test(error) ? error : null;
