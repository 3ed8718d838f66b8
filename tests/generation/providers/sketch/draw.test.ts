import { describe, expect, it } from 'vitest';
import { drawSketch, type SketchInput } from '../../../../src/generation/providers/sketch/draw';
import { hashText } from '../../../../src/generation/providers/sketch/random';
import { readPixels } from './read-png';

/** The hash of one picture's pixels. A change to how sketches look changes it; an engine must not. */
const PINNED = 3997323825;

const base: SketchInput = {
  prompt: 'a teal lake in the mountains at dawn',
  negativePrompt: null,
  seed: 7,
  width: 96,
  height: 64,
  steps: null,
  guidanceScale: null,
};

const draw = (change: Partial<SketchInput>) => drawSketch({ ...base, ...change });

async function meanColour(prompt: string) {
  const { pixels } = await readPixels(await draw({ prompt }));
  const sum = [0, 0, 0];
  for (const [index, value] of pixels.entries()) sum[index % 3] = (sum[index % 3] ?? 0) + value;
  const [red = 0, green = 0, blue = 0] = sum.map((total) => (total * 3) / pixels.length);
  return { red, green, blue, light: (red + green + blue) / 3 };
}

describe('size', () => {
  it.each([
    [64, 64],
    [64, 2048],
    [2048, 64],
    [1024, 576],
    [333, 77],
    [2048, 2048],
  ])('is exactly %i x %i when asked for', async (width, height) => {
    const picture = await readPixels(await draw({ width, height }));
    expect([picture.width, picture.height]).toEqual([width, height]);
  });

  it('costs at most 3 MB at 1024 x 1024, even with the most detail', async () => {
    const prompt = 'a storm over the sea, snow, rain, city and flowers';
    const png = await draw({ prompt, width: 1024, height: 1024, steps: 200, guidanceScale: 20 });
    expect(png.length).toBeLessThan(3_000_000);
  });
});

describe('the same input', () => {
  it.each(['a teal lake', 'a ringed planet', 'a cat in the rain at night', 'zzz'])(
    'gives the same bytes: %s',
    async (prompt) => {
      expect(await draw({ prompt })).toEqual(await draw({ prompt }));
    },
  );

  it('gives the pixels that every engine gives', async () => {
    const { pixels } = await readPixels(await draw({ prompt: 'a red boat on the sea at sunset' }));
    expect(hashText(String.fromCharCode(...pixels))).toBe(PINNED);
  });
});

describe('every input changes the picture', () => {
  it.each<[string, Partial<SketchInput>]>([
    ['another seed', { seed: 8 }],
    ['the largest seed', { seed: 2 ** 32 - 1 }],
    ['another prompt', { prompt: 'a teal lake in the hills at dawn' }],
    ['an unknown word', { prompt: `${base.prompt} qwertz` }],
    ['fewer steps', { steps: 1 }],
    ['one step more than the default', { steps: 31 }],
    ['most steps', { steps: 200 }],
    ['less guidance', { guidanceScale: 1 }],
    ['a little more guidance', { guidanceScale: 8 }],
    ['most guidance', { guidanceScale: 20 }],
    ['an unwanted thing that is there', { negativePrompt: 'clouds' }],
    ['an unwanted thing that is not there', { negativePrompt: 'blurry' }],
  ])('%s', async (_, change) => {
    const [before, after] = await Promise.all(
      [draw({}), draw(change)].map(async (png) => {
        return (await readPixels(await png)).pixels;
      }),
    );
    expect(after).not.toEqual(before);
  });

  it('but leaving steps and guidance out is asking for 30 and 7.5', async () => {
    expect(await draw({ steps: 30, guidanceScale: 7.5 })).toEqual(await draw({}));
  });
});

describe('the palette follows the words', () => {
  it('a red sunset is redder than a blue ocean at night', async () => {
    const sunset = await meanColour('red sunset');
    const ocean = await meanColour('blue ocean at night');
    expect(sunset.red - sunset.blue).toBeGreaterThan(40);
    expect(ocean.blue - ocean.red).toBeGreaterThan(20);
  });

  it.each([
    ['a lake at noon', 'a lake at night'],
    ['a forest in the snow at noon', 'a forest at night'],
    ['the sea at noon', 'the sea in a storm'],
  ])('%s is brighter than %s', async (bright, dark) => {
    expect((await meanColour(bright)).light).toBeGreaterThan((await meanColour(dark)).light + 20);
  });

  it('a colour word tints more with more guidance', async () => {
    const greenness = async (guidanceScale: number) => {
      const png = await draw({ prompt: 'a green day', guidanceScale });
      const { pixels } = await readPixels(png);
      let sum = 0;
      for (let i = 0; i < pixels.length; i += 3) {
        sum += (pixels[i + 1] ?? 0) - ((pixels[i] ?? 0) + (pixels[i + 2] ?? 0)) / 2;
      }
      return sum / (pixels.length / 3);
    };
    expect(await greenness(18)).toBeGreaterThan((await greenness(1)) + 10);
  });
});

describe('an unwanted thing', () => {
  it.each([
    ['people', 'people on a hill'],
    ['cat', 'a cat in a field'],
  ])('(%s) is gone, and the sky above it stays', async (negativePrompt, prompt) => {
    const whole = await readPixels(await draw({ prompt, steps: 1 }));
    const without = await readPixels(await draw({ prompt, steps: 1, negativePrompt }));
    const skyEnd = Math.floor(base.height / 4) * base.width * 3;
    // Beyond what the last pencil strokes, which every negative prompt moves, can change.
    const differing = [...whole.pixels.keys()].filter((place) => {
      return Math.abs((whole.pixels[place] ?? 0) - (without.pixels[place] ?? 0)) > 24;
    });
    expect(differing.filter((place) => place < skyEnd)).toEqual([]);
    expect(differing.length).toBeGreaterThan(60);
  });
});
