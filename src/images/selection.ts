/**
 * What of an image a request asks for: RFC 9110 sections 13 (conditions) and 14 (ranges), for bytes
 * that never change under their key. Conditions that guard writes (If-Match) are not looked at.
 */
export interface Asked {
  readonly ifNoneMatch: string | null;
  readonly ifModifiedSince: string | null;
  readonly range: string | null;
  readonly ifRange: string | null;
}

/** Of the stored bytes; `etag` with its quotes, `createdAt` in epoch ms. */
export interface Validators {
  readonly etag: string;
  readonly createdAt: number;
  readonly bytes: number;
}

/** Within the bytes: offset + length never exceeds them. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export type Selection =
  | { readonly select: 'whole' | 'nothing_new' | 'beyond_end' }
  | { readonly select: 'part'; readonly range: ByteRange };

const whole: Selection = { select: 'whole' };
const beyondEnd: Selection = { select: 'beyond_end' };

export function select(asked: Asked, stored: Validators): Selection {
  if (isKnown(asked, stored)) return { select: 'nothing_new' };
  if (asked.range === null || !rangeApplies(asked.ifRange, stored)) return whole;
  return selectRange(asked.range, stored.bytes);
}

/** If-Modified-Since counts only without If-None-Match (RFC 9110, 13.1.3). */
function isKnown(asked: Asked, stored: Validators): boolean {
  if (asked.ifNoneMatch !== null) {
    if (asked.ifNoneMatch.trim() === '*') return true;
    // The weak comparison: `W/` is no part of what is compared.
    return asked.ifNoneMatch.match(/"[^"]*"/g)?.includes(stored.etag) ?? false;
  }
  if (asked.ifModifiedSince === null) return false;
  return wholeSeconds(stored.createdAt) <= Date.parse(asked.ifModifiedSince);
}

/** A date is as strong as the ETag here: there are no two versions within a second. */
function rangeApplies(ifRange: string | null, stored: Validators): boolean {
  if (ifRange === null) return true;
  const validator = ifRange.trim();
  if (validator.startsWith('"') || validator.startsWith('W/')) return validator === stored.etag;
  return Date.parse(validator) === wholeSeconds(stored.createdAt);
}

/**
 * Several ranges at once, other units and what is no range at all are answered with the whole, which
 * RFC 9110 (14.2) leaves to the server.
 */
function selectRange(header: string, bytes: number): Selection {
  const match = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header);
  const [, first, last] = match ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return whole;
  if (first === '') {
    const length = Math.min(Number(last), bytes);
    return length === 0 ? beyondEnd : part(bytes - length, length);
  }
  const offset = Number(first);
  const end = last === '' ? bytes - 1 : Number(last);
  if (end < offset && last !== '') return whole;
  if (offset >= bytes) return beyondEnd;
  return part(offset, Math.min(end, bytes - 1) - offset + 1);
}

function part(offset: number, length: number): Selection {
  return { select: 'part', range: { offset, length } };
}

/** HTTP dates have no fractions. */
function wholeSeconds(at: number): number {
  return Math.floor(at / 1000) * 1000;
}
