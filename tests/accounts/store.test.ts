import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { accountStatements, createAccountStore } from '../../src/accounts/store';
import { type Account, DEFAULT_LIMITS } from '../../src/accounts/types';
import { newId } from '../../src/platform/ids';

const now = Date.UTC(2026, 10, 21);
const store = createAccountStore(env.DB);

const accountAt = (createdAt: number): Account => ({
  userId: newId('usr', createdAt),
  name: 'Acme',
  externalId: null,
  region: null,
  status: 'active',
  limits: DEFAULT_LIMITS,
  createdAt,
  version: 1,
});
const project = (account: Account) =>
  env.DB.batch(accountStatements(env.DB, { account, keys: [] }));
const readUser = async (account: Account) => {
  const after = { createdAt: account.createdAt + 1, id: account.userId };
  return (await store.getUserPage({ limit: 1, after }))[0];
};

describe('the index of users', () => {
  it('gives back what the foreman reported, also when it is reported twice', async () => {
    const account = accountAt(now - 1_000);
    await project(account);
    await project(account);
    expect(await readUser(account)).toEqual(account);
  });

  it('keeps the newest version when reports come out of order', async () => {
    const account = accountAt(now - 2_000);
    const newer = { ...account, limits: { ...DEFAULT_LIMITS, burst: 7 }, version: 3 };
    await project(newer);
    await project({ ...account, version: 2 });
    expect(await readUser(account)).toEqual(newer);
  });

  it('pages newest first, through users of the same millisecond too, each once', async () => {
    const accounts = [now, now, now, now + 1, now + 1].map(accountAt);
    for (const account of accounts) await project(account);
    const seen: string[] = [];
    let after: { createdAt: number; id: Account['userId'] } | null = null;
    for (;;) {
      const page: Account[] = await store.getUserPage({ limit: 2, after });
      const last = page.at(-1);
      if (!last) break;
      seen.push(...page.map((account) => account.userId));
      after = { createdAt: last.createdAt, id: last.userId };
    }
    const expected = accounts
      .sort((a, b) => b.createdAt - a.createdAt || (a.userId < b.userId ? 1 : -1))
      .map((account) => account.userId);
    expect(seen.slice(0, 5)).toEqual(expected);
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('finds a user by external id, and pages through those of one status', async () => {
    const external = `customer-${crypto.randomUUID()}`;
    const suspended = [1, 2, 3].map((age) => ({
      ...accountAt(now - 10_000 - age),
      status: 'suspended' as const,
    }));
    const named = { ...accountAt(now - 20_000), externalId: external };
    for (const account of [...suspended, named]) await project(account);
    const find = (filter: object) => store.getUserPage({ limit: 2, after: null, ...filter });
    expect(await find({ externalId: external })).toEqual([named]);
    expect(await find({ externalId: external.toUpperCase() })).toEqual([]);
    expect(await find({ externalId: external, status: 'suspended' })).toEqual([]);
    const [first, second, third] = suspended;
    expect(await find({ status: 'suspended' })).toEqual([first, second]);
    const after = { createdAt: second?.createdAt, id: second?.userId };
    expect(await find({ status: 'suspended', after })).toEqual([third]);
  });

  it('follows a status, and keeps where a user is held', async () => {
    const account = { ...accountAt(now - 30_000), region: 'weur' as const, externalId: 'fixed' };
    await project(account);
    await project({ ...account, status: 'suspended', version: 2 });
    expect(await readUser(account)).toEqual({ ...account, status: 'suspended', version: 2 });
  });
});
