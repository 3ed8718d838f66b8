/** What a client says it has of a request: `If-None-Match` (RFC 9110, 13.1.2) over versions. Pure. */

/** `any`: whatever there is. Null: it has said nothing. */
export type KnownVersions = ReadonlySet<string> | 'any' | null;

/** Tags are compared weakly: `W/"3"` is version 3 too. A tag that is no version of ours matches none. */
export function readIfNoneMatch(header: string | undefined): KnownVersions {
  if (header === undefined) return null;
  if (header.trim() === '*') return 'any';
  return new Set(Array.from(header.matchAll(/"([^"]*)"/g), ([, tag = '']) => tag));
}

export function isKnown(version: number, known: KnownVersions): boolean {
  if (known === null) return false;
  return known === 'any' || known.has(String(version));
}

/** Whether `version` is worth an answer to who knows these and was waiting since `since`. */
export function isNews(version: number, known: KnownVersions, since: number): boolean {
  if (known === null || known === 'any') return version > since;
  return !isKnown(version, known);
}
