/** Which targets could serve a given input, and why the others cannot. */
import { type Catalog, pricePerImage, type Target } from './catalog';
import type { AspectRatio, GenerationInput } from './types';

export interface Candidate {
  readonly target: Target;
  /** For the whole request, in micro-dollars. */
  readonly priceMicros: number;
  /** Why it cannot serve; null when it can. */
  readonly passedOver: string | null;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Targets of the model, then of each fallback model; a target named twice counts once. */
export function candidatesFor(
  catalog: Catalog,
  request: { readonly model: string; readonly input: GenerationInput },
): Candidate[] {
  const ids = [request.model, ...(request.input.fallback_models ?? [])];
  const targets = ids.flatMap((id) => catalog.find(id)?.targets ?? []);
  const seen = new Set<string>();
  return targets
    .filter((target) => {
      const name = `${target.provider}/${target.model}`;
      return seen.has(name) ? false : seen.add(name);
    })
    .map((target) => ({
      target,
      priceMicros: priceOf(target, request.input) * request.input.n,
      passedOver: catalog.unavailable(target) ?? shortcoming(target, request.input),
    }));
}

/** Micro-dollars per image. */
export function priceOf(target: Target, input: GenerationInput): number {
  return pricePerImage(target, input.provider_options?.[target.provider] ?? {});
}

/** What of the input this target cannot do at all; null when it can do it. */
function shortcoming(target: Target, input: GenerationInput): string | null {
  const { limits } = target;
  if (input.n > limits.maxImages) return `makes at most ${limits.maxImages} image(s) a request`;
  if (input.output_format && !limits.formats.includes(input.output_format)) {
    return `makes ${limits.formats.join(', ')} only`;
  }
  if (input.image !== undefined && !limits.inputImage) return 'takes no input image';
  if (input.mask !== undefined && !limits.mask) return 'takes no mask';
  if (limits.sizes === null) return null;
  const asked = askedSize(input) ?? input.aspect_ratio;
  if (asked === undefined || sizeFor(target, input) !== null) return null;
  return `makes the sizes ${limits.sizes.join(', ')} only`;
}

/** The size to ask of the target; null leaves it to the provider, or to the aspect ratio. */
export function sizeFor(target: Target, input: GenerationInput): Size | null {
  const asked = askedSize(input);
  const { sizes } = target.limits;
  if (sizes === null) return asked ?? null;
  if (asked) return sizes.includes(`${asked.width}x${asked.height}`) ? asked : null;
  if (!input.aspect_ratio) return null;
  const ratio = ratioOf(input.aspect_ratio);
  const offered = sizes.map(parseSize);
  return offered.find((size) => isClose(size.width / size.height, ratio)) ?? null;
}

function askedSize(input: GenerationInput): Size | undefined {
  if (input.width === undefined || input.height === undefined) return undefined;
  return { width: input.width, height: input.height };
}

function ratioOf(aspectRatio: AspectRatio): number {
  const [width, height] = aspectRatio.split(':').map(Number);
  return (width ?? 1) / (height ?? 1);
}

function parseSize(size: `${number}x${number}`): Size {
  const [width, height] = size.split('x').map(Number);
  return { width: width ?? 0, height: height ?? 0 };
}

/** 2 %: 1792×1024 is what its makers call 16:9. */
const isClose = (a: number, b: number) => Math.abs(a / b - 1) < 0.02;
