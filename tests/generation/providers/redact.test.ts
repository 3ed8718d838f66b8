import { describe, expect, it } from 'vitest';
import { redact } from '../../../src/generation/providers/redact';

const secrets = ['sk-proj-AbCdEfGhIjKlMnOpQrStUvWx'];
const prompt = 'A tall ship, sails torn,\nin a storm off the coast of Norway';

describe('redact', () => {
  const cases: [rule: string, message: string, expected: string][] = [
    ['hides the key', `bad key ${secrets[0]}!`, 'bad key [key]!'],
    ['hides a piece of the key', 'bad key …QrStUvWx', 'bad key …[key]'],
    ['hides a masked key', 'bad key sk-proj-*****UvWx given', 'bad key [key] given'],
    ['hides a masked key of another shape', 'bad key ab****yz given', 'bad key [key] given'],
    ['hides a bearer token', 'got Bearer abc.def', 'got [key]'],
    ['hides the prompt', `Prompt '${prompt}' is bad`, "Prompt '[prompt]' is bad"],
    ['hides a piece of the prompt', 'in "a storm off the coast"', 'in "[prompt]"'],
    ['ignores case in a quotation', 'IN A STORM OFF THE COAST OF NORWAY.', '[prompt].'],
    ['leaves everyday words', 'a ship in a harbour', 'a ship in a harbour'],
    ['makes one line', 'first\n\n  second', 'first second'],
  ];
  it.each(cases)('%s', (_rule, message, expected) => {
    expect(redact(message, { secrets, texts: [prompt] })).toBe(expected);
  });

  it('hides a short prompt only where it stands on its own', () => {
    const texts = ['cat'];
    expect(redact('"cat" in category Cat.', { secrets: [], texts })).toBe(
      '"[prompt]" in category [prompt].',
    );
    expect(redact('a (b) c', { secrets: [], texts: ['(b'] })).toBe('a [prompt]) c');
  });

  it('cuts at 300 characters', () => {
    const cut = redact('word '.repeat(200), { secrets: [], texts: [] });
    expect(cut).toHaveLength(300);
    expect(cut.endsWith('…')).toBe(true);
  });

  it('stays quick on the longest message and prompt', () => {
    const texts = ['ab'.repeat(2000)];
    expect(redact('ab'.repeat(100_000), { secrets, texts })).toBe('[prompt]');
  });
});
