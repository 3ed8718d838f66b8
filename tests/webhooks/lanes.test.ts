import { describe, expect, it } from 'vitest';
import {
  createLanes,
  LANE_IN_FLIGHT,
  type Lanes,
  laneOf,
  mayGo,
  moveBack,
  nextLane,
  USER_IN_FLIGHT,
} from '../../src/webhooks/lanes';

const lanesWith = (of: { inFlight?: [string, number][]; waiting?: [string, number][] }): Lanes => ({
  inFlight: new Map(of.inFlight),
  waiting: new Map(of.waiting),
});
const dead = (count: number, each: number): [string, number][] =>
  Array.from({ length: count }, (_, index) => [`dead-${index}`, each]);

describe('the lane of a delivery', () => {
  it.each([
    ['whk_0a', 'https://a.example.com/x', 'whk_0a'],
    [null, 'https://a.example.com/x?y#z', 'https://a.example.com'],
    [null, 'https://A.example.com:443?y', 'https://a.example.com'],
    [null, 'http://127.0.0.1:8080/x', 'http://127.0.0.1:8080'],
    [null, 'nonsense', 'nonsense'],
  ])('to %s at %s is %s', (endpointId, url, lane) => {
    expect(laneOf({ endpointId, url })).toBe(lane);
  });
});

describe('a place', () => {
  it.each([
    ['is free where nothing is under way', {}, true],
    ['is free below the lane’s limit', { inFlight: [['a', LANE_IN_FLIGHT - 1]] }, true],
    ['is not free in a full lane', { inFlight: [['a', LANE_IN_FLIGHT]] }, false],
    ['is not free before those who wait', { waiting: [['a', 1]] }, false],
    ['is free whoever waits for another lane', { waiting: [['b', 1]] }, true],
    ['is free beside six full lanes', { inFlight: dead(6, 5) }, true],
    ['is not a second one beside six full lanes', { inFlight: [['a', 1], ...dead(6, 5)] }, false],
    ['is free for the last lane the user may have', { inFlight: dead(49, 1) }, true],
    ['is not free beyond the user’s limit', { inFlight: dead(USER_IN_FLIGHT, 1) }, false],
  ] as [string, Parameters<typeof lanesWith>[0], boolean][])('%s', (_, lanes, isFree) => {
    expect(mayGo(lanesWith(lanes), 'a')).toBe(isFree);
  });
});

describe('the next lane', () => {
  it('is nobody’s when nobody waits, and when there is no room', () => {
    expect(nextLane(createLanes())).toBeNull();
    expect(nextLane(lanesWith({ waiting: [['a', 1]], inFlight: [['a', 5]] }))).toBeNull();
    const full = { waiting: [['a', 1]] as [string, number][], inFlight: dead(50, 1) };
    expect(nextLane(lanesWith(full))).toBeNull();
  });

  it('is the one with the fewest under way', () => {
    const inFlight: [string, number][] = [
      ['a', 2],
      ['b', 1],
    ];
    const lanes = lanesWith({
      inFlight,
      waiting: [
        ['a', 9],
        ['b', 1],
      ],
    });
    expect(nextLane(lanes)).toBe('b');
  });

  it('goes round, so that none with the same claim is passed over', () => {
    const lanes = lanesWith({
      waiting: [
        ['a', 3],
        ['b', 3],
        ['c', 3],
      ],
    });
    const served = Array.from({ length: 6 }, () => {
      const lane = nextLane(lanes) ?? '';
      moveBack(lanes, lane);
      return lane;
    });
    expect(served).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
  });
});
