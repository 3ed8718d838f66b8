/** Aspect ratios, for APIs that set the pixels themselves. */
import type { AspectRatio } from '../types';
import type { ProviderJob } from './provider';

/** 2 %: 1376×768 is what their makers call 16:9. */
const TOLERANCE = 0.02;

/** The one of `offered` that the job asks for, by name or by the shape of its size; else null. */
export function ratioFor<Offered extends AspectRatio>(
  job: Pick<ProviderJob, 'size' | 'aspectRatio'>,
  offered: readonly Offered[],
): Offered | null {
  const { size, aspectRatio } = job;
  const isAsked = (ratio: Offered) =>
    size === null
      ? ratio === aspectRatio
      : Math.abs(size.width / size.height / quotient(ratio) - 1) < TOLERANCE;
  return offered.find(isAsked) ?? null;
}

function quotient(ratio: AspectRatio): number {
  const [across = 1, down = 1] = ratio.split(':').map(Number);
  return across / down;
}
