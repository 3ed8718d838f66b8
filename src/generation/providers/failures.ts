/** What an end without images means, for every provider alike: one outcome for each. */
import type { JsonObject } from '../../platform/json';
import { retryAfterMs } from '../../platform/retry-after';
import type { Outcome } from '../../requests/types';
import type { Moderation, ProviderFailure } from './provider';
import { type Confidential, redact } from './redact';

/** What a provider says of a failure, read from its own words. */
export interface Problem {
  /** As it came: it is redacted before anybody sees it. */
  readonly message: string | null;
  readonly type: string | null;
  readonly code: string | null;
  /** It refuses the content, at this stage if it says so. */
  readonly refusal: { readonly stage: Moderation['stage']; readonly categories: string[] } | null;
  /** The account is blocked for its content, whatever this prompt. */
  readonly isAccountBlocked: boolean;
  readonly isPayment: boolean;
  /** It refuses the key, under a status that does not say so. */
  readonly isAuth?: boolean;
  /** How long it asks to be left alone, where that stands in the body. */
  readonly retryAfterMs?: number | null;
}

export const noProblem: Problem = {
  message: null,
  type: null,
  code: null,
  refusal: null,
  isAccountBlocked: false,
  isPayment: false,
};

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
}

export interface FailedCall {
  readonly provider: string;
  readonly answer: Answer;
  readonly problem: Problem;
  readonly confidential: Confidential;
  readonly providerRequestId: string | null;
  readonly now: number;
  /** A wait that stands in the body; headers go first. */
  readonly retryAfterMs?: number | null;
}

/** For an answer that is no success, and for a success whose body is an error. */
export function failureOf(call: FailedCall): ProviderFailure {
  const { provider, answer, problem, confidential } = call;
  const message =
    redact(problem.message ?? '', confidential) ||
    `${provider} answered with status ${answer.status}`;
  const verdict = judge(call);
  return {
    outcome: verdict.outcome,
    error: {
      code: verdict.code,
      message: verdict.note ? `${verdict.note}: ${message}` : message,
      details: { status: answer.status, ...verdict.details },
    },
    retryAfterMs: verdict.retryAfterMs ?? null,
    providerRequestId: call.providerRequestId,
    possiblyBilled: verdict.possiblyBilled ?? false,
  };
}

/** Content that was refused, wherever the provider says so. An output was made, and may be billed. */
export function refused(of: {
  readonly provider: string;
  readonly stage: Moderation['stage'];
  readonly categories: readonly string[];
  readonly code: string | null;
  /** Redacted; a sentence of ours when absent. */
  readonly message?: string | null;
  readonly providerRequestId: string | null;
}): ProviderFailure {
  const { provider, stage, code } = of;
  const moderation: Moderation = {
    stage,
    categories: [...of.categories],
    provider,
    provider_code: code,
    account_level: false,
  };
  const subject = stage === 'input' ? 'prompt' : 'image it made';
  return {
    outcome: 'refused',
    error: {
      code: code ?? 'content_refused',
      message: of.message || `${provider} refused the ${subject}`,
      details: { moderation },
    },
    retryAfterMs: null,
    providerRequestId: of.providerRequestId,
    possiblyBilled: stage === 'output',
  };
}

/** An answer that should hold images and does not. They may have been made, and charged for. */
export function invalidOutput(of: {
  readonly message: string;
  readonly providerRequestId: string | null;
  readonly details?: JsonObject;
}): ProviderFailure {
  return {
    outcome: 'failed',
    error: { code: 'invalid_output', message: of.message, details: of.details ?? {} },
    retryAfterMs: null,
    providerRequestId: of.providerRequestId,
    possiblyBilled: true,
  };
}

/** The request went out and its end is unknown. */
export function lost(of: {
  readonly provider: string;
  readonly isAborted: boolean;
  readonly providerRequestId: string | null;
}): ProviderFailure {
  const { provider, isAborted } = of;
  return {
    outcome: 'unknown',
    error: isAborted
      ? { code: 'timeout', message: `${provider} did not answer in time` }
      : {
          code: 'connection_lost',
          message: `the connection to ${provider} was lost during the call`,
        },
    retryAfterMs: null,
    providerRequestId: of.providerRequestId,
    possiblyBilled: true,
  };
}

/** Nobody can have a whole request to act on. */
export function notSent(of: {
  readonly provider: string;
  readonly isAborted: boolean;
}): ProviderFailure {
  const { provider, isAborted } = of;
  return {
    outcome: 'not_sent',
    error: isAborted
      ? { code: 'timeout', message: `${provider} could not be reached in time` }
      : { code: 'connection_failed', message: `${provider} could not be reached` },
    retryAfterMs: null,
    providerRequestId: null,
    possiblyBilled: false,
  };
}

/** The catalogue names a model that the adapter cannot call; nothing was sent. */
export function modelNotSupported(message: string): ProviderFailure {
  return {
    outcome: 'rejected',
    error: { code: 'model_not_supported', message, details: { kind: 'not_found' } },
    retryAfterMs: null,
    providerRequestId: null,
    possiblyBilled: false,
  };
}

/** For the id a provider gives its request in a header; null for what is no such id. */
export function idFrom(headers: Headers, name = 'x-request-id'): string | null {
  const id = headers.get(name);
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

function judge(call: FailedCall): Verdict {
  const { problem, now } = call;
  const { status, headers } = call.answer;
  const named = problem.code ?? problem.type;
  if (problem.isAccountBlocked) return accountBlocked(call);
  if (problem.refusal) return refusal(call, problem.refusal);
  if (status === 402 || problem.isPayment) return rejected('payment', named ?? `http_${status}`);
  if (problem.isAuth) return rejected('auth', named ?? `http_${status}`);
  const wait = retryAfterMs(headers, now) ?? call.retryAfterMs ?? problem.retryAfterMs ?? null;
  if (status === 429) {
    return { outcome: 'throttled', code: named ?? 'throttled', retryAfterMs: wait };
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

function refusal(call: FailedCall, of: NonNullable<Problem['refusal']>): Verdict {
  const moderation = moderationOf(call, false);
  return {
    outcome: 'refused',
    code: call.problem.code ?? 'content_refused',
    details: { moderation },
    possiblyBilled: of.stage === 'output',
  };
}

/** The operator's account is at fault, not the prompt, so this is an auth fault and no refusal. */
function accountBlocked(call: FailedCall): Verdict {
  return {
    outcome: 'rejected',
    code: call.problem.code ?? 'account_blocked',
    details: { kind: 'auth', moderation: moderationOf(call, true) },
  };
}

function moderationOf({ provider, problem }: FailedCall, accountLevel: boolean): Moderation {
  return {
    stage: problem.refusal?.stage ?? 'input',
    categories: [...(problem.refusal?.categories ?? [])],
    provider,
    provider_code: problem.code,
    account_level: accountLevel,
  };
}
