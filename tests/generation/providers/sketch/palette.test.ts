import { describe, expect, it } from 'vitest';
import { luminance } from '../../../../src/generation/providers/sketch/colour';
import { createPalette } from '../../../../src/generation/providers/sketch/palette';
import { describePrompt } from '../../../../src/generation/providers/sketch/words';

const paletteOf = (prompt: string, guidanceScale = 7.5) =>
  createPalette(describePrompt(prompt, null), 1, guidanceScale);

describe('createPalette', () => {
  it('keeps every channel within 0 to 255, whatever the words and the guidance', () => {
    for (const time of ['noon', 'dawn', 'sunset', 'dusk', 'night', 'space']) {
      for (const words of ['white snow', 'neon storm', 'golden fog', 'black rain', 'autumn']) {
        const { glow, ...colours } = paletteOf(`${words} ${time}`, 20);
        expect(glow).toBeGreaterThan(0);
        for (const channel of Object.values(colours).flat()) {
          expect(channel).toBeGreaterThanOrEqual(0);
          expect(channel).toBeLessThanOrEqual(255);
        }
      }
    }
  });

  it.each([
    ['snow', 'ground', 'a field at noon', 'a snowy field at noon'],
    ['the sun', 'skyTop', 'a lake at night', 'a lake at noon'],
  ] as const)('%s brightens the %s', (_, part, dark, bright) => {
    expect(luminance(paletteOf(bright)[part])).toBeGreaterThan(luminance(paletteOf(dark)[part]));
  });

  it('dims the light of the sun in a storm', () => {
    expect(paletteOf('a stormy sunset').glow).toBeLessThan(paletteOf('a sunset').glow);
  });

  it('tints a thing more than the rest when the colour stands before it', () => {
    const plain = paletteOf('a big sea at noon');
    const red = paletteOf('a red sea at noon');
    const change = (part: 'water' | 'skyTop') => red[part][0] - plain[part][0];
    expect(change('water')).toBeGreaterThan(change('skyTop') + 20);
  });
});
