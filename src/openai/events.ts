/** A call with `stream`: server-sent events with OpenAI's names, until the last image is there. */
import { STREAM_HEADERS } from '../requests/event-stream';
import { MAX_PREVIEW_BYTES, type Preview } from '../requests/types';
import { eventPrefix } from './answer';
import { imageJson, slicesOf } from './base64';
import type { Failure } from './errors';
import { type Ended, isHeld, type Leaving, type LineTiming, orAfter, stream } from './lines';
import type { Wanted } from './translate';

export interface Followed {
  readonly wanted: Wanted;
  /** Tells of what there is to see before the end. What goes wrong is a failure to be told. */
  readonly awaitEnd: (onPreview: (preview: Preview) => void) => Promise<Ended>;
  readonly now: () => number;
}

export const imageEvents = (
  followed: Followed,
  line: Pick<LineTiming, 'beatMs'> & Leaving,
): Response => stream(eventsOf(followed, line), STREAM_HEADERS, line);

async function* eventsOf(
  { wanted, awaitEnd, now }: Followed,
  { beatMs }: Pick<LineTiming, 'beatMs'>,
): AsyncGenerator<string> {
  const shown: Preview[] = [];
  let wake = () => {};
  const ended = awaitEnd((preview) => {
    shown.push(preview);
    dropOldest(shown);
    wake();
  });
  // The headers leave with the first of these.
  yield ': waiting\n\n';
  for (;;) {
    const woken = new Promise<null>((resolve) => {
      wake = () => resolve(null);
    });
    const next = shown.length > 0 ? null : await orAfter(beatMs, Promise.race([ended, woken]));
    for (let preview = shown.shift(); preview; preview = shown.shift()) {
      yield* partialEvent(preview, wanted, now());
    }
    if (isHeld(next)) yield ': waiting\n\n';
    else if (next !== null) return yield* lastEvents(next);
  }
}

async function* lastEvents(ended: Ended): AsyncGenerator<string> {
  if (ended.outcome === 'failure') yield errorEvent(ended.failure);
  else yield* ended.text;
}

/** What waits for a slow client is no more than the largest preview. */
function dropOldest(shown: Preview[]): void {
  let bytes = shown.reduce((sum, preview) => sum + preview.bytes.byteLength, 0);
  while (bytes > MAX_PREVIEW_BYTES) bytes -= shown.shift()?.bytes.byteLength ?? bytes;
}

async function* partialEvent(
  preview: Preview,
  wanted: Wanted,
  now: number,
): AsyncGenerator<string> {
  const { size, options } = wanted;
  const type = `${eventPrefix(wanted)}.partial_image`;
  const members = {
    type,
    created_at: Math.floor(now / 1000),
    partial_image_index: preview.index,
    size,
    quality: options.quality ?? 'auto',
    background: options.background ?? 'auto',
    output_format: preview.mediaType.replace('image/', ''),
  };
  yield `event: ${type}\ndata: `;
  yield* imageJson(members, slicesOf(preview.bytes));
  yield '\n\n';
}

/** What the official clients throw as an APIError. */
const errorEvent = ({ body }: Failure) =>
  `event: error\ndata: ${JSON.stringify({ type: 'error', ...body })}\n\n`;
