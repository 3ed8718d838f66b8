/** How a browser takes an image: shown, or saved under a name (RFC 6266). */
import type { ServedFacts } from './reader';
import type { MediaType } from './types';

/** The first is given to a name that has none of them. */
const extensions: Record<MediaType, readonly [string, ...string[]]> = {
  'image/png': ['png'],
  'image/jpeg': ['jpg', 'jpeg'],
  'image/webp': ['webp'],
  'image/gif': ['gif'],
};
/** As many as every file system takes, with an extension and however they are encoded. */
const MAX_NAME_CHARS = 60;
/**
 * Of no place in a name: control and formatting characters (they can hide or turn its end round),
 * and what separates folders, drives or words of a command.
 */
const UNFIT = /[\p{C}\p{Zl}\p{Zp}"*/:<>?\\|%;]+/gu;

/** @param download null to show it; a wish for a name otherwise, or ''. */
export function dispositionOf(
  { id, mediaType }: Pick<ServedFacts, 'id' | 'mediaType'>,
  download: string | null,
): string {
  const [extension] = extensions[mediaType];
  const own = `${id}.${extension}`;
  if (download === null) return `inline; filename="${own}"`;
  const name = fileNameOf(download, mediaType);
  if (name === null) return `attachment; filename="${own}"`;
  const plain = name.replace(/[^\x20-\x7e]/g, '_');
  if (plain === name) return `attachment; filename="${name}"`;
  return `attachment; filename="${plain}"; filename*=UTF-8''${encodeExtended(name)}`;
}

/** Null when nothing is left of it. Whoever saves the file gets an image by its name too. */
function fileNameOf(wish: string, mediaType: MediaType): string | null {
  const known = extensions[mediaType];
  const fit = wish.toWellFormed().replace(UNFIT, '_').trim();
  const given = known.find((extension) => fit.toLowerCase().endsWith(`.${extension}`));
  const stem = given ? fit.slice(0, -given.length - 1) : fit;
  // A leading dot hides a file.
  const short = [...stem.replace(/^[._\s]+/, '')].slice(0, MAX_NAME_CHARS).join('').trim();
  return short === '' ? null : `${short}.${given ?? known[0]}`;
}

/** RFC 8187: what encodeURIComponent leaves and the grammar does not. */
const encodeExtended = (text: string) =>
  encodeURIComponent(text).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
