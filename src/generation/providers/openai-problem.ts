/**
 * Reads OpenAI's error object, `{error: {message, type, param, code}}`, and what compatible servers
 * and gateways put in its place.
 */
import { z } from 'zod';

export interface Problem {
  readonly message: string | null;
  readonly type: string | null;
  readonly code: string | null;
  readonly stage: 'input' | 'output' | null;
  readonly categories: string[];
}

const PAYMENT = new Set([
  'insufficient_quota',
  'insufficient_credits',
  'billing_hard_limit_reached',
  'billing_not_active',
]);
const MODERATION = new Set([
  'moderation_blocked',
  'content_policy_violation',
  'content_filter',
  'contentfilter',
  'responsibleaipolicyviolation',
]);
const ACCOUNT_BLOCKED =
  /\b(account|organization|project|resource|access)\b[^.]{0,60}\b(blocked|suspended|disabled|deactivated|terminated)\b/i;
const POLICY = /polic|safety|abuse|violat/i;

export const isPayment = ({ code, type }: Problem) =>
  PAYMENT.has(code ?? '') || PAYMENT.has(type ?? '');

export const isAccountBlocked = ({ message }: Problem) =>
  message !== null && ACCOUNT_BLOCKED.test(message) && POLICY.test(message);

/** The type alone counts only where no code says otherwise. */
export const refuses = ({ code, type }: Problem) =>
  MODERATION.has(code?.toLowerCase() ?? '') ||
  MODERATION.has(type?.toLowerCase() ?? '') ||
  (type === 'image_generation_user_error' && code === null);

/** Gateways put the status where the code should be; only words are codes. */
const name = z
  .string()
  .regex(/^[A-Za-z][\w.-]{0,63}$/)
  .nullish()
  .catch(null);
const text = z.string().nullish().catch(null);

const moderationSchema = z
  .object({
    moderation_stage: z.enum(['input', 'output']).nullish().catch(null),
    categories: z.array(z.string().max(64)).max(32).nullish().catch(null),
  })
  .nullish()
  .catch(null);

const errorObject = z.object({
  message: text,
  type: name,
  code: name,
  moderation_details: moderationSchema,
});

const errorBody = z.object({
  error: z.union([errorObject, z.string()]).nullish().catch(null),
  message: text,
  detail: text,
  moderation_details: moderationSchema,
});

export function readProblem(body: string): Problem {
  const parsed = errorBody.safeParse(parseJson(body));
  if (!parsed.success) return { ...noProblem, message: plainText(body) };
  const { error, message, detail, moderation_details: outer } = parsed.data;
  const inner = typeof error === 'object' ? error : null;
  const words = inner?.message ?? (typeof error === 'string' ? error : null) ?? message ?? detail;
  const details = inner?.moderation_details ?? outer;
  return {
    message: words ?? null,
    type: inner?.type ?? null,
    code: inner?.code ?? null,
    stage: details?.moderation_stage ?? null,
    categories: details?.categories ?? violationsIn(words ?? ''),
  };
}

const noProblem: Problem = { message: null, type: null, code: null, stage: null, categories: [] };

/** `… safety_violations=[sexual, violence].` */
function violationsIn(words: string): string[] {
  const [, list = ''] = /safety_violations=\[([^\]]{0,500})\]/.exec(words) ?? [];
  const categories = list.split(',').map((category) => category.trim().replace(/^["']|["']$/g, ''));
  return [...new Set(categories.filter((category) => category !== ''))];
}

/** A gateway's one-line reason is worth showing, its error page is not. */
const plainText = (body: string) => (/^\s*[<{[]/.test(body) || body.length > 500 ? null : body);

function parseJson(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    return null;
  }
}
