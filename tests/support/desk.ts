/** Changes to a user's requests, one after the other: no alarm and no message comes in between. */
import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import type { Desk } from '../../src/foreman/desk';
import { createKinds, createPresenter } from '../../src/foreman/kinds';
import { recall } from '../../src/foreman/memory';
import type { Foreman } from '../../src/foreman/object';
import { readSettings } from '../../src/settings';
import type { Tenant } from './foreman';

/** The object itself knows nothing of it in memory: evict it before it is asked for more. */
export function onDesk<T>(tenant: Tenant, work: (desk: Desk) => T): Promise<T> {
  return runInDurableObject(tenant.stub, (_: Foreman, { storage: { sql } }) => {
    const { settings, generation } = readSettings(env);
    const now = Date.now();
    return work({
      sql,
      settings,
      kinds: createKinds(generation),
      present: createPresenter(settings),
      memory: recall(sql, now),
      effects: [],
      now,
      random: () => 0.5,
    });
  });
}
