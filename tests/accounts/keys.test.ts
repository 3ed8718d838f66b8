import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { issueKey, readKey } from '../../src/accounts/keys';
import { newId } from '../../src/platform/ids';

const signingSecret = 'a signing secret of 32 characters or more';
const now = Date.UTC(2026, 10, 21);
const userId = newId('usr', now);
const keyId = newId('key', now);
const issue = () => issueKey({ userId, keyId, signingSecret });
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

describe('a key', () => {
  it('says whose it is and what its secret hashes to', () => {
    const { key, secretHash } = issue();
    expect(readKey(key, signingSecret)).toEqual({ userId, keyId, secretHash });
    expect(secretHash).toMatch(/^[0-9a-f]{64}$/);
  });

  it('is a prefix and base64url, and fits a header', () => {
    expect(issue().key).toMatch(/^fm_[A-Za-z0-9_-]{132}$/);
  });

  it('has a secret of its own, even for the same ids', () => {
    expect(issue().key).not.toBe(issue().key);
  });

  it('does not contain the hash that the foreman keeps', () => {
    const { key, secretHash } = issue();
    const bytes = Buffer.from(key.slice(3), 'base64url');
    expect(bytes.includes(Buffer.from(secretHash, 'hex'))).toBe(false);
  });

  it('carries its MAC version, so that a version can retire', () => {
    const { key, macVersion } = issue();
    expect(Buffer.from(key.slice(3), 'base64url')[0]).toBe(macVersion);
  });

  it('is not issued for ids of another length', () => {
    expect(() => issueKey({ userId: 'usr_0', keyId, signingSecret })).toThrow();
  });
});

describe('what is not a key', () => {
  const { key } = issue();

  it('is one of another signing secret', () => {
    expect(readKey(key, `${signingSecret}.`)).toBeNull();
  });

  it('is a key with any one character changed', () => {
    for (let at = 0; at < key.length; at += 1) {
      for (const other of ['A', 'B', '_', '~']) {
        if (key[at] === other) continue;
        const forged = key.slice(0, at) + other + key.slice(at + 1);
        expect(readKey(forged, signingSecret), `character ${at} as ${other}`).toBeNull();
      }
    }
  });

  it('is any other spelling of the last character: none decodes to the same bytes', () => {
    const accepted = [...BASE64URL].filter((last) =>
      readKey(key.slice(0, -1) + last, signingSecret),
    );
    expect(accepted).toEqual([key.at(-1)]);
  });

  it.each([
    ['an empty text', ''],
    ['the prefix alone', 'fm_'],
    ['no prefix', key.slice(3)],
    ['another prefix', `FM_${key.slice(3)}`],
    ['padding', `${key}=`],
    ['double padding', `${key}==`],
    ['a space in front', ` ${key}`],
    ['a line feed behind', `${key}\n`],
    ['a zero byte behind', `${key}\0`],
    ['one character less', key.slice(0, -1)],
    ['one character more', `${key}A`],
    ['four characters more', `${key}AAAA`],
    ['the key twice', key + key],
    ['a look-alike letter', `${key.slice(0, -1)}А`],
    ['10,000 characters', `fm_${'A'.repeat(9_997)}`],
    ['zeros of the right length', `fm_${'A'.repeat(132)}`],
  ])('is %s', (_, text) => {
    expect(readKey(text, signingSecret)).toBeNull();
  });

  it('is the same bytes in plain base64', () => {
    let candidate = issue().key;
    while (!/[-_]/.test(candidate.slice(3))) candidate = issue().key;
    const plain = `fm_${candidate.slice(3).replaceAll('-', '+').replaceAll('_', '/')}`;
    expect(readKey(plain, signingSecret)).toBeNull();
  });

  it('is a version that no secret signs', () => {
    const bytes = Buffer.from(key.slice(3), 'base64url');
    for (const version of [0, 2, 255]) {
      bytes[0] = version;
      expect(readKey(`fm_${bytes.toString('base64url')}`, signingSecret)).toBeNull();
    }
  });

  it('is any text that a stranger makes up', () => {
    const shaped = fc
      .array(fc.constantFrom(...BASE64URL), { minLength: 132, maxLength: 132 })
      .map((chars) => `fm_${chars.join('')}`);
    fc.assert(
      fc.property(fc.oneof(shaped, fc.string({ unit: 'binary' })), (text) => {
        expect(readKey(text, signingSecret)).toBeNull();
      }),
      { numRuns: 300 },
    );
  });
});
