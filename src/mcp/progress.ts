/** Progress notifications, and what they say of a request. */
import type { ServerContext } from '@modelcontextprotocol/server';
import type { RequestView } from '../requests/view';

/** Never throws: who does not hear of it still gets the answer. */
export type Tell = (message: string) => Promise<void>;

/** Null for a client that has named no token. Counts up, as the specification wants it. */
export function tellerFor({ mcpReq }: Pick<ServerContext, 'mcpReq'>): Tell | null {
  const progressToken = mcpReq._meta?.progressToken;
  if (progressToken === undefined) return null;
  let progress = 0;
  return async (message) => {
    progress += 1;
    const params = { progressToken, progress, message };
    await mcpReq.notify({ method: 'notifications/progress', params }).catch(() => {});
  };
}

/** `waiting, position 3`, `running on openai, attempt 1`, `succeeded`. */
export function describeProgress({ status, waiting, attempts }: RequestView): string {
  const current = attempts.at(-1);
  if (waiting) {
    const { reason, position } = waiting;
    const place = position === null ? '' : `, position ${position}`;
    if (reason === 'queue') return `waiting${place}`;
    if (reason === 'provider_queue') return `waiting at ${current?.provider}${place}`;
    return `waiting for ${reasons[reason]}${place}`;
  }
  if (status === 'running' && current) {
    return `running on ${current.provider}, attempt ${current.number}`;
  }
  return status;
}

const reasons = {
  backoff: 'the next attempt',
  throttled: 'a provider that is throttling',
  breaker_open: 'a provider that is failing',
  reuse: 'an equal request',
  budget: 'budget',
} as const;
