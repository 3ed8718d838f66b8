import { describe, expect, it } from 'vitest';
import * as lifecycle from '../../src/requests/lifecycle';
import type { EndedAttempt } from '../../src/requests/types';
import { createPresentRequest } from '../../src/requests/view';
import { eventBody, MAX_EVENT_BYTES, wants } from '../../src/webhooks/event';
import { failure, NOW, running, specOf, success } from '../support/states';

const present = createPresentRequest(() => ({ images: [] }));
const settled = (overrides = {}) =>
  lifecycle.settle(
    running('t', overrides),
    {
      token: 't',
      result: success,
      nextToken: null,
      decide: () => ({ next: 'wait', until: NOW, reason: 'backoff', inTurn: false }),
    },
    NOW + 5,
  );

const event = { type: 'request.succeeded' as const, version: 3, at: NOW + 5 };

describe('an event body', () => {
  it('has the type, the time, the sequence and the request', () => {
    const body = JSON.parse(eventBody(event, present(settled())));
    expect(body).toMatchObject({
      type: 'request.succeeded',
      timestamp: new Date(NOW + 5).toISOString(),
      sequence: 3,
      data: { id: specOf().id, status: 'succeeded', attempts: [{ number: 1 }] },
    });
  });

  it('stays under 20,000 bytes by cutting the oldest attempts, and says so', () => {
    const state = settled();
    const long = { code: 'x', message: 'é'.repeat(600) };
    const attempts = Array.from({ length: 30 }, (_, index) => ({
      ...(state.attempts[0] as EndedAttempt),
      number: index + 1,
      error: long,
    }));
    const body = eventBody(event, present({ ...state, attempts }));
    expect(new TextEncoder().encode(body).byteLength).toBeLessThan(MAX_EVENT_BYTES);
    const { data } = JSON.parse(body);
    expect(data.attempts_truncated).toBe(true);
    expect(data.attempts.at(-1).number).toBe(30);
  });

  it('stays under the limit even when the input alone would pass it', () => {
    const input = { prompt: '💥'.repeat(8_000), n: 2 };
    const body = eventBody(event, present(settled({ input })));
    expect(new TextEncoder().encode(body).byteLength).toBeLessThan(MAX_EVENT_BYTES);
    const { data } = JSON.parse(body);
    expect(data).toMatchObject({ input: { n: 2 }, input_truncated: true });
    expect(data.input).not.toHaveProperty('prompt');
    expect(data).not.toHaveProperty('metadata_truncated');
  });

  it('keeps of the metadata what there is room for, and says that it does', () => {
    const long = Array.from({ length: 15 }, (_, index) => [`k${index}`, '☃'.repeat(512)]);
    const metadata = { order: '42', ...Object.fromEntries(long) };
    const body = eventBody(event, present(settled({ metadata })));
    const bytes = new TextEncoder().encode(body).byteLength;
    expect(bytes).toBeLessThan(MAX_EVENT_BYTES);
    expect(bytes).toBeGreaterThan(MAX_EVENT_BYTES - 2_000);
    const { data } = JSON.parse(body);
    expect(data).toMatchObject({ metadata: { order: '42' }, metadata_truncated: true });
  });

  it('stays under the limit whatever the warnings are', () => {
    const state = { ...settled(), warnings: ['é'.repeat(15_000)] };
    const body = eventBody(event, present(state));
    expect(new TextEncoder().encode(body).byteLength).toBeLessThan(MAX_EVENT_BYTES);
  });

  it('is the same text for the same state', () => {
    const once = eventBody(event, present(settled()));
    expect(eventBody(event, present(settled()))).toBe(once);
  });
});

describe('a filter', () => {
  it.each([
    [['request.succeeded'], 'request.succeeded', true],
    [['request.failed'], 'request.succeeded', false],
    [['request.*'], 'request.expired', true],
    [[], 'request.failed', false],
  ])('%j on %s says %s', (filters, type, expected) => {
    expect(wants(filters, type)).toBe(expected);
  });
});

it('a failed attempt keeps the provider’s reason in the view', () => {
  const state = lifecycle.settle(
    running('t'),
    {
      token: 't',
      result: failure('throttled', { retryAfterMs: 3_000 }),
      nextToken: null,
      decide: () => ({ next: 'wait', until: NOW + 3_000, reason: 'throttled', inTurn: false }),
    },
    NOW + 5,
  );
  expect(present(state)).toMatchObject({
    status: 'queued',
    waiting: { reason: 'throttled', next_attempt_at: new Date(NOW + 3_000).toISOString() },
    attempts: [
      { outcome: 'throttled', error: { code: 'server_error', details: { retry_after_ms: 3_000 } } },
    ],
  });
});
