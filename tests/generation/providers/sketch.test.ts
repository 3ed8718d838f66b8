import { describe, expect, it } from 'vitest';
import type { ProviderPreview } from '../../../src/generation/providers/provider';
import { createSketchProvider, sketchSizeFor } from '../../../src/generation/providers/sketch';
import { drawSketch, type SketchInput } from '../../../src/generation/providers/sketch/draw';
import { aspectRatios, MAX_PIXELS } from '../../../src/generation/types';
import { inspectImage } from '../../../src/images/inspect';
import { contextWith, jobWith } from '../../support/provider-jobs';

async function generate(job: Parameters<typeof jobWith>[0]) {
  const drawn: SketchInput[] = [];
  const provider = createSketchProvider({
    draw: async (input) => {
      drawn.push(input);
      return new Uint8Array([drawn.length]);
    },
  });
  const answer = await provider.generate(jobWith({ model: 'sketch', ...job }), contextWith());
  if (answer.outcome !== 'succeeded') throw new Error('a sketch never fails');
  return { answer, drawn };
}

describe('previews of a sketch', () => {
  const sidesShown = async (previews: number, size: { width: number; height: number }) => {
    const shown: (readonly [number, string, number, number])[] = [];
    const drawn: SketchInput[] = [];
    const provider = createSketchProvider({
      draw: async (input) => {
        drawn.push(input);
        return new Uint8Array();
      },
    });
    await provider.generate(jobWith({ model: 'sketch', size, previews }), {
      ...contextWith(),
      preview: ({ index, mediaType }) => {
        const { width = 0, height = 0 } = drawn.at(-1) ?? {};
        shown.push([index, mediaType, width, height]);
      },
    });
    return { shown, drawn };
  };

  it.each<[number, number[][]]>([
    [0, []],
    [1, [[256, 128]]],
    [
      3,
      [
        [64, 32],
        [128, 64],
        [256, 128],
      ],
    ],
  ])(
    'are as many as are asked for, each finer than the one before: %i',
    async (previews, sides) => {
      const { shown, drawn } = await sidesShown(previews, { width: 1024, height: 512 });
      expect(shown).toEqual(
        sides.map(([width, height], index) => [index, 'image/png', width, height]),
      );
      // The picture itself is drawn last, as large as it was asked for.
      expect(drawn.at(-1)).toMatchObject({ width: 1024, height: 512 });
      expect(drawn).toHaveLength(previews + 1);
    },
  );

  it('are of the picture that comes, whatever seed it has', async () => {
    const { drawn } = await sidesShown(2, { width: 640, height: 640 });
    expect(new Set(drawn.map(({ seed }) => seed)).size).toBe(1);
  });

  it('are pictures also of the smallest, and leave it as it is', async () => {
    const provider = createSketchProvider({ draw: drawSketch });
    const job = { model: 'sketch', seed: 7, size: { width: 64, height: 64 } };
    const shown: unknown[] = [];
    const looking = {
      ...contextWith(),
      preview: ({ bytes }: ProviderPreview) => shown.push(inspectImage(bytes)),
    };
    const watched = await provider.generate(jobWith({ ...job, previews: 3 }), looking);
    const alone = await provider.generate(jobWith(job), contextWith());
    expect(watched).toEqual(alone);
    const least = { ok: true, mediaType: 'image/png', width: 16, height: 16 };
    expect(shown).toEqual([least, least, least]);
  });
});

describe('the sketch provider', () => {
  it('draws n images with the seeds that follow the one given', async () => {
    const { answer, drawn } = await generate({ n: 3, seed: 7 });
    expect(drawn.map(({ seed }) => seed)).toEqual([7, 8, 9]);
    expect(answer.images.map((image) => ['bytes' in image && image.bytes[0], image.seed])).toEqual([
      [1, 7],
      [2, 8],
      [3, 9],
    ]);
  });

  it('starts again at 0 after the largest seed', async () => {
    const { answer } = await generate({ n: 2, seed: 2 ** 32 - 1 });
    expect(answer.images.map(({ seed }) => seed)).toEqual([2 ** 32 - 1, 0]);
  });

  it('makes up a seed when none is given, and tells it', async () => {
    const [first, second] = [await generate({ n: 2 }), await generate({ n: 2 })];
    const seeds = (run: typeof first) => run.answer.images.map(({ seed }) => seed ?? -1);
    expect(seeds(first)).toEqual(first.drawn.map(({ seed }) => seed));
    expect(seeds(first)[1]).toBe(((seeds(first)[0] ?? 0) + 1) % 2 ** 32);
    expect(seeds(first)).not.toEqual(seeds(second));
  });

  it('hands on everything that shapes the picture', async () => {
    const { answer, drawn } = await generate({
      prompt: 'a fox',
      negativePrompt: 'snow',
      seed: 1,
      size: { width: 640, height: 384 },
      steps: 12,
      guidanceScale: 3.5,
    });
    expect(drawn).toEqual([
      {
        prompt: 'a fox',
        negativePrompt: 'snow',
        seed: 1,
        width: 640,
        height: 384,
        steps: 12,
        guidanceScale: 3.5,
      },
    ]);
    expect(answer.warnings).toEqual([]);
  });

  it('names what it does not use', async () => {
    const { answer } = await generate({
      strength: 0.4,
      outputFormat: 'webp',
      options: { style: 'ink' },
    });
    expect(answer.warnings).toEqual([
      'sketch ignores strength',
      'sketch ignores output_format',
      'sketch ignores the option style',
    ]);
  });
});

describe('the size of an aspect ratio', () => {
  it('is 1024×1024 when nothing is said', () => {
    expect(sketchSizeFor(null)).toEqual({ width: 1024, height: 1024 });
  });

  it.each(aspectRatios)('%s is exact, in steps of 8, and about as large', (aspectRatio) => {
    const { width, height } = sketchSizeFor(aspectRatio);
    const [across = 0, down = 0] = aspectRatio.split(':').map(Number);
    expect(width * down).toBe(height * across);
    expect([width % 8, height % 8]).toEqual([0, 0]);
    expect(Math.max(width, height)).toBeLessThanOrEqual(1536);
    expect(Math.min(width, height)).toBeGreaterThanOrEqual(64);
    expect(width * height).toBeGreaterThan(800_000);
    expect(width * height).toBeLessThanOrEqual(MAX_PIXELS / 4);
  });
});
