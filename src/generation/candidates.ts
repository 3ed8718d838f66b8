/** Which targets could serve a given input, in which order, and why the others cannot. */
import type { Pace, TargetName, TargetVerdicts } from '../requests/types';
import { AUTO, type Catalog, nameOf, type Sizing, type Target } from './catalog';
import { priceMicros, USUAL_SIZE } from './prices';
import { type AspectRatio, type GenerationInput, previewsOf } from './types';

export interface Candidate {
  readonly target: Target;
  readonly name: TargetName;
  /** For the whole request, in micro-dollars. */
  readonly priceMicros: number;
  /** Why it cannot serve; null when it can. */
  readonly passedOver: string | null;
  /** Its provider is not configured: that is no news to whoever reads the ledger. */
  readonly isOff: boolean;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

const USUAL_PIXELS = USUAL_SIZE.width * USUAL_SIZE.height;

/** Targets of the model, then of each fallback model; a target named twice counts once. */
export function candidatesFor(
  catalog: Catalog,
  request: { readonly model: string; readonly input: GenerationInput },
  verdicts: TargetVerdicts = {},
): Candidate[] {
  const { model, input } = request;
  const ids = [model, ...(input.fallback_models ?? [])];
  const seen = new Set<TargetName>();
  return ids.flatMap((id) => {
    const candidates = (catalog.find(id)?.targets ?? []).map((target) =>
      candidateOf(catalog, target, input),
    );
    const ranked = id === AUTO ? rank(candidates, catalog, verdicts) : candidates;
    return ranked.filter(({ name }) => (seen.has(name) ? false : seen.add(name)));
  });
}

function candidateOf(catalog: Catalog, target: Target, input: GenerationInput): Candidate {
  const off = catalog.unavailable(target);
  return {
    target,
    name: nameOf(target),
    priceMicros: priceOf(target, input) * input.n,
    passedOver: off ?? shortcoming(target, input),
    isOff: off !== null,
  };
}

/** The embedded provider is the last resort under every policy: it is free, and no match. */
function rank(
  candidates: readonly Candidate[],
  { autoPolicy }: Catalog,
  verdicts: TargetVerdicts,
): Candidate[] {
  const isLast = ({ target }: Candidate) => (target.provider === 'sketch' ? 1 : 0);
  const weight = (candidate: Candidate) => {
    if (autoPolicy === 'order') return 0;
    if (autoPolicy === 'cost') return candidate.priceMicros;
    return expectedMs(candidate.target, verdicts[candidate.name]?.pace ?? null);
  };
  return [...candidates].sort((a, b) => isLast(a) - isLast(b) || weight(a) - weight(b));
}

export const expectedMs = (target: Target, pace: Pace | null) => pace?.p50Ms ?? target.usualMs;

/** Micro-dollars per image. */
export function priceOf(target: Target, input: GenerationInput): number {
  const { quality } = input.provider_options?.[target.provider] ?? {};
  return priceMicros(target.price, {
    size: sizeFor(target, input) ?? askedSize(input),
    quality: typeof quality === 'string' ? quality : null,
    steps: input.steps ?? null,
    previews: previewsOf(input),
  });
}

/** What of the input this target cannot do at all; null when it can do it. */
function shortcoming(target: Target, input: GenerationInput): string | null {
  const { limits } = target;
  if (input.n > limits.maxImages) return `makes at most ${limits.maxImages} image(s) a request`;
  if (limits.maxPromptChars !== null && promptOf(input).length > limits.maxPromptChars) {
    return `takes prompts of at most ${limits.maxPromptChars} characters`;
  }
  if (limits.maxSteps !== null && (input.steps ?? 0) > limits.maxSteps) {
    return `takes at most ${limits.maxSteps} steps`;
  }
  if (input.output_format && !limits.formats.includes(input.output_format)) {
    return `makes ${limits.formats.join(', ')} only`;
  }
  if (input.image !== undefined && limits.inputImage === 'none') return 'takes no input image';
  if (input.image === undefined && limits.inputImage === 'required') return 'needs an input image';
  if (input.mask !== undefined && !limits.mask) return 'takes no mask';
  return sizeFault(limits.sizing, input);
}

/** As it is sent: what a style makes of it counts. */
const promptOf = (input: GenerationInput) => (input.styled ?? input).prompt;

function sizeFault(sizing: Sizing, input: GenerationInput): string | null {
  const asked = askedSize(input);
  const { aspect_ratio: ratio } = input;
  switch (sizing.by) {
    case 'pixels':
      if (asked ? fits(sizing, asked) : !ratio || derivedFrom(ratio, sizing)) return null;
      return `makes sides of ${sizing.min} to ${sizing.max} pixels in steps of ${sizing.step}, and at most ${sizing.maxPixels} pixels`;
    case 'list': {
      const isOffered = asked
        ? sizing.sizes.includes(`${asked.width}x${asked.height}`)
        : !ratio || listedFor(sizing.sizes, ratio) !== null;
      return isOffered ? null : `makes the sizes ${sizing.sizes.join(', ')} only`;
    }
    case 'ratio':
      if (asked) return 'sets the pixels itself: give aspect_ratio, not width and height';
      if (!ratio || sizing.ratios.includes(ratio)) return null;
      if (sizing.ratios.length === 0) return 'keeps the size of the input image';
      return `makes the aspect ratios ${sizing.ratios.join(', ')} only`;
  }
}

/** The size to ask of the target; null leaves it to the provider. */
export function sizeFor(target: Target, input: GenerationInput): Size | null {
  const { sizing } = target.limits;
  const { aspect_ratio: ratio } = input;
  if (sizing.by === 'ratio') return null;
  const asked = askedSize(input);
  if (asked) return asked;
  if (!ratio) return null;
  return sizing.by === 'list' ? listedFor(sizing.sizes, ratio) : derivedFrom(ratio, sizing);
}

function askedSize(input: GenerationInput): Size | null {
  if (input.width === undefined || input.height === undefined) return null;
  return { width: input.width, height: input.height };
}

type Pixels = Extract<Sizing, { by: 'pixels' }>;

function fits(sizing: Pixels, { width, height }: Size): boolean {
  const isSide = (side: number) =>
    side >= sizing.min && side <= sizing.max && side % sizing.step === 0;
  return isSide(width) && isSide(height) && width * height <= sizing.maxPixels;
}

/**
 * Of the sizes of exactly this ratio, in the target's steps: the largest that is no larger than usual,
 * or the smallest of all when the target's bounds leave none of those. Null when it makes none.
 */
function derivedFrom(ratio: AspectRatio, sizing: Pixels): Size | null {
  const { step, min, max, maxPixels } = sizing;
  const { across, down } = partsOf(ratio);
  const byArea = Math.sqrt(Math.min(USUAL_PIXELS, maxPixels) / (across * down));
  const usual = Math.floor(Math.min(byArea, max / Math.max(across, down)) / step) * step;
  const least = Math.ceil(min / Math.min(across, down) / step) * step;
  const unit = Math.max(usual, least);
  const size = { width: across * unit, height: down * unit };
  return fits(sizing, size) ? size : null;
}

function listedFor(sizes: readonly string[], ratio: AspectRatio): Size | null {
  const { across, down } = partsOf(ratio);
  const offered = sizes.map(parseSize);
  return offered.find(({ width, height }) => isClose(width / height, across / down)) ?? null;
}

/** In lowest terms: 21:9 is 7:3. */
function partsOf(ratio: AspectRatio): { across: number; down: number } {
  const [across = 1, down = 1] = ratio.split(':').map(Number);
  const divisor = commonDivisor(across, down);
  return { across: across / divisor, down: down / divisor };
}

const commonDivisor = (a: number, b: number): number => (b === 0 ? a : commonDivisor(b, a % b));

function parseSize(size: string): Size {
  const [width = 0, height = 0] = size.split('x').map(Number);
  return { width, height };
}

/** 2 %: 1792×1024 is what its makers call 16:9. */
const isClose = (a: number, b: number) => Math.abs(a / b - 1) < 0.02;
