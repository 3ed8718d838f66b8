import { evictDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createUserNames } from '../../src/accounts/directory';
import { foremanFor } from '../../src/foreman/stub';
import { newId } from '../../src/platform/ids';
import { createServices } from '../../src/services';
import { by } from '../support/foreman';
import { faulted, faults, guarded, resetFaults } from '../support/worker';

const world = guarded(env);
const names = createUserNames(world);
const { accounts } = createServices(world);

const newName = () => `customer-${crypto.randomUUID()}`;
const newUser = () => newId('usr', Date.now());
const accountOf = (id: ReturnType<typeof newUser>) => foremanFor(env, id).getAccount();

beforeEach(() => {
  vi.spyOn(console, 'warn').mockImplementation(() => {});
});
afterEach(() => {
  resetFaults();
  vi.restoreAllMocks();
});

describe('a name', () => {
  it('is of the first who claims it, for every later one too', async () => {
    const [name, first, second] = [newName(), newUser(), newUser()];
    expect(await names.find(name)).toBeNull();
    expect(await names.claim(name, first)).toBe(first);
    expect(await names.claim(name, second)).toBe(first);
    expect(await names.claim(name, first)).toBe(first);
    expect(await names.find(name)).toBe(first);
  });

  it('outlives its object', async () => {
    const [name, user] = [newName(), newUser()];
    await names.claim(name, user);
    const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(name));
    await evictDurableObject(env.DIRECTORY.getByName(Buffer.from(bytes).toString('hex')));
    expect(await names.claim(name, newUser())).toBe(user);
  });

  it('is free again once its user lets it go, and only then', async () => {
    const [name, first, second] = [newName(), newUser(), newUser()];
    await names.claim(name, first);
    await names.release(name, second);
    expect(await names.find(name)).toBe(first);
    await names.release(name, first);
    await names.release(name, first);
    expect(await names.claim(name, second)).toBe(second);
  });

  it('is of one, however many claim it at once', () =>
    fc.assert(
      fc.asyncProperty(fc.string({ minLength: 1, maxLength: 200 }), fc.nat(8), async (text, n) => {
        const name = `${text}${crypto.randomUUID()}`;
        const claims = Array.from({ length: n + 2 }, () => names.claim(name, newUser()));
        const owners = new Set(await Promise.all(claims));
        expect([...owners]).toEqual([await names.find(name)]);
      }),
      { numRuns: 20 },
    ));

  it('is claimed once when the answer got lost', async () => {
    const [name, user] = [newName(), newUser()];
    Object.assign(faults, { directory: 'lose_answer', times: 1 });
    expect(await names.claim(name, user)).toBe(user);
    expect(faulted.directory).toBe(1);
    expect(await names.find(name)).toBe(user);
  });

  it('that cannot be asked for is unavailable, for now', async () => {
    faults.directory = 'fail';
    await expect(names.claim(newName(), newUser())).rejects.toMatchObject({
      code: 'unavailable',
      details: { retryAfterMs: 2_000 },
    });
  });
});

describe('whoever signs in', () => {
  const signIn = (externalId: string) => accounts.ensureUser({ externalId, name: 'someone', by });

  it('is one user, by any number of calls at once, with D1 away', async () => {
    faults.d1 = 'fail';
    const externalId = newName();
    const ids = await Promise.all(Array.from({ length: 20 }, () => signIn(externalId)));
    const [id = newUser()] = ids;
    expect(new Set(ids).size).toBe(1);
    expect(await accountOf(id)).toMatchObject({ externalId, name: 'someone', version: 1 });
    expect(await signIn(externalId)).toBe(id);
  });

  it('has an account the next time if the first one broke off', async () => {
    const externalId = newName();
    Object.assign(faults, { foreman: 'fail', only: ['createAccount'] });
    await expect(signIn(externalId)).rejects.toMatchObject({ code: 'unavailable' });
    const claimed = await names.find(externalId);
    expect(claimed && (await accountOf(claimed))).toBeNull();
    resetFaults();
    expect(await signIn(externalId)).toBe(claimed);
    expect(claimed && (await accountOf(claimed))).toMatchObject({ externalId, status: 'active' });
  });

  it('is the user whom the operator made under that name', async () => {
    const externalId = newName();
    const asked = { externalId, name: 'Acme', limits: {}, region: null, jurisdiction: null };
    const { userId } = await accounts.createUser({ ...asked, by });
    expect(await signIn(externalId)).toBe(userId);
    expect(await accountOf(userId)).toMatchObject({ name: 'Acme' });
  });
});
