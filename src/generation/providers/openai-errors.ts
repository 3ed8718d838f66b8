/** What an answer without images means: one outcome for each. */
import type { JsonObject } from '../../platform/json';
import { retryAfterMs } from '../../platform/retry-after';
import type { Outcome } from '../../requests/types';
import { isAccountBlocked, isPayment, type Problem, readProblem, refuses } from './openai-problem';
import type { ProviderFailure } from './provider';
import { type Confidential, redact } from './redact';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Empty when it did not come whole. */
  readonly body: string;
}

/** Where moderation stepped in, and on what grounds, as far as the provider says. */
export type Moderation = {
  readonly stage: 'input' | 'output';
  readonly categories: string[];
  readonly provider: string;
  readonly provider_code: string | null;
  /** The account is blocked, whatever the prompt: another prompt will not help. */
  readonly account_level: boolean;
};

/** For an answer that is no success, and for a success whose body is an error. */
export function failureOf(
  answer: Answer,
  confidential: Confidential,
  now: number,
): ProviderFailure {
  const problem = readProblem(answer.body);
  const message =
    redact(problem.message ?? '', confidential) || `openai answered with status ${answer.status}`;
  const verdict = judge(answer, problem, now);
  return {
    outcome: verdict.outcome,
    error: {
      code: verdict.code,
      message: verdict.note ? `${verdict.note}: ${message}` : message,
      details: { status: answer.status, ...verdict.details },
    },
    retryAfterMs: verdict.retryAfterMs ?? null,
    providerRequestId: requestIdOf(answer.headers),
    possiblyBilled: verdict.possiblyBilled ?? false,
  };
}

/** An answer that should hold images and does not. They may have been made, and charged for. */
export function invalidOutput(
  answer: Pick<Answer, 'headers'>,
  message: string,
  details: JsonObject = {},
): ProviderFailure {
  return {
    outcome: 'failed',
    error: { code: 'invalid_output', message, details },
    retryAfterMs: null,
    providerRequestId: requestIdOf(answer.headers),
    possiblyBilled: true,
  };
}

export function isModeration(body: string): boolean {
  return refuses(readProblem(body));
}

export function requestIdOf(headers: Headers): string | null {
  const id = headers.get('x-request-id');
  return id && /^[\x21-\x7e]{1,200}$/.test(id) ? id : null;
}

interface Verdict {
  readonly outcome: Exclude<Outcome, 'succeeded'>;
  readonly code: string;
  readonly note?: string;
  readonly details?: JsonObject;
  readonly retryAfterMs?: number | null;
  readonly possiblyBilled?: boolean;
}

const CAPACITY = /overload|capacity|slow_down|rate_limit/i;

/** A gateway gave up, or lost what was behind it: the call may go on there. */
const GAVE_UP = new Set([408, 504, 520, 522, 524]);

/**
 * Cloudflare could not reach the origin at all: refused, no route, TLS, DNS. In production this is
 * how a Worker's own fetch reports it, in place of an error. (520 and 522 leave open whether the
 * origin has the request. Source: Cloudflare's docs, "5xx errors".)
 */
const NEVER_REACHED = new Set([521, 523, 525, 526, 530]);

function judge({ status, headers }: Answer, problem: Problem, now: number): Verdict {
  const named = problem.code ?? problem.type;
  if (isAccountBlocked(problem)) return accountBlocked(problem);
  if (refuses(problem)) return refusal(problem);
  if (status === 402 || isPayment(problem)) return rejected('payment', named ?? `http_${status}`);
  if (status === 429) {
    return {
      outcome: 'throttled',
      code: named ?? 'throttled',
      retryAfterMs: retryAfterMs(headers, now),
    };
  }
  if (GAVE_UP.has(status)) {
    return {
      outcome: 'unknown',
      code: 'gateway_timeout',
      note: `a gateway answered ${status}`,
      possiblyBilled: true,
    };
  }
  if (NEVER_REACHED.has(status)) return { outcome: 'not_sent', code: 'connection_failed' };
  if (status >= 500) {
    const wait = retryAfterMs(headers, now);
    const full = CAPACITY.test(`${problem.code} ${problem.type}`);
    if (full || (status === 503 && wait !== null)) {
      return { outcome: 'throttled', code: named ?? 'throttled', retryAfterMs: wait };
    }
    return { outcome: 'failed', code: named ?? 'server_error' };
  }
  if (status >= 300 && status < 400) {
    return { ...rejected('not_found', `http_${status}`), note: 'redirects are not followed' };
  }
  if (status === 401 || status === 403) return rejected('auth', named ?? `http_${status}`);
  if (status === 404) return rejected('not_found', named ?? 'http_404');
  return rejected('parameter', named ?? `http_${status}`);
}

const rejected = (kind: 'auth' | 'payment' | 'parameter' | 'not_found', code: string): Verdict => ({
  outcome: 'rejected',
  code,
  details: { kind },
});

function refusal(problem: Problem): Verdict {
  const moderation = moderationOf(problem, false);
  return {
    outcome: 'refused',
    code: problem.code ?? 'content_refused',
    details: { moderation },
    possiblyBilled: moderation.stage === 'output',
  };
}

/** The operator's account is at fault, not the prompt, so this is an auth fault and no refusal. */
function accountBlocked(problem: Problem): Verdict {
  return {
    outcome: 'rejected',
    code: problem.code ?? 'account_blocked',
    details: { kind: 'auth', moderation: moderationOf(problem, true) },
  };
}

function moderationOf(problem: Problem, accountLevel: boolean): Moderation {
  return {
    stage: problem.stage ?? 'input',
    categories: problem.categories,
    provider: 'openai',
    provider_code: problem.code,
    account_level: accountLevel,
  };
}
