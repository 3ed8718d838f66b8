/**
 * Hands on what a call shows while it lasts: one preview after the other, the newest in place of
 * those that nobody had time for. Whatever goes wrong is told once and hinders nothing.
 */
import { MAX_PREVIEW_BYTES } from '../requests/types';
import type { ProviderPreview } from './providers/provider';

export function createPreviewSender(deps: {
  readonly send: (preview: ProviderPreview) => Promise<void>;
  /** Is told of the first failure only. */
  readonly onFailure: (error: unknown) => void;
}): (preview: ProviderPreview) => void {
  let newest: ProviderPreview | null = null;
  let isSending = false;
  let hasFailed = false;

  const sendAll = async () => {
    isSending = true;
    while (newest) {
      const preview = newest;
      newest = null;
      try {
        await deps.send(preview);
      } catch (error) {
        if (!hasFailed) deps.onFailure(error);
        hasFailed = true;
      }
    }
    isSending = false;
  };

  return (preview) => {
    if (preview.bytes.byteLength > MAX_PREVIEW_BYTES) return;
    newest = preview;
    if (!isSending) void sendAll();
  };
}
