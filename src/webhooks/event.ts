/**
 * The body of a webhook event. Receivers may cap what they read, so it stays under 20,000 bytes:
 * the ledger goes first, oldest attempts before newer ones, then the echo of the input, then the
 * warnings.
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
  const cuts = [{ input: {}, input_truncated: true }, { warnings: [] }, { metadata: {} }];
  for (const cut of cuts) {
    if (fits(body)) break;
    data = { ...data, ...cut };
    body = render(data);
  }
  return body;
}

/** Of what is about no request. It is small, and has no place in an order. */
export function plainEventBody(event: {
  readonly type: string;
  readonly at: number;
  readonly data: object;
}): string {
  const { type, at, data } = event;
  const timestamp = new Date(at).toISOString();
  return JSON.stringify({ type, timestamp, sequence: null, data });
}

/** `*` stands for every event, and `request.*` for every one of its noun. */
export function wants(filters: readonly string[], type: string): boolean {
  const noun = type.slice(0, type.indexOf('.'));
  return filters.some((filter) => filter === type || filter === '*' || filter === `${noun}.*`);
}
