/** The images in a successful answer, also in the shapes that only compatible servers use. */
import { z } from 'zod';
import type { OpenImage, ProviderImage } from './provider';

/** The answer arrived whole, and what it holds is no image. */
export class UnusableAnswer extends Error {
  override readonly name = 'UnusableAnswer';
}

export type OpenUrl = (url: string, signal: AbortSignal) => Promise<OpenImage>;

interface Deps {
  readonly openUrl: OpenUrl;
  readonly provider: string;
}

/**
 * An image as bytes, base64, a data URL or a URL. Null for an empty one: that is how some servers
 * blank out a moderated image.
 * @throws UnusableAnswer
 */
export function imageFrom(source: string | Uint8Array, deps: Deps): ProviderImage | null {
  if (source.length === 0) return null;
  if (typeof source !== 'string') return { bytes: source, seed: null };
  if (!/^https?:/i.test(source)) {
    return { bytes: decodeBase64(source, deps.provider), seed: null };
  }
  return { open: (signal) => deps.openUrl(source, signal), seed: null };
}

/** `created` is of no use here, and a moderated or stored image has no `b64_json`. */
const looseItem = z.union([
  z.string(),
  z
    .object({ b64_json: z.string().nullish(), url: z.string().nullish() })
    .transform(({ b64_json, url }) => b64_json || url || ''),
]);
const looseAnswer = z.union([
  z.object({ data: z.array(looseItem) }).transform(({ data }) => data),
  z.object({ images: z.array(looseItem) }).transform(({ images }) => images),
]);

/**
 * For a body that the SDK refuses, for instance because an item has no `b64_json`.
 * @throws UnusableAnswer
 */
export function readLoosely(body: string, deps: Deps): ProviderImage[] {
  const { provider } = deps;
  const answer = looseAnswer.safeParse(parseJson(body));
  if (!answer.success) throw new UnusableAnswer(`${provider} answered with ${kindOf(body)}`);
  const images = answer.data.flatMap((source) => imageFrom(source, deps) ?? []);
  if (images.length === 0) throw new UnusableAnswer(`${provider} answered without an image`);
  return images;
}

/** @throws UnusableAnswer */
function decodeBase64(source: string, provider: string): Uint8Array {
  const base64 = source.startsWith('data:') ? source.slice(source.indexOf(',') + 1) : source;
  let binary: string;
  try {
    binary = atob(base64);
  } catch {
    throw new UnusableAnswer(`${provider} answered with an image that is not valid base64`);
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

export function parseJson(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    return undefined;
  }
}
