/**
 * What one user may still do: the request bucket, the waiting cap, the images of the day and the
 * money of the month. Pure. It is the authority on all four; days and months are UTC. What a single
 * request may ask for is in `caps.ts`.
 *
 * Time only moves forward here: while the clock stands before what was already counted, nothing is
 * refilled and no day or month begins.
 */
import { type Asked, capRefusal } from './caps';
import { type Limits, REQUESTS_POLICY, type Refusal } from './types';

export interface Usage {
  /** Whole and partial requests left in the bucket at `refilledAt`. */
  readonly tokens: number;
  readonly refilledAt: number;
  /** `2026-11-21`. */
  readonly day: string;
  readonly unitsToday: number;
  /** `2026-11`. */
  readonly month: string;
  readonly spentMicros: number;
  /** The sum of what live requests hold. */
  readonly reservedMicros: number;
}

export type Admission =
  | { readonly admitted: true; readonly usage: Usage }
  | { readonly admitted: false; readonly refusal: Refusal };

/** Sums of fractions of a token fall short of 1 by rounding; a promised token must be there. */
const ROUNDING = 1e-9;
/** When a slot or held money comes free is unknown: soon enough to use it, rare enough to poll. */
const UNKNOWN_WAIT_MS = 5_000;
const DAY_MS = 86_400_000;
const ASK = 'Whoever runs this service can raise the limit.';
/** The largest integer that a structured header field may hold (RFC 9651). */
const MAX_HEADER_INTEGER = 999_999_999_999_999;

export function freshUsage(limits: Limits, now: number): Usage {
  return {
    tokens: limits.burst,
    refilledAt: now,
    day: dayOf(now),
    unitsToday: 0,
    month: monthOf(now),
    spentMicros: 0,
    reservedMicros: 0,
  };
}

/** For a request that is answered with what there is: it waits for nothing and costs nothing. */
export function admitReady(input: {
  readonly usage: Usage;
  readonly limits: Limits;
  readonly asked: Asked;
  readonly now: number;
}): Admission {
  const refusal = capRefusal(input.asked, input.limits);
  return refusal ? { admitted: false, refusal } : admitCall(input);
}

/** For what makes no images and yet is done for whoever asks, as a ping is. */
export function admitCall(input: {
  readonly usage: Usage;
  readonly limits: Limits;
  readonly now: number;
}): Admission {
  const { limits, now } = input;
  const usage = refill(rollOver(input.usage, now), limits, now);
  const refusal = rateRefusal(usage, limits, now);
  return refusal ? { admitted: false, refusal } : { admitted: true, usage: counted(usage, 0) };
}

/**
 * An admitted request is counted in the returned usage, but for the money that it is to hold; a
 * refused one costs nothing. First what no waiting mends.
 */
export function admit(input: {
  readonly usage: Usage;
  readonly limits: Limits;
  readonly waiting: number;
  readonly running: number;
  readonly asked: Asked;
  /** What it is to hold of the budget; 0 when a free target can serve it, or it waits for money. */
  readonly holdMicros: number;
  readonly now: number;
}): Admission {
  const { limits, asked, holdMicros, now } = input;
  const { units } = asked;
  const usage = refill(rollOver(input.usage, now), limits, now);
  const refusal =
    capRefusal(asked, limits) ??
    rateRefusal(usage, limits, now) ??
    waitingRefusal(input) ??
    dailyRefusal(usage, limits, units, now) ??
    budgetRefusal(usage, limits, holdMicros, now);
  return refusal ? { admitted: false, refusal } : { admitted: true, usage: counted(usage, units) };
}

function counted(usage: Usage, units: number): Usage {
  const tokens = Math.max(0, usage.tokens - 1);
  return { ...usage, tokens, unitsToday: usage.unitsToday + units };
}

/** Gives back the units of a request that brought nothing, if its day is not over. */
export function refund(usage: Usage, units: number, admittedAt: number, now: number): Usage {
  const current = rollOver(usage, now);
  if (dayOf(admittedAt) !== current.day || units === 0) return current;
  return { ...current, unitsToday: Math.max(0, current.unitsToday - units) };
}

/**
 * What a request held turns into what it holds now, and into what its ended calls cost. What a call
 * cost is of the month in which it is booked, like the invoice of a provider; what is held when the
 * month turns stays held, so that what was accepted is paid for in whichever month it runs.
 */
export function rebook(
  usage: Usage,
  change: {
    readonly heldMicros: number;
    readonly holdMicros: number;
    readonly costMicros: number;
  },
  now: number,
): Usage {
  const current = rollOver(usage, now);
  const { heldMicros, holdMicros, costMicros } = change;
  return {
    ...current,
    reservedMicros: Math.max(0, current.reservedMicros + holdMicros - heldMicros),
    spentMicros: current.spentMicros + costMicros,
  };
}

/** Null without a budget. Below 0 when calls cost more than was held for them, or it was lowered. */
export function budgetLeftMicros(usage: Usage, limits: Limits, now: number): number | null {
  if (limits.monthly_budget_usd === null) return null;
  const { spentMicros, reservedMicros } = rollOver(usage, now);
  return budgetMicros(limits.monthly_budget_usd) - spentMicros - reservedMicros;
}

/** When the budget begins anew. */
export function budgetRenewsAt(usage: Usage, now: number): number {
  return endOfMonth(rollOver(usage, now).month);
}

/** The same usage, with what was used of a day or month that is over set to nothing. */
export function rollOver(usage: Usage, now: number): Usage {
  const [day, month] = [dayOf(now), monthOf(now)];
  if (day <= usage.day) return usage;
  const newMonth = month === usage.month ? {} : { month, spentMicros: 0 };
  return { ...usage, day, unitsToday: 0, ...newMonth };
}

/**
 * `RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers. `q` is the burst,
 * `w` the seconds in which an empty bucket fills, `r` the requests that may be sent now, `t` the
 * seconds until there is one more; `w` and `t` are left out where there is no such time.
 */
export function rateLimitHeaders(
  usage: Usage,
  limits: Limits,
  now: number,
): Record<'RateLimit-Policy' | 'RateLimit', string> {
  const { tokens, refilledAt } = refill(usage, limits, now);
  const left = limits.requests_per_minute === 0 ? 0 : Math.floor(tokens + ROUNDING);
  const untilNextMs =
    left < limits.burst ? msUntil(left + 1, { tokens, refilledAt }, limits, now) : null;
  const window = Math.ceil((limits.burst * 60) / limits.requests_per_minute);
  const w = window > 0 && window <= MAX_HEADER_INTEGER ? `;w=${window}` : '';
  const t = untilNextMs === null ? '' : `;t=${Math.ceil(untilNextMs / 1000)}`;
  return {
    'RateLimit-Policy': `"${REQUESTS_POLICY}";q=${limits.burst}${w}`,
    RateLimit: `"${REQUESTS_POLICY}";r=${left}${t}`,
  };
}

function rateRefusal(usage: Usage, limits: Limits, now: number): Refusal | null {
  const { requests_per_minute: perMinute, burst } = limits;
  if (perMinute === 0 || burst === 0) {
    const limit = burst === 0 ? 'burst' : 'requests_per_minute';
    const message = `This account may send no requests: its limit ${limit} is 0. ${ASK}`;
    return { code: 'rate_limited', limit, allowed: 0, used: 0, retryAfterMs: null, message };
  }
  if (usage.tokens >= 1 - ROUNDING) return null;
  return {
    code: 'rate_limited',
    limit: 'requests_per_minute',
    allowed: perMinute,
    used: perMinute,
    retryAfterMs: msUntil(1, usage, limits, now),
    message: `More than ${perMinute} requests a minute, after a burst of ${burst}. Send it again later.`,
  };
}

function waitingRefusal(input: {
  readonly limits: Limits;
  readonly waiting: number;
  readonly running: number;
}): Refusal | null {
  const { waiting, running } = input;
  const { max_running: slots, max_waiting: allowed } = input.limits;
  // Who waits for money or for a time has no slot: a free one lets in a first, and not all of them.
  if (waiting < allowed || (running < slots && waiting === 0)) return null;
  return {
    code: 'too_many_waiting',
    limit: 'max_waiting',
    allowed,
    used: waiting,
    retryAfterMs: slots === 0 ? null : UNKNOWN_WAIT_MS,
    message:
      `${running} requests run, of at most ${slots}, and ${waiting} wait, of at most ${allowed}. ` +
      (slots === 0 ? ASK : 'Send it again once one has ended.'),
  };
}

function dailyRefusal(usage: Usage, limits: Limits, units: number, now: number): Refusal | null {
  const { images_per_day: allowed } = limits;
  if (usage.unitsToday + units <= allowed) return null;
  return {
    code: 'quota_exceeded',
    limit: 'images_per_day',
    allowed,
    used: usage.unitsToday,
    retryAfterMs: units > allowed ? null : endOfDay(usage.day) - now,
    message:
      `${usage.unitsToday} of ${allowed} images of this day (UTC) are used; this asks for ${units}. ` +
      (units > allowed ? `Ask for fewer. ${ASK}` : 'Ask for fewer, or send it again tomorrow.'),
  };
}

/** What cannot be paid for by any target is refused at the door, rather than after a wait. */
function budgetRefusal(
  usage: Usage,
  limits: Limits,
  holdMicros: number,
  now: number,
): Refusal | null {
  const { monthly_budget_usd: allowed } = limits;
  const left = budgetLeftMicros(usage, limits, now);
  if (allowed === null || left === null || left >= holdMicros || holdMicros === 0) return null;
  const isSpent = budgetMicros(allowed) - usage.spentMicros < holdMicros;
  const isBeyond = budgetMicros(allowed) < holdMicros;
  const used = (usage.spentMicros + usage.reservedMicros) / 1e6;
  const retryAfterMs = isSpent ? endOfMonth(usage.month) - now : UNKNOWN_WAIT_MS;
  return {
    code: 'quota_exceeded',
    limit: 'monthly_budget_usd',
    allowed,
    used,
    retryAfterMs: isBeyond ? null : retryAfterMs,
    message:
      `This costs ${holdMicros / 1e6} USD at the least, and ${used} of ${allowed} USD of this month ` +
      '(UTC) are spent or held for accepted requests. ' +
      (isBeyond ? ASK : 'Send it again later, or with on_budget "wait".'),
  };
}

function refill(usage: Usage, limits: Limits, now: number): Usage {
  const elapsedMs = Math.max(0, now - usage.refilledAt);
  const tokens = Math.min(limits.burst, usage.tokens + elapsedMs * tokensPerMs(limits));
  return { ...usage, tokens, refilledAt: Math.max(usage.refilledAt, now) };
}

/** Null when the bucket never gets there in any time that can be told. */
function msUntil(
  wanted: number,
  bucket: Pick<Usage, 'tokens' | 'refilledAt'>,
  limits: Limits,
  now: number,
): number | null {
  const missing = Math.max(0, wanted - bucket.tokens);
  const at = bucket.refilledAt + Math.ceil(missing / tokensPerMs(limits));
  return Number.isSafeInteger(at) ? at - now : null;
}

const tokensPerMs = (limits: Limits) => limits.requests_per_minute / 60_000;
const budgetMicros = (usd: number) => Math.round(usd * 1e6);

const dayOf = (at: number) => new Date(at).toISOString().slice(0, 10);
const monthOf = (at: number) => new Date(at).toISOString().slice(0, 7);
export const endOfDay = (day: string) => Date.parse(`${day}T00:00:00Z`) + DAY_MS;

export function endOfMonth(month: string): number {
  const [year = 0, number = 0] = month.split('-').map(Number);
  // Date.UTC counts months from 0, so the number of this month is the index of the next.
  return Date.UTC(year, number, 1);
}
