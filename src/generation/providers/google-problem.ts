/**
 * Reads why Google gave no image: its error object, `{error: {code, message, status, details[]}}`,
 * and the 200 that refuses the content.
 */
import { z } from 'zod';
import { noProblem, type Problem } from './failures';
import type { Moderation } from './provider';
import { parseJson } from './sdk-images';

/**
 * Reasons that mean the content. `NO_IMAGE`, `IMAGE_OTHER`, `OTHER` and the like leave that open: the
 * model may have answered in words. Source: ai.google.dev/api/generate-content#FinishReason.
 */
const REFUSING_REASONS = new Set([
  'SAFETY',
  'RECITATION',
  'BLOCKLIST',
  'PROHIBITED_CONTENT',
  'SPII',
  'IMAGE_SAFETY',
  'IMAGE_PROHIBITED_CONTENT',
  'IMAGE_RECITATION',
]);

/** Reasons of `ErrorInfo`. Source: github.com/googleapis/googleapis, google/api/error_reason.proto. */
const AUTH_REASONS = new Set([
  'API_KEY_INVALID',
  'API_KEY_SERVICE_BLOCKED',
  'API_KEY_HTTP_REFERRER_BLOCKED',
  'API_KEY_IP_ADDRESS_BLOCKED',
  'SERVICE_DISABLED',
  'CONSUMER_INVALID',
  'CONSUMER_SUSPENDED',
]);
const PAYMENT_REASONS = new Set(['BILLING_DISABLED', 'BILLING_STATE_INVALID']);
/** A quota of none is how a project without billing learns that a model is not free. */
const PAYMENT = /\b(credits are depleted|enable billing|spending cap|limit: 0\b)/i;
const AUTH = /\bAPI key (not valid|expired|not found)|location is not supported/i;
const FULL = /overloaded|high demand|no capacity/i;

const name = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]{0,63}$/)
  .nullish()
  .catch(null);
const text = z.string().nullish().catch(null);

const detail = z.object({
  reason: name,
  retryDelay: text,
  violations: z
    .array(z.object({ quotaValue: text }))
    .nullish()
    .catch(null),
});
const errorObject = z.object({
  message: text,
  status: name,
  details: z.array(detail).nullish().catch(null),
});

const ratings = z
  .array(z.object({ category: name, blocked: z.boolean().nullish() }))
  .nullish()
  .catch(null);
const refusingAnswer = z.object({
  promptFeedback: z.object({ blockReason: name, safetyRatings: ratings }).nullish().catch(null),
  candidates: z
    .array(z.object({ finishReason: name, finishMessage: text, safetyRatings: ratings }))
    .nullish()
    .catch(null),
});

export function readProblem(body: string): Problem {
  const json = parseJson(body);
  const error = errorObject.safeParse(field(json, 'error'));
  if (error.success) return problemOf(error.data);
  const answer = refusingAnswer.safeParse(json);
  return answer.success ? refusalOf(answer.data) : noProblem;
}

/** The id that Google's support asks for. */
export function readRequestId(body: string): string | null {
  const id = field(parseJson(body), 'responseId');
  return typeof id === 'string' && /^[\w-]{1,200}$/.test(id) ? id : null;
}

function problemOf({ message, status, details }: z.output<typeof errorObject>): Problem {
  const words = message ?? '';
  const reason = details?.find((each) => each.reason)?.reason ?? null;
  const delay = details?.find((each) => each.retryDelay)?.retryDelay ?? null;
  const isUnfunded = details?.some(({ violations }) =>
    violations?.some(({ quotaValue }) => quotaValue === '0'),
  );
  return {
    ...noProblem,
    message: message ?? null,
    type: status ?? null,
    code: reason ?? (FULL.test(words) ? 'MODEL_OVERLOADED' : (status ?? null)),
    isPayment: isUnfunded || PAYMENT_REASONS.has(reason ?? '') || PAYMENT.test(words),
    isAuth: AUTH_REASONS.has(reason ?? '') || AUTH.test(words),
    retryAfterMs: durationMs(delay),
  };
}

function refusalOf({ promptFeedback, candidates }: z.output<typeof refusingAnswer>): Problem {
  const blocked = promptFeedback?.blockReason ?? null;
  if (promptFeedback && blocked !== null && !blocked.endsWith('_UNSPECIFIED')) {
    return refusal({ stage: 'input', reason: blocked, ratings: promptFeedback.safetyRatings });
  }
  const refused = candidates?.find((each) => REFUSING_REASONS.has(each.finishReason ?? ''));
  if (refused?.finishReason) {
    const { finishReason: reason, finishMessage: message, safetyRatings } = refused;
    return refusal({ stage: 'output', reason, message, ratings: safetyRatings });
  }
  return { ...noProblem, code: candidates?.[0]?.finishReason ?? null };
}

function refusal(of: {
  readonly stage: Moderation['stage'];
  readonly reason: string;
  readonly message?: string | null | undefined;
  readonly ratings: z.output<typeof ratings>;
}): Problem {
  const { stage, reason, message } = of;
  const rated = (of.ratings ?? []).flatMap(({ category, blocked }) =>
    blocked && category ? [category.replace(/^HARM_CATEGORY_/, '').toLowerCase()] : [],
  );
  const categories = rated.length > 0 ? rated : [reason.toLowerCase()];
  const subject = stage === 'input' ? 'prompt' : 'image it made';
  return {
    ...noProblem,
    message: message ?? `google refused the ${subject} (${reason})`,
    code: reason,
    refusal: { stage, categories },
  };
}

/** A protobuf duration: `34.074824224s`. */
function durationMs(duration: string | null): number | null {
  const [, seconds] = /^(\d{1,9}(?:\.\d{1,9})?)s$/.exec(duration ?? '') ?? [];
  return seconds === undefined ? null : Math.ceil(Number(seconds) * 1_000);
}

const field = (json: unknown, key: string): unknown =>
  typeof json === 'object' && json !== null ? Reflect.get(json, key) : undefined;
