/** What the files of `--out` are called. Pure. */
import { extname, join } from 'node:path';
import type { Image } from '../client/types';

export const TO_STDOUT = '-';

const extensions: Readonly<Record<string, string>> = {
  'image/png': '.png',
  'image/jpeg': '.jpg',
  'image/webp': '.webp',
  'image/gif': '.gif',
};

interface Target {
  readonly out: string;
  /** It exists and is one. A path that ends with a slash is meant to become one. */
  readonly isDirectory: boolean;
}

export const meansDirectory = ({ out, isDirectory }: Target) => isDirectory || /[/\\]$/.test(out);

/** `name.png`, or for several `name-1.png`, `name-2.png`…; in a directory the image's id. */
export function fileNames(
  target: Target,
  images: readonly Pick<Image, 'id' | 'media_type'>[],
): string[] {
  return images.map(({ id, media_type: type }, index) => {
    const extension = extensions[type] ?? '';
    if (meansDirectory(target)) return join(target.out, `${nameOf(id)}${extension}`);
    return numbered(target.out, { extension, index, count: images.length });
  });
}

/** Whatever a server calls its image, its file is in the directory that was named. */
const nameOf = (id: string) => id.replace(/[^\w-]/g, '_');

/** Those that are known before there is an image; none when the media type decides. */
export function knownFileNames(target: Target, count: number): string[] {
  if (meansDirectory(target) || extname(target.out) === '') return [];
  return Array.from({ length: count }, (_, index) =>
    numbered(target.out, { extension: '', index, count }),
  );
}

function numbered(
  out: string,
  { extension, index, count }: { extension: string; index: number; count: number },
): string {
  const given = extname(out);
  const stem = given === '' ? out : out.slice(0, -given.length);
  return `${stem}${count === 1 ? '' : `-${index + 1}`}${given || extension}`;
}

/** Null when the name says nothing else than the bytes do. */
export function misnamed(path: string, mediaType: string): string | null {
  const given = extname(path).toLowerCase().replace('.jpeg', '.jpg');
  const right = extensions[mediaType];
  const isOther =
    right !== undefined && given !== right && Object.values(extensions).includes(given);
  return isOther ? `${path} holds ${mediaType}; --format chooses what is made` : null;
}
