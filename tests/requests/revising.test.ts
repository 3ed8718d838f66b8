import { describe, expect, it } from 'vitest';
import { settle } from '../../src/requests/lifecycle';
import { dueAt } from '../../src/requests/queueing';
import { changedAt, isRevised, reviseOutput } from '../../src/requests/revising';
import { parseState } from '../../src/requests/stored';
import type { Succeeded } from '../../src/requests/types';
import { NOW, running, success, tryTarget } from '../support/states';

const HOT_MS = 1_000;
const ended = settle(
  running(),
  { token: 'token-1', result: success, nextToken: null, decide: tryTarget },
  NOW + 50,
) as Succeeded;
const revised = reviseOutput(ended, { images: [], deleted: 1 }, NOW + 9_000);

describe('a revised request', () => {
  it('is a newer version of the same end, of which no event tells', () => {
    const { output, version, revisedAt, ...rest } = revised;
    expect(ended).toMatchObject(rest);
    expect([version, revisedAt]).toEqual([ended.version + 1, NOW + 9_000]);
    expect(output).toEqual({ images: [], deleted: 1 });
    expect(revised.events).toBe(ended.events);
  });

  it('is kept at hand for as long as one that has just ended', () => {
    expect([changedAt(ended), changedAt(revised)]).toEqual([NOW + 50, NOW + 9_000]);
    expect(dueAt(ended, HOT_MS)).toBe(NOW + 50 + HOT_MS);
    expect(dueAt(revised, HOT_MS)).toBe(NOW + 9_000 + HOT_MS);
  });

  it('is told from one that is whole, also when it is read again', () => {
    const read = parseState(JSON.stringify(revised)) as Succeeded;
    expect(read).toEqual(revised);
    expect([isRevised(ended), isRevised(read)]).toEqual([false, true]);
  });
});
