import { createHmac } from 'node:crypto';
import { exportSPKI, importJWK, type JWTPayload } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import type { SignInSettings } from '../../../src/accounts/sign-in/settings';
import { createSignIn, type SignInDeps } from '../../../src/accounts/sign-in/sign-in';
import type { By, UserId } from '../../../src/accounts/types';
import { newId } from '../../../src/platform/ids';
import { createLogger } from '../../../src/platform/log';
import { forged, keySet, newSigning, type Signing, signed } from '../../support/issuer';
import { type Script, scriptedFetch } from '../../support/scripted-fetch';

const ISSUER = 'https://login.test/';
const KEYS = 'https://login.test/keys';
const TEAM = 'https://acme.cloudflareaccess.com';
const START = Date.UTC(2026, 10, 21);
const MINUTE = 60_000;
const from = { address: '192.0.2.1', correlationId: 'correlation-1' };
const userId = newId('usr', START);

let rsa: Signing;
let ec: Signing;
let stranger: Signing;

beforeAll(async () => {
  [rsa, ec, stranger] = await Promise.all([
    newSigning('RS256'),
    newSigning('ES256'),
    newSigning('ES256'),
  ]);
});

const settings: SignInSettings = {
  bearer: { issuer: ISSUER, audiences: ['foreman', 'pictures'], keysUrl: KEYS },
  access: { issuer: TEAM, audiences: ['tag'], keysUrl: `${TEAM}/cdn-cgi/access/certs` },
  createUsers: false,
  allowLocal: false,
};
const seconds = START / 1000;
const claims: JWTPayload = { iss: ISSUER, aud: 'foreman', sub: 'ada', exp: seconds + 300 };
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const serving =
  (...signings: readonly Signing[]): Script =>
  () =>
    Response.json(keySet(...signings));
const away: Script = () => new Response(null, { status: 503 });

type Changes = Partial<Pick<SignInDeps, 'findUser' | 'ensureUser'>> & {
  readonly settings?: Partial<SignInSettings>;
  /** What else there is in the world, by `METHOD url`. */
  readonly pages?: Record<string, Script>;
};

/** Sign-in as one isolate has it, with a clock of its own and the keys behind a script. */
function isolate(script: Script | readonly Script[] = serving(rsa, ec), changes: Changes = {}) {
  let now = START;
  const reasons: unknown[] = [];
  const { settings: given, pages, ...users } = changes;
  const world = scriptedFetch({ [`GET ${KEYS}`]: script, ...pages });
  const signIn = createSignIn({
    findUser: async () => userId,
    ensureUser: () => Promise.reject(new Error('nobody is made')),
    ...users,
    settings: { ...settings, ...given },
    fetch: world.fetch,
    sleep: () => scheduler.wait(0),
    keepAlive: () => {},
    now: () => now,
    log: createLogger((line) => reasons.push(JSON.parse(line).reason)),
  });
  const ask = (headers: Record<string, string>) => signIn({ headers: new Headers(headers), from });
  return {
    ask,
    signIn: async (token: string | Promise<string>) => ask(bearer(await token)),
    advance: (ms: number) => {
      now += ms;
    },
    calls: world.calls,
    reasons,
  };
}

describe('a token', () => {
  it.each(['RS256', 'RS512', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'])(
    'signed with %s stands for the user of its subject',
    async (alg) => {
      const signing = await newSigning(alg);
      const asked: string[] = [];
      const findUser = async (externalId: string) => {
        asked.push(externalId);
        return userId;
      };
      const { signIn } = isolate(serving(signing), { findUser });
      expect(await signIn(signed(claims, signing))).toEqual({
        ...{ via: 'token', userId, from, issuer: ISSUER, subject: 'ada' },
        scopes: ['requests:read', 'requests:write'],
        expiresAt: START + 330_000,
      });
      expect(asked).toEqual([`${ISSUER}|ada`]);
    },
  );

  const wrong: readonly (readonly [string, () => string | Promise<string>, string | null])[] = [
    ['no signature', () => forged({ alg: 'none' }, claims, () => ''), null],
    ['alg none', () => forged({ alg: 'none' }, claims, () => 'AAAA'), 'ERR_JOSE_ALG_NOT_ALLOWED'],
    ['the public key as a shared secret', asSecret, 'ERR_JOSE_ALG_NOT_ALLOWED'],
    ['a key of its own in its header', ownKey, 'ERR_JWKS_NO_MATCHING_KEY'],
    [
      'another’s signature',
      () => signed(claims, stranger),
      'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
    ],
    ['a signature of other claims', otherClaims, 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED'],
    ['an unknown key', () => signed(claims, { ...ec, kid: 'x' }), 'ERR_JWKS_NO_MATCHING_KEY'],
    [
      'a key of another kind',
      () => signed(claims, { ...ec, kid: rsa.kid }),
      'ERR_JWKS_NO_MATCHING_KEY',
    ],
    ['a critical extension', critical, 'ERR_JOSE_NOT_SUPPORTED'],
    ...changed('another issuer', { iss: 'https://login.test' }, 'iss'),
    ...changed('no issuer', { iss: undefined }, 'iss'),
    ...changed('another audience', { aud: ['other', 'Foreman'] }, 'aud'),
    ...changed('no audience', { aud: undefined }, 'aud'),
    ...changed('a time that is over', { exp: seconds - 30 }, 'exp', 'ERR_JWT_EXPIRED'),
    ...changed('no end', { exp: undefined }, 'exp'),
    ...changed('a start that is to come', { nbf: seconds + 31 }, 'nbf'),
    ...changed('no subject', { sub: undefined }, 'sub'),
    ['an empty subject', () => signed({ ...claims, sub: '' }, ec), 'claims'],
    ['a subject without end', () => signed({ ...claims, sub: 'a'.repeat(256) }, ec), 'claims'],
    ['an issue that is to come', () => signed({ ...claims, iat: seconds + 31 }, ec), 'claims'],
    ['8 kB', () => signed({ ...claims, note: 'a'.repeat(6_000) }, ec), null],
    ['a fourth part', async () => `${await signed(claims, ec)}.e30`, null],
  ];
  it.each(wrong)('with %s stands for nobody', async (_, make, reason) => {
    const { signIn, reasons } = isolate();
    expect(await signIn(make())).toBeNull();
    expect(reasons).toEqual(reason === null ? [] : [reason]);
  });

  it('may be off by half a minute, as clocks are', async () => {
    const { signIn } = isolate();
    const early = { nbf: seconds + 30, iat: seconds + 30 };
    expect(await signIn(signed({ ...claims, ...early }, ec))).not.toBeNull();
    expect(await signIn(signed({ ...claims, exp: seconds - 29 }, ec))).not.toBeNull();
  });

  it('may be for several, of whom this is one', async () => {
    const { signIn } = isolate();
    expect(await signIn(signed({ ...claims, aud: ['other', 'pictures'] }, ec))).not.toBeNull();
  });

  it('that cannot be good is not worth a look at the issuer’s keys', async () => {
    const { ask, calls } = isolate();
    for (const text of [
      'e30.e30',
      'fm_e30.e30.e30',
      forged({ alg: 'HS256' }, claims, () => 'AA'),
    ]) {
      expect(await ask(bearer(text))).toBeNull();
    }
    expect(calls).toEqual([]);
  });

  function changed(
    what: string,
    changes: JWTPayload,
    claim: string,
    code = 'ERR_JWT_CLAIM_VALIDATION_FAILED',
  ) {
    return [[what, () => signed({ ...claims, ...changes }, ec), `${code} ${claim}`] as const];
  }

  async function asSecret() {
    const key = await importJWK(rsa.publicJwk, 'RS256', { extractable: true });
    const secret = await exportSPKI(key as CryptoKey);
    const hmac = (text: string) => createHmac('sha256', secret).update(text).digest('base64url');
    return forged({ alg: 'HS256', kid: rsa.kid }, claims, hmac);
  }

  async function ownKey() {
    const header = { jwk: stranger.publicJwk, jku: 'https://evil.test/keys' };
    const token = await signed(claims, { ...stranger, kid: 'evil' });
    return forged(
      { alg: 'ES256', kid: 'evil', ...header },
      claims,
      () => token.split('.')[2] ?? '',
    );
  }

  async function otherClaims() {
    const [, , signature = ''] = (await signed(claims, ec)).split('.');
    const header = { alg: ec.alg, kid: ec.kid, typ: 'JWT' };
    return forged(header, { ...claims, sub: 'bob' }, () => signature);
  }

  function critical() {
    return forged({ alg: 'ES256', kid: ec.kid, crit: ['x'], x: 1 }, claims, () => 'AAAA');
  }
});

describe('where a token stands', () => {
  const access = (token: string) => ({ 'cf-access-jwt-assertion': token });

  it.each<[string, (token: string) => Record<string, string>, boolean]>([
    ['alone in its header', access, true],
    ['on a page of our own', (t) => ({ ...access(t), 'sec-fetch-site': 'same-origin' }), true],
    ['with an address that was typed', (t) => ({ ...access(t), 'sec-fetch-site': 'none' }), true],
    ['on a page of a neighbour', (t) => ({ ...access(t), 'sec-fetch-site': 'same-site' }), false],
    ['on one of a stranger', (t) => ({ ...access(t), 'sec-fetch-site': 'cross-site' }), false],
    ['on one that is unheard of', (t) => ({ ...access(t), 'sec-fetch-site': 'moon' }), false],
    ['beside another authorization', (t) => ({ ...access(t), authorization: 'Basic YTpi' }), false],
    ['as a bearer', bearer, false],
  ])('decides about one of Access: %s', async (_, headersOf, isIn) => {
    const pages = { [`GET ${TEAM}/cdn-cgi/access/certs`]: serving(ec) };
    const { ask } = isolate(serving(ec), { pages });
    const token = await signed({ ...claims, iss: TEAM, aud: ['tag'] }, ec);
    expect((await ask(headersOf(token)))?.issuer).toBe(isIn ? TEAM : undefined);
  });

  it('does not make a token of the other issuer one of Access', async () => {
    const pages = { [`GET ${TEAM}/cdn-cgi/access/certs`]: serving(ec) };
    const { ask } = isolate(serving(ec), { pages });
    expect(await ask(access(await signed(claims, ec)))).toBeNull();
  });

  it('does not matter where no issuer is trusted', async () => {
    const none = { bearer: null, access: null };
    const { ask, calls } = isolate(serving(ec), { settings: none });
    const token = await signed(claims, ec);
    expect([await ask(bearer(token)), await ask(access(token))]).toEqual([null, null]);
    expect(calls).toEqual([]);
  });
});

describe('the issuer’s keys', () => {
  const refusedFor = 5_000;

  it('are read once for any number of requests at once', async () => {
    const { signIn, calls } = isolate();
    const token = await signed(claims, ec);
    const all = await Promise.all(Array.from({ length: 50 }, () => signIn(token)));
    expect(all.filter((one) => one?.userId === userId)).toHaveLength(50);
    expect(calls).toHaveLength(1);
  });

  it('are read again for a key that is new, by all who bring one', async () => {
    const next = await newSigning('ES256', 'next');
    const { signIn, calls, advance } = isolate([serving(ec), serving(ec, next)]);
    expect(await signIn(signed(claims, ec))).not.toBeNull();
    advance(MINUTE);
    const token = await signed(claims, next);
    const all = await Promise.all([signIn(token), signIn(token), signIn(signed(claims, ec))]);
    expect(all).not.toContain(null);
    expect(calls).toHaveLength(2);
  });

  it('are not read at the will of whoever makes up keys', async () => {
    const { signIn, calls, advance } = isolate();
    const unknown = (kid: string) => signed(claims, { ...ec, kid });
    await signIn(signed(claims, ec));
    for (const kid of ['a', 'b', 'c']) expect(await signIn(unknown(kid))).toBeNull();
    expect(calls).toHaveLength(1);
    advance(30_000);
    await Promise.all(['d', 'e', 'f'].map((kid) => signIn(unknown(kid))));
    expect(calls).toHaveLength(2);
  });

  it('that were withdrawn are refused after ten minutes', async () => {
    const { signIn, advance } = isolate([serving(ec, rsa), serving(rsa)]);
    const token = await signed({ ...claims, exp: seconds + 3_600 }, ec);
    expect(await signIn(token)).not.toBeNull();
    advance(10 * MINUTE);
    expect(await signIn(token)).toBeNull();
  });

  it('serve on while the issuer is away, and are asked for every half minute', async () => {
    const { signIn, advance, calls } = isolate([serving(ec), away]);
    const token = await signed({ ...claims, exp: seconds + 7_200 }, ec);
    await signIn(token);
    advance(60 * MINUTE);
    for (let asked = 0; asked < 3; asked += 1) expect(await signIn(token)).not.toBeNull();
    expect(calls).toHaveLength(2);
    advance(30_000);
    expect(await signIn(token)).not.toBeNull();
    expect(calls).toHaveLength(3);
  });

  it.each<[string, Script]>([
    ['an issuer that is away', away],
    ['no line to it', () => Promise.reject(new TypeError('Network connection lost.'))],
    ['no JSON', () => new Response('<html>')],
    ['no key set', () => Response.json({ keys: 'none' })],
    ['a way to another place', () => Response.redirect('https://evil.test/keys', 302)],
  ])('without which nobody can be known are unavailable for now: %s', async (_, fault) => {
    const { signIn, advance, calls } = isolate([fault, serving(ec)]);
    const token = await signed(claims, ec);
    const unavailable = { code: 'unavailable', details: { retryAfterMs: refusedFor } };
    await expect(signIn(token)).rejects.toMatchObject(unavailable);
    await expect(signIn(token)).rejects.toMatchObject(unavailable);
    expect(calls).toHaveLength(1);
    advance(refusedFor);
    expect(await signIn(token)).not.toBeNull();
  });

  it('are asked for again when whoever asked for them is gone', async () => {
    const never: Script = () => new Promise(() => {});
    const { signIn, calls, advance } = isolate([never, serving(ec)]);
    const token = await signed(claims, ec);
    void signIn(token);
    await expect.poll(() => calls.length).toBe(1);
    const waiting = [signIn(token), signIn(token)];
    advance(5_000);
    expect(await Promise.all(waiting)).not.toContain(null);
    expect(calls).toHaveLength(2);
  });
});

describe('an issuer’s discovery document', () => {
  const DOCUMENT = 'https://login.test/.well-known/openid-configuration';
  const MOVED = 'https://login.test/moved';
  const withDiscovery = (document: unknown, keys = serving(ec)) => {
    const documents = [document, { issuer: ISSUER, jwks_uri: MOVED }];
    return isolate(keys, {
      settings: { bearer: { issuer: ISSUER, audiences: ['foreman'], keysUrl: null } },
      pages: {
        [`GET ${DOCUMENT}`]: () => Response.json(documents.shift()),
        [`GET ${MOVED}`]: serving(rsa),
      },
    });
  };
  const found = { issuer: ISSUER, jwks_uri: KEYS };
  const long = { ...claims, exp: seconds + 3_600 };

  it('is read with the keys, which may move', async () => {
    const { signIn, calls, advance } = withDiscovery(found);
    expect(await signIn(signed(long, ec))).not.toBeNull();
    expect(await signIn(signed(long, ec))).not.toBeNull();
    advance(10 * MINUTE);
    expect(await signIn(signed(long, rsa))).not.toBeNull();
    expect(await signIn(signed(long, ec))).toBeNull();
    expect(calls.map(({ url }) => url)).toEqual([DOCUMENT, KEYS, DOCUMENT, MOVED]);
  });

  it('is read again when there are no keys where it said', async () => {
    const { signIn, advance } = withDiscovery(found, away);
    const token = await signed(long, rsa);
    await expect(signIn(token)).rejects.toMatchObject({ code: 'unavailable' });
    advance(5_000);
    expect(await signIn(token)).not.toBeNull();
  });

  it('leads to a key that is new, half a minute after the last look', async () => {
    const { signIn, advance } = withDiscovery(found);
    await signIn(signed(claims, ec));
    advance(30_000);
    expect(await signIn(signed(claims, rsa))).not.toBeNull();
  });

  it.each([
    ['of another issuer', { issuer: 'https://login.test', jwks_uri: KEYS }],
    ['with keys on an open line', { issuer: ISSUER, jwks_uri: 'http://login.test/keys' }],
    ['without keys', { issuer: ISSUER }],
    ['that is none', null],
  ])('%s is not believed', async (_, document) => {
    const { signIn, calls } = withDiscovery(document);
    await expect(signIn(signed(claims, ec))).rejects.toMatchObject({ code: 'unavailable' });
    expect(calls).toHaveLength(1);
  });
});

describe('a subject', () => {
  it('without a user is told so, and not that the token is bad', async () => {
    const { signIn } = isolate(serving(ec), { findUser: async () => null });
    const told = { code: 'forbidden', message: expect.stringContaining('No account') };
    await expect(signIn(signed(claims, ec))).rejects.toMatchObject(told);
  });

  it('gets a user where the operator says so, on record as its own doing', async () => {
    const made: { externalId: string; name: string; by: By }[] = [];
    const ensureUser: SignInDeps['ensureUser'] = async (input) => {
      made.push(input);
      return userId;
    };
    const { signIn } = isolate(serving(ec), { ensureUser, settings: { createUsers: true } });
    await signIn(signed({ ...claims, email: 'ada@example.com' }, ec));
    const by = { actor: { type: 'token', id: `${ISSUER}|ada` }, from };
    expect(made).toEqual([{ externalId: `${ISSUER}|ada`, name: 'ada@example.com', by }]);
  });

  it('is remembered for five minutes, then asked for again', async () => {
    const users: UserId[] = [userId, newId('usr', START)];
    const asked: string[] = [];
    const findUser = async (externalId: string) => users[asked.push(externalId) - 1] ?? null;
    const { signIn, advance } = isolate(serving(ec), { findUser });
    const token = await signed({ ...claims, exp: seconds + 900 }, ec);
    const whose = async () => (await signIn(token))?.userId;
    expect([await whose(), await whose()]).toEqual([users[0], users[0]]);
    advance(5 * MINUTE);
    expect(await whose()).toBe(users[1]);
  });

  it('of which there are too many to remember is asked for again', async () => {
    let asked = 0;
    const findUser = async () => {
      asked += 1;
      return userId;
    };
    const { signIn } = isolate(serving(ec), { findUser });
    const tokenOf = (number: number) => signed({ ...claims, sub: `user-${number}` }, ec);
    for (let number = 0; number <= 1_000; number += 1) await signIn(tokenOf(number));
    await signIn(tokenOf(0));
    expect(asked).toBe(1_002);
  });
});
