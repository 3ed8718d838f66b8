/**
 * Copies of the styles that this isolate has seen: fresh for a while, and of use at any age while
 * D1 is away. Bounded; the copy that was not used for longest goes first.
 */
import type { Style } from './types';

/** A style that was changed elsewhere is used as it was for up to this long. */
const FRESH_MS = 30_000;
/** Some 5 kB each at most, so 5 MB of the isolate's 128. */
const MAX_COPIES = 1_000;

export interface StyleCopies {
  get(id: string, now: number): { readonly style: Style; readonly isFresh: boolean } | null;
  keep(style: Style, now: number): void;
  forget(id: string): void;
}

export function createStyleCopies(): StyleCopies {
  // A map keeps the order of insertion, so its first entry is the one unused for longest.
  const copies = new Map<string, { readonly style: Style; readonly readAt: number }>();
  const put = (id: string, copy: { readonly style: Style; readonly readAt: number }) => {
    copies.delete(id);
    copies.set(id, copy);
  };

  return {
    get(id, now) {
      const copy = copies.get(id);
      if (!copy) return null;
      put(id, copy);
      return { style: copy.style, isFresh: now - copy.readAt < FRESH_MS };
    },
    keep(style, now) {
      put(style.id, { style, readAt: now });
      const [oldest] = copies.keys();
      if (copies.size > MAX_COPIES && oldest !== undefined) copies.delete(oldest);
    },
    forget(id) {
      copies.delete(id);
    },
  };
}
