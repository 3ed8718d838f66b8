/** What is said while a request is waited for. Pure: a request and a clock in, text out. */

import { type ForemanRequest, hasEnded } from '../client/types';
import type { Paint } from './paint';
import { colourOf } from './paint';
import { cut, plain } from './text';
import { durationText } from './times';

export interface Progress {
  readonly request: ForemanRequest;
  /** The last that was told: while a call runs there is none. */
  readonly eta: Eta | null;
}

type Eta = NonNullable<NonNullable<ForemanRequest['waiting']>['eta']>;

export const progressOf = (request: ForemanRequest, before: Progress | null): Progress => ({
  request,
  eta: request.waiting?.eta ?? before?.eta ?? null,
});

const BAR_CELLS = 20;
/** An estimate is never fulfilled before the request has ended. */
const MOST = 0.95;

const waits: Readonly<Record<string, string>> = {
  queue: 'in the queue',
  backoff: 'before the next attempt',
  throttled: 'as the provider asked',
  breaker_open: 'for a provider that failed',
  provider_queue: "in the provider's queue",
  reuse: 'for an equal request',
  budget: 'for budget',
};

/** All of it without what moves by itself: a new text is a change. */
export function describeChange({ request }: Progress): string {
  return parts(request).join(', ');
}

/** One line of at most `width` columns. */
export function renderProgress(
  { request, eta }: Progress,
  { now, width, paint }: { readonly now: number; readonly width: number; readonly paint: Paint },
): string {
  const elapsed = durationText(now - Date.parse(request.created_at));
  const texts = [...parts(request), elapsed];
  const [status = '', ...others] = texts;
  const line = cut([status, ...others].join(' · '), width);
  const rest = width - line.length - 1;
  const bar = eta === null ? '' : renderBar({ eta, request, now });
  const withBar = bar !== '' && bar.length <= rest ? `${line} ${paint('cyan', bar)}` : line;
  return withBar.startsWith(status)
    ? paint(colourOf(request.status), status) + withBar.slice(status.length)
    : withBar;
}

function parts(request: ForemanRequest): string[] {
  const { waiting } = request;
  if (hasEnded(request)) return [request.status];
  const attempt = request.attempts.at(-1);
  const texts: string[] = [request.status];
  if (waiting) texts.push(`waiting ${waits[waiting.reason] ?? waiting.reason}`);
  if (waiting?.position) texts.push(`position ${waiting.position}`);
  if (attempt) {
    const outcome = attempt.outcome === null ? '' : ` ${attempt.outcome}`;
    texts.push(`attempt ${attempt.number} at ${attempt.provider}/${attempt.model}${outcome}`);
  }
  return texts.map(plain);
}

function renderBar(input: {
  readonly eta: Eta;
  readonly request: ForemanRequest;
  readonly now: number;
}): string {
  const { eta, request, now } = input;
  const begin = Date.parse(request.created_at);
  const end = Date.parse(eta.p50);
  const share = Math.min(MOST, Math.max(0, (now - begin) / Math.max(1, end - begin)));
  const filled = Math.round(share * BAR_CELLS);
  const left = end > now ? `about ${durationText(end - now)} left` : 'any moment';
  return `[${'#'.repeat(filled)}${'-'.repeat(BAR_CELLS - filled)}] ${left}`;
}
