/**
 * The body of a webhook event. Receivers may cap what they read, so it stays under 20,000 bytes:
 * the ledger goes first, oldest attempts before newer ones, then the echo of the input, then the
 * warnings, and the client's own metadata last; of the latter the longest members first. What was
 * cut is said, as `<member>_truncated`.
 */
import type { RequestEvent } from '../requests/types';
import type { RequestView } from '../requests/view';

/** Standard Webhooks 1.0.0, "payload size": https://www.standardwebhooks.com */
export const MAX_EVENT_BYTES = 20_000;

const cuttable = ['attempts', 'input', 'warnings', 'metadata'] as const;

export function eventBody(event: RequestEvent, request: RequestView): string {
  const render = (data: object) =>
    JSON.stringify({
      type: event.type,
      timestamp: new Date(event.at).toISOString(),
      sequence: event.version,
      data,
    });
  let data: RequestView = request;
  let body = render(data);
  for (const name of cuttable) {
    while (Buffer.byteLength(body) >= MAX_EVENT_BYTES && !isEmpty(data[name])) {
      data = { ...data, [name]: withoutOne(data[name]), [`${name}_truncated`]: true };
      body = render(data);
    }
  }
  return body;
}

const isEmpty = (value: object) => Object.keys(value).length === 0;

function withoutOne(value: object): object {
  if (Array.isArray(value)) return value.slice(1);
  const bySize = Object.entries(value).sort(([, a], [, b]) => sizeOf(a) - sizeOf(b));
  const last = bySize.at(-1)?.[0];
  return Object.fromEntries(Object.entries(value).filter(([name]) => name !== last));
}

const sizeOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value) ?? '');

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
