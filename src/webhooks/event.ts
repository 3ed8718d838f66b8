/**
 * The body of a webhook event. Receivers may cap what they read, so it stays under 20,000 bytes:
 * the ledger goes first, oldest attempts before newer ones, then the echo of the input.
 */
import type { RequestEvent } from '../requests/types';
import type { RequestView } from '../requests/view';

/** Standard Webhooks 1.0.0, "payload size": https://www.standardwebhooks.com */
export const MAX_EVENT_BYTES = 20_000;

export function eventBody(event: RequestEvent, request: RequestView): string {
  const render = (data: object) =>
    JSON.stringify({
      type: event.type,
      timestamp: new Date(event.at).toISOString(),
      sequence: event.version,
      data,
    });
  const fits = (body: string) => Buffer.byteLength(body) < MAX_EVENT_BYTES;

  let data: Record<string, unknown> & { attempts: unknown[] } = { ...request };
  let body = render(data);
  while (!fits(body) && data.attempts.length > 0) {
    data = { ...data, attempts: data.attempts.slice(1), attempts_truncated: true };
    body = render(data);
  }
  if (!fits(body)) body = render({ ...data, input: {}, input_truncated: true });
  if (!fits(body)) body = render({ ...data, input: {}, input_truncated: true, metadata: {} });
  return body;
}

/** `request.*` stands for every event of a request. */
export function wants(filters: readonly string[], type: string): boolean {
  return filters.some((filter) => filter === type || filter === '*' || filter === 'request.*');
}
