/**
 * List cursors: the sort key of the last item a client has seen, in a spelling it need not read.
 * A cursor is not signed: it only says where to go on, and each query has its own user in it.
 */
export type CursorPart = string | number;

/** No cursor of ours comes near this: sort keys are short. */
const MAX_CHARS = 1_000;

export function encodeCursor(parts: readonly CursorPart[]): string {
  return Buffer.from(JSON.stringify(parts)).toString('base64url');
}

/** Null for anything that `encodeCursor` does not write. What the parts should be, the list knows. */
export function decodeCursor(text: string): CursorPart[] | null {
  if (text.length > MAX_CHARS) return null;
  const parts = parse(Buffer.from(text, 'base64url').toString());
  if (!Array.isArray(parts) || !parts.every(isPart)) return null;
  return encodeCursor(parts) === text ? parts : null;
}

function isPart(value: unknown): value is CursorPart {
  return typeof value === 'string' || typeof value === 'number';
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
