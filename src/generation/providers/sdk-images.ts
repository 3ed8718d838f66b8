/** The images in a successful answer, also in the shapes that only compatible servers use. */
import { z } from 'zod';

/** The answer arrived whole, and what it holds is no image. `body` is kept where it may say why. */
export class UnusableAnswer extends Error {
  override readonly name = 'UnusableAnswer';
  readonly body: string;

  constructor(message: string, body = '') {
    super(message);
    this.body = body;
  }
}

export type FetchImage = (url: string, signal: AbortSignal) => Promise<Uint8Array>;

/** @throws UnusableAnswer An empty string is how some servers blank out a moderated image. */
export function decodeImages(images: readonly string[]): Uint8Array[] {
  const decoded = images.filter((image) => image !== '').map(decodeBase64);
  if (decoded.length === 0) throw new UnusableAnswer('openai answered without an image');
  return decoded;
}

/** `created` is of no use here, and a moderated or stored image has no `b64_json`. */
const looseAnswer = z.object({
  data: z.array(z.object({ b64_json: z.string().nullish(), url: z.string().nullish() })),
});

/**
 * For a body that the SDK refuses because an item has no `b64_json`.
 * @throws UnusableAnswer
 */
export async function readLoosely(
  body: string,
  deps: { readonly fetchImage: FetchImage | undefined; readonly signal: AbortSignal },
): Promise<Uint8Array[]> {
  const answer = looseAnswer.safeParse(parseJson(body));
  if (!answer.success) throw new UnusableAnswer(`openai answered with ${kindOf(body)}`, body);
  const images: Uint8Array[] = [];
  // One after the other: eight images at once would not fit into the memory of an isolate.
  for (const { b64_json, url } of answer.data.data) {
    if (b64_json) images.push(decodeBase64(b64_json));
    else if (url?.startsWith('data:')) images.push(decodeBase64(url));
    else if (url) images.push(await fetchByUrl(url, deps));
  }
  if (images.length === 0) throw new UnusableAnswer('openai answered without an image', body);
  return images;
}

async function fetchByUrl(
  url: string,
  { fetchImage, signal }: Parameters<typeof readLoosely>[1],
): Promise<Uint8Array> {
  if (!fetchImage) throw new UnusableAnswer('openai answered with a URL instead of an image');
  try {
    return await fetchImage(url, signal);
  } catch {
    throw new UnusableAnswer('openai answered with the URL of an image that could not be fetched');
  }
}

function decodeBase64(source: string): Uint8Array {
  const base64 = source.startsWith('data:') ? source.slice(source.indexOf(',') + 1) : source;
  let binary: string;
  try {
    binary = atob(base64);
  } catch {
    throw new UnusableAnswer('openai answered with an image that is not valid base64');
  }
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index += 1) bytes[index] = binary.charCodeAt(index);
  return bytes;
}

function kindOf(body: string): string {
  const start = body.trimStart().slice(0, 15).toLowerCase();
  if (start === '') return 'an empty body';
  if (start.startsWith('<!doctype') || start.startsWith('<html')) return 'an HTML page';
  return parseJson(body) === undefined ? 'malformed JSON' : 'JSON without images';
}

function parseJson(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    return undefined;
  }
}
