/**
 * How many deliveries of one user are under way at once, and whose turn is next. A delivery belongs to
 * a lane: its endpoint, or the origin of the URL that its request names. A receiver that hangs fills
 * its own lane and nobody else's. The authority on these shares; it knows no rows.
 */
import type { Delivery, Lane } from './types';

/**
 * Sent or leased. A receiver that hangs holds each of these for the 15 s of a POST, and in production
 * each may keep one of the 250 consumers: 2 % of them. One that answers in 100 ms still takes 50 a
 * second.
 */
export const LANE_IN_FLIGHT = 5;
/** All lanes of one user: a fifth of the consumers at the worst, which is what others must bear. */
export const USER_IN_FLIGHT = 50;
/**
 * From here on a lane gets one place only, so that six receivers that hang leave room for twenty
 * others. A user with more than that many dead receivers waits for their timeouts.
 */
const SHARED_IN_FLIGHT = 30;

/** Lanes without any are not in the maps. */
export interface Lanes {
  readonly inFlight: Map<Lane, number>;
  /** Due, and held back. Longest unserved first. */
  readonly waiting: Map<Lane, number>;
}

export const createLanes = (): Lanes => ({ inFlight: new Map(), waiting: new Map() });

/** An origin groups the paths of one server. A URL that cannot be read is a lane of its own. */
export function laneOf(to: { readonly endpointId: string | null; readonly url: string }): Lane {
  return to.endpointId ?? (URL.canParse(to.url) ? new URL(to.url).origin : to.url);
}

/** What of a lane's places it takes: none while it waits for a time. */
export function placeOf(delivery: Delivery): keyof Lanes | null {
  if (delivery.status !== 'pending') return null;
  if (delivery.waitsForLane) return 'waiting';
  return delivery.lease || delivery.sends > 0 ? 'inFlight' : null;
}

export function countIn(lanes: Lanes, delivery: Delivery | null, by: 1 | -1): void {
  if (delivery?.status !== 'pending') return;
  const place = placeOf(delivery);
  if (place) add(lanes[place], delivery.lane, by);
}

/** Nobody overtakes those who wait. */
export const mayGo = (lanes: Lanes, lane: Lane): boolean =>
  !lanes.waiting.has(lane) && hasRoom(lanes.inFlight.get(lane) ?? 0, countAll(lanes));

/** The lane to serve next: with the fewest under way, and of these the longest unserved. */
export function nextLane(lanes: Lanes): Lane | null {
  let next: Lane | null = null;
  let fewest = Number.POSITIVE_INFINITY;
  const all = countAll(lanes);
  for (const lane of lanes.waiting.keys()) {
    const inFlight = lanes.inFlight.get(lane) ?? 0;
    if (inFlight >= fewest || !hasRoom(inFlight, all)) continue;
    next = lane;
    fewest = inFlight;
  }
  return next;
}

/** It has been served: the others come first now. */
export function moveBack({ waiting }: Lanes, lane: Lane): void {
  const count = waiting.get(lane);
  if (count === undefined) return;
  waiting.delete(lane);
  waiting.set(lane, count);
}

const hasRoom = (own: number, all: number): boolean =>
  own < LANE_IN_FLIGHT && all < (own === 0 ? USER_IN_FLIGHT : SHARED_IN_FLIGHT);

const countAll = ({ inFlight }: Lanes): number =>
  [...inFlight.values()].reduce((sum, count) => sum + count, 0);

function add(counts: Map<Lane, number>, lane: Lane, by: 1 | -1): void {
  const count = (counts.get(lane) ?? 0) + by;
  if (count <= 0) counts.delete(lane);
  else counts.set(lane, count);
}
