/** An image by a URL that someone else chose: an input, held; or a result, left open to be stored. */
import { MAX_IMAGE_BYTES, type OpenImage } from '../images/types';
import type { FetchUntrusted, OpenUntrusted } from '../platform/fetch-untrusted';

export type FetchedImage =
  | { readonly ok: true; readonly bytes: Uint8Array }
  /** `final`: another try would find the same. */
  | { readonly ok: false; readonly final: boolean; readonly reason: string };

const OPEN_LIMITS = {
  headersTimeoutMs: 20_000,
  timeoutMs: 60_000,
  // One more than an image may have, so that too large is told from cut off where it is stored.
  maxBytes: MAX_IMAGE_BYTES + 1,
};

export async function fetchImageBytes(
  fetchUntrusted: FetchUntrusted,
  input: { url: string; timeoutMs: number; maxBytes: number; signal?: AbortSignal },
): Promise<FetchedImage> {
  const { url, ...limits } = input;
  const answer = await fetchUntrusted(url, { method: 'GET', onOverflow: 'refuse', ...limits });
  const refuse = (reason: string, final: boolean) => ({ ok: false as const, final, reason });
  if (answer.outcome === 'refused') return refuse(answer.reason, true);
  if (answer.outcome === 'failed') {
    return refuse(cannotBeFetched(answer.message), answer.kind === 'too_large');
  }
  const { status, body } = answer;
  if (status !== 200) return refuse(answered(status), status < 500 && status !== 429);
  return { ok: true, bytes: body };
}

/** @throws Error when there is no image to be had; its message is a sentence for the API's caller. */
export function createOpenImage(
  openUntrusted: OpenUntrusted,
): (url: string, signal: AbortSignal) => Promise<OpenImage> {
  return async (url, signal) => {
    const opening = await openUntrusted(url, { ...OPEN_LIMITS, signal });
    if (opening.outcome === 'refused') throw new Error(opening.reason);
    if (opening.outcome === 'failed') throw new Error(cannotBeFetched(opening.message));
    const { status, body, length } = opening;
    if (status === 200) return { body, length };
    body.cancel().catch(() => {});
    throw new Error(answered(status));
  };
}

const cannotBeFetched = (message: string) => `The image cannot be fetched: ${message}`;
const answered = (status: number) => `The image’s URL answered ${status}.`;
