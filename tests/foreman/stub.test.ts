// Which object a user's calls go to where jurisdictions hold. The local runtime has none, so what
// stands in for the namespace writes down how it was asked.
import { describe, expect, it } from 'vitest';
import type { NewAccount } from '../../src/accounts/tenancy';
import { DEFAULT_LIMITS, type Region, regions, regionsInUnion } from '../../src/accounts/types';
import { fetchForeman, foremanFor, stubOf } from '../../src/foreman/stub';
import { type Cell, newId, type UserId } from '../../src/platform/ids';
import { by } from '../support/foreman';

interface Asked {
  readonly jurisdiction: string | null;
  readonly name: string;
  readonly hint: string | null;
}

function recording(environment: string) {
  const asked: Asked[] = [];
  const stub = new Proxy({}, { get: () => async () => null });
  const namespace = (jurisdiction: string | null): object => ({
    jurisdiction: (of: string) => namespace(of),
    getByName(name: string, options?: { locationHint?: string }) {
      asked.push({ jurisdiction, name, hint: options?.locationHint ?? null });
      return stub;
    },
  });
  const FOREMAN = namespace(null) as Env['FOREMAN'];
  return { asked, env: { FOREMAN, ENVIRONMENT: environment } };
}

const accountOf = (userId: UserId, region: Region | null): NewAccount => ({
  ...{ userId, region, name: 'tenant', externalId: null, status: 'active' },
  limits: DEFAULT_LIMITS,
  webhookSecret: 'whsec_dGVzdC1zZWNyZXQtMDEyMzQ1Njc4OWFiY2RlZg==',
  createdAt: Date.now(),
});
const userIn = (cell: Cell) => newId('usr', Date.now(), cell);

it.each([
  ['production', 'e', 'eu'],
  ['production', '0', null],
  ['local', 'e', null],
  ['local', '0', null],
] as const)('in %s, a user of cell %s is held in %s', async (environment, cell, jurisdiction) => {
  const userId = userIn(cell);
  const { asked, env } = recording(environment);
  stubOf(env, userId);
  await foremanFor(env, userId).getAccount();
  await fetchForeman(env, userId, () => new Request('https://foreman'));
  expect(asked).toEqual(Array(3).fill({ jurisdiction, name: userId, hint: null }));
});

describe('the region of an account', () => {
  const created = async (userId: UserId, region: Region | null) => {
    const { asked, env } = recording('production');
    await foremanFor(env, userId).createAccount({ account: accountOf(userId, region), by });
    return asked.map(({ hint }) => hint);
  };

  it.each(regions)('goes with the call that makes it: %s', async (region) => {
    expect(await created(userIn('0'), region)).toEqual([region]);
  });

  it('is not given when there is none', async () => {
    expect(await created(userIn('0'), null)).toEqual([null]);
  });

  it.each(regionsInUnion)('goes along within the European Union: %s', async (region) => {
    expect(await created(userIn('e'), region)).toEqual([region]);
  });
});
