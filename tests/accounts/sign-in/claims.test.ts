import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nameSchema } from '../../../src/accounts/contract';
import { type Claims, signedInBy } from '../../../src/accounts/sign-in/claims';

const now = Date.UTC(2026, 10, 21);
const base = { sub: 'ada', exp: now / 1000 + 300 };
const read = (claims: Claims) => signedInBy({ ...base, ...claims }, now);

describe('the scopes of a token', () => {
  const both = ['requests:read', 'requests:write'];
  it.each<[string, Claims, readonly string[]]>([
    ['nothing is said', {}, both],
    ['only scopes of others are named', { scope: 'openid profile' }, both],
    ['one is named among others', { scope: 'openid requests:read' }, ['requests:read']],
    ['a list names one', { scp: ['requests:write'] }, ['requests:write']],
    ['a text of several names both', { scp: 'requests:write requests:read' }, both],
    ['both claims name one each', { scope: 'requests:read', scp: ['requests:write'] }, both],
    ['it would be an admin’s', { scope: 'admin worker' }, both],
    ['it would be an admin’s, and more', { scope: 'admin requests:read' }, ['requests:read']],
    ['they are no text', { scope: { admin: true }, scp: [1, null] }, both],
  ])('are those that it names, else the usual ones: %s', (_, claims, scopes) => {
    expect(read(claims)?.scopes).toEqual(scopes);
  });
});

describe('the name of a new user', () => {
  it.each<[Claims, string]>([
    [{ name: 'Ada Lovelace', email: 'ada@example.com' }, 'Ada Lovelace'],
    [{ name: ' \n', email: 'ada@example.com', preferred_username: 'ada' }, 'ada@example.com'],
    [{ name: 7, preferred_username: 'countess' }, 'countess'],
    [{}, 'ada'],
    [{ name: `a\u0000b${'c'.repeat(200)}` }, `a b${'c'.repeat(97)}`],
    [{ name: `${'a'.repeat(99)}🎨` }, 'a'.repeat(99)],
  ])('of %j is %s', (claims, name) => {
    expect(read(claims)?.name).toBe(name);
  });

  it('is one that an operator could have given, whatever the claims hold', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }));
    const claims = fc.record({ sub: text, name: text, email: text }, { requiredKeys: [] });
    fc.assert(
      fc.property(claims, (given) => {
        const found = read(given);
        expect(found === null || nameSchema.safeParse(found.name).success).toBe(true);
      }),
    );
  });
});

describe('a subject', () => {
  it.each(['', ' ', 'a\u0000', '\uD800', 7, null, ['ada'], 'a'.repeat(256)])('is not %j', (sub) => {
    expect(read({ sub })).toBeNull();
  });
});

it('a token that never ends has an end that can be stored', () => {
  expect(read({ exp: 1e308 })?.expiresAt).toBe(Number.MAX_SAFE_INTEGER);
});
