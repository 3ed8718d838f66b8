import { describe, expect, it } from 'vitest';
import type { Whence } from '../../src/platform/actor';
import { createLogger } from '../../src/platform/log';
import { createShield } from '../../src/platform/shield';

/** A limiter of the test's own, for what the real one never does. */
function shieldOver(limit: RateLimit['limit'] | null) {
  const lines: string[] = [];
  const keys: string[] = [];
  const limiter: RateLimit | undefined = limit
    ? {
        limit(options) {
          keys.push(options.key);
          return limit(options);
        },
      }
    : undefined;
  const log = createLogger((line) => lines.push(line));
  return { shield: createShield({ limiter, log, timeoutMs: 20 }), lines, keys };
}

const from = (address: string | null): Whence => ({ address, correlationId: 'c' });
const refused = async () => ({ success: false });

describe('the shield', () => {
  it.each<[string, RateLimit['limit']]>([
    ['throws', () => Promise.reject(new Error('broken'))],
    [
      'throws at once',
      () => {
        throw new Error('broken');
      },
    ],
    ['never answers', () => new Promise(() => {})],
  ])('lets through when its binding %s, and says so without the address', async (_, limit) => {
    const { shield, lines } = shieldOver(limit);
    await shield.count('auth', from('192.0.2.7'));
    expect(lines.map((line) => JSON.parse(line).event)).toEqual(['shield.unreachable']);
    expect(lines.join()).not.toContain('192.0.2.7');
  });

  it.each([
    ['without a binding', null, '192.0.2.7'],
    ['without an address', refused, null],
  ])('counts nothing %s', async (_, limit, address) => {
    const { shield, keys, lines } = shieldOver(limit);
    await shield.count('admin', from(address));
    expect([keys, lines]).toEqual([[], []]);
  });

  it('counts a request once per purpose, however often it is asked', async () => {
    const { shield, keys } = shieldOver(async () => ({ success: true }));
    const one = from('192.0.2.7');
    for (const purpose of ['auth', 'admin', 'auth'] as const) await shield.count(purpose, one);
    await shield.count('auth', from('192.0.2.7'));
    expect(keys).toEqual(['auth:192.0.2.7', 'admin:192.0.2.7', 'auth:192.0.2.7']);
  });

  it('says what happened, and when to come again', async () => {
    const { shield } = shieldOver(refused);
    await expect(shield.count('link', from('192.0.2.7'))).rejects.toMatchObject({
      code: 'too_many_from_address',
      message: expect.stringContaining('signed links'),
      details: { retryAfterMs: 60_000 },
    });
  });
});
