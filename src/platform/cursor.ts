/**
 * List cursors: the sort key of the last item a client has seen, in a spelling it need not read.
 * A cursor is not signed: it only says where to go on, and each query has its own user in it.
 */
import { z } from 'zod';
import { AppError } from './errors';
import { type Id, type IdPrefix, isId } from './ids';

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

/** @throws AppError `invalid_request` for what is no cursor of the list whose sort key this is. */
export function readCursor<Parts extends readonly CursorPart[]>(
  text: string,
  parts: z.ZodType<Parts>,
): Parts {
  const { data } = parts.safeParse(decodeCursor(text));
  if (data) return data;
  const errors = [{ path: 'cursor', message: 'is not a cursor of this list' }];
  throw new AppError('invalid_request', 'Not valid: cursor.', { errors });
}

/** The last part of most sort keys: it tells items apart that were made in the same moment. */
export const idPart = <Prefix extends IdPrefix>(prefix: Prefix) =>
  z.custom<Id<Prefix>>((value) => typeof value === 'string' && isId(prefix, value));

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
