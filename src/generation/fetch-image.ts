/** An image by a URL that someone else chose; says whether another try would find the same. */
import type { FetchUntrusted } from '../platform/fetch-untrusted';

export type FetchedImage =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly final: boolean; readonly reason: string };

export async function fetchImageBytes(
  fetchUntrusted: FetchUntrusted,
  input: { url: string; timeoutMs: number; maxBytes: number },
): Promise<FetchedImage> {
  const { url, timeoutMs, maxBytes } = input;
  const answer = await fetchUntrusted(url, {
    method: 'GET',
    timeoutMs,
    maxBytes,
    onOverflow: 'refuse',
  });
  const refuse = (reason: string, final: boolean) => ({ ok: false as const, final, reason });
  if (answer.outcome === 'refused') return refuse(answer.reason, true);
  if (answer.outcome === 'failed')
    return refuse(`The image cannot be fetched: ${answer.message}`, false);
  if (answer.status !== 200) {
    const { status } = answer;
    return refuse(`The image’s URL answered ${status}.`, status < 500 && status !== 429);
  }
  return { ok: true as const, bytes: answer.body };
}
