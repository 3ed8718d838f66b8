import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { decodeCursor, encodeCursor, idPart, readCursor } from '../../src/platform/cursor';
import { newId } from '../../src/platform/ids';

const base64url = (text: string) => Buffer.from(text).toString('base64url');

describe('a cursor', () => {
  it('brings back the sort key it was made of', () => {
    const part = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 60 }),
      fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0)),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 3 }), (parts) => {
        const text = encodeCursor(parts);
        expect(text).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(decodeCursor(text)).toEqual(text.length > 1_000 ? null : parts);
      }),
    );
  });

  it.each([
    ['empty', ''],
    ['no base64url', '%%%'],
    ['no JSON', base64url('nonsense')],
    ['an object', base64url('{"a":1}')],
    ['a list of other things', base64url('[1,null]')],
    ['a nested list', base64url('[[1]]')],
    ['padded', `${base64url('[12]')}==`],
    ['spelled with spaces', base64url('[1, "a"]')],
    ['not UTF-8', Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]).toString('base64url')],
    ['too deep', base64url('['.repeat(700))],
    ['10,000 characters', 'A'.repeat(10_000)],
  ])('that is %s is none', (_, text) => {
    expect(decodeCursor(text)).toBeNull();
  });

  it('with a bit set that no byte needs is none', () => {
    const text = base64url('[12]');
    const other = `${text.slice(0, -1)}${text.endsWith('Q') ? 'R' : 'Q'}`;
    expect(decodeCursor(other)).toBeNull();
  });
});

describe('the cursor of a list', () => {
  const id = newId('usr', 0);
  const parts = z.tuple([z.number(), idPart('usr')]);

  it('is read as the sort key of that list', () => {
    expect(readCursor(encodeCursor([12, id]), parts)).toEqual([12, id]);
  });

  it.each([
    ['nonsense', 'nonsense'],
    ['of a shorter sort key', encodeCursor([12])],
    ['of a longer one', encodeCursor([12, id, 1])],
    ['with its parts in another order', encodeCursor([id, 12])],
    ['with a number that is a text', encodeCursor(['12', id])],
    ['with the id of something else', encodeCursor([12, newId('key', 0)])],
    ['with no id', encodeCursor([12, 'usr_1'])],
  ])('is not one that is %s', (_, text) => {
    const errors = [{ path: 'cursor', message: 'is not a cursor of this list' }];
    const fault = { code: 'invalid_request', message: 'Not valid: cursor.', details: { errors } };
    expect(() => readCursor(text, parts)).toThrow(expect.objectContaining(fault));
  });
});
