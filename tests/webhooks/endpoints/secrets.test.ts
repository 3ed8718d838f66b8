import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isReplay,
  madeBefore,
  remembered,
  rotated,
  signingSecrets,
} from '../../../src/webhooks/endpoints/secrets';
import type {
  Endpoint,
  SecretRotation,
  SigningSecret,
} from '../../../src/webhooks/endpoints/types';
import { presentEndpoint } from '../../../src/webhooks/endpoints/view';
import { endpointWith, NOW } from './support';

const HOUR = 3_600_000;
const named = (secret: string): SigningSecret => ({ secret, expiresAt: null });

describe('a rotation', () => {
  it('lets both sign until the overlap ends, the newest first, and then the new one alone', () => {
    const secrets = rotated([named('a')], named('b'), { overlapMs: HOUR, now: NOW });
    expect(signingSecrets(secrets, NOW)).toEqual(['b', 'a']);
    expect(signingSecrets(secrets, NOW + HOUR - 1)).toEqual(['b', 'a']);
    expect(signingSecrets(secrets, NOW + HOUR)).toEqual(['b']);
  });

  it('without an overlap ends the old one at once', () => {
    const secrets = rotated([named('a')], named('b'), { overlapMs: 0, now: NOW });
    expect(secrets).toEqual([named('b')]);
  });

  it('within an overlap ends the oldest at once, and gives the one before it its own time', () => {
    const first = rotated([named('a')], named('b'), { overlapMs: HOUR, now: NOW });
    const second = rotated(first, named('c'), { overlapMs: 2 * HOUR, now: NOW + 1 });
    expect(signingSecrets(second, NOW + 1)).toEqual(['c', 'b']);
    expect(signingSecrets(second, NOW + 2 * HOUR)).toEqual(['c', 'b']);
    expect(signingSecrets(second, NOW + 2 * HOUR + 1)).toEqual(['c']);
  });

  it('whatever comes before it leaves one or two that sign, and the newest is the last that was made', () => {
    const step = fc.record({
      wait: fc.nat({ max: 3 * HOUR }),
      overlapMs: fc.nat({ max: 2 * HOUR }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), fc.nat({ max: 3 * HOUR }), (steps, later) => {
        let secrets: readonly SigningSecret[] = [named('0')];
        let now = NOW;
        for (const [index, { wait, overlapMs }] of steps.entries()) {
          now += wait;
          secrets = rotated(secrets, named(String(index + 1)), { overlapMs, now });
        }
        const last = steps.at(-1);
        const isOverlap = last !== undefined && later < last.overlapMs;
        const newest = [String(steps.length), String(steps.length - 1)];
        expect(signingSecrets(secrets, now + later)).toEqual(newest.slice(0, isOverlap ? 2 : 1));
      }),
    );
  });

  it('shows until when the old secret signs, and nothing once it does not', () => {
    const made = { createdAt: NOW, madeBy: null };
    const next = { ...named('whsec_two'), ...made };
    const overlap = { overlapMs: HOUR, now: NOW };
    const endpoint = endpointWith({ secrets: rotated(endpointWith().secrets, next, overlap) });
    const shown = (now: number) => presentEndpoint(endpoint, now).previous_secret_expires_at;
    expect(shown(NOW)).toBe(new Date(NOW + HOUR).toISOString());
    expect(shown(NOW + HOUR)).toBeNull();
    expect(JSON.stringify(presentEndpoint(endpoint, NOW))).not.toContain('whsec_');
  });
});

it.each([
  ['the same key within a day', 'k', 'k', 24 * HOUR - 1, true],
  ['the same key after a day', 'k', 'k', 24 * HOUR, false],
  ['another key', 'k', 'other', 1, false],
  ['no key, of what was made without one', null, null, 1, false],
  ['a key, of what was made without one', null, 'k', 1, false],
])('%s asks for what was made: %#', (_, madeBy, key, age, expected) => {
  expect(isReplay({ madeBy, at: NOW }, key, { now: NOW + age })).toBe(expected);
});

describe('a rotation with a key', () => {
  type State = Pick<Endpoint, 'secrets' | 'rotations'>;
  const { secrets, rotations } = endpointWith();
  const asked = (madeBy: string | null, secret: string, overlapMs = HOUR): SecretRotation => ({
    ...{ madeBy, secret, overlapMs },
  });
  const made = (state: State, rotation: SecretRotation, now: number): State => {
    const { madeBy, secret, overlapMs } = rotation;
    const next = { secret, madeBy, createdAt: now, expiresAt: null };
    return {
      secrets: rotated(state.secrets, next, { overlapMs, now }),
      rotations: remembered(state.rotations, rotation, now),
    };
  };
  const first = made({ secrets, rotations }, asked('a', 'A'), NOW);
  const second = made(first, asked('b', 'B'), NOW + 1);
  const third = made(second, asked(null, 'C', 0), NOW + 2);
  const again = asked('a', 'another');

  it.each<[string, State, SecretRotation, number, object | null]>([
    ['the newest', first, again, NOW, { secret: 'A' }],
    ['followed by another, while it signs', second, again, NOW + HOUR, { secret: 'A' }],
    ['that has expired', second, again, NOW + HOUR + 1, { refusal: 'followed' }],
    ['that another has ended', third, again, NOW + 2, { refusal: 'followed' }],
    ['with another overlap', second, asked('a', 'another', 0), NOW + 1, { refusal: 'mismatch' }],
    ['of more than a day ago', second, again, NOW + 24 * HOUR, null],
    ['of no key', second, asked(null, 'another'), NOW + 1, null],
    ['of a new key', second, asked('c', 'another'), NOW + 1, null],
    ['asked for once more by ourselves', second, asked(null, 'A'), NOW + 1, { secret: 'A' }],
  ])('finds what it has made: %s', (_, state, rotation, now, expected) => {
    const found = madeBefore(state, rotation, now);
    if (expected === null) expect(found).toBeNull();
    else expect(found).toMatchObject(expected);
  });

  it('is remembered for a day, without its secret, and no more than ten are', () => {
    expect(second.rotations).toEqual([
      { key: 'b', overlapMs: HOUR, at: NOW + 1 },
      { key: 'a', overlapMs: HOUR, at: NOW },
    ]);
    const keys = (state: State) => state.rotations.map(({ key }) => key);
    expect(keys(made(second, asked(null, 'C'), NOW + 24 * HOUR))).toEqual(['b']);
    const letters = [...'cdefghijkl'];
    const all = letters.reduce((state, key) => made(state, asked(key, key), NOW + 2), second);
    expect(keys(all)).toEqual(letters.toReversed());
  });
});
