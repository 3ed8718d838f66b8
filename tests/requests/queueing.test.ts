import { describe, expect, it } from 'vitest';
import { confirmDueAt } from '../../src/platform/backoff';
import * as lifecycle from '../../src/requests/lifecycle';
import { dueAt, phaseOf, rankOf } from '../../src/requests/queueing';
import { NOW, queued, released, running } from '../support/states';

const HOT = 86_400_000;

describe('order', () => {
  it('puts a higher priority first, and the older first within one', () => {
    const high = rankOf({ priority: 'high', createdAt: NOW });
    const normal = rankOf({ priority: 'normal', createdAt: NOW });
    const low = rankOf({ priority: 'low', createdAt: NOW });
    expect(high).toBeLessThan(normal);
    expect(normal).toBeLessThan(low);
    expect(rankOf({ priority: 'normal', createdAt: NOW - 1 })).toBeLessThan(normal);
  });

  it('raises a waiting request one level a minute against newer ones', () => {
    const low = rankOf({ priority: 'low', createdAt: NOW });
    expect(low).toBeGreaterThan(rankOf({ priority: 'normal', createdAt: NOW + 59_999 }));
    expect(low).toBeLessThan(rankOf({ priority: 'normal', createdAt: NOW + 60_001 }));
    expect(low).toBeLessThan(rankOf({ priority: 'high', createdAt: NOW + 120_001 }));
  });
});

describe('the next due time', () => {
  it('of a held request is its deadline', () => {
    expect(dueAt(queued(), HOT)).toBe(NOW + 900_000);
  });

  it('of a released request is when its wake-up must be sent again', () => {
    const once = released();
    expect(dueAt(once, HOT)).toBe(NOW + 15_000);
    expect(dueAt(lifecycle.resend(once, NOW + 15_000), HOT)).toBe(NOW + 45_000);
  });

  it('never lies behind the deadline', () => {
    expect(dueAt(released({ deadlineAt: NOW + 5_000 }), HOT)).toBe(NOW + 5_000);
  });

  it('of a running request is its deadline: leases live in memory', () => {
    expect(dueAt(running(), HOT)).toBe(NOW + 900_000);
  });

  it('of a finished request is its hand-over to D1', () => {
    const state = lifecycle.cancel(queued(), NOW + 7);
    expect(phaseOf(state)).toBe('finished');
    expect(dueAt(state, HOT)).toBe(NOW + 7 + HOT);
  });
});

it('an unconfirmed wake-up is sent again after 15 s, doubling to 5 minutes', () => {
  const waits = [1, 2, 3, 4, 5, 6, 7, 50].map((sends) => confirmDueAt({ sentAt: 0, sends }));
  expect(waits).toEqual([15, 30, 60, 120, 240, 300, 300, 300].map((seconds) => seconds * 1000));
});
