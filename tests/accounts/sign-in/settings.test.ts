import { describe, expect, it } from 'vitest';
import { readSignInSettings } from '../../../src/accounts/sign-in/settings';

const jwt = { JWT_ISSUER: 'https://login.test/', JWT_AUDIENCE: 'foreman' };
const access = { ACCESS_TEAM_DOMAIN: 'acme.cloudflareaccess.com', ACCESS_AUDIENCE: 'tag' };
const local = { ENVIRONMENT: 'local', ALLOW_LOCAL_URLS: 'true' };
const production = { ENVIRONMENT: 'production', ALLOW_LOCAL_URLS: 'false' };

describe('settings of sign-in', () => {
  it('are none unless they are given, and nobody gets a user', () => {
    const unset = { JWT_ISSUER: '', JWT_AUDIENCE: '', JWT_CREATE_USERS: '', ACCESS_AUDIENCE: '' };
    const none = { bearer: null, access: null, createUsers: false, allowLocal: false };
    expect(readSignInSettings({ ...production, ...unset })).toEqual(none);
  });

  it('name an issuer to the letter, and who may be meant', () => {
    const given = { ...jwt, JWT_AUDIENCE: 'foreman, api://pictures', JWT_CREATE_USERS: 'true' };
    expect(readSignInSettings({ ...production, ...given })).toMatchObject({
      bearer: {
        issuer: 'https://login.test/',
        audiences: ['foreman', 'api://pictures'],
        keysUrl: null,
      },
      createUsers: true,
    });
  });

  it('know where Access has its keys', () => {
    expect(readSignInSettings({ ...production, ...access }).access).toEqual({
      issuer: 'https://acme.cloudflareaccess.com',
      audiences: ['tag'],
      keysUrl: 'https://acme.cloudflareaccess.com/cdn-cgi/access/certs',
    });
  });

  it.each([
    ['an issuer for everybody', { JWT_ISSUER: jwt.JWT_ISSUER }, 'JWT_AUDIENCE'],
    ['an audience of nobody', { JWT_AUDIENCE: 'foreman' }, 'JWT_ISSUER'],
    ['keys of nobody', { JWT_JWKS_URL: 'https://login.test/keys' }, 'JWT_ISSUER'],
    ['an audience without a name', { ...jwt, JWT_AUDIENCE: 'foreman,' }, 'JWT_AUDIENCE'],
    ['an issuer that is no URL', { ...jwt, JWT_ISSUER: 'login.test' }, 'JWT_ISSUER'],
    ['an issuer with a query', { ...jwt, JWT_ISSUER: 'https://login.test/?a=b' }, 'JWT_ISSUER'],
    ['an issuer with a password', { ...jwt, JWT_ISSUER: 'https://a:b@login.test' }, 'JWT_ISSUER'],
    ['keys that are no URL', { ...jwt, JWT_JWKS_URL: '/keys' }, 'JWT_JWKS_URL'],
    ['a flag that is none', { ...jwt, JWT_CREATE_USERS: 'yes' }, 'JWT_CREATE_USERS'],
    ['users of nobody', { JWT_CREATE_USERS: 'true' }, 'JWT_CREATE_USERS'],
    ['a team for everybody', { ACCESS_TEAM_DOMAIN: 'acme.test' }, 'ACCESS_AUDIENCE'],
    ['a tag of nobody', { ACCESS_AUDIENCE: 'tag' }, 'ACCESS_TEAM_DOMAIN'],
    ['a team’s URL', { ...access, ACCESS_TEAM_DOMAIN: 'https://a.test' }, 'ACCESS_TEAM_DOMAIN'],
  ])('with %s are refused by name', (_, given, name) => {
    expect(() => readSignInSettings({ ...local, ...given })).toThrow(`  ${name} `);
  });

  it('may say that nobody gets a user, or that all of Access do', () => {
    const create = (value: string, rest = {}) =>
      readSignInSettings({ ...production, JWT_CREATE_USERS: value, ...rest }).createUsers;
    expect([create('false'), create('true', access)]).toEqual([false, true]);
  });

  it.each(['JWT_ISSUER', 'JWT_JWKS_URL'])(
    'take %s over an open line on this machine only',
    (name) => {
      const here = { ...jwt, [name]: 'http://127.0.0.1:9000' };
      expect(readSignInSettings({ ...local, ...here }).bearer).not.toBeNull();
      expect(() => readSignInSettings({ ...production, ...here })).toThrow(name);
      const there = { ...jwt, [name]: 'http://login.test' };
      expect(() => readSignInSettings({ ...local, ...there })).toThrow(name);
    },
  );
});
