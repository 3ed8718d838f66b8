import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { runAlarm } from '../../src/foreman/alarm';
import type { Desk } from '../../src/foreman/desk';
import * as intake from '../../src/foreman/intake';
import { keepUse } from '../../src/foreman/key-use';
import { createKinds, createPresenter } from '../../src/foreman/kinds';
import { recall } from '../../src/foreman/memory';
import * as news from '../../src/foreman/news';
import type { Foreman } from '../../src/foreman/object';
import * as work from '../../src/foreman/work';
import { readSettings } from '../../src/settings';
import { newSpec, newTenant } from '../support/foreman';
import { success } from '../support/states';

/** What the platform bills: every row and index entry that the statements wrote. */
function counting(sql: SqlStorage): { sql: SqlStorage; written: () => number } {
  const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
  const exec: SqlStorage['exec'] = (query, ...bindings) => {
    const cursor = sql.exec(query, ...bindings);
    cursors.push(cursor);
    return cursor as never;
  };
  return {
    sql: { exec } as SqlStorage,
    written: () => cursors.reduce((sum, cursor) => sum + cursor.rowsWritten, 0),
  };
}

it('a one-image request by a key in use writes at most 14 rows and index entries from door to hand-over', async () => {
  const tenant = await newTenant();
  const nothing = { requests: [], deliveries: [], last: false };
  // The first use of a key and the first of a day are written and told; what follows is not.
  await tenant.foreman.authorize(tenant.credential);
  const audit = (await tenant.foreman.pullNews()).audit.map(({ id }) => id);
  await tenant.foreman.confirmNews({ ...nothing, accountVersion: 3, audit });
  const written = await runInDurableObject(tenant.stub, (_: Foreman, state) => {
    const counted = counting(state.storage.sql);
    const { settings: read, generation } = readSettings(env);
    const settings = { ...read, requestHotMs: 0 };
    const desk: Desk = {
      sql: counted.sql,
      settings,
      kinds: createKinds(generation),
      present: createPresenter(settings),
      memory: recall(state.storage.sql, Date.now()),
      effects: [],
      now: Date.now(),
      random: () => 0.5,
    };
    const confirm = () => {
      const pulled = news.pullNews(desk);
      const requests = pulled.requests.map(({ id, version }) => ({ id, version }));
      const rest = { deliveries: [], accountVersion: null, audit: [], last: false };
      news.confirmNews(desk, { requests, ...rest }, tenant.userId);
    };
    const spec = newSpec(tenant.userId);
    const { credential } = tenant;
    keepUse(desk, credential, (work) => work(desk));
    intake.submit(desk, { credential, spec, warnings: [], fingerprint: 'f' });
    confirm();
    const claimed = work.claim(desk, { request: spec.id, release: 1, token: 't', verdicts: {} });
    if (claimed.verdict !== 'run') throw new Error(claimed.verdict);
    const { token } = claimed.job;
    work.settle(desk, {
      request: spec.id,
      token,
      attempt: 1,
      result: success,
      nextToken: null,
      verdicts: {},
    });
    confirm();
    runAlarm({ ...desk, now: desk.now + 60_000 }, tenant.userId, (work) => {
      work();
      return true;
    });
    const left = intake.read(desk, spec.id);
    if (left.outcome !== 'absent') throw new Error(`expected a hand-over: ${left.outcome}`);
    return counted.written();
  });
  // Two or three writes of the alarm come on top; they are not the statements' own.
  expect(written).toBeGreaterThan(5);
  expect(written).toBeLessThanOrEqual(14);
});
