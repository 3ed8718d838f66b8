import { describe, expect, it } from 'vitest';
import {
  between,
  createRandom,
  hashAt,
  hashText,
  pick,
  subkey,
} from '../../../../src/generation/providers/sketch/random';

describe('hashes', () => {
  it('are unsigned 32-bit whole numbers, also for negative cells', () => {
    for (const hash of [hashText(''), hashText('雪'), hashAt(-1, -5, 2 ** 31), subkey(0, 'sky')]) {
      expect(hash).toBe(hash >>> 0);
    }
  });

  it.each([
    ['ab', 'ba'],
    ['a', 'a '],
    ['', ' '],
    ['A', 'a'],
  ])('of "%s" and "%s" differ', (one, other) => {
    expect(hashText(one)).not.toBe(hashText(other));
  });

  it('never meet on a 64 x 64 grid', () => {
    const seen = new Set<number>();
    for (let y = 0; y < 64; y++) for (let x = 0; x < 64; x++) seen.add(hashAt(9, x, y));
    expect(seen.size).toBe(4096);
  });
});

describe('createRandom', () => {
  it('gives one stream per key, evenly spread in [0, 1)', () => {
    const [one, same, other] = [createRandom(5), createRandom(5), createRandom(6)];
    const drawn = Array.from({ length: 4000 }, () => one());
    expect(drawn.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => same()));
    expect(drawn[0]).not.toBe(other());
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...drawn)).toBeLessThan(1);
    expect(drawn.reduce((sum, value) => sum + value, 0) / 4000).toBeCloseTo(0.5, 1);
  });

  it('feeds between and pick, which stay in their range and reach all of it', () => {
    const random = createRandom(3);
    const values = Array.from({ length: 200 }, () => between(random, -2, 3));
    expect(Math.min(...values)).toBeGreaterThanOrEqual(-2);
    expect(Math.max(...values)).toBeLessThan(3);
    const picked = new Set(Array.from({ length: 100 }, () => pick(random, ['a', 'b', 'c'])));
    expect(picked).toEqual(new Set(['a', 'b', 'c']));
  });
});
