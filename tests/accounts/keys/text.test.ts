import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import readme from '../../../README.md?raw';
import { issueKey, type KeySigning, readKey } from '../../../src/accounts/keys/text';
import { newId } from '../../../src/platform/ids';

const secret = 'a signing secret of 32 characters or more';
const newer = 'another signing secret of 32 characters or more';
const signing: KeySigning = { newest: 1, secrets: new Map([[1, secret]]) };
const now = Date.UTC(2026, 10, 21);
const userId = newId('usr', now);
const keyId = newId('key', now);
const issue = (by = signing) => issueKey({ userId, keyId, signing: by });
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

const bytesOf = (key: string) => Buffer.from(key.slice(3, 135), 'base64url');

/** CRC-32 bit by bit, in base62: what a scanner would reckon for itself. */
function checksumOf(text: string): string {
  let crc = 0xffffffff;
  for (const byte of Buffer.from(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  let rest = (crc ^ 0xffffffff) >>> 0;
  let digits = '';
  for (; rest > 0; rest = Math.floor(rest / 62)) digits = BASE62[rest % 62] + digits;
  return digits.padStart(6, '0');
}
const withChecksum = (text: string) => text + checksumOf(text);

/** A key as they were made before there were checksums. */
function bareKey(version = 1, by = secret): string {
  const macKey = createHmac('sha256', by).update('foreman api key mac 1').digest();
  const body = Buffer.concat([
    Buffer.of(version),
    Buffer.from(userId.slice(4) + keyId.slice(4)),
    crypto.getRandomValues(Buffer.alloc(24)),
  ]);
  const mac = createHmac('sha256', macKey).update(body).digest().subarray(0, 20);
  return `fm_${Buffer.concat([body, mac]).toString('base64url')}`;
}

describe('a key', () => {
  it('says whose it is and what its secret hashes to', () => {
    const { key, secretHash } = issue();
    expect(readKey(key, signing)).toEqual({ userId, keyId, secretHash });
    expect(secretHash).toMatch(/^[0-9a-f]{64}$/);
  });

  it('is a prefix, base64url and a checksum, and fits a header', () => {
    expect(issue().key).toMatch(/^fm_[A-Za-z0-9_-]{132}[A-Za-z0-9]{6}$/);
  });

  it('has a secret of its own, even for the same ids', () => {
    expect(issue().key).not.toBe(issue().key);
  });

  it('does not contain the hash that the foreman keeps', () => {
    const { key, secretHash } = issue();
    expect(bytesOf(key).includes(Buffer.from(secretHash, 'hex'))).toBe(false);
  });

  it('is not issued for ids of another length, nor without a secret of the version', () => {
    expect(() => issueKey({ userId: 'usr_0', keyId, signing })).toThrow();
    expect(() => issue({ newest: 2, secrets: signing.secrets })).toThrow();
  });

  it.each([1, 2, 127])(
    'carries the version %i of its secret beside the bit for the checksum',
    (n) => {
      const by = { newest: n, secrets: new Map([[n, secret]]) };
      const { key, macVersion } = issue(by);
      expect([macVersion, bytesOf(key)[0]]).toEqual([n, 0x80 + n]);
      expect(readKey(key, by)).toMatchObject({ userId, keyId });
    },
  );

  it('from before there were checksums is good, with the secret of version 1', () => {
    expect(readKey(bareKey(), signing)).toMatchObject({ userId, keyId });
    expect(readKey(bareKey(2), { newest: 2, secrets: new Map([[2, secret]]) })).toBeNull();
  });
});

describe('a change of the signing secret', () => {
  const both: KeySigning = {
    newest: 2,
    secrets: new Map([
      [1, secret],
      [2, newer],
    ]),
  };
  const newest: KeySigning = { newest: 2, secrets: new Map([[2, newer]]) };

  it('leaves keys of the old one good as long as it is known, and signs with the new one', () => {
    for (const key of [issue().key, bareKey()]) {
      expect(readKey(key, both)).toMatchObject({ userId, keyId });
      expect(readKey(key, newest)).toBeNull();
    }
    expect(issue(both).macVersion).toBe(2);
    expect(readKey(issue(both).key, newest)).toMatchObject({ keyId });
  });

  it('does not let a key of one version pass as one of another', () => {
    const swapped = { newest: 2, secrets: new Map([...both.secrets].map(([n, s]) => [3 - n, s])) };
    for (const key of [issue(signing).key, issue(both).key, bareKey()]) {
      expect(readKey(key, swapped)).toBeNull();
    }
  });
});

describe('a leaked key', () => {
  const [, pattern = ''] = /`(\\bfm_[^`]+)`/.exec(readme) ?? [];
  const scanner = () => new RegExp(pattern, 'g');

  it('is found by the pattern of the README, wherever it stands', () => {
    for (let count = 0; count < 200; count += 1) {
      const newest = 1 + (count % 127);
      const { key } = issue({ newest, secrets: new Map([[newest, secret]]) });
      for (const text of [key, `Bearer ${key}\n`, `KEY="${key}"`, `?key=${key}&x=1`, `(${key}).`]) {
        expect(text.match(scanner())).toEqual([key]);
      }
    }
  });

  it('is told from noise by its checksum, without any secret', () => {
    const { key } = issue();
    expect(withChecksum(key.slice(0, 135))).toBe(key);
  });
});

describe('what is not a key', () => {
  const { key } = issue();
  const bare = bareKey();

  it('is one of another signing secret', () => {
    expect(readKey(key, { newest: 1, secrets: new Map([[1, `${secret}.`]]) })).toBeNull();
  });

  it.each([
    ['today', key],
    ['before there were checksums', bare],
  ])('is a key of %s with any one character changed', (_, genuine) => {
    const others = [...BASE64URL, '~', ' '];
    for (let at = 0; at < genuine.length; at += 1) {
      for (const other of others.filter((_other, index) => (index + at) % 7 === 0)) {
        if (genuine[at] === other) continue;
        const forged = genuine.slice(0, at) + other + genuine.slice(at + 1);
        expect(readKey(forged, signing), `character ${at} as ${other}`).toBeNull();
      }
    }
  });

  it('is a key with one byte changed and a checksum that fits', () => {
    for (let at = 0; at < 99; at += 1) {
      const bytes = bytesOf(key);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      const forged = withChecksum(`fm_${bytes.toString('base64url')}`);
      expect(readKey(forged, signing), `byte ${at}`).toBeNull();
    }
  });

  it('is any other spelling of the last character: none decodes to the same bytes', () => {
    for (const [text, at] of [
      [key, 134],
      [key, 140],
      [bare, 134],
    ] as const) {
      const accepted = [...BASE64URL].filter((other) =>
        readKey(text.slice(0, at) + other + text.slice(at + 1), signing),
      );
      expect(accepted).toEqual([text[at]]);
    }
  });

  it('is a key without its checksum, and one that had none with one', () => {
    expect(readKey(key.slice(0, 135), signing)).toBeNull();
    expect(readKey(withChecksum(bare), signing)).toBeNull();
  });

  it('is refused by its checksum before a secret is looked at', () => {
    const untouchable = { newest: 1, secrets: new Map([[1, secret]]) };
    untouchable.secrets.get = () => {
      throw new Error('a MAC was to be computed');
    };
    expect(() => readKey(key, untouchable)).toThrow();
    for (const wrong of [
      key.slice(0, 135),
      `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`,
    ]) {
      expect(readKey(wrong, untouchable)).toBeNull();
    }
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
    ['the key twice', key + key],
    ['a look-alike letter', `${key.slice(0, -1)}А`],
    ['10,000 characters', `fm_${'A'.repeat(9_997)}`],
    ['zeros of the right length', `fm_${'A'.repeat(132)}`],
    ['zeros with a checksum that fits', withChecksum(`fm_${'A'.repeat(132)}`)],
    ['a version that is none', withChecksum(`fm_g${'A'.repeat(131)}`)],
  ])('is %s', (_, text) => {
    expect(readKey(text, signing)).toBeNull();
  });

  it('is a key cut short or gone on with, anywhere and by anything', () => {
    for (const genuine of [key, bare]) {
      for (let length = 0; length < genuine.length; length += 1) {
        expect(readKey(genuine.slice(0, length), signing)).toBeNull();
        expect(readKey(genuine.slice(genuine.length - length), signing)).toBeNull();
      }
      const more = fc.string({ unit: fc.constantFrom(...BASE64URL), minLength: 1, maxLength: 9 });
      fc.assert(
        fc.property(more, (text) => {
          expect(readKey(genuine + text, signing)).toBeNull();
          expect(readKey(text + genuine, signing)).toBeNull();
        }),
      );
    }
  });

  it('is the same bytes in plain base64', () => {
    let candidate = issue().key;
    while (!/[-_]/.test(candidate.slice(3))) candidate = issue().key;
    const plain = candidate.slice(3, 135).replaceAll('-', '+').replaceAll('_', '/');
    expect(readKey(withChecksum(`fm_${plain}`), signing)).toBeNull();
  });

  it('is a version that no secret signs', () => {
    for (const version of [0, 2, 0x80, 0x82, 0xff]) {
      const bytes = bytesOf(key);
      bytes[0] = version;
      const text = `fm_${bytes.toString('base64url')}`;
      expect(readKey(text, signing)).toBeNull();
      expect(readKey(withChecksum(text), signing)).toBeNull();
    }
  });

  it('is any text that a stranger makes up', () => {
    const shaped = fc
      .string({ unit: fc.constantFrom(...BASE64URL), minLength: 132, maxLength: 132 })
      .map((chars) => `fm_${chars}`);
    fc.assert(
      fc.property(
        fc.oneof(shaped, shaped.map(withChecksum), fc.string({ unit: 'binary' })),
        (text) => {
          expect(readKey(text, signing)).toBeNull();
        },
      ),
      { numRuns: 300 },
    );
  });
});
