/**
 * Whether an image whose object or whose row is missing is one: what D1 and the user's foreman say of
 * its request, weighed. Where they leave a doubt, everything stays as it is. Pure.
 */
import { madeAt } from '../platform/ids';
import { nextTo } from './keys';
import type { IndexedRequest } from './orphan-store';

/**
 * By then nobody can be about to store, settle or delete it: a request ends a day after it was made
 * at the latest, and an invocation after a quarter of an hour. The age is that of the request, which
 * its id tells; when R2 took the object says less, as it may have been put back by hand.
 */
export const GRACE_MS = 48 * 3_600_000;

/** A request as its user's foreman has it. `absent`: it has left for D1, or there is none. */
export interface HeldRequest {
  readonly status: 'live' | 'ended' | 'deleted' | 'absent';
  readonly images: readonly { readonly id: string }[];
}

/** Null: neither the foreman was asked, nor is there one to ask. */
export interface Told {
  /** Read after the foreman had been asked, as a request leaves only for a D1 that has it. */
  readonly indexed: IndexedRequest | null;
  readonly held: HeldRequest | null;
}

export type Verdict =
  /** The request has it, by D1's own word: its row is missing there. */
  | 'restore'
  /** The request has it, by the foreman's word: D1 is told of the request again. */
  | 'tell_again'
  | 'orphan'
  /** Neither knows of such a request. */
  | 'unknown'
  | 'leave';

/** Whether D1 alone says enough: an output only ever loses images, and what has ended has ended. */
export const isSettled = (indexed: IndexedRequest | null): boolean =>
  indexed !== null && indexed.status !== 'live';

/** Of an object that has no row. */
export function judgeObject(imageId: string, { indexed, held }: Told): Verdict {
  const isIn = (images: HeldRequest['images']) => images.some(({ id }) => id === imageId);
  if (indexed?.status === 'deleted') return 'orphan';
  if (indexed?.status === 'ended') return isIn(indexed.images) ? 'restore' : 'orphan';
  switch (held?.status) {
    case 'deleted':
      return 'orphan';
    case 'ended':
      return isIn(held.images) ? 'tell_again' : 'orphan';
    case 'absent':
      return indexed === null ? 'unknown' : 'leave';
    default:
      return 'leave';
  }
}

/** Of a row that has no object: `gone` was meant to go, `lost` was not. */
export function judgeRow(imageId: string, { indexed, held }: Told): 'lost' | 'gone' | 'leave' {
  const isIn = (images: HeldRequest['images']) => images.some(({ id }) => id === imageId);
  switch (held?.status) {
    // D1 will hear of it.
    case 'deleted':
    case 'live':
      return 'leave';
    case 'ended':
      return isIn(held.images) ? 'lost' : 'leave';
    case 'absent':
      if (indexed === null || indexed.status === 'deleted') return 'gone';
      return isIn(indexed.images) ? 'lost' : 'gone';
    default:
      return 'leave';
  }
}

export function isOld(key: string, now: number): boolean {
  const found = nextTo(key);
  return found !== null && madeAt(found.place.requestId) <= now - GRACE_MS;
}

/**
 * So many images at once of requests that nobody knows are not what dying processes leave behind: D1
 * has been set back or is another one, and is to be looked after first.
 */
export const isImplausible = (unknown: number, images: number) =>
  unknown > 50 && unknown > images / 2;
