/** What every HTTP answer that carries a request says in its headers and status. */
import type { Context } from 'hono';
import type { Snapshot } from '../foreman/intake';
import type { HttpEnv } from '../platform/http';
import { lookAgainSeconds } from './look-again';
import type { Submitted } from './service';
import { isTerminal } from './types';
import type { PresentRequest } from './view';

/** Of every answer that carries a request. */
export const requestHeaders = {
  ETag: 'The version',
  'Retry-After': 'Seconds until it is worth looking again; absent once it has ended',
} as const;

/** 202 for a new request, 200 for one that has ended meanwhile or was asked for before. */
export function answerSubmitted(
  c: Context<HttpEnv>,
  submitted: Submitted,
  present: PresentRequest,
) {
  const { state, replayed } = submitted;
  if (replayed) c.header('Idempotent-Replayed', 'true');
  describe(c, submitted);
  c.header('Location', `/v1/requests/${state.id}`);
  const status = replayed || isTerminal(state) ? 200 : 202;
  return c.json(present(state, submitted), status);
}

/** The version is the ETag; a live request says when to look again. */
export function describe(c: Context<HttpEnv>, snapshot: Snapshot): void {
  const { state } = snapshot;
  c.header('ETag', `"${state.version}"`);
  c.header('Cache-Control', 'private, no-cache');
  if (isTerminal(state)) return;
  c.header('Retry-After', String(lookAgainSeconds(snapshot, Date.now())));
}

/** Says that `Prefer: wait` was honoured, and for how long at most (RFC 7240). */
export function describeWait(c: Context<HttpEnv>, ms: number | null): void {
  if (ms !== null) c.header('Preference-Applied', `wait=${ms / 1000}`);
}
