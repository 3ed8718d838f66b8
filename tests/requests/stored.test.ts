import { describe, expect, it } from 'vitest';
import * as lifecycle from '../../src/requests/lifecycle';
import { parseState } from '../../src/requests/stored';
import type { RequestState, Tombstone } from '../../src/requests/types';
import { createPresentRequest } from '../../src/requests/view';
import { NOW, queued, released, running, success, tryTarget } from '../support/states';

const added = [
  ...['parentId', 'variationsOf', 'reuseKey', 'reusedFrom', 'outputWarnings'],
  ...['floorMicros', 'onBudget', 'hold'],
];

/** As the first version wrote it: no lineage, no reuse, no jobs, no holds. */
function earlier(state: RequestState): string {
  const fields: Record<string, unknown> = { ...state };
  for (const name of added) delete fields[name];
  if (state.status === 'running') {
    const { job: _, ...current } = state.current;
    fields.current = current;
  }
  return JSON.stringify(fields);
}

const succeeded = lifecycle.settle(
  running(),
  { token: 'token-1', result: success, nextToken: null, decide: tryTarget },
  NOW + 50,
);

const states: [string, RequestState][] = [
  ['queued', queued()],
  ['released', released()],
  ['running', running()],
  ['succeeded', succeeded],
];

describe('a stored state', () => {
  it.each(states)('that is %s is read as it was written', (_, state) => {
    expect(parseState(JSON.stringify(state))).toEqual(state);
  });

  it.each(states)('of an earlier version that is %s has nothing of what came later', (_, state) => {
    expect(parseState(earlier(state))).toEqual(state);
  });

  it.each(states)('of an earlier version that is %s is shown to clients', (_, state) => {
    const present = createPresentRequest(() => ({ images: [] }));
    const read = parseState(earlier(state));
    if (read.status === 'deleted') throw new Error('expected a request');
    expect(present(read)).toMatchObject({
      id: state.id,
      parent_id: null,
      variations_of: null,
      reused_from: null,
    });
  });

  it('shows what was said of its output beside what was said of its submission', () => {
    const present = createPresentRequest(() => ({ images: [] }));
    const said = { warnings: ['a', 'b'], outputWarnings: ['b', 'c'] };
    const read = parseState(JSON.stringify({ ...succeeded, ...said }));
    if (read.status === 'deleted') throw new Error('expected a request');
    expect(present(read).warnings).toEqual(['a', 'b', 'c']);
  });

  it('keeps its lineage and its job', () => {
    const id = 'req_0ccccccccccccccccccccccccccc';
    const state = running('token-1', { parentId: id, variationsOf: id, reuseKey: 'key' });
    const job = {
      handle: { id: 'job-1' },
      acceptedAt: NOW,
      providerRequestId: null,
      warnings: [],
      queue: null,
      wait: { for: 'call' },
    } as const;
    const whole = { ...state, reusedFrom: id, current: { ...state.current, job } } as const;
    expect(parseState(JSON.stringify(whole))).toEqual(whole);
  });

  it('that is a tombstone stays one', () => {
    const tombstone: Tombstone = {
      id: 'req_0aaaaaaaaaaaaaaaaaaaaaaaaaa',
      userId: 'usr_0bbbbbbbbbbbbbbbbbbbbbbbbbb',
      status: 'deleted',
      version: 4,
      deletedAt: NOW,
      purged: true,
      usage: null,
    };
    expect(parseState(JSON.stringify(tombstone))).toEqual(tombstone);
    const { usage: _, ...older } = tombstone;
    expect(parseState(JSON.stringify(older))).toEqual(tombstone);
  });
});
