/**
 * What there is to see of a request before it has ended, handed on to those who hold a line for it
 * and asked to be shown. It is no change: nothing of it is stored, numbered or sent again.
 */
import { encodePreview } from '../requests/preview-frame';
import { MAX_PREVIEW_BYTES, type Preview, type RequestId } from '../requests/types';
import type { StreamsDeps } from './streams';
import { mayHear } from './streams-lane';
import { dismiss, listeningOf, previewsTag } from './watch';

export interface ShownPreview extends Preview {
  readonly request: RequestId;
  /** Of the attempt: what one shows that has lost its lease is not of the image that will come. */
  readonly token: string;
}

/** What waits for slow sockets is in the object's memory: beyond it a preview is not for everybody. */
const MAX_SENT_BYTES = 32 * 1024 * 1024;

export function showPreview({ ctx, view }: StreamsDeps, shown: ShownPreview): void {
  const { request, token, ...preview } = shown;
  const desk = view();
  if (desk.memory.leases.get(request)?.token !== token) return;
  if (preview.bytes.byteLength > MAX_PREVIEW_BYTES) return;
  const sockets = ctx.getWebSockets(previewsTag(request));
  if (sockets.length === 0) return;
  const frame = encodePreview(preview);
  const known = new Map<string, boolean>();
  for (const socket of sockets.slice(0, Math.max(1, MAX_SENT_BYTES / frame.byteLength))) {
    try {
      if (mayHear(desk, listeningOf(socket).credential, known)) socket.send(frame);
      else dismiss(socket);
    } catch {
      // The listener hung up; its close event is on its way.
    }
  }
}
