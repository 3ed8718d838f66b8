import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AttemptOutcome,
  disabled,
  enabled,
  judge,
} from '../../../src/webhooks/endpoints/health';
import type { Endpoint } from '../../../src/webhooks/endpoints/types';
import { endpointWith, NOW } from './support';

const DAY = 24 * 3_600_000;
const FIVE_DAYS = 5 * DAY;

describe('an attempt', () => {
  const healthy = endpointWith();
  const failing = endpointWith({ failingSince: NOW });
  const off = endpointWith({ disabled: { reason: 'requested', at: NOW }, failingSince: NOW });

  it.each<[string, Endpoint, AttemptOutcome]>([
    ['a success of a healthy one', healthy, { status: 204, at: NOW + 1 }],
    ['one more failure within five days', failing, { status: 500, at: NOW + FIVE_DAYS - 1 }],
    ['a failure of a disabled one', off, { status: null, at: NOW + FIVE_DAYS }],
    ['a late success of a disabled one', off, { status: 200, at: NOW + 1 }],
    ['a 410 of a disabled one', off, { status: 410, at: NOW + 1 }],
  ])('changes nothing, and writes nothing: %s', (_, endpoint, outcome) => {
    expect(judge(endpoint, outcome)).toBe(endpoint);
  });

  it.each([301, 400, 404, 429, 500, 599, null])('that ends with %s begins a failure', (status) => {
    const next = judge(healthy, { status, at: NOW + 7 });
    expect(next).toEqual({ ...healthy, failingSince: NOW + 7 });
  });

  it.each([200, 202, 299])('that ends with %s forgets the failures', (status) => {
    const at = NOW + FIVE_DAYS;
    expect(judge(failing, { status, at })).toEqual({ ...failing, failingSince: null });
  });

  it.each([healthy, failing])('that ends with 410 disables at once', (endpoint) => {
    const next = judge(endpoint, { status: 410, at: NOW + 9 });
    expect(next).toMatchObject({
      disabled: { reason: 'gone', at: NOW + 9 },
      updatedAt: NOW + 9,
    });
  });

  it.each([500, null])('that ends with %s after five days of failure disables', (status) => {
    const at = NOW + FIVE_DAYS;
    expect(judge(failing, { status, at })).toMatchObject({ disabled: { reason: 'failing', at } });
  });
});

describe('being disabled', () => {
  it('keeps the first reason, and its end forgets what failed', () => {
    const off = disabled(endpointWith({ failingSince: NOW }), 'gone', NOW + 1);
    expect(disabled(off, 'requested', NOW + 2)).toBe(off);
    const on = enabled(off, NOW + 3);
    expect(on).toMatchObject({ disabled: null, failingSince: null, updatedAt: NOW + 3 });
    expect(enabled(on, NOW + 4)).toBe(on);
  });
});

it('an endpoint is disabled by a 410, or by nothing but failures for five days, and by nothing else', () => {
  const outcome = fc.record({
    wait: fc.integer({ min: 0, max: 2 * DAY }),
    status: fc.constantFrom<number | null>(200, 500, 500, 404, null, null),
  });
  const story = fc.record({
    outcomes: fc.array(outcome, { maxLength: 40 }),
    goneAt: fc.option(fc.nat({ max: 60 }), { nil: null }),
  });
  fc.assert(
    fc.property(story, ({ outcomes, goneAt }) => {
      let endpoint = endpointWith();
      let now = NOW;
      let failures: number[] = [];
      let expected: string | null = null;
      for (const [index, { wait, status: usual }] of outcomes.entries()) {
        const status = index === goneAt ? 410 : usual;
        now += wait;
        failures = status === 200 ? [] : [...failures, now];
        const lasted = now - (failures[0] ?? now);
        if (status === 410) expected ??= 'gone';
        else if (lasted >= FIVE_DAYS) expected ??= 'failing';
        endpoint = judge(endpoint, { status, at: now });
        expect(endpoint.disabled?.reason ?? null).toBe(expected);
        if (expected !== null) return;
        expect(endpoint.failingSince).toBe(failures[0] ?? null);
      }
    }),
  );
});
