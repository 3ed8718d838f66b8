// What must come out exactly, however many submit at once: a budget, and an idempotency key.
import type { Api, RequestView } from '../../tests/e2e/support/api.ts';
import { until } from '../../tests/e2e/support/until.ts';
import type { Scene } from './flood.ts';

const SUBMISSIONS = 200;
const PAID_FOR = 50;
const SAME_KEY = 100;
const ENDS_WITHIN_MS = 120_000;

const body = { model: 'wide', prompt: 'a boat', width: 64, height: 64 };
const atOnce = <T>(count: number, work: () => Promise<T>) =>
  Promise.all(Array.from({ length: count }, work));

export async function spendAtOnce(
  { server, provider }: Scene,
  { onBudget, priceUsd }: { readonly onBudget: 'reject' | 'wait'; readonly priceUsd: number },
): Promise<Record<string, number>> {
  const { api, id } = await server.createUser({ monthly_budget_usd: PAID_FOR * priceUsd });
  const before = provider.calls.length;
  const answers = await atOnce(SUBMISSIONS, () =>
    api.post('/v1/requests', { ...body, on_budget: onBudget }),
  );
  const statuses = answers.map(({ status }) => status);
  const accepted = statuses.filter((status) => status === 202).length;
  const refused = statuses.filter((status) => status === 429).length;
  await ended(api, PAID_FOR);
  const ran = provider.calls.length - before;
  const { spent_usd: spent } = (await api.get<{ budget: { spent_usd: number } }>('/v1/me')).body
    .budget;
  const counts = { submitted: SUBMISSIONS, accepted, refused, ran, 'spent, USD': spent };
  expectEqual('calls', ran, PAID_FOR);
  expectEqual('cents spent', Math.round(spent * 100), Math.round(PAID_FOR * priceUsd * 100));
  if (onBudget === 'reject') {
    expectEqual('accepted', accepted, PAID_FOR);
    expectEqual('refused', refused, SUBMISSIONS - PAID_FOR);
    return counts;
  }
  expectEqual('accepted', accepted, SUBMISSIONS);
  const limits = { monthly_budget_usd: null };
  await server.admin.patch(`/v1/admin/users/${id}`, { limits });
  await ended(api, SUBMISSIONS);
  const afterwards = provider.calls.length - before;
  expectEqual('calls once the budget is lifted', afterwards, SUBMISSIONS);
  return { ...counts, 'ran once it was lifted': afterwards - ran };
}

export async function floodOneKey({ server, provider }: Scene): Promise<Record<string, number>> {
  const { api } = await server.createUser();
  const before = provider.calls.length;
  const answers = await atOnce(SAME_KEY, () =>
    api.post<RequestView>('/v1/requests', body, { 'idempotency-key': 'the one' }),
  );
  const ids = new Set(answers.map((answer) => answer.body.id));
  const replays = answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true');
  await ended(api, 1);
  expectEqual('requests', ids.size, 1);
  expectEqual('replays', replays.length, SAME_KEY - 1);
  expectEqual('calls', provider.calls.length - before, 1);
  return { posts: SAME_KEY, requests: ids.size, replays: replays.length, calls: 1 };
}

/** This many of the user's requests have succeeded, and none runs. */
async function ended(api: Api, count: number): Promise<void> {
  await until(
    `${count} requests have succeeded`,
    async () => {
      const page = await api.get<{ total: number }>(
        '/v1/requests?status=succeeded&limit=1&include_total=true',
      );
      const me = await api.get<{ usage: { running: number } }>('/v1/me');
      return page.body.total >= count && me.body.usage.running === 0;
    },
    ENDS_WITHIN_MS,
  );
}

function expectEqual(what: string, found: number, expected: number): void {
  if (found !== expected) throw new Error(`${what}: ${found}, expected ${expected}`);
}
