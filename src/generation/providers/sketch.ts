/** The embedded provider: draws inside the Worker, the same bytes for the same input. */

import { z } from 'zod';
import type { AspectRatio } from '../types';
import {
  type CallContext,
  defineProvider,
  type Provider,
  type ProviderJob,
  type ProviderSuccess,
} from './provider';
import { drawSketch, type SketchInput } from './sketch/draw';

/** Resolves to a PNG. */
export type DrawSketch = (input: SketchInput) => Promise<Uint8Array>;

const SEEDS = 2 ** 32;
const DEFAULT_SIDE = 1024;
/** The last preview has a quarter of the picture's sides, and each before it half of the next. */
const FINEST_PREVIEW = 4;
const LEAST_PREVIEW_SIDE = 16;
/** What image models work in, so that a ratio gives the sizes that users know from them. */
const SIDE_STEP = 8;

export const sketch = defineProvider({
  name: 'sketch',
  settings: z.object({}).transform(() => ({})),
  missing: 'it is always there',
  create: () => createSketchProvider({ draw: drawSketch }),
});

export function createSketchProvider(deps: { readonly draw: DrawSketch }): Provider {
  return {
    name: 'sketch',
    async generate(job, context) {
      const seeded = { ...job, seed: job.seed ?? randomSeed() };
      await showSketches(seeded, context, deps.draw);
      return sketchPicture(seeded, deps.draw);
    },
    showsPreviews: () => true,
  };
}

/**
 * The picture that `sketchPicture` will draw of the same job, drawn coarsely first: three of these
 * take a third of the picture's time.
 */
export async function showSketches(
  job: ProviderJob & { readonly seed: number },
  { preview }: Pick<CallContext, 'preview'>,
  draw: DrawSketch,
): Promise<void> {
  if (!preview) return;
  const size = job.size ?? sketchSizeFor(job.aspectRatio);
  const { prompt, negativePrompt, seed, steps, guidanceScale, previews } = job;
  for (let index = 0; index < previews; index += 1) {
    const part = FINEST_PREVIEW * 2 ** (previews - 1 - index);
    const side = (pixels: number) => Math.max(LEAST_PREVIEW_SIDE, Math.round(pixels / part));
    const coarse = { width: side(size.width), height: side(size.height) };
    const bytes = await draw({ prompt, negativePrompt, seed, ...coarse, steps, guidanceScale });
    preview({ index, mediaType: 'image/png', bytes });
  }
}

/** @returns n images with the seeds seed, seed + 1, … (mod 2³²). */
export async function sketchPicture(job: ProviderJob, draw: DrawSketch): Promise<ProviderSuccess> {
  const first = job.seed ?? randomSeed();
  const size = job.size ?? sketchSizeFor(job.aspectRatio);
  const { prompt, negativePrompt, steps, guidanceScale } = job;
  const images = [];
  for (let index = 0; index < job.n; index += 1) {
    const seed = (first + index) % SEEDS;
    const bytes = await draw({ prompt, negativePrompt, seed, ...size, steps, guidanceScale });
    images.push({ bytes, seed });
  }
  return {
    outcome: 'succeeded',
    images,
    costMicros: null,
    providerRequestId: null,
    warnings: ignoredBySketch(job).map((field) => `sketch ignores ${field}`),
  };
}

/**
 * The largest size of exactly this ratio, in steps of 8 pixels, with no more pixels than 1024×1024;
 * 1024×1024 without a ratio.
 */
export function sketchSizeFor(aspectRatio: AspectRatio | null): { width: number; height: number } {
  const [across = 1, down = 1] = (aspectRatio ?? '1:1').split(':').map(Number);
  const divisor = commonDivisor(across, down);
  const [columns, rows] = [across / divisor, down / divisor];
  const unit = Math.floor(DEFAULT_SIDE / Math.sqrt(columns * rows) / SIDE_STEP) * SIDE_STEP;
  return { width: columns * unit, height: rows * unit };
}

function ignoredBySketch(job: ProviderJob): string[] {
  const fields: readonly [field: string, isIgnored: boolean][] = [
    ['image', job.image !== null],
    ['mask', job.mask !== null],
    ['strength', job.strength !== null],
    ['output_format', job.outputFormat !== null && job.outputFormat !== 'png'],
  ];
  const options = Object.keys(job.options).map((name) => `the option ${name}`);
  return [...fields.filter(([, isIgnored]) => isIgnored).map(([field]) => field), ...options];
}

export const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;

const commonDivisor = (a: number, b: number): number => (b === 0 ? a : commonDivisor(b, a % b));
