import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it } from 'vitest';
import { type AuditEvent, auditEvent } from '../../../src/accounts/audit/event';
import { createAuditService } from '../../../src/accounts/audit/service';
import {
  type AuditQuery,
  auditStatement,
  createAuditStore,
} from '../../../src/accounts/audit/store';
import { newId } from '../../../src/platform/ids';
import { createLogger } from '../../../src/platform/log';
import { by } from '../../support/foreman';
import { faulted, faults, guarded, resetFaults } from '../../support/worker';

const NOW = Date.UTC(2026, 10, 21);
const store = createAuditStore(env.DB);
const userId = newId('usr', NOW);

const eventAt = (at: number, overrides: Partial<AuditEvent> = {}): AuditEvent => ({
  ...auditEvent(by, { action: 'user.changed', userId, target: null, details: { burst: 1 } }, at),
  ...overrides,
});
const everything: AuditQuery = {
  limit: 100,
  after: null,
  userId: null,
  action: null,
  actorId: null,
  target: null,
  createdAfter: null,
  createdBefore: null,
};
const pageOf = (query: Partial<AuditQuery>) => store.getPage({ ...everything, ...query });
const idsOf = async (query: Partial<AuditQuery>) => (await pageOf(query)).map(({ id }) => id);

afterEach(resetFaults);

describe('an event on record', () => {
  it('is what it was, however often it is told', async () => {
    const target = newId('key', NOW);
    const event = eventAt(NOW, { target, details: { nested: { list: [1, null, '"'] } } });
    await store.createOne(event);
    await store.createOne({ ...event, action: 'user.created' });
    expect(await pageOf({ target })).toEqual([event]);
  });

  it.each([
    ['changed', 'UPDATE audit_events SET actor_id = NULL'],
    ['deleted', 'DELETE FROM audit_events'],
  ])('cannot be %s', async (_, sql) => {
    const event = eventAt(NOW, { target: newId('key', NOW) });
    await store.createOne(event);
    const attempt = env.DB.prepare(`${sql} WHERE id = ?`).bind(event.id).run();
    await expect(attempt).rejects.toThrow('append-only');
    expect(await pageOf({ target: event.target })).toEqual([event]);
  });

  it('cannot be replaced', async () => {
    const event = eventAt(NOW, { target: newId('key', NOW) });
    await store.createOne(event);
    await env.DB.prepare(
      `INSERT OR REPLACE INTO audit_events (id, at, action, actor_type, correlation_id, details)
       VALUES (?, 1, 'user.created', 'system', '', '{}')`,
    )
      .bind(event.id)
      .run();
    expect(await pageOf({ target: event.target })).toEqual([event]);
  });

  it('is there only if the change was made that shares its batch', async () => {
    const target = newId('key', NOW);
    const onlyIf = (sql: string) => ({ sql, values: ['a'] });
    await env.DB.batch([
      auditStatement(env.DB, [eventAt(1, { target })], onlyIf("? = 'a'")),
      auditStatement(env.DB, [eventAt(2, { target })], onlyIf("? = 'b'")),
    ]);
    expect((await pageOf({ target })).map(({ at }) => at)).toEqual([1]);
  });
});

describe('the trail', () => {
  it('comes newest first, through events of the same millisecond too, each once', async () => {
    const whose = newId('usr', NOW);
    const events = [1, 2, 2, 2, 3].map((at) => eventAt(at, { userId: whose }));
    await env.DB.batch([auditStatement(env.DB, events)]);
    const expected = events.sort((a, b) => b.at - a.at || (a.id < b.id ? 1 : -1));
    const seen: AuditEvent[] = [];
    for (let after: AuditQuery['after'] = null; ; after = seen.at(-1) ?? null) {
      const page = await pageOf({ userId: whose, limit: 2, after });
      seen.push(...page);
      if (page.length < 2) break;
    }
    expect(seen).toEqual(expected);
  });

  it('is found by each of its sides', async () => {
    const whose = newId('usr', NOW);
    const actor = { type: 'token', id: 'somebody' } as const;
    const a = eventAt(10, { userId: whose, action: 'key.created', actor });
    const b = eventAt(20, { userId: whose, target: 'ink' });
    await env.DB.batch([auditStatement(env.DB, [a, b])]);
    const ofUser = (query: Partial<AuditQuery>) => idsOf({ userId: whose, ...query });
    expect(await ofUser({ action: 'key.created' })).toEqual([a.id]);
    expect(await ofUser({ actorId: 'somebody' })).toEqual([a.id]);
    expect(await ofUser({ target: 'ink' })).toEqual([b.id]);
    expect(await ofUser({ createdAfter: 10 })).toEqual([b.id]);
    expect(await ofUser({ createdBefore: 20 })).toEqual([a.id]);
    expect(await ofUser({ createdAfter: 10, createdBefore: 20 })).toEqual([]);
  });
});

describe('recording what must not wait for D1', () => {
  function recorder(db: D1Database) {
    const lines: string[] = [];
    const service = createAuditService({
      store: createAuditStore(db),
      sleep: async (_, signal) => {
        if (faults.d1 === 'hang') return;
        await new Promise((resolve) => signal?.addEventListener('abort', resolve));
      },
      log: createLogger((line) => lines.push(line)),
    });
    return { ...service, lines };
  }

  it('tries three times, and tells nobody of the first two', async () => {
    const { record, lines } = recorder(guarded(env).DB);
    Object.assign(faults, { d1: 'fail', times: 2 });
    const event = eventAt(NOW, { target: newId('key', NOW) });
    await record(event);
    expect(await pageOf({ target: event.target })).toEqual([event]);
    expect(lines).toEqual([]);
  });

  it.each(['fail', 'hang'] as const)('goes into the log when D1 %ss', async (fault) => {
    const { record, lines } = recorder(guarded(env).DB);
    faults.d1 = fault;
    await record(eventAt(NOW, { action: 'breaker.reset' }));
    expect(faulted.d1).toBe(3);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      {
        level: 'error',
        event: 'audit.not_stored',
        action: 'breaker.reset',
        correlation_id: 'correlation-1',
      },
    ]);
  });
});
