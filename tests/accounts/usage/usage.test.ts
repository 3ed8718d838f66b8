import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import {
  presentUsage,
  readUsageQuery,
  usageQuerySchema,
} from '../../../src/accounts/usage/contract';
import { usageOf } from '../../../src/accounts/usage/facts';
import {
  createUsageStore,
  deleteUsageOf,
  usageStatements,
} from '../../../src/accounts/usage/store';
import { newId } from '../../../src/platform/ids';
import type { EndedAttempt, RequestUsage } from '../../../src/requests/types';
import { queued, running } from '../../support/states';

const NOW = Date.UTC(2026, 10, 21, 12);
const day = (text: string) => Date.parse(`${text}T00:00:00Z`);
const read = (query: Record<string, string>) => readUsageQuery(usageQuerySchema.parse(query), NOW);

describe('what a request has used', () => {
  const attempt = (overrides: Partial<EndedAttempt>) =>
    ({ provider: 'openai', outcome: 'failed', costMicros: 0, ...overrides }) as EndedAttempt;

  it('is by provider, in the order of the first calls', () => {
    const state = {
      ...queued(),
      attempts: [
        attempt({ provider: 'fal', outcome: 'unknown', costMicros: 3 }),
        attempt({ provider: 'openai', costMicros: 40 }),
        attempt({ provider: 'fal', outcome: 'succeeded', costMicros: 500 }),
      ],
    };
    expect(usageOf(state, 2).providers).toEqual([
      { provider: 'fal', units: 2, costMicros: 503 },
      { provider: 'openai', units: 0, costMicros: 40 },
    ]);
  });

  it('names the provider of a call that runs, at no cost yet', () => {
    expect(usageOf(running(), 0).providers).toEqual([
      { provider: 'openai', units: 0, costMicros: 0 },
    ]);
  });

  it('is nobody’s when nobody was called, whatever output it shares', () => {
    expect(usageOf(queued(), 4).providers).toEqual([]);
  });
});

describe('the range of a report', () => {
  it.each<[string, Record<string, string>, string, string]>([
    ['this month', {}, '2026-11-01', '2026-12-01'],
    ['from a day to the end of this month', { from: '2026-10-30' }, '2026-10-30', '2026-12-01'],
    ['the month that ends then', { to: '2026-10-01' }, '2026-09-01', '2026-10-01'],
    ['a leap year', { from: '2024-01-01', to: '2025-01-01' }, '2024-01-01', '2025-01-01'],
    [
      'times of another zone',
      { from: '2026-11-20T02:00:00+02:00', to: '2026-11-20T19:00:00-05:00' },
      '2026-11-20',
      '2026-11-21',
    ],
  ])('is %s', (_, query, from, to) => {
    expect(read(query)).toEqual({
      from: day(from),
      to: day(to),
      groupBy: 'day',
      limit: 100,
      after: null,
    });
  });

  it.each<[string, Record<string, string>]>([
    ['that is empty', { from: '2026-11-02', to: '2026-11-02' }],
    ['that is reversed', { from: '2026-11-03', to: '2026-11-02' }],
    ['of more than 366 days', { from: '2024-01-01', to: '2025-01-01T00:00:00.001Z' }],
    ['that begins after this month', { from: '2027-01-01' }],
  ])('%s is refused', (_, query) => {
    expect(() => read(query)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  it.each([
    { from: 'yesterday' },
    { to: '2026-02-30' },
    { from: '2026-11-21T10:00' },
    { group_by: 'key' },
    { limit: '101' },
    { until: '2026-11-21' },
  ])('%j is no query', (query) => {
    expect(usageQuerySchema.safeParse(query).success).toBe(false);
  });

  it('goes on with its cursor, in the next month too, and with no other’s', () => {
    const query = {
      ...read({ group_by: 'provider', limit: '1' }),
      from: day('2026-10-01'),
      to: NOW,
    };
    const groups = ['', 'fal'].map((group) => ({ group, requests: 1, images: 0, costMicros: 5 }));
    const { items, next_cursor } = presentUsage(groups, query);
    expect(items).toEqual([{ group: null, requests: 1, images: 0, cost_usd: 0.000005 }]);
    const cursor = next_cursor ?? '';
    expect(read({ cursor, group_by: 'provider' })).toEqual({ ...query, limit: 100, after: '' });
    const from = '2026-10-01';
    expect(read({ cursor, from, group_by: 'provider' }).after).toBe('');
    expect(() => read({ cursor })).toThrow(/cursor/);
    const otherRange = { from: '2026-10-02', group_by: 'provider' };
    expect(() => read({ cursor, ...otherRange })).toThrow(/cursor/);
    for (const forged of ['x', cursor.slice(1), btoa('["provider",0,1e20,""]')]) {
      expect(() => read({ cursor: forged, group_by: 'provider' })).toThrow(
        expect.objectContaining({ code: 'invalid_request' }),
      );
    }
  });
});

describe('the sums', () => {
  const store = createUsageStore(env.DB);
  const whole = { from: day('2026-11-01'), to: day('2026-12-01'), limit: 100, after: null };

  async function tenant(...uses: readonly RequestUsage[]) {
    const userId = newId('usr', NOW);
    const requests = uses.map((usage) => ({
      id: newId('req', usage.createdAt),
      version: 2,
      usage,
    }));
    await env.DB.batch(usageStatements(env.DB, { userId, requests }));
    return userId;
  }
  const use = (createdAt: number, ...called: readonly string[]): RequestUsage => ({
    model: 'sketch',
    createdAt,
    providers: called.map((provider) => ({ provider, units: 1, costMicros: 1 })),
  });

  it('take in what was created at `from`, and not at `to`', async () => {
    const userId = await tenant(
      use(whole.from - 1),
      use(whole.from),
      use(whole.to - 1),
      use(whole.to),
    );
    const groups = await store.getPage({ userId, groupBy: 'day', ...whole });
    expect(groups.map(({ group }) => group)).toEqual(['2026-11-01', '2026-11-30']);
  });

  it('count a request with each provider that it was tried at, and once in its day', async () => {
    const userId = await tenant(use(NOW, 'fal', 'openai'), use(NOW));
    const requestsBy = async (groupBy: 'day' | 'provider') =>
      (await store.getPage({ userId, groupBy, ...whole })).map((row) => [row.group, row.requests]);
    expect(await requestsBy('provider')).toEqual([
      ['', 1],
      ['fal', 1],
      ['openai', 1],
    ]);
    expect(await requestsBy('day')).toEqual([['2026-11-21', 2]]);
  });

  it('come in pages, each group once', async () => {
    const days = [1, 2, 3, 4, 5].map((number) => use(day(`2026-11-0${number}`)));
    const userId = await tenant(...days);
    const seen: string[] = [];
    for (let after: string | null = null; ; after = seen.at(-1) ?? null) {
      const page = await store.getPage({ userId, groupBy: 'day', ...whole, limit: 2, after });
      seen.push(...page.map(({ group }) => group));
      if (page.length < 2) break;
    }
    expect(seen).toEqual([1, 2, 3, 4, 5].map((number) => `2026-11-0${number}`));
  });

  it('are of one user, and end with the user', async () => {
    const [userId, other] = [await tenant(use(NOW)), await tenant(use(NOW), use(NOW))];
    const requestsOf = async (id: typeof userId) =>
      (await store.getPage({ userId: id, groupBy: 'model', ...whole }))[0]?.requests;
    expect(await requestsOf(userId)).toBe(1);
    await env.DB.batch([deleteUsageOf(env.DB, { userId, limit: 100 })]);
    expect([await requestsOf(userId), await requestsOf(other)]).toEqual([undefined, 2]);
  });
});
