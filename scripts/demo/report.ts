// What the demo shows of a request: its events as they come, and its history at the end.
import type { Delivery } from './receiver.ts';
import { clock, dim, elapsed, good, line, ms, title } from './terminal.ts';
import type { Image, Request, RequestEvent } from './types.ts';

const TYPE_WIDTH = 18;

/** One line for an event that has just come, `after` ms from the submission. */
export function showEvent(event: RequestEvent, after: number): void {
  console.log(
    `  ${elapsed(after)}  ${event.type.padEnd(TYPE_WIDTH)}  ${dim(detail(event))}`.trimEnd(),
  );
}

function detail({ type, sequence, data }: RequestEvent): string {
  // An event that is told late carries the request as it is by then, which says nothing of it.
  if (sequence !== data.version) return '';
  const attempt = data.attempts.at(-1);
  switch (type) {
    case 'request.queued':
      return [attempt?.error?.message, data.waiting && `waits: ${data.waiting.reason}`]
        .filter((part) => part)
        .join('; ');
    case 'request.running':
      return attempt ? `attempt ${attempt.number} with ${attempt.provider}` : '';
    case 'request.succeeded':
      return `${data.images.length} image${data.images.length === 1 ? '' : 's'}`;
    default:
      return data.error ? `${data.error.code}: ${data.error.message}` : '';
  }
}

export function showImage(picture: {
  image: Image;
  path: string;
  width: number;
  height: number;
}): void {
  const { image, path, width, height } = picture;
  title('Image');
  line('path', good(path));
  line('dimensions', `${width} × ${height} px`, dim(image.media_type));
  line('bytes', image.bytes.toLocaleString('en'));
  line('sha256', image.sha256, dim('as Foreman said'));
}

export function showTimeline(events: readonly RequestEvent[], request: Request): void {
  title('Timeline');
  for (const { type, timestamp } of events) line(clock(timestamp), type);
  for (const attempt of request.attempts) {
    line(
      `attempt ${attempt.number}`,
      `${attempt.provider}/${attempt.model}`,
      attempt.outcome ?? 'running',
      attempt.duration_ms === null ? null : ms(attempt.duration_ms),
      dim(attempt.error ? `${attempt.error.code}: ${attempt.error.message}` : attempt.reason),
    );
  }
  for (const warning of request.warnings) line('warning', warning);
}

export function showDelivery({ id, event }: Delivery, after: number): void {
  title('Webhook');
  line('delivery', id, event.type);
  line('signature', good('verified'), dim("standardwebhooks, the user's default secret"));
  line('arrived', `${ms(after)} after the submission`);
}
