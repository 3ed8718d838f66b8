import { describe, expect, it } from 'vitest';
import { imageIdOf } from '../../src/images/keys';
import { imageUrl, signedQuery, signedUrl, verifyLink } from '../../src/images/links';
import { newId } from '../../src/platform/ids';
import { NOW } from './support';

const secret = 'a-link-signing-secret-of-some-length';
const imageId = imageIdOf({ requestId: newId('req', NOW), attempt: 1, index: 0 });
const other = imageIdOf({ requestId: newId('req', NOW), attempt: 1, index: 0 });
const expiresAt = NOW + 60_000;
const link = { imageId, ...signedQuery({ imageId, expiresAt, secret }), secret, now: NOW };

describe('a signed link', () => {
  it('is the same for the same input', () => {
    const input = { origin: 'https://foreman.test', imageId, expiresAt, secret };
    expect(signedUrl(input)).toBe(signedUrl({ ...input }));
    expect(signedUrl(input)).toBe(
      `https://foreman.test/v1/images/${imageId}/content?expires=${link.expires}&signature=${link.signature}`,
    );
  });

  it('needs no escaping', () => {
    expect(link.expires).toMatch(/^\d+$/);
    expect(link.signature).toMatch(/^[\w-]{43}$/);
  });

  it('opens its image until the second it expires in', () => {
    const end = Number(link.expires) * 1000;
    expect(end).toBeLessThanOrEqual(expiresAt);
    expect(verifyLink(link)).toBe('valid');
    expect(verifyLink({ ...link, now: end - 1 })).toBe('valid');
    expect(verifyLink({ ...link, now: end })).toBe('expired');
  });

  it.each<[string, Partial<typeof link>]>([
    ['another image', { imageId: other }],
    ['a later expiry', { expires: String(Number(link.expires) + 1) }],
    ['another secret', { secret: `${secret}!` }],
    ['an empty signature', { signature: '' }],
    ['a cut signature', { signature: link.signature.slice(0, -1) }],
    ['a signature with more behind it', { signature: `${link.signature}=` }],
    ['a long signature', { signature: 'a'.repeat(10_000) }],
    ['a signature that is not ASCII', { signature: 'ß'.repeat(43) }],
    ['no expiry', { expires: '' }],
    ['an expiry with a zero ahead', { expires: `0${link.expires}` }],
    ['an expiry with a fraction', { expires: `${link.expires}.0` }],
    ['an expiry with a sign', { expires: `+${link.expires}` }],
    ['an expiry in hex', { expires: '0xffffffff' }],
    ['an endless expiry', { expires: '9'.repeat(400) }],
  ])('is invalid with %s', (_, change) => {
    expect(verifyLink({ ...link, ...change })).toBe('invalid');
  });

  it('has one spelling: another base64url text for the same bytes is invalid', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(link.signature.slice(-1));
    const twin = link.signature.slice(0, -1) + alphabet[last ^ 1];
    expect(Buffer.from(twin, 'base64url')).toEqual(Buffer.from(link.signature, 'base64url'));
    expect(verifyLink({ ...link, signature: twin })).toBe('invalid');
  });

  it('says expired of genuine links only', () => {
    const late = { ...link, now: expiresAt + 60_000 };
    expect(verifyLink(late)).toBe('expired');
    expect(verifyLink({ ...late, imageId: other })).toBe('invalid');
  });
});

it('the stable address of an image has no signature', () => {
  expect(imageUrl('https://foreman.test', imageId)).toBe(
    `https://foreman.test/v1/images/${imageId}/content`,
  );
});
