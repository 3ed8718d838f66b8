/**
 * One call, tried again until it is answered for good. What makes a repeat harmless is for the caller:
 * a POST that would make a second thing carries an `Idempotency-Key`, or is not repeated after an
 * answer that got lost.
 */
import { ConnectionFailed } from './errors';

export type Send = (request: Request) => Promise<Response>;

/** How time passes and chance falls; tests have their own. */
export interface Surroundings {
  /** Aborts when so much time has passed. */
  limit(ms: number): AbortSignal;
  /** @throws the signal's reason. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
  /** From 0 to 1. */
  random(): number;
}

const FIRST_BACKOFF_MS = 500;
const LONGEST_BACKOFF_MS = 10_000;
/** Told to come back later than this (a quota of the day, say), the caller should hear of it. */
const LONGEST_WAIT_MS = 60_000;
/** What answers takes no longer than it was asked to wait, and this; a line that is dead says nothing. */
const ANSWER_LIMIT_MS = 30_000;

const PASSING_STATUSES = [429, 502, 503, 504];

/** POSTs that may be made twice without a key: the second changes nothing more. */
const HARMLESS =
  /\/v1\/(images|images\/[^/]+\/links|requests\/[^/]+\/cancel|webhooks\/[^/]+\/(ping|enable|disable)|tickets)$/;

/** @throws ConnectionFailed when no try was answered; the reason of the request's own signal. */
export function retrying(send: Send, maxRetries: number, surroundings: Surroundings): Send {
  return async (request) => {
    for (let failures = 0; ; failures += 1) {
      const isLast = failures >= maxRetries;
      const outcome = await attempt(send, isLast ? request : request.clone(), surroundings);
      if ('response' in outcome && !PASSING_STATUSES.includes(outcome.response.status)) {
        return outcome.response;
      }
      const waitMs = isLast ? null : waitFor(outcome, request, { failures, ...surroundings });
      if (waitMs === null) return settle(outcome, request);
      await surroundings.pause(waitMs, request.signal);
    }
  };
}

type Outcome = { readonly response: Response } | { readonly cause: unknown };

/** The body belongs to it: a line that breaks in the middle of an answer has brought none. */
async function attempt(send: Send, request: Request, { limit }: Surroundings): Promise<Outcome> {
  const { signal } = request;
  const limitMs = limitOf(request);
  const ending = limitMs === null ? signal : AbortSignal.any([signal, limit(limitMs)]);
  try {
    const answer = send(new Request(request, { signal: ending })).then(whole);
    // A fetch of the caller's own may not heed its signal.
    return { response: await unlessAborted(answer, ending) };
  } catch (cause) {
    signal.throwIfAborted();
    return { cause };
  }
}

/** What comes of the work, or the signal's reason should that come first. No listener stays behind. */
export function unlessAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(signal.reason);
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
  });
}

/** Null for what takes as long as its bytes do: an upload, and the bytes of an image. */
function limitOf({ headers, url }: Request): number | null {
  const type = headers.get('content-type') ?? 'application/json';
  if (type !== 'application/json' || /\/(content|events)$/.test(new URL(url).pathname)) return null;
  const seconds = /\bwait=(\d+)/.exec(headers.get('prefer') ?? '')?.[1] ?? '0';
  return Number(seconds) * 1_000 + ANSWER_LIMIT_MS;
}

/** Those whose answers have no body, whatever a fetch makes of that (fetch.spec.whatwg.org). */
const BODILESS_STATUSES = [204, 205, 304];

async function whole(response: Response): Promise<Response> {
  const { status, statusText, headers } = response;
  const isStream = headers.get('content-type')?.startsWith('text/event-stream');
  if (response.body === null || isStream || BODILESS_STATUSES.includes(status)) return response;
  return new Response(await response.arrayBuffer(), { status, statusText, headers });
}

/** Null when trying again is of no use, or could do a thing twice. */
function waitFor(
  outcome: Outcome,
  request: Request,
  { failures, random }: { readonly failures: number; readonly random: () => number },
): number | null {
  const isRefused = 'response' in outcome && outcome.response.status === 429;
  if (!isRefused && !mayRepeat(request)) return null;
  const asked = 'response' in outcome ? (retryAfterMs(outcome.response.headers) ?? 0) : 0;
  if (asked > LONGEST_WAIT_MS) return null;
  const backoff = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** failures);
  return Math.max(asked, random() * backoff);
}

function mayRepeat({ method, headers, url }: Request): boolean {
  if (method !== 'POST' || headers.has('idempotency-key')) return true;
  return HARMLESS.test(new URL(url).pathname);
}

function settle(outcome: Outcome, request: Request): Response {
  if ('response' in outcome) return outcome.response;
  throw new ConnectionFailed(outcome.cause, request.headers.get('idempotency-key'));
}

/** Seconds, or a date (RFC 9110, 10.2.3): by the clock of who answers, where that is to be read. */
export function retryAfterMs(headers: Headers): number | null {
  const value = headers.get('retry-after');
  if (value === null) return null;
  const now = Date.parse(headers.get('date') ?? '') || Date.now();
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}

/** Of timers, about 25 days: one that is set for longer goes off at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const surroundings: Surroundings = {
  limit: (ms) => AbortSignal.timeout(Math.min(ms, LONGEST_TIMER_MS)),
  random: Math.random,
  pause: (ms, signal) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const giveUp = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = setTimeout(() => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      }, ms);
      signal.addEventListener('abort', giveUp, { once: true });
    }),
};
