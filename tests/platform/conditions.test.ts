import { expect, it } from 'vitest';
import { allOf } from '../../src/platform/conditions';

it('conditions are joined with their values in order, and one with null for a value is left out', () => {
  expect(
    allOf([
      ['user_id = ?', 'usr_1'],
      ["status <> 'deleted'"],
      ['model = ?', null],
      ['cost = ?', 0],
      ['(at, id) < (?, ?)', null, null],
      ['(at, id) < (?, ?)', 7, ''],
    ]),
  ).toEqual({
    where: "user_id = ? AND status <> 'deleted' AND cost = ? AND (at, id) < (?, ?)",
    values: ['usr_1', 0, 7, ''],
  });
});
