import { describe, expect, it } from 'vitest';
import { placeOf } from '../../src/images/keys';
import { cellOf, firstIdAt, isId, newId } from '../../src/platform/ids';
import { revivalOf } from '../../src/requests/dead-letters';
import { runMessageSchema } from '../../src/requests/types';

const NOW = Date.UTC(2026, 10, 21);
const cells = ['0', 'e'] as const;
const inCell = (cell: string) => `${cell}${newId('req', NOW).slice('req_0'.length)}`;

describe.each(cells)('an id of cell %s', (cell) => {
  it('sorts by the moment it was made in', () => {
    const [before, at] = [newId('dlv', NOW - 1, cell), newId('dlv', NOW, cell)];
    const first = firstIdAt('dlv', NOW, cell);
    expect([before < first, first <= at]).toEqual([true, true]);
    expect(firstIdAt('dlv', -1, cell) <= newId('dlv', 0, cell)).toBe(true);
  });

  const id = newId('req', NOW, cell);
  const userId = newId('usr', NOW, cell);

  it('says so, wherever it is read', () => {
    expect(isId('req', id)).toBe(true);
    expect(cellOf(id)).toBe(cell);
    const sha256 = 'ab'.repeat(32);
    expect(placeOf(`img_${id.slice(4)}_1_0`)).toEqual({ requestId: id, attempt: 1, index: 0 });
    expect(placeOf(`img_${userId.slice(4)}_${sha256}`)).toEqual({ userId, sha256 });
    const message = { type: 'generation.run', v: 1, user: userId, request: id, release: 1 };
    expect(runMessageSchema.parse({ ...message, correlation_id: 'c' })).toMatchObject(message);
  });

  it('hands its cell on to the request that is made again in its place', () => {
    expect(cellOf(revivalOf(id))).toBe(cell);
  });

  it('sorts behind those made before it', () => {
    expect(newId('req', NOW + 1, cell) > id).toBe(true);
  });
});

it.each(['1', 'd', 'f', 'E', 'z', ''])('an id of cell %j is nobody’s', (cell) => {
  const body = inCell(cell);
  expect(isId('usr', `usr_${body}`)).toBe(false);
  expect(placeOf(`img_${body}_1_0`)).toBeNull();
  expect(placeOf(`img_${body}_${'ab'.repeat(32)}`)).toBeNull();
});

it('an id is in no cell but the one it is given', () => {
  expect(cellOf(newId('key', NOW))).toBe('0');
});
