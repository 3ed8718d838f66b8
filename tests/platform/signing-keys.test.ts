import { env } from 'cloudflare:workers';
import { createHash, createHmac, createPrivateKey, createPublicKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createSigningKeys } from '../../src/platform/signing-keys';
import { readSettings } from '../../src/settings';

const [first, second] = ['a', 'b'].map((letter) => letter.repeat(32)) as [string, string];
const PURPOSE = 'foreman.test.v1\nsomebody';
const keysOf = (secret: string, previous: string | null = null) =>
  createSigningKeys({ secret, previous });

describe('a pair', () => {
  it('is the one of RFC 8032 whose seed is the HMAC of the purpose', async () => {
    const seed = createHmac('sha256', first).update(PURPOSE).digest();
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
    const expected = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
    const { publicKey } = await keysOf(first).pairFor(PURPOSE);
    expect(publicKey.x).toBe(expected.export({ format: 'jwk' }).x);
  });

  it('is named by its RFC 7638 thumbprint, and its public half has nothing private', async () => {
    const [published] = await keysOf(first).publicKeysFor(PURPOSE);
    const canonical = `{"crv":"Ed25519","kty":"OKP","x":"${published?.x}"}`;
    const kid = createHash('sha256').update(canonical).digest('base64url');
    const { x } = published ?? {};
    expect(published).toEqual({ kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'EdDSA', use: 'sig' });
  });

  it('is the same in every isolate, and another for each purpose and secret', async () => {
    const kidOf = async (secret: string, purpose: string) =>
      (await keysOf(secret).pairFor(purpose)).publicKey.kid;
    expect(await kidOf(first, PURPOSE)).toBe(await kidOf(first, PURPOSE));
    const others = [kidOf(first, PURPOSE), kidOf(first, `${PURPOSE}2`), kidOf(second, PURPOSE)];
    expect(new Set(await Promise.all(others)).size).toBe(3);
  });

  it('is derived once while it is in use, and of many no more than some are kept', async () => {
    const keys = keysOf(first);
    const pair = await keys.pairFor(PURPOSE);
    const each = async (from: number, to: number) => {
      for (let index = from; index < to; index += 1) await keys.pairFor(`other ${index}`);
    };
    await each(0, 400);
    expect(await keys.pairFor(PURPOSE)).toBe(pair);
    await each(400, 800);
    expect(await keys.pairFor(PURPOSE)).toBe(pair);
    await each(800, 1_301);
    const again = await keys.pairFor(PURPOSE);
    expect(again).not.toBe(pair);
    expect(again.publicKey).toEqual(pair.publicKey);
  });
});

describe('a rotation', () => {
  it('publishes the old half behind the new, which alone signs', async () => {
    const [before] = await keysOf(first).publicKeysFor(PURPOSE);
    const during = keysOf(second, first);
    const { publicKey: signs } = await during.pairFor(PURPOSE);
    expect(signs.kid).not.toBe(before?.kid);
    expect(await during.publicKeysFor(PURPOSE)).toEqual([signs, before]);
    expect(await keysOf(second).publicKeysFor(PURPOSE)).toEqual([signs]);
  });
});

describe('the secrets of key pairs', () => {
  const read = (changes: object) => readSettings({ ...env, ...changes });
  const link = env.LINK_SIGNING_SECRET;

  it('are that of links until there is one of their own', () => {
    expect(read({}).settings.signing).toEqual({ secret: link, previous: null });
    const own = { SIGNING_SECRET: first, SIGNING_SECRET_PREVIOUS: second };
    expect(read(own).settings.signing).toEqual({ secret: first, previous: second });
  });

  it('may be followed by that of links, which was theirs before', () => {
    const changes = { SIGNING_SECRET: first, SIGNING_SECRET_PREVIOUS: link };
    expect(read(changes).settings.signing).toEqual({ secret: first, previous: link });
  });

  it.each<[string, object, string]>([
    ['too short', { SIGNING_SECRET: 'short' }, 'SIGNING_SECRET must have 32'],
    ['the previous too short', { SIGNING_SECRET_PREVIOUS: 'short' }, 'SIGNING_SECRET_PREVIOUS'],
    ['that of links', { SIGNING_SECRET: link }, 'SIGNING_SECRET must differ from LINK_'],
    ['the admin token', { SIGNING_SECRET: env.ADMIN_TOKEN }, 'must differ from ADMIN_TOKEN'],
    [
      'the same as the previous',
      { SIGNING_SECRET: first, SIGNING_SECRET_PREVIOUS: first },
      'SIGNING_SECRET_PREVIOUS must differ from SIGNING_SECRET',
    ],
    [
      'that of links, and so is the previous',
      { SIGNING_SECRET_PREVIOUS: link },
      'SIGNING_SECRET_PREVIOUS must differ from LINK_SIGNING_SECRET',
    ],
    [
      'an old secret of keys',
      {
        SIGNING_SECRET: first,
        KEY_SIGNING_VERSION: '2',
        KEY_SIGNING_SECRETS_OLD: JSON.stringify({ 1: first }),
      },
      'version 1 must differ from SIGNING_SECRET',
    ],
  ])('are refused when they are %s, by name and without the value', (_, changes, message) => {
    expect(() => read(changes)).toThrow(message);
    expect(() => read(changes)).not.toThrow(/aaaa|bbbb/);
  });
});
