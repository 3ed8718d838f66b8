import { describe, expect, it } from 'vitest';
import { isId, newId } from '../../src/platform/ids';
import { letterOf, readMessage, revivalOf } from '../../src/requests/dead-letters';

const NOW = 1_800_000_000_000;
const user = newId('usr', NOW);
const request = newId('req', NOW);
const delivery = newId('dlv', NOW);

const run = { type: 'generation.run', v: 1, user, request, release: 3, correlation_id: 'c-1' };
const cancel = { type: 'generation.cancel', v: 1, user, job: 'token', correlation_id: 'c-2' };
const deliver = { type: 'webhook.deliver', v: 1, user, delivery, correlation_id: 'c-3' };
const wake = { type: 'projection.wake', v: 1, user };

const bury = (body: unknown) =>
  letterOf({ queue: 'foreman-dead-letters', body, reason: 'r' }, readMessage(body), NOW);

describe('a letter', () => {
  it.each([
    ['generation.run', run, 'foreman-generation', request, 'c-1'],
    ['generation.cancel', cancel, 'foreman-generation', null, 'c-2'],
    ['webhook.deliver', deliver, 'foreman-webhooks', null, 'c-3'],
    ['projection.wake', wake, 'foreman-events', null, null],
  ])(
    'of %s says where it was on its way to, and whose it is',
    (type, body, queue, requestId, correlationId) => {
      const { id, ...letter } = bury(body);
      expect(isId('ded', id)).toBe(true);
      expect(letter).toEqual({
        type,
        queue,
        message: body,
        reason: 'r',
        userId: user,
        requestId,
        correlationId,
        createdAt: NOW,
        replayedAt: null,
        replayedAs: null,
      });
    },
  );

  it.each([
    ['nothing', undefined, 'not JSON'],
    ['null', null, null],
    ['a text', 'generation.run', 'generation.run'],
    ['an unknown type', { type: 'dance' }, { type: 'dance' }],
    ['another version', { ...wake, v: 2 }, { ...wake, v: 2 }],
    ['a type without its fields', { ...run, release: 'one' }, { ...run, release: 'one' }],
    ['what JSON cannot say', { big: 1n }, 'not JSON'],
    ['what is no message by its length', ['x'.repeat(3_000)], `["${'x'.repeat(1_998)}`],
  ])('of %s is unknown, keeps what can be kept, and is nobody’s', (_, body, message) => {
    expect(bury(body)).toMatchObject({
      type: 'unknown',
      queue: 'foreman-dead-letters',
      message,
      userId: null,
      requestId: null,
      correlationId: null,
    });
  });
});

describe('what a request is made again as', () => {
  it('is an id of a request, always the same and of no other', () => {
    const again = revivalOf(request);
    expect(isId('req', again)).toBe(true);
    expect(again).toBe(revivalOf(request));
    expect(new Set([request, again, revivalOf(again), revivalOf(newId('req', NOW))]).size).toBe(4);
  });
});
