/**
 * What the binding throws: an error whose text has the number of Cloudflare's list of errors in it,
 * as `3040: …`, `InferenceUpstreamError: 3040: …` or `… (code 3030)`.
 */
import { failed } from './direct';
import { lost, noProblem } from './failures';
import type { ProviderFailure, ProviderJob } from './provider';

/**
 * Statuses by number. Source: Cloudflare's docs, "Workers AI errors", with the numbers seen besides
 * (3046, 4006, 5006, 5035); a missing model is 400 there.
 */
const STATUSES: ReadonlyMap<string, number> = new Map([
  ['3003', 400],
  ['3006', 413],
  ['3007', 408],
  ['3008', 408],
  ['3023', 403],
  ['3036', 402],
  ['3039', 400],
  ['3040', 429],
  ['3041', 403],
  ['3042', 404],
  ['3046', 408],
  ['4006', 402],
  ['5004', 400],
  ['5005', 405],
  ['5006', 400],
  ['5007', 404],
  ['5016', 403],
  ['5018', 403],
  ['5019', 405],
  ['5035', 402],
]);

/** Where a number is a code: at the start, behind the name of an error, or said to be one. */
const CODE = /(?:^|error:?\s+|\bcode:?\s+)(\d{4})\b/gi;

/** A flagged output comes with the advice to change the input. */
const FLAGGED = /\bnsfw\b|\bflagged\b|content moderation/i;
const OUTPUT = /\boutput\b/i;

const BUSY = /capacity|rate.?limit|too many requests/i;
const CONNECTION = /connection (?:was )?(?:lost|reset)/i;

export function failureFrom(error: unknown, job: ProviderJob): ProviderFailure {
  const message = error instanceof Error ? error.message : String(error);
  const codes = [...message.matchAll(CODE)].flatMap(([, code]) => code ?? []);
  const code = codes.find((candidate) => STATUSES.has(candidate)) ?? codes[0] ?? null;
  const isFlagged = FLAGGED.test(message);
  const status = isFlagged ? 400 : statusOf(code, message);
  const isLost = status === null || status === 408;
  if (isLost) return lost({ provider: NAME, isAborted: status === 408, providerRequestId: null });
  const stage = OUTPUT.test(message) ? 'output' : 'input';
  return failed({
    provider: NAME,
    answer: { status, headers: new Headers() },
    problem: { ...noProblem, message, code, refusal: isFlagged ? { stage, categories: [] } : null },
    job,
    secrets: [],
    providerRequestId: null,
  });
}

const NAME = 'workers-ai';

/** Null when the call may go on without its caller. */
function statusOf(code: string | null, message: string): number | null {
  const listed = code === null ? undefined : STATUSES.get(code);
  if (listed !== undefined) return listed;
  if (CONNECTION.test(message)) return null;
  return BUSY.test(message) ? 429 : 500;
}
