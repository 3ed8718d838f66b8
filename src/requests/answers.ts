/** What every HTTP answer that carries a request says in its headers and status. */
import type { Context } from 'hono';
import type { HttpEnv } from '../platform/http';
import type { Submitted } from './service';
import type { RequestState } from './types';
import { isTerminal } from './types';
import type { PresentRequest } from './view';

/** 202 for a new request, 200 for one that has ended meanwhile or was asked for before. */
export function answerSubmitted(
  c: Context<HttpEnv>,
  submitted: Submitted,
  present: PresentRequest,
) {
  const { state, replayed } = submitted;
  if (replayed) c.header('Idempotent-Replayed', 'true');
  describe(c, state);
  c.header('Location', `/v1/requests/${state.id}`);
  const status = replayed || isTerminal(state) ? 200 : 202;
  return c.json(present(state, submitted), status);
}

/** The version is the ETag; a live request says when to look again. */
export function describe(c: Context<HttpEnv>, state: RequestState): void {
  c.header('ETag', `"${state.version}"`);
  c.header('Cache-Control', 'private, no-cache');
  if (!isTerminal(state)) c.header('Retry-After', String(retryAfterSeconds(state)));
}

/** Money may come free long before the month is over: soon enough for that, and rare enough for days. */
const UNFUNDED_SECONDS = 30;

/** Soon while a call runs; when the wait is over while one waits for a time. */
function retryAfterSeconds(state: RequestState): number {
  if (state.status === 'queued' && state.wait.for === 'budget') return UNFUNDED_SECONDS;
  if (state.status !== 'queued' || state.wait.for !== 'time') return 1;
  return Math.max(1, Math.ceil((state.wait.until - Date.now()) / 1000));
}
