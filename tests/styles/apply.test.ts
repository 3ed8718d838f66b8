import { describe, expect, it } from 'vitest';
import { applyStyle, MAX_STYLED_PROMPT_CHARS } from '../../src/styles/apply';

const ink = { promptTemplate: 'an ink drawing of {prompt}, on paper', negativePrompt: null };

describe('applying a style', () => {
  it.each([
    ['a boat', 'an ink drawing of a boat, on paper'],
    ['$& $1 $` $$', 'an ink drawing of $& $1 $` $$, on paper'],
    ['{prompt}', 'an ink drawing of {prompt}, on paper'],
    ['two\nlines', 'an ink drawing of two\nlines, on paper'],
  ])('puts the prompt %j where the placeholder is, as it is', (prompt, styled) => {
    expect(applyStyle(ink, { prompt })).toEqual({ prompt: styled });
  });

  it.each([
    ['neither has one', undefined, null, {}],
    ['the client has one', 'blur', null, { negative_prompt: 'blur' }],
    ['the style has one', undefined, 'text', { negative_prompt: 'text' }],
    ['the client’s is empty', '', 'text', { negative_prompt: 'text' }],
    ['both have one', 'blur', 'text', { negative_prompt: 'blur, text' }],
  ])('makes the negative prompt when %s', (_, negative_prompt, negativePrompt, made) => {
    const style = { promptTemplate: '{prompt}', negativePrompt };
    expect(applyStyle(style, { prompt: 'a boat', negative_prompt })).toEqual({
      prompt: 'a boat',
      ...made,
    });
  });

  it('keeps the longest prompt in the longest template within its limit', () => {
    const longest = { promptTemplate: `${'x'.repeat(1_992)}{prompt}`, negativePrompt: null };
    const { prompt } = applyStyle(longest, { prompt: 'y'.repeat(4_000) });
    expect(prompt).toHaveLength(5_992);
    expect(prompt.length).toBeLessThanOrEqual(MAX_STYLED_PROMPT_CHARS);
  });
});
