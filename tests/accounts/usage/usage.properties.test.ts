import { env } from 'cloudflare:workers';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import migration from '../../../migrations/0006_create_usage.sql?raw';
import { usageOf } from '../../../src/accounts/usage/facts';
import { createUsageStore, type Grouping, groupings } from '../../../src/accounts/usage/store';
import { writeNews } from '../../../src/foreman/index-writer';
import { imagesOf } from '../../../src/generation/present';
import { newId, type UserId } from '../../../src/platform/ids';
import * as lifecycle from '../../../src/requests/lifecycle';
import type { AttemptResult, Decision, RequestState, Tombstone } from '../../../src/requests/types';
import { failure, queued, target } from '../../support/states';

const DAY = 86_400_000;
const START = Date.UTC(2026, 10, 20);
const store = createUsageStore(env.DB);
const backfill = migration.slice(migration.indexOf('WITH calls'));

const someCall = fc.record({
  provider: fc.constantFrom('openai', 'fal', 'sketch'),
  priceMicros: fc.integer({ min: 0, max: 2_000_000 }),
  possiblyBilled: fc.boolean(),
});
const someRequest = fc.record({
  model: fc.constantFrom('gpt-image-1', 'sketch'),
  createdAt: fc.integer({ min: START, max: START + 3 * DAY - 1 }),
  calls: fc.array(someCall, { maxLength: 4 }),
  images: fc.integer({ min: 1, max: 4 }),
  end: fc.constantFrom('succeeded', 'failed', 'canceled', 'running', 'reused'),
  /** `archived`: when D1 was its only keeper, so that the tombstone knows nothing of it. */
  deletion: fc.constantFrom('none', 'none', 'with its facts', 'archived'),
});
type Asked = typeof someRequest extends fc.Arbitrary<infer T> ? T : never;

/** Every version that D1 may be told of, as the lifecycle makes them. */
function historyOf(userId: UserId, asked: Asked): (RequestState | Tombstone)[] {
  const { model, createdAt, calls, end } = asked;
  const id = newId('req', createdAt);
  const first = queued({ id, userId, model, createdAt, deadlineAt: createdAt + DAY });
  const output = { images: imagesNamed(id, asked.images) };
  if (end === 'reused') {
    const shared = { status: 'succeeded', output, outputWarnings: [] } as const;
    const from = newId('req', createdAt);
    const reused = lifecycle.reuse(first, { from, shared }, createdAt);
    return [reused, ...deleted(reused, asked)];
  }
  const told = { providerRequestId: null, warnings: [] };
  const states: RequestState[] = [first];
  const next = (index: number): Decision => {
    const call = calls[index];
    if (call) return { next: 'attempt', target: { ...target, ...call } };
    return { next: 'end', error: { code: 'provider_failed', message: 'it broke', details: {} } };
  };
  let state = lifecycle.claim(
    lifecycle.release(first, createdAt),
    { release: 1, token: 'token-0', decide: () => next(0) },
    createdAt,
  );
  states.push(state);
  const settled = end === 'running' || end === 'canceled' ? calls.length - 1 : calls.length;
  for (const [index, call] of calls.slice(0, Math.max(0, settled)).entries()) {
    const isLast = index === calls.length - 1;
    const result: AttemptResult =
      isLast && end === 'succeeded'
        ? { outcome: 'succeeded', output, costMicros: call.priceMicros, ...told }
        : failure('failed', { possiblyBilled: call.possiblyBilled });
    const facts = { token: `token-${index}`, nextToken: `token-${index + 1}`, result };
    state = lifecycle.settle(state, { ...facts, decide: () => next(index + 1) }, createdAt + index);
    states.push(state);
  }
  if (end === 'canceled') states.push(lifecycle.cancel(state, createdAt + 9));
  return [...states, ...deleted(states.at(-1) ?? first, asked)];
}

function deleted(state: RequestState, { deletion }: Asked): Tombstone[] {
  if (deletion === 'none') return [];
  const { id, userId, version, createdAt: deletedAt } = state;
  const usage = deletion === 'archived' ? null : usageOf(state, imagesOf(state).length);
  return [{ id, userId, status: 'deleted', version: version + 1, deletedAt, purged: false, usage }];
}

const imagesNamed = (id: string, count: number) =>
  Array.from({ length: count }, (_, index) => ({
    id: `img_${id.slice(4)}_1_${index}`,
    width: 1,
    height: 1,
    mediaType: 'image/png',
    bytes: 1,
    sha256: 'ab',
    seed: null,
    createdAt: START,
    expiresAt: START + DAY,
  }));

/** What the ledgers themselves say. */
function ledgerSums(states: readonly RequestState[], by: Grouping) {
  const sums = new Map<string, { requests: number; images: number; costMicros: number }>();
  const add = (
    group: string,
    more: { requests?: number; images?: number; costMicros?: number },
  ) => {
    const sum = sums.get(group) ?? { requests: 0, images: 0, costMicros: 0 };
    sum.requests += more.requests ?? 0;
    sum.images += more.images ?? 0;
    sum.costMicros += more.costMicros ?? 0;
    sums.set(group, sum);
  };
  for (const state of states) {
    const isMaker = state.status === 'succeeded' && state.reusedFrom === null;
    const images = isMaker ? imagesOf(state).length : 0;
    const costMicros = state.attempts.reduce((sum, attempt) => sum + attempt.costMicros, 0);
    if (by !== 'provider') {
      const day = new Date(state.createdAt).toISOString().slice(0, 10);
      add(by === 'day' ? day : state.model, { requests: 1, images, costMicros });
      continue;
    }
    const running = state.status === 'running' ? [state.current.provider] : [];
    const called = [...state.attempts.map(({ provider }) => provider), ...running];
    for (const provider of new Set(called.length > 0 ? called : [''])) {
      add(provider, { requests: 1 });
    }
    for (const attempt of state.attempts) add(attempt.provider, attempt);
    if (isMaker) add(state.attempts.at(-1)?.provider ?? '', { images });
  }
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([group, sum]) => ({ group, ...sum }));
}

const pageOf = (userId: UserId, groupBy: Grouping) =>
  store.getPage({ userId, groupBy, from: START, to: START + 3 * DAY, limit: 100, after: null });

const factsOf = async (userId: UserId, ids: readonly string[]) => {
  const { results } = await env.DB.prepare(
    `SELECT * FROM usage_facts WHERE user_id = ? AND request_id IN (SELECT value FROM json_each(?))
     ORDER BY request_id, provider`,
  )
    .bind(userId, JSON.stringify(ids))
    .all();
  return results;
};

it('sums of D1 are those of the ledgers, in whatever order and however often news arrive', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(someRequest, { minLength: 1, maxLength: 4 }),
      fc.infiniteStream(fc.nat()),
      async (asked, chance) => {
        const userId = newId('usr', START);
        const histories = asked.map((request) => historyOf(userId, request));
        const random = () => chance.next().value ?? 0;
        const all = histories.flat();
        const again = all.filter(() => random() % 3 === 0);
        const order = [...all, ...again]
          .map((state) => ({ state, rank: random() }))
          .sort((a, b) => a.rank - b.rank);
        for (const { state } of order) {
          await writeNews(env.DB, { requests: [state], deliveries: [], account: null, audit: [] });
        }
        const newest = histories.map(
          (states) => states.filter((state) => state.status !== 'deleted').at(-1) as RequestState,
        );
        for (const by of groupings) {
          expect(await pageOf(userId, by)).toEqual(ledgerSums(newest, by));
        }
        const kept = newest.filter((_, index) => histories[index]?.at(-1)?.status !== 'deleted');
        const ids = kept.map(({ id }) => id);
        const facts = await factsOf(userId, ids);
        await env.DB.prepare('DELETE FROM usage_facts WHERE user_id = ?').bind(userId).run();
        await env.DB.prepare(backfill).run();
        expect(await factsOf(userId, ids)).toEqual(facts);
      },
    ),
    { numRuns: 40 },
  );
}, 60_000);
