/**
 * Reads OpenAI's error object, `{error: {message, type, param, code}}`, and what compatible servers
 * and gateways put in its place.
 */
import { z } from 'zod';
import { noProblem, type Problem } from './failures';
import { parseJson } from './sdk-images';

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

type Words = Pick<Problem, 'message' | 'type' | 'code'>;

const isPayment = ({ code, type }: Words) => PAYMENT.has(code ?? '') || PAYMENT.has(type ?? '');

const isAccountBlocked = ({ message }: Words) =>
  message !== null && ACCOUNT_BLOCKED.test(message) && POLICY.test(message);

/** How LiteLLM passes on a refusal: its own error's name in the text, and the status as the code. */
const GATEWAY_REFUSAL = /\bContentPolicyViolationError\b/;

/** The type alone counts only where no code says otherwise. */
const refuses = ({ code, type, message }: Words) =>
  MODERATION.has(code?.toLowerCase() ?? '') ||
  MODERATION.has(type?.toLowerCase() ?? '') ||
  GATEWAY_REFUSAL.test(message ?? '') ||
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

/** FastAPI's: a sentence, an object of the application's own, or a list of what failed validation. */
const detail = z
  .union([
    z.string(),
    z.object({ error: z.string() }).transform(({ error }) => error),
    z.array(z.object({ msg: z.string() })).transform((faults) => faults[0]?.msg ?? null),
  ])
  .nullish()
  .catch(null);

const errorBody = z.object({
  error: z.union([errorObject, z.string()]).nullish().catch(null),
  message: text,
  detail,
  moderation_details: moderationSchema,
});

export function readProblem(body: string): Problem {
  const parsed = errorBody.safeParse(parseJson(body));
  if (!parsed.success) return { ...noProblem, message: plainText(body) };
  const { error, message, detail: reason, moderation_details: outer } = parsed.data;
  const inner = typeof error === 'object' ? error : null;
  const words = {
    message:
      inner?.message ?? (typeof error === 'string' ? error : null) ?? message ?? reason ?? null,
    type: inner?.type ?? null,
    code: inner?.code ?? null,
  };
  const details = inner?.moderation_details ?? outer;
  const categories = details?.categories ?? violationsIn(words.message ?? '');
  const stage = details?.moderation_stage ?? 'input';
  const isBlocked = isAccountBlocked(words);
  return {
    ...words,
    refusal: isBlocked || refuses(words) ? { stage, categories } : null,
    isAccountBlocked: isBlocked,
    isPayment: isPayment(words),
  };
}

/** `… safety_violations=[sexual, violence].` */
function violationsIn(words: string): string[] {
  const [, list = ''] = /safety_violations=\[([^\]]{0,500})\]/.exec(words) ?? [];
  const categories = list.split(',').map((category) => category.trim().replace(/^["']|["']$/g, ''));
  return [...new Set(categories.filter((category) => category !== ''))];
}

/** A gateway's one-line reason is worth showing, its error page is not. */
const plainText = (body: string) => (/^\s*[<{[]/.test(body) || body.length > 500 ? null : body);
