import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { readSettings } from '../../../src/settings';

const [first, second, third] = ['first', 'second', 'third'].map(
  (name) => `${name}-${'x'.repeat(32)}`,
);
const signingWith = (changes: object) => readSettings({ ...env, ...changes }).keySigning;
const old = (secrets: object) => ({ KEY_SIGNING_SECRETS_OLD: JSON.stringify(secrets) });

describe('the secrets that keys are signed with', () => {
  it('are one, of version 1, unless more is said', () => {
    expect(signingWith({})).toEqual({ newest: 1, secrets: new Map([[1, env.KEY_SIGNING_SECRET]]) });
  });

  it('are the newest, which signs, and older ones by their versions', () => {
    const changes = { KEY_SIGNING_SECRET: third, KEY_SIGNING_VERSION: '127' };
    expect(signingWith({ ...changes, ...old({ 1: first, 126: second }) })).toEqual({
      newest: 127,
      secrets: new Map([
        [1, first],
        [126, second],
        [127, third],
      ]),
    });
  });

  it.each<[string, object, string]>([
    ['version 0', { KEY_SIGNING_VERSION: '0' }, 'KEY_SIGNING_VERSION'],
    ['version 128', { KEY_SIGNING_VERSION: '128' }, 'KEY_SIGNING_VERSION'],
    ['version 1.5', { KEY_SIGNING_VERSION: '1.5' }, 'KEY_SIGNING_VERSION'],
    ['an old version that is the newest', old({ 1: first }), 'version 1'],
    ['an old version above the newest', old({ 2: first }), 'version 2'],
    ['an old version in another spelling', old({ '01': first }), 'SECRETS_OLD'],
    ['a secret where the version should be', old({ [`${first}`]: '1' }), 'SECRETS_OLD'],
    ['an old secret that is short', old({ 1: 'short' }), 'SECRETS_OLD'],
    ['old secrets in a list', old([first]), 'SECRETS_OLD'],
    ['old secrets that are no JSON', { KEY_SIGNING_SECRETS_OLD: first }, 'SECRETS_OLD'],
  ])('are refused with %s, by the name of the setting and without a value', (_, changes, name) => {
    const refusal = () => signingWith(changes);
    expect(refusal).toThrow(name);
    expect(refusal).not.toThrow(/xxxx|short/);
  });

  it.each(['ADMIN_TOKEN', 'KEY_SIGNING_SECRET', 'LINK_SIGNING_SECRET'])(
    'are refused when an old one is %s',
    (name) => {
      const changes = { KEY_SIGNING_VERSION: '3', [name]: first, ...old({ 1: second, 2: first }) };
      expect(() => signingWith(changes)).toThrow(`version 2 must differ from ${name}`);
    },
  );

  it('are refused when two old ones are the same', () => {
    const changes = { KEY_SIGNING_VERSION: '3', ...old({ 1: first, 2: first }) };
    expect(() => signingWith(changes)).toThrow('version 2 must differ from that of version 1');
  });
});
