// The image that came: checked against what Foreman said of it, and kept.
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { imageSize } from 'image-size';
import type { Image } from './types.ts';

const SLUG_LENGTH = 40;
const ID_LENGTH = 6;

/** @throws Error naming the first thing that is not as Foreman said. */
export function checkPicture(
  image: Image,
  got: { bytes: Buffer; mediaType: string },
): { width: number; height: number } {
  const { width, height, type } = imageSize(got.bytes);
  const sha256 = createHash('sha256').update(got.bytes).digest('hex');
  const facts: [name: string, said: unknown, found: unknown][] = [
    ['media type', image.media_type, got.mediaType],
    ['format', image.media_type, `image/${type === 'jpg' ? 'jpeg' : type}`],
    ['number of bytes', image.bytes, got.bytes.length],
    ['width', image.width, width],
    ['height', image.height, height],
    ['SHA-256', image.sha256, sha256],
  ];
  for (const [name, said, found] of facts) {
    if (said !== found) throw new Error(`the ${name} should be ${said}; it is ${found}`);
  }
  return { width, height };
}

/** @returns the path, `<folder>/<words of the prompt>-<end of the image's id>.png`. */
export async function keepPicture(options: {
  folder: string;
  prompt: string;
  image: Image;
  bytes: Buffer;
}): Promise<string> {
  const { folder, prompt, image, bytes } = options;
  await mkdir(folder, { recursive: true });
  const extension = image.media_type.replace(/^image\//, '');
  const path = join(folder, `${slugOf(prompt)}-${idEnd(image.id)}.${extension}`);
  await writeFile(path, bytes);
  return path;
}

function slugOf(prompt: string): string {
  const words = prompt.toLowerCase().replace(/[^\p{L}\p{M}\p{N}]+/gu, '-');
  const short = Array.from(words).slice(0, SLUG_LENGTH).join('');
  return short.replace(/^-+|-+$/g, '') || 'image';
}

/** Of `img_<request>_<attempt>_<index>`, what tells two demos apart. */
function idEnd(id: string): string {
  const [, request = id] = id.split('_');
  return request.slice(-ID_LENGTH);
}
