import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import migration from '../../migrations/0003_extend_dead_letters.sql?raw';
import { auditEvent } from '../../src/accounts/audit/event';
import { newId } from '../../src/platform/ids';
import { createDeadLetterStore } from '../../src/requests/dead-letter-store';
import { type DeadLetter, LETTER_LIFE_MS } from '../../src/requests/dead-letters';
import { by } from '../support/foreman';

const NOW = 1_800_000_000_000;
const store = createDeadLetterStore(env.DB);

const event = () =>
  auditEvent(by, { action: 'dead_letter.replayed', userId: null, target: null }, NOW);

const newLetter = (overrides: Partial<DeadLetter> = {}): DeadLetter => ({
  id: newId('ded', overrides.createdAt ?? NOW),
  type: 'projection.wake',
  queue: 'foreman-events',
  message: { type: 'projection.wake', v: 1, user: 'usr_1' },
  reason: 'the queue gave up on it',
  userId: 'usr_1',
  requestId: null,
  correlationId: null,
  createdAt: NOW,
  replayedAt: null,
  replayedAs: null,
  ...overrides,
});

async function stored(overrides: Partial<DeadLetter> = {}): Promise<DeadLetter> {
  const letter = newLetter(overrides);
  await store.createOne(letter);
  return letter;
}

const idsOf = async (query: Partial<Parameters<typeof store.getPage>[0]>) => {
  const page = await store.getPage({ limit: 100, after: null, type: null, userId: null, ...query });
  return page.map(({ id }) => id);
};

beforeEach(async () => {
  await env.DB.exec('DELETE FROM dead_letters');
});

describe('the store of dead letters', () => {
  it.each([null, 'text', { deep: [1, { null: null }] }])(
    'gives back the message %j',
    async (message) => {
      const letter = await stored({
        message,
        requestId: 'req_1',
        correlationId: 'c',
        type: 'unknown',
      });
      expect(await store.getOne(letter.id)).toEqual(letter);
    },
  );

  it('pages newest first, through letters of the same millisecond too, each once', async () => {
    const letters = [];
    for (const createdAt of [NOW, NOW, NOW, NOW + 1, NOW + 2])
      letters.push(await stored({ createdAt }));
    const expected = letters
      .sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1))
      .map(({ id }) => id);
    const seen: string[] = [];
    let after: DeadLetter | null = null;
    do {
      const page: DeadLetter[] = await store.getPage({ limit: 2, after, type: null, userId: null });
      seen.push(...page.map(({ id }) => id));
      after = page.at(-1) ?? null;
    } while (after);
    expect(seen).toEqual(expected);
  });

  it('filters by type and by user, alone and together', async () => {
    const a = await stored({ type: 'generation.run', userId: 'usr_a', createdAt: NOW + 3 });
    const b = await stored({ type: 'webhook.deliver', userId: 'usr_a', createdAt: NOW + 2 });
    const c = await stored({ type: 'generation.run', userId: 'usr_b', createdAt: NOW + 1 });
    expect(await idsOf({ type: 'generation.run' })).toEqual([a.id, c.id]);
    expect(await idsOf({ userId: 'usr_a' })).toEqual([a.id, b.id]);
    expect(await idsOf({ type: 'webhook.deliver', userId: 'usr_a' })).toEqual([b.id]);
    expect(await idsOf({ type: 'webhook.deliver', userId: 'usr_b' })).toEqual([]);
  });

  it('remembers the first replay, whichever comes later', async () => {
    const { id } = await stored();
    const first = await store.updateReplayed({ id, at: NOW + 1, as: null, event: event() });
    expect(first).toMatchObject({ replayedAt: NOW + 1, replayedAs: null });
    expect(await store.updateReplayed({ id, at: NOW + 2, as: 'req_1', event: event() })).toEqual(
      first,
    );
    expect(
      await store.updateReplayed({ id: 'ded_none', at: NOW, as: null, event: event() }),
    ).toBeNull();
  });

  it('removes one, and says whether there was one', async () => {
    const { id } = await stored();
    const remove = () => store.deleteOne({ id, event: event() });
    expect([await remove(), await remove()]).toEqual([true, false]);
  });

  it('removes the old in batches, and no others', async () => {
    for (const createdAt of [NOW, NOW + 1, NOW + 2]) await stored({ createdAt });
    const before = NOW + 2;
    expect(await store.deleteOld({ before, limit: 1 })).toBe(1);
    expect(await store.deleteOld({ before, limit: 10 })).toBe(1);
    expect(await idsOf({})).toHaveLength(1);
    expect(LETTER_LIFE_MS).toBe(7 * 24 * 3_600_000);
  });
});

describe('letters of before the migration', () => {
  const update = migration.slice(migration.indexOf('UPDATE'));
  const insertOld = (id: string, queue: string, body: string) =>
    env.DB.prepare(
      `INSERT INTO dead_letters (id, queue, body, reason, created_at) VALUES (?, ?, ?, 'r', ?)`,
    )
      .bind(id, queue, body, NOW)
      .run();

  it('are told apart by their message, and a message that was cut off is a text', async () => {
    const deliver = { type: 'webhook.deliver', v: 1, user: 'usr_1', correlation_id: 'c' };
    await insertOld('ded_1', 'foreman-dead-letters', JSON.stringify(deliver));
    await insertOld('ded_2', 'foreman-dead-letters', '["cut off');
    await insertOld('ded_3', 'foreman-generation', '{"type":"generation.run"}');
    await env.DB.prepare(update).run();
    expect(await store.getOne('ded_1')).toMatchObject({
      type: 'webhook.deliver',
      queue: 'foreman-webhooks',
      userId: 'usr_1',
      correlationId: 'c',
      message: deliver,
    });
    expect(await store.getOne('ded_2')).toMatchObject({ type: 'unknown', message: '["cut off' });
    expect(await store.getOne('ded_3')).toMatchObject({
      type: 'unknown',
      queue: 'foreman-generation',
    });
  });
});
