import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import type { Desk } from '../../src/foreman/desk';
import { noteOutcome } from '../../src/foreman/endpoint-status';
import { endpointOf, endpointsOf, saveEndpoint, secretsFor } from '../../src/foreman/endpoints';
import { createKinds, createPresenter } from '../../src/foreman/kinds';
import { recall, snapshot } from '../../src/foreman/memory';
import type { Foreman } from '../../src/foreman/object';
import { newId } from '../../src/platform/ids';
import { readSettings } from '../../src/settings';
import type { Endpoint } from '../../src/webhooks/endpoints/types';
import { newTenant } from '../support/foreman';
import { endpointWith } from '../webhooks/endpoints/support';

/** Works at the desk of a new user that has these endpoints; `statements` are those it ran. */
async function atDesk(
  endpoints: readonly Partial<Endpoint>[],
  work: (desk: Desk, tools: { statements: string[]; kept: readonly Endpoint[] }) => void,
): Promise<void> {
  const tenant = await newTenant();
  const { userId } = tenant;
  await runInDurableObject(tenant.stub, (_: Foreman, state) => {
    const { settings, generation } = readSettings(env);
    const statements: string[] = [];
    const exec: SqlStorage['exec'] = (query, ...bindings) => {
      statements.push(query);
      return state.storage.sql.exec(query, ...bindings) as never;
    };
    const desk: Desk = {
      sql: { exec } as SqlStorage,
      settings,
      kinds: createKinds(generation),
      present: createPresenter(settings),
      memory: recall(state.storage.sql, Date.now()),
      effects: [],
      now: Date.now(),
      random: () => 0.5,
    };
    const kept = endpoints.map((overrides, index) =>
      endpointWith({ id: newId('whk', desk.now + index), userId, ...overrides }),
    );
    for (const endpoint of kept) saveEndpoint(desk, endpoint);
    endpointsOf(desk);
    statements.length = 0;
    work(desk, { statements, kept });
  });
}

const outcome = (status: number | null, at: number) => ({ status, at, correlationId: 'c' });

describe('endpoints in memory', () => {
  it('cost no statement once they were read, and a healthy one none per delivery', () =>
    atDesk([{}, {}], (desk, { statements, kept }) => {
      expect(endpointsOf(desk)).toEqual(kept);
      const [first] = kept;
      if (!first) throw new Error('expected an endpoint');
      expect(endpointOf(desk, first.id)).toEqual(first);
      expect(secretsFor(desk, { endpointId: first.id })).toEqual(['whsec_one']);
      noteOutcome(desk, first.id, outcome(204, desk.now));
      expect(statements).toEqual([]);
    }));

  it('follow every change, and fall back with a transaction that is undone', () =>
    atDesk([{}], (desk, { kept }) => {
      const [first] = kept;
      if (!first) throw new Error('expected an endpoint');
      const undo = snapshot(desk.memory);
      saveEndpoint(desk, { ...first, description: 'changed' });
      expect(endpointOf(desk, first.id)?.description).toBe('changed');
      undo();
      expect(endpointOf(desk, first.id)?.description).toBe('');
    }));

  it('of a failing one write a row with the first failure, and none with the next', () =>
    atDesk([{}], (desk, { statements, kept }) => {
      const id = kept[0]?.id ?? 'whk_none';
      noteOutcome(desk, id, outcome(500, desk.now));
      expect(statements.filter((query) => /INSERT|UPDATE/.test(query))).toHaveLength(1);
      expect(endpointOf(desk, id)?.failingSince).toBe(desk.now);
      statements.length = 0;
      noteOutcome(desk, id, outcome(null, desk.now + 1));
      expect(statements).toEqual([]);
    }));

  it('of which one is gone have no secret for it, and no outcome', () =>
    atDesk([{}], (desk, { statements }) => {
      const id = newId('whk', 0);
      expect(secretsFor(desk, { endpointId: id })).toEqual([]);
      noteOutcome(desk, id, outcome(410, desk.now));
      expect(statements).toEqual([]);
      expect(secretsFor(desk, { endpointId: null })).toHaveLength(1);
    }));
});
