/** A reader of server-sent events that can hang up in the middle, as clients do. */
import type { Api, RequestView } from './api.ts';

export interface StreamEvent {
  readonly id: number;
  readonly event: string;
  readonly data: { type: string; timestamp: string; sequence: number; data: RequestView };
}

/** Reads until the stream ends or `enough` says so, and then hangs up. None: there are no more. */
export async function readEvents(
  api: Api,
  input: { id: string; after?: number; enough?: (events: readonly StreamEvent[]) => boolean },
): Promise<StreamEvent[]> {
  const hangUp = new AbortController();
  const response = await api.fetch(`/v1/requests/${input.id}/events`, {
    headers: input.after === undefined ? {} : { 'last-event-id': String(input.after) },
    signal: AbortSignal.any([hangUp.signal, AbortSignal.timeout(60_000)]),
  });
  if (response.status === 204) return [];
  const type = response.headers.get('content-type');
  if (response.status !== 200 || !type?.startsWith('text/event-stream') || !response.body) {
    throw new Error(`No event stream: ${response.status} ${type}`);
  }
  const events: StreamEvent[] = [];
  let rest = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + chunk).split('\n\n');
    rest = blocks.pop() ?? '';
    events.push(...blocks.flatMap(parse));
    if (input.enough?.(events)) break;
  }
  hangUp.abort();
  return events;
}

/** A comment, such as a heartbeat, is no event. */
function parse(block: string): StreamEvent[] {
  const fields = new Map(
    block.split('\n').map((line) => {
      const at = line.indexOf(':');
      return [line.slice(0, at), line.slice(at + 1).trimStart()];
    }),
  );
  const data = fields.get('data');
  if (data === undefined) return [];
  return [
    { id: Number(fields.get('id')), event: String(fields.get('event')), data: JSON.parse(data) },
  ];
}
