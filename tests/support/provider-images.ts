// What tests do with the images of an answer: read them, whether they came as bytes or by URL.
import type { OpenImage, ProviderImage } from '../../src/generation/providers/provider';

/** For providers whose fake serves its images itself. */
export async function openOverSocket(url: string, signal: AbortSignal): Promise<OpenImage> {
  const response = await fetch(url, { signal });
  if (!response.ok || !response.body) throw new Error(`${url} answered ${response.status}`);
  return { body: response.body, length: null };
}

export async function bytesOf(image: ProviderImage): Promise<Uint8Array> {
  if ('bytes' in image) return image.bytes;
  const { body } = await image.open(new AbortController().signal);
  return new Uint8Array(await new Response(body).arrayBuffer());
}
