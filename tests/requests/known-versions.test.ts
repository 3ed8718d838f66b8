import { describe, expect, it } from 'vitest';
import { isKnown, isNews, readIfNoneMatch } from '../../src/requests/known-versions';

describe('If-None-Match', () => {
  it.each<[string | undefined, boolean]>([
    [undefined, false],
    ['"3"', true],
    ['W/"3"', true],
    ['"2"', false],
    ['"13"', false],
    ['"2", "3"', true],
    ['"3", "5"', true],
    ['W/"1",W/"3" , "x"', true],
    ['"03"', false],
    ['"abc"', false],
    ['"1,3"', false],
    ['*', true],
    [' * ', true],
    ['3', false],
    ['W/"', false],
    ['', false],
  ])('of %j has version 3: %s', (header, expected) => {
    expect(isKnown(3, readIfNoneMatch(header))).toBe(expected);
  });

  it.each<[string | undefined, number, boolean]>([
    // Who says nothing, or knows whatever there is, waits for the next one.
    [undefined, 3, false],
    [undefined, 4, true],
    ['*', 3, false],
    ['*', 4, true],
    // Who knows this one waits for another; who does not is answered.
    ['"3"', 3, false],
    ['"3"', 4, true],
    ['"2"', 3, true],
    ['"5"', 3, true],
    ['"2", W/"3"', 3, false],
    ['"abc"', 3, true],
  ])('of %j, waiting since version 3: %i is news: %s', (header, version, expected) => {
    expect(isNews(version, readIfNoneMatch(header), 3)).toBe(expected);
  });
});
