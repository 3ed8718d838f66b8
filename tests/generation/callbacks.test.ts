import { describe, expect, it } from 'vitest';
import { type CallbackPlace, callbackUrl, isGenuine } from '../../src/generation/callbacks';
import { signedUrl } from '../../src/images/links';

const secret = 's'.repeat(32);
const place: CallbackPlace = {
  userId: 'usr_0bbbbbbbbbbbbbbbbbbbbbbbbbb',
  requestId: 'req_0aaaaaaaaaaaaaaaaaaaaaaaaaa',
  attempt: 3,
};
const url = new URL(callbackUrl({ ...place, origin: 'https://foreman.test', secret }));
const signature = url.searchParams.get('signature') ?? '';

describe('a callback URL', () => {
  it('names the attempt and holds nothing but a signature beside', () => {
    expect(url.origin + url.pathname).toBe(
      'https://foreman.test/v1/callbacks/usr_0bbbbbbbbbbbbbbbbbbbbbbbbbb/req_0aaaaaaaaaaaaaaaaaaaaaaaaaa/3',
    );
    expect([...url.searchParams.keys()]).toEqual(['signature']);
    expect(signature).toMatch(/^[\w-]{43}$/);
    expect(url.href).not.toContain(secret);
  });

  it('is the same each time, as it is made anew by whoever asks again', () => {
    expect(callbackUrl({ ...place, origin: 'https://foreman.test', secret })).toBe(url.href);
  });
});

describe('a signature', () => {
  it('is genuine for its place', () => {
    expect(isGenuine({ ...place, signature, secret })).toBe(true);
  });

  it.each<[string, Partial<CallbackPlace & { signature: string; secret: string }>]>([
    ['another user', { userId: 'usr_0ccccccccccccccccccccccccccc' }],
    ['another request', { requestId: 'req_0ccccccccccccccccccccccccccc' }],
    ['another attempt', { attempt: 4 }],
    ['another secret', { secret: 't'.repeat(32) }],
    ['a changed character', { signature: `${signature.slice(0, -2)}AA` }],
    ['a character less', { signature: signature.slice(0, -1) }],
    ['a character more', { signature: `${signature}A` }],
    ['no signature', { signature: '' }],
    ['text beyond ASCII', { signature: 'é'.repeat(43) }],
  ])('is not genuine for %s', (_, change) => {
    expect(isGenuine({ ...place, signature, secret, ...change })).toBe(false);
  });

  it('of a link to an image opens no callback', () => {
    const link = signedUrl({
      origin: 'https://foreman.test',
      imageId: 'img_0aaaaaaaaaaaaaaaaaaaaaaaaaa_3_0',
      expiresAt: 4_000_000_000_000,
      secret,
    });
    const found = new URL(link).searchParams;
    for (const value of found.values()) {
      expect(isGenuine({ ...place, signature: value, secret })).toBe(false);
    }
    expect([...found.keys()].length).toBeGreaterThan(0);
  });
});
