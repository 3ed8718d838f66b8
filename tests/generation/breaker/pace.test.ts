import { describe, expect, it } from 'vitest';
import { paceOf, type Runs, withRun } from '../../../src/generation/breaker/pace';

const upTo = (n: number) => Array.from({ length: n }, (_, index) => (index + 1) * 100);

describe('a pace', () => {
  it.each<[string, Runs, ReturnType<typeof paceOf>]>([
    ['is unknown without runs', [], null],
    ['is unknown below 10 runs', upTo(9), null],
    ['is that of a run which was measured', upTo(10), { p50Ms: 500, p90Ms: 900 }],
    ['does not depend on the order', upTo(10).reverse(), { p50Ms: 500, p90Ms: 900 }],
    ['is not carried off by one slow run', [...upTo(9), 900_000], { p50Ms: 500, p90Ms: 900 }],
  ])('%s', (_, runs, pace) => {
    expect(paceOf(runs)).toEqual(pace);
  });

  it('is that of the last 100 runs', () => {
    const runs = [...Array(50).fill(9_000), ...Array(100).fill(10)].reduce(withRun, [] as Runs);
    expect(runs).toHaveLength(100);
    expect(paceOf(runs)).toEqual({ p50Ms: 10, p90Ms: 10 });
  });

  it('takes no run for shorter than nothing, whatever the clocks say', () => {
    expect(withRun([], -5)).toEqual([0]);
  });
});
