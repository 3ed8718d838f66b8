// What an app's token stands for, whatever the authorization server has kept in it.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createOpenGrant } from '../../../src/accounts/grants/opening';
import { audienceAt, grantScopes } from '../../../src/accounts/grants/types';
import { newId } from '../../../src/platform/ids';

const from = { address: null, correlationId: 'c' };
const [userId, keyId] = [newId('usr', 1), newId('key', 1)];
const valid = { userId, grantId: 'g', clientId: 'c', scopes: grantScopes, expiresAt: 5 };
const brought = { token: 't', audience: 'https://foreman.test/mcp', from };
const open = (props: unknown, scopes: readonly string[] = grantScopes) =>
  createOpenGrant(async () => ({ ...valid, scopes, props }))(brought);

describe('a token of an app', () => {
  it('stands for its user, by leave of the key', async () => {
    expect(await open({ userId, keyId, scopes: ['requests:read'] })).toEqual({
      ...{ via: 'grant', userId, from, grantId: 'g', clientId: 'c', expiresAt: 5 },
      scopes: ['requests:read'],
      mintedBy: { via: 'key', keyId },
    });
  });

  it('is for no more than was agreed to, and than it says itself', async () => {
    const some = fc.subarray([...grantScopes]);
    await fc.assert(
      fc.asyncProperty(some, fc.array(fc.string()), some, async (agreed, noise, own) => {
        const opened = await open({ userId, keyId, scopes: agreed }, [...own, ...noise]);
        expect(opened?.scopes).toEqual(agreed.filter((scope) => own.includes(scope)));
      }),
    );
  });

  it.each([
    ['of another user', { userId: newId('usr', 2), keyId, scopes: [] }],
    ['of no user', { userId: 'nobody', keyId, scopes: [] }],
    ['without a key', { userId, scopes: [] }],
    ['of a scope that apps do not get', { userId, keyId, scopes: ['admin'] }],
    ['of nothing', null],
  ])('opens nothing when what is kept in it is %s', async (_, props) => {
    expect(await open(props)).toBeNull();
  });
});

describe('the audience of tokens', () => {
  it.each([
    ['https://foreman.example', 'https://foreman.example/mcp'],
    ['http://localhost:8787', 'http://localhost:8787/mcp'],
    ['http://127.0.0.1', 'http://127.0.0.1/mcp'],
    ['http://[::1]:8787', 'http://[::1]:8787/mcp'],
    ['http://foreman.example', null],
    ['http://192.168.1.5:8787', null],
    ['http://127.0.0.1.example.com', null],
    ['http://localhost.example.com', null],
  ])('at %s is %s', (origin, audience) => {
    expect(audienceAt(origin)).toBe(audience);
  });
});
