/**
 * Previews as server-sent events. They have no id: who comes again goes on behind the last version,
 * and what was shown meanwhile is lost.
 */
import type { Preview } from './types';

export interface PreviewFeed {
  /** Takes a preview that comes while another is being told for lost: none waits in memory. */
  put(preview: Preview): void;
  /** From now on. `write` may reject: then its client is gone. */
  tellBy(write: (text: string) => Promise<void>): void;
}

export function createPreviewFeed(): PreviewFeed {
  let write: ((text: string) => Promise<void>) | null = null;
  let isTelling = false;
  return {
    put(preview) {
      if (!write || isTelling) return;
      isTelling = true;
      write(textOf(preview))
        .catch(() => {})
        .finally(() => {
          isTelling = false;
        });
    },
    tellBy(given) {
      write = given;
    },
  };
}

function textOf({ attempt, index, mediaType, bytes }: Preview): string {
  const type = 'request.preview';
  const data = {
    type,
    timestamp: new Date().toISOString(),
    data: {
      attempt,
      index,
      media_type: mediaType,
      b64_json: Buffer.from(bytes).toString('base64'),
    },
  };
  return `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}
