import { describe, expect, it } from 'vitest';
import { createStyleCopies } from '../../src/styles/copies';
import { NOW, styleOf } from './support';

describe('copies of styles', () => {
  it('are fresh for 30 s, and kept beyond', () => {
    const copies = createStyleCopies();
    copies.keep(styleOf('ink'), NOW);
    expect(copies.get('ink', NOW + 29_999)).toEqual({ style: styleOf('ink'), isFresh: true });
    expect(copies.get('ink', NOW + 30_000)).toEqual({ style: styleOf('ink'), isFresh: false });
    expect(copies.get('ink', NOW + 10 ** 12)?.isFresh).toBe(false);
  });

  it('are no more than 1,000: the one unused for longest goes', () => {
    const copies = createStyleCopies();
    for (let index = 0; index < 1_000; index += 1) copies.keep(styleOf(`s-${index}`), NOW);
    expect(copies.get('s-0', NOW)).not.toBeNull();
    copies.keep(styleOf('one-more'), NOW);
    expect(copies.get('s-1', NOW)).toBeNull();
    for (const id of ['s-0', 's-2', 's-999', 'one-more']) {
      expect(copies.get(id, NOW)).not.toBeNull();
    }
  });

  it('are forgotten when told so', () => {
    const copies = createStyleCopies();
    copies.keep(styleOf('ink'), NOW);
    copies.forget('ink');
    expect(copies.get('ink', NOW)).toBeNull();
  });
});
